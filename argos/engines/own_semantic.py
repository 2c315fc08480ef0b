"""Person or not for every pixel, by a network that is not ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from argos.engines.own_network import OwnNetwork, output_of
from argos.engines.segmenter import Semantic, Takes
from argos.errors import WeightsError
from argos.networks.finite import checked
from argos.types import Size

KEY = "engine.models.semantic"

ROUNDED = 0.01
"""How far rounding may bring probabilities outside of 0..1: bfloat16 has steps of 0.008 there."""


@dataclass(frozen=True, slots=True)
class SemanticGives:
    """What a semantic network gives: a map ``(B, K, h, w)``, or ``(B, h, w)`` for one channel.

    Attributes:
        name: of the output, or its position; None: the only one.
        meaning: ``logits`` (sigmoid of one channel, softmax of several), ``probabilities`` in 0..1, or ``classes``, the
            number of the class of each pixel.
        person: channels, or numbers of classes, that are person, summed; None: the only channel, of two the second.
        stride: picture pixels per pixel of the map; None: found from its shape.
    """

    name: str | int | None = None
    meaning: Literal["logits", "probabilities", "classes"] = "logits"
    person: tuple[int, ...] | None = None
    stride: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OwnSemantic:
    """A ``Semantic`` segmenter around a network from anywhere.

    Attributes:
        network: ready to run.
        takes, gives: its pictures and its map.
    """

    network: OwnNetwork
    takes: Takes
    gives: SemanticGives

    @property
    def size(self) -> Size | None:
        """(height, width) of the only pictures it takes; None: any."""
        return self.takes.size

    @torch.inference_mode()
    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability of a person, ``(B, H, W)`` float32 in 0..1, for ``(B, H, W, 3)`` uint8.

        Raises:
            WeightsError: the network fails, or gives something else than ``gives`` says.
        """
        if not len(pixels):
            return np.zeros(pixels.shape[:3], np.float32)
        image = self.prepared(pixels)
        at_once = len(image) if self.network.shape is None or self.network.shape[0] is None else 1
        size = (pixels.shape[1], pixels.shape[2])
        parts = [self.decoded(self.network.run(part), size, len(part)) for part in image.split(at_once)]
        return np.asarray(torch.cat(parts).cpu().numpy(), np.float32)

    def prepared(self, pixels: NDArray[np.uint8]) -> Tensor:
        """``(B, H, W, 3)`` uint8 -> what the network takes."""
        return self.network.pictures(torch.from_numpy(pixels).permute(0, 3, 1, 2), self.takes)

    def decoded(self, outputs: Mapping[str, Any], size: Size, count: int = 1) -> Tensor:
        """What the network gave for ``count`` pictures of ``size`` -> probabilities ``(count, *size)`` float32.

        Raises:
            WeightsError: an output is missing or has another shape or number of channels or maps; NaN.
        """
        filled = self.takes.padded(size)
        odds = self.odds(outputs, filled, count)
        odds = checked(odds.float(), "semantic")
        if odds.shape[1:] != filled:
            odds = F.interpolate(odds[:, None], filled, mode="bilinear")[:, 0]
        if self.gives.meaning == "logits":
            odds = torch.sigmoid(odds)
        return odds[:, : size[0], : size[1]].clamp(0, 1)

    def odds(self, outputs: Mapping[str, Any], filled: Size, count: int) -> Tensor:
        """Log odds of person where the network gives logits, else probabilities, ``(count, h, w)`` of its map.

        Args:
            outputs: by name, for pictures of the size ``filled``.
            filled: a size that the network takes.
            count: of the pictures.

        Raises:
            WeightsError: as ``decoded``.
        """
        found = output_of(outputs, self.gives.name, self.network.name, f"{KEY}.output.name")
        odds = self._of_shape(found, filled)
        if len(odds) != count:
            raise WeightsError(
                f"{self.network.name}: gives {'x'.join(map(str, found.shape))} for {count} pictures at once, expected "
                f"Nx(classes)xHxW or NxHxW, N the number of pictures; {KEY}.output.name says which output"
            )
        if self.gives.meaning == "logits":
            return person_logits(odds, self._person(odds.shape[1], "channels"))
        if self.gives.meaning == "probabilities":
            return odds[:, self._person(odds.shape[1], "channels")].sum(dim=1)
        person = torch.tensor(self._person(None, "classes"), device=odds.device)
        return torch.isin(checked(odds[:, 0].float(), "semantic").round().long(), person).float()

    def _of_shape(self, found: Tensor, size: Size) -> Tensor:
        """The map as ``(B, K, h, w)``, if that is what it is."""
        told = "x".join(map(str, found.shape))
        if found.ndim == 3:
            found = found[:, None]
        elif found.ndim == 4 and self.network.colours_last:
            found = found.permute(0, 3, 1, 2)
        if found.ndim != 4 or not fits(size, (found.shape[2], found.shape[3]), self.gives.stride):
            stride = f"every {self.gives.stride}th pixel" if self.gives.stride else "every pixel or every N-th"
            raise WeightsError(
                f"{self.network.name}: gives {told} for pictures of {size[0]}x{size[1]}, expected a map of {stride}: "
                f"Nx(classes)xHxW or NxHxW; {KEY}.output.name and output.stride say which and how"
            )
        if self.gives.meaning == "classes" and found.shape[1] != 1:
            raise WeightsError(
                f"{self.network.name}: gives {told}, {found.shape[1]} channels where numbers of classes have one; "
                f"set {KEY}.output.meaning to logits or probabilities"
            )
        return found

    def _person(self, channels: int | None, what: str) -> list[int]:
        """Which channels, or classes where there are none, are person."""
        chosen = self.gives.person
        if chosen is None and channels in (1, 2):
            return [channels - 1]
        if chosen is None:
            given = "numbers of classes" if channels is None else f"{channels} channels"
            raise WeightsError(f"{self.network.name}: gives {given}; set {KEY}.output.person to those that are person")
        wrong = [n for n in chosen if channels is not None and n >= channels]
        if wrong:
            raise WeightsError(
                f"{self.network.name}: gives {channels} {what}, 0 to {channels - 1 if channels else 0}, and "
                f"{KEY}.output.person names {wrong[0]}"
            )
        return list(chosen)


@dataclass(frozen=True, slots=True, eq=False)
class GivenSemantic:
    """A segmenter of the user's own code, held to what it should give.

    Attributes:
        segmenter: as it was given.
    """

    segmenter: Semantic

    @property
    def size(self) -> Size | None:
        """(height, width) of the only pictures it takes; None: any."""
        return self.segmenter.size

    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What it says of ``(B, H, W, 3)`` uint8: ``(B, H, W)`` float32, from any tensor or array of floats.

        Raises:
            WeightsError: it gives something else, NaN, or values outside of 0..1.
        """
        given = self.segmenter.scores(pixels)
        name, wanted = f"{type(self.segmenter).__name__}.scores", pixels.shape[:3]
        found = np.asarray(given.float().numpy(force=True) if isinstance(given, Tensor) else given)
        if found.shape != wanted or found.dtype.kind != "f":
            told = f"{'x'.join(map(str, found.shape))} {found.dtype}" if found.ndim else f"a {type(given).__name__}"
            raise WeightsError(
                f"{name}: gives {told} for pictures {'x'.join(map(str, pixels.shape))}, expected probabilities "
                f"{'x'.join(map(str, wanted))} float32"
            )
        scores = np.asarray(found, np.float32)
        least, most = (float(scores.min()), float(scores.max())) if scores.size else (0.0, 0.0)
        if not (least >= -ROUNDED and most <= 1 + ROUNDED):
            raise WeightsError(f"{name}: gives {least:g} to {most:g}, expected probabilities in 0..1")
        return scores


def person_logits(logits: Tensor, person: list[int]) -> Tensor:
    """The log odds of person ``(B, h, w)``; their sigmoid is the softmax of the channels of ``person``, summed.

    Args:
        logits: ``(B, K, h, w)``; one channel is a log odds already.
        person: channels.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    rest = [k for k in range(logits.shape[1]) if k not in person]
    return logits[:, person].logsumexp(dim=1) - logits[:, rest].logsumexp(dim=1)


def fits(picture: Size, of_map: Size, stride: int | None) -> bool:
    """Whether a map is that of a picture at ``stride``, or at any whole one: rounded up or down in each axis."""
    axes = list(zip(picture, of_map, strict=True))
    strides = [stride] if stride else {max(1, round(side / max(1, cells))) for side, cells in axes}
    return any(all(cells in (side // n, -(-side // n)) for side, cells in axes) for n in strides)


def try_out(segmenter: OwnSemantic, size: Size) -> None:
    """Run once on a grey picture, so that a network that does not fit is told before a camera is opened.

    Raises:
        WeightsError: as ``scores``.
    """
    segmenter.scores(np.full((1, *(segmenter.size or size), 3), 114, np.uint8))
