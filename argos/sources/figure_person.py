"""People that never existed: who they are (body, clothes, gait), drawn from a random generator.

``random_person`` makes a ``Figure``; ``draw_person`` (in ``figures``) renders it. A figure is a few numbers
and colours; the same generator state gives the same person. Training draws its people from generators of its own
seeds; the people of the shipped clip come from ``HELD_OUT_SEED`` alone and are shown to no network before it is
measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

HELD_OUT_SEED = 20_260_121
"""Seed of the shipped clip ``samples/people.mp4``. Never train on figures or scenes of this seed."""

Colour = tuple[int, int, int]
Pattern = Literal["plain", "stripes", "checks", "blocks", "print", "speckle", "denim"]
Hair = Literal["short", "crop", "bald", "long", "bob", "ponytail", "bun", "curly"]
Bottom = Literal["trousers", "shorts", "skirt", "long_skirt"]
Bag = Literal["none", "backpack", "shoulder", "hand"]
Arm = Literal["swing", "phone", "bent", "still"]
Hat = Literal["none", "cap", "beanie", "scarf"]

SKINS: tuple[Colour, ...] = (
    (236, 196, 172), (224, 178, 150), (214, 164, 132), (198, 146, 112), (172, 120, 88),
    (142, 96, 68), (112, 74, 54), (84, 56, 44),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (26, 22, 20), (38, 30, 26), (58, 42, 32), (84, 60, 42), (112, 80, 52), (158, 124, 82), (196, 164, 116),
    (120, 66, 42), (150, 146, 142), (206, 202, 196),
)  # fmt: skip
DARK: tuple[Colour, ...] = (
    (30, 31, 34), (38, 40, 46), (28, 34, 52), (44, 50, 66), (52, 48, 46), (60, 56, 50), (36, 46, 42), (66, 66, 70),
)  # fmt: skip
MUTED: tuple[Colour, ...] = (
    (98, 100, 104), (128, 130, 132), (150, 144, 134), (176, 166, 148), (88, 92, 74), (104, 84, 66), (70, 86, 108),
    (92, 114, 140), (130, 98, 92), (196, 188, 176), (112, 122, 112),
)  # fmt: skip
BRIGHT: tuple[Colour, ...] = (
    (226, 224, 220), (238, 236, 232), (168, 38, 44), (202, 66, 48), (196, 130, 38), (218, 186, 84), (52, 104, 70),
    (36, 84, 140), (60, 132, 168), (110, 62, 118), (206, 136, 150), (34, 120, 122), (148, 186, 208),
)  # fmt: skip
JEANS: tuple[Colour, ...] = ((48, 62, 92), (62, 80, 112), (84, 104, 134), (36, 44, 66), (112, 128, 150))
SHOES: tuple[Colour, ...] = (
    (28, 27, 28), (46, 42, 40), (84, 58, 40), (116, 88, 62), (222, 220, 216), (150, 150, 152),
    (52, 60, 84), (150, 44, 42),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Garment:
    """A piece of cloth.

    Attributes:
        colour: RGB.
        second: RGB of stripes, checks, yoke or print.
        pattern: how the two colours are laid out.
        scale: width of one repeat of the pattern, share of the stature.
        folds: depth of the folds, 0..1.
        loose: how far the cloth stands off the body, share of the stature.
    """

    colour: Colour
    second: Colour
    pattern: Pattern
    scale: float
    folds: float
    loose: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One person; lengths that are not in metres are shares of the stature or factors around 1.

    Attributes:
        stature: height in metres, without hat.
        build: factor of all widths; belly, bust: extra depth at waist and chest.
        shoulders, hips, legs, head: factors of the shoulder width, hip width, leg length and head size.
        skin, hair_colour, hair, hat, beard, glasses: the head.
        top, sleeve: upper garment and how much of the arm it covers (0 none, 0.45 elbow, 1 wrist).
        hem: how far below the hip the upper garment reaches.
        inner: colour seen through an open jacket; None for closed.
        bottom, bottom_kind: lower garment.
        shoes, sole: colours.
        bag, bag_colour, bag_side: what is carried, and on which side (-1 right, 1 left).
        arm: what the right arm does.
        swing, lean, spring: arm swing factor, forward lean in radians, knee flexion factor.
        texture: seed of folds and prints.
    """

    stature: float
    build: float
    belly: float
    bust: float
    shoulders: float
    hips: float
    legs: float
    head: float
    skin: Colour
    hair_colour: Colour
    hair: Hair
    hat: Hat
    hat_colour: Colour
    beard: bool
    glasses: bool
    top: Garment
    sleeve: float
    hem: float
    inner: Colour | None
    bottom: Garment
    bottom_kind: Bottom
    shoes: Colour
    sole: Colour
    bag: Bag
    bag_colour: Colour
    bag_side: int
    arm: Arm
    swing: float
    lean: float
    spring: float
    texture: int


T = TypeVar("T")


def _pick(rng: np.random.Generator, items: tuple[T, ...], weights: tuple[float, ...] | None = None) -> T:
    """One of ``items``; ``weights`` need not add up to 1."""
    if weights is None:
        return items[int(rng.integers(len(items)))]
    shares = np.asarray(weights) / sum(weights)
    return items[int(np.searchsorted(np.cumsum(shares), rng.random(), side="right").clip(0, len(items) - 1))]


def _jitter(rng: np.random.Generator, colour: Colour, amount: float = 10.0) -> Colour:
    """``colour`` made a little lighter or darker and tinted."""
    shifted = np.asarray(colour) * rng.normal(1.0, 0.06) + rng.normal(0.0, amount / 2, 3)
    red, green, blue = np.clip(shifted, 12, 245).astype(int).tolist()
    return red, green, blue


def _cloth(rng: np.random.Generator, patterns: tuple[Pattern, ...], weights: tuple[float, ...]) -> Garment:
    """An upper garment of any colour."""
    palette = _pick(rng, (DARK, MUTED, BRIGHT), (0.36, 0.32, 0.32))
    other = _pick(rng, (DARK, MUTED, BRIGHT), (0.3, 0.3, 0.4))
    return Garment(
        colour=_jitter(rng, _pick(rng, palette)),
        second=_jitter(rng, _pick(rng, other)),
        pattern=_pick(rng, patterns, weights),
        scale=float(rng.uniform(0.018, 0.05)),
        folds=float(rng.uniform(0.5, 1.0)),
        loose=float(rng.uniform(0.002, 0.012)),
    )


def _trousers(rng: np.random.Generator) -> Garment:
    """A lower garment; mostly dark or denim, as on real streets."""
    denim = rng.random() < 0.45
    colour = _pick(rng, JEANS) if denim else _pick(rng, _pick(rng, (DARK, MUTED, BRIGHT), (0.62, 0.32, 0.06)))
    return Garment(
        colour=_jitter(rng, colour, 6.0),
        second=_jitter(rng, _pick(rng, MUTED)),
        pattern="denim" if denim else "plain",
        scale=float(rng.uniform(0.02, 0.05)),
        folds=float(rng.uniform(0.5, 1.0)),
        loose=float(rng.uniform(0.001, 0.012)),
    )


def random_person(rng: np.random.Generator) -> Figure:
    """A person with the body, clothes and gait that ``rng`` gives.

    Args:
        rng: source of every choice; use seeds other than ``HELD_OUT_SEED`` for training.
    """
    woman = bool(rng.random() < 0.5)
    build = float(np.clip(rng.normal(0.97 if woman else 1.03, 0.09), 0.8, 1.3))
    heavy = max(0.0, build - 1.02)
    hair: Hair = (
        _pick(rng, ("long", "bob", "ponytail", "bun", "short", "curly"), (0.32, 0.18, 0.2, 0.1, 0.1, 0.1))
        if woman
        else _pick(rng, ("short", "crop", "bald", "curly", "bun"), (0.5, 0.26, 0.12, 0.1, 0.02))
    )
    skin_at = int(rng.integers(len(SKINS)))
    hair_palette = HAIRS if skin_at < 4 else HAIRS[:4] + HAIRS[-2:-1]
    top = _cloth(rng, ("plain", "stripes", "checks", "blocks", "print", "speckle"), (0.42, 0.12, 0.12, 0.12, 0.12, 0.1))
    coat = rng.random() < 0.2
    skirt = woman and rng.random() < 0.3
    bottom_kind: Bottom = (
        _pick(rng, ("skirt", "long_skirt"), (0.65, 0.35)) if skirt else _pick(rng, ("trousers", "shorts"), (0.86, 0.14))
    )
    bottom = _trousers(rng)
    if skirt and rng.random() < 0.5:  # a dress: one cloth above and below
        bottom = top
    jacket = coat or rng.random() < 0.4
    shoes = _jitter(rng, _pick(rng, SHOES), 6.0)
    return Figure(
        stature=float(np.clip(rng.normal(1.65 if woman else 1.77, 0.07), 1.48, 1.98)),
        build=build,
        belly=float(heavy * rng.uniform(0.2, 0.5) + rng.uniform(0.0, 0.006)),
        bust=float(rng.uniform(0.006, 0.018)) if woman else float(rng.uniform(0.0, 0.004)),
        shoulders=float(rng.normal(0.93 if woman else 1.06, 0.035)),
        hips=float(rng.normal(1.06 if woman else 0.97, 0.035)),
        legs=float(rng.normal(1.0, 0.02)),
        head=float(rng.normal(1.0, 0.03)),
        skin=_jitter(rng, SKINS[skin_at], 5.0),
        hair_colour=_jitter(rng, _pick(rng, hair_palette), 4.0),
        hair=hair,
        hat=_pick(rng, ("none", "cap", "beanie", "scarf"), (0.8, 0.09, 0.07, 0.04 if woman else 0.0)),
        hat_colour=_jitter(rng, _pick(rng, DARK + MUTED + BRIGHT)),
        beard=bool(not woman and rng.random() < 0.3),
        glasses=bool(rng.random() < 0.18),
        top=top,
        sleeve=1.0 if jacket else float(_pick(rng, (0.0, 0.42, 0.7, 1.0), (0.08, 0.42, 0.12, 0.38))),
        hem=float(rng.uniform(0.12, 0.24)) if coat else float(rng.uniform(0.0, 0.05)),
        inner=_jitter(rng, _pick(rng, MUTED + BRIGHT)) if jacket and rng.random() < 0.5 else None,
        bottom=bottom,
        bottom_kind=bottom_kind,
        shoes=shoes,
        sole=(214, 212, 206) if rng.random() < 0.4 else (40, 38, 38),
        bag=_pick(rng, ("none", "backpack", "shoulder", "hand"), (0.54, 0.2, 0.14, 0.12)),
        bag_colour=_jitter(rng, _pick(rng, DARK + MUTED + BRIGHT)),
        bag_side=1 if rng.random() < 0.5 else -1,
        arm=_pick(rng, ("swing", "phone", "bent", "still"), (0.7, 0.1, 0.1, 0.1)),
        swing=float(rng.uniform(0.6, 1.25)),
        lean=float(rng.normal(0.045, 0.02)),
        spring=float(rng.uniform(0.9, 1.1)),
        texture=int(rng.integers(1 << 30)),
    )
