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
from argos.engines.segmenter import Takes
from argos.errors import WeightsError
from argos.networks.finite import checked
from argos.types import Size

KEY = "engine.models.semantic"


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
        parts = [self.decoded(self.network.run(part), size) for part in image.split(at_once)]
        return np.asarray(torch.cat(parts).cpu().numpy(), np.float32)

    def prepared(self, pixels: NDArray[np.uint8]) -> Tensor:
        """``(B, H, W, 3)`` uint8 -> what the network takes."""
        return self.network.pictures(torch.from_numpy(pixels).permute(0, 3, 1, 2), self.takes)

    def decoded(self, outputs: Mapping[str, Any], size: Size) -> Tensor:
        """What the network gave for pictures of ``size`` -> probabilities ``(B, *size)`` float32.

        Raises:
            WeightsError: an output is missing or has another shape or number of channels; NaN.
        """
        filled = self.takes.padded(size)
        odds = self.odds(outputs, filled)
        odds = checked(odds.float(), "semantic")
        if odds.shape[1:] != filled:
            odds = F.interpolate(odds[:, None], filled, mode="bilinear")[:, 0]
        if self.gives.meaning == "logits":
            odds = torch.sigmoid(odds)
        return odds[:, : size[0], : size[1]].clamp(0, 1)

    def odds(self, outputs: Mapping[str, Any], filled: Size) -> Tensor:
        """Log odds of person where the network gives logits, else probabilities, ``(B, h, w)`` of its map.

        Args:
            outputs: by name, for pictures of the size ``filled``.
            filled: a size that the network takes.

        Raises:
            WeightsError: as ``decoded``.
        """
        found = output_of(outputs, self.gives.name, self.network.name, f"{KEY}.output.name")
        odds = self._of_shape(found, filled)
        if self.gives.meaning == "logits":
            return person_logits(odds, self._person(odds.shape[1], "channels"))
        if self.gives.meaning == "probabilities":
            return odds[:, self._person(odds.shape[1], "channels")].sum(dim=1)
        person = torch.tensor(self._person(None, "classes"), device=odds.device)
        return torch.isin(odds[:, 0].round().long(), person).float()

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
