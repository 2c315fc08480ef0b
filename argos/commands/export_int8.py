"""``argos export MODEL --int8``: static quantisation, and what it costs in accuracy, measured before and after."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from argos.errors import SourceError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from argos.engines.export import Runner
    from argos.engines.weights import Card
    from argos.packing.limits import SemanticLimits
    from argos.training.measure import Scorer
    from argos.training.photos import Photo

CALIBRATED_ON_EVERY = 4
"""One picture of so many calibrates; the others measure."""

FRAMES = 60
"""Of a video, spread over its whole length as far as it is known."""

STRIDE = 2
"""Between the frames that are taken, neighbours being nearly alike."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """What came out.

    Attributes:
        calibrated: pictures whose activations set the ranges.
        accuracy: by name, of the float32 file and of the 8-bit file.
        ms: per image of both, on this machine.
        bytes: size of both files.
    """

    calibrated: int
    accuracy: dict[str, tuple[float, float]]
    ms: tuple[float, float]
    bytes: tuple[int, int]

    @property
    def loss(self) -> float:
        """The largest fall of an overlap; whether a picture is empty is too coarse a measure for few pictures."""
        return max(before - after for name, (before, after) in self.accuracy.items() if name != "empty_ok")


def export_int8(
    network: nn.Module, card: Card, args: argparse.Namespace, path: Path, about: dict[str, Any]
) -> Quantised:
    """Write the file and measure it beside the float32 file on pictures that did not calibrate it.

    Args:
        network: with one logit per pixel.
        card: of it; its thresholds make masks of scores.
        args: ``size``, ``images``, ``truth``, ``photos``.
        path: of the file.
        about: what a reader has to know, kept inside.

    Raises:
        UsageError: a model for another task, or the truth is no COCO file.
        SourceError: too few frames.
        ArgosError: photos are asked for and there is no data folder.
    """
    from argos.engines.export import export, load_exported
    from argos.engines.fold import fold_batch_norm
    from argos.engines.int8 import quantize_file, timed
    from argos.packing.limits import semantic_limits
    from argos.training.measure import iou_by_source

    if card.task != "semantic":
        raise UsageError(f"--int8: {card.name} is a model for {card.task}; masks of segmentation models are compared")
    pictures = [*_frames(args), *_photos(args.photos or 0)]
    calibrating = pictures[::CALIBRATED_ON_EVERY]
    measured = [picture for n, picture in enumerate(pictures) if n % CALIBRATED_ON_EVERY]
    images = [_image(picture.image, args.size)[0] for picture in calibrating]
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "float32.onnx"
        export(fold_batch_norm(network, images[0]), images[0], "onnx", plain, about)
        quantize_file(plain, path, images)
        runners = (load_exported(plain), load_exported(path))
        scorers = [_scorer(runner, args.size) for runner in runners]
        limits = semantic_limits(card.thresholds)
        labelled = [picture for picture in measured if picture.source != "frames"]
        before, after = (iou_by_source(scorer, labelled, limits) for scorer in scorers)
        accuracy = {name: (before[name], after[name]) for name in before}
        if len(labelled) < len(measured):
            frames = [picture for picture in measured if picture.source == "frames"]
            accuracy["agreement"] = (1.0, _agreement(scorers[0], scorers[1], frames, limits))
        times = timed(runners, [_image(picture.image, args.size)[0] for picture in measured[:20]])
        sizes = plain.stat().st_size, path.stat().st_size
    return Quantised(len(images), accuracy, (times[0], times[1]), sizes)


def show(found: Quantised) -> list[str]:
    """Lines for people: accuracy, time and size before and after."""
    rows = [f"{'int8':<8} {'':<16} {'float32':>9} {'int8':>9}   calibrated on {found.calibrated} pictures"]
    rows += [f"{'':<8} {name:<16} {a:>9.4f} {b:>9.4f}   {b - a:+.4f}" for name, (a, b) in found.accuracy.items()]
    (a, b), (large, small) = found.ms, found.bytes
    rows.append(f"{'':<8} {'ms on this CPU':<16} {a:>9.1f} {b:>9.1f}   {a / b:.2f} times as fast")
    rows.append(f"{'':<8} {'MB':<16} {large / 1e6:>9.2f} {small / 1e6:>9.2f}")
    return rows


def _frames(args: argparse.Namespace) -> list[Photo]:
    """Frames of the source; with their truth where a COCO file of it is given or lies beside it."""
    import numpy as np

    from argos.pipelines.truth import Truth
    from argos.sources.read import read, redact
    from argos.training.photos import Photo

    beside = Path(args.images).with_name(f"{Path(args.images).stem}_truth.json")
    path = args.truth or (beside if "://" not in args.images and beside.is_file() else None)
    truth = Truth(path) if path is not None else None
    nobody = np.zeros((0, 4), np.float32)
    taken = []
    for frame in islice(read(args.images, "export", fail_fast=True), 0, FRAMES * STRIDE, STRIDE):
        ids, source = np.zeros(frame.size, np.uint8), "frames"
        if truth is not None:
            truth.check([frame])
            ids, source = truth.person(frame.index).view("u1"), "clip"
        taken.append(Photo(frame.pixels, ids, nobody, np.zeros(0, np.uint8), nobody, source, str(frame.index)))
    if len(taken) < CALIBRATED_ON_EVERY:
        raise SourceError(f"{redact(args.images)}: {len(taken)} frames are too few to calibrate and to measure on; "
                          f"--int8 needs {CALIBRATED_ON_EVERY * STRIDE} or more", "no_images")  # fmt: skip
    return taken


def _photos(count: int) -> list[Photo]:
    """Validation photos, evenly drawn from all of them."""
    if not count:
        return []
    from argos.training.datasets import data_folder, validation_photos

    photos = validation_photos(data_folder())
    return [photos[n * len(photos) // count] for n in range(min(count, len(photos)))]


def _image(picture: NDArray[np.uint8], size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """A picture fitted into the file's input, its last row and column repeated, and the part of it that it fills."""
    import cv2
    import torch

    scale = min(size[0] / picture.shape[0], size[1] / picture.shape[1])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    fitted = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    fitted = cv2.copyMakeBorder(fitted, 0, size[0] - height, 0, size[1] - width, cv2.BORDER_REPLICATE)
    image = torch.from_numpy(fitted).permute(2, 0, 1)[None].contiguous().float() / 255
    return image, (height, width)


def _scorer(run: Runner, size: tuple[int, int]) -> Scorer:
    """Person scores of a whole picture by an exported file."""
    import cv2
    import torch

    def score(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        image, (height, width) = _image(picture, size)
        scores = torch.sigmoid(run(image)[0])[0, 0, :height, :width].numpy()
        resized: NDArray[np.float32] = cv2.resize(scores, (picture.shape[1], picture.shape[0]))
        return resized

    return score


def _agreement(a: Scorer, b: Scorer, pictures: Sequence[Photo], limits: SemanticLimits) -> float:
    """IoU of the masks of two scorers over all pictures; 1 where neither finds anybody."""
    from argos.packing.limits import person_mask

    shared = union = 0
    for picture in pictures:
        one, other = person_mask(a(picture.image), limits), person_mask(b(picture.image), limits)
        shared += int((one & other).sum())
        union += int((one | other).sum())
    return shared / union if union else 1.0
