"""``fake://people``: rendered people as photos, for who has none. What is marked is what was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np

from argos.errors import DataError, SourceError
from argos.sources.synthetic import Rendered, SceneParams, parse_scene, render
from argos.training.formats.files import PhotoFiles
from argos.training.photos import Photo, shrunk_photo

FRAMES, SIZE = 200, (360, 640)
"""How many pictures, and ``(height, width)`` of them, where the text does not say."""

PER_SCENE, APART_S = 8, 4.0
"""Pictures of one scene, and the seconds between them: painting a scene takes as long as eight pictures of it, and
after four seconds people stand elsewhere."""

VALIDATION_SEEDS = 1_000_000
"""From the seed of what is learnt to the seed of what it is measured on."""


def rendered_photos(spec: str, max_side: int) -> PhotoFiles:
    """Pictures of ``fake://people?n=5&seed=1&size=640x360&frames=200``, painted when they are drawn.

    Args:
        spec: as for a source; ``n`` people come and go in each scene, with 0 there are none. Every eighth picture is of
            another scene with other people.
        max_side: larger pictures are shrunk to this.

    Raises:
        DataError: the text is wrong.
    """
    try:
        params = parse_scene(spec)
    except SourceError as error:
        raise DataError(str(error)) from error
    if "size" not in dict(_query(spec)):
        params = replace(params, size=SIZE)
    frames = params.frames or FRAMES
    params = replace(params, frames=PER_SCENE, fps=1 / APART_S)
    return PhotoFiles([partial(_picture, params, index, max_side) for index in range(frames)])


def held_out(specs: Sequence[str]) -> tuple[str, ...]:
    """Sets to measure on what was learnt from rendered people alone: other scenes, a quarter as many.

    Returns:
        A text for each of ``specs``; none where one of them is not rendered.
    """
    if not all(spec.startswith("fake:") for spec in specs):
        return ()
    found = []
    for spec in specs:
        given = dict(_query(spec))
        seed, frames = given.get("seed", "1"), given.get("frames", str(FRAMES))
        if not (seed.isdecimal() and frames.isdecimal()):
            return ()  # reading the set says what is wrong with it
        given |= {"seed": str(int(seed) + VALIDATION_SEEDS), "frames": str(max(1, int(frames) // 4))}
        found.append(f"{spec.partition('?')[0]}?{urlencode(given)}")
    return tuple(found)


def _query(spec: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(spec).query, keep_blank_values=True)


def _picture(params: SceneParams, index: int, max_side: int) -> Photo:
    number, within = divmod(index, PER_SCENE)
    drawn = _scene(params, number)[within]
    ids = np.zeros(drawn.pixels.shape[:2], np.uint8)
    for mark, person in enumerate(drawn.people, start=1):
        x0, y0, x1, y1 = person.box
        ids[y0:y1, x0:x1][person.mask] = mark
    boxes = [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in (p.box for p in drawn.people)]
    source = "rendered" if params.people else "background"
    numbers = list(range(1, len(boxes) + 1))
    return shrunk_photo(drawn.pixels, ids, boxes, numbers, [], source, f"{params.seed}-{index}", max_side)


@lru_cache(maxsize=1)  # photos are asked for in order the first time, and kept by ``PhotoFiles`` then
def _scene(params: SceneParams, number: int) -> tuple[Rendered, ...]:
    seed = int(np.random.SeedSequence([params.seed, number]).generate_state(1)[0])
    return tuple(render(replace(params, seed=seed)))
