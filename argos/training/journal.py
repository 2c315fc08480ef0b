"""What a training says of itself: log lines, figures as JSON lines and TensorBoard events, and their curves."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from argos.errors import PublishError
from argos.training.checkpoint import writing

log = logging.getLogger(__name__)


class Journal:
    """Writes into the folder of a training.

    Args:
        folder: made where it is missing. ``log.txt`` and ``scalars.jsonl`` are appended to, ``curves.png`` and
            ``sheet.png`` are drawn anew with each evaluation.
        every_s: seconds between two lines about the loss.
        step: at which the training goes on; what an earlier run wrote of later ones is dropped, they come again.
        quiet: write nothing: another process of the same training does.
    """

    def __init__(self, folder: Path, every_s: float, step: int = 0, quiet: bool = False) -> None:
        self._folder, self._every_s, self._quiet = folder, every_s, quiet
        self._sums: dict[str, float] = {}
        self._steps = self._skipped = self._seen = 0
        self._reported = time.monotonic()
        self._board: Any = None
        if not quiet:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            self._keep(lambda entry: entry["step"] <= step)
            self._board = _board(folder, step)

    def stepped(
        self, step: int, progress: float, rate: float, losses: Mapping[str, float], seen: int, spent: float
    ) -> None:
        """Count a step; every so many seconds their mean is written, with the time that is left.

        Args:
            step: its number.
            progress: share of the training that is over.
            rate: learning rate.
            losses: parts of the loss; none of a step that was skipped because they were not finite.
            seen: scenes in it.
            spent: seconds since the training began.
        """
        self._seen += seen
        self._steps += bool(losses)
        self._skipped += not losses
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        now = time.monotonic()
        if now - self._reported < self._every_s:
            return
        means = {name: value / self._steps for name, value in self._sums.items()}
        speed = self._seen / (now - self._reported)
        left = spent / max(progress, 1e-9) * (1 - progress) / 60
        text = " ".join(f"{name} {value:.4f}" for name, value in means.items())
        skipped = {"skipped": self._skipped} if self._skipped else {}
        text += f" {self._skipped} steps skipped, not finite" if skipped else ""
        self.say(f"step {step} {100 * progress:.1f}% {left:.0f} min left {speed:.1f} scenes/s {text}")
        self._write("loss", step, {**means, "rate": rate, "scenes_per_s": speed, **skipped})
        self._reported, self._sums, self._steps, self._skipped, self._seen = now, {}, 0, 0, 0

    def evaluated(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures of an evaluation, in place of earlier ones at this step, and draw the curves."""
        self.say(f"step {step} " + " ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        if not self._quiet:
            self._keep(lambda entry: (entry["kind"], entry["step"]) != ("figure", step))
            self._write("figure", step, figures)
            with writing(self._folder / "curves.png"):
                draw_curves(self._folder / "scalars.jsonl", self._folder / "curves.png")

    def shows(self, picture: NDArray[np.uint8]) -> None:
        """Write ``sheet.png`` anew, ``(H, W, 3)`` uint8 RGB; a picture of no rows is none."""
        path = self._folder / "sheet.png"
        if picture.size and not cv2.imwrite(str(path), picture[:, :, ::-1]):
            raise PublishError(f"{path}: cannot be written")

    def say(self, text: str) -> None:
        """Write a line to the log."""
        if not self._quiet:
            log.info(text)
            path = self._folder / "log.txt"
            with writing(path), path.open("a") as file:
                file.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    def close(self) -> None:
        """Finish TensorBoard's events."""
        if self._board is not None:
            self._board.close()

    def _keep(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        path = self._folder / "scalars.jsonl"
        if path.exists():
            kept = [json.dumps(entry) + "\n" for entry in read_scalars(path) if wanted(entry)]
            part = path.with_suffix(".part")
            with writing(path):
                part.write_text("".join(kept))
                part.replace(path)

    def _write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        if self._quiet:
            return
        path = self._folder / "scalars.jsonl"
        with writing(path), path.open("a") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)


def _board(folder: Path, step: int) -> Any:
    """A writer of TensorBoard's events after a step; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)  # type: ignore[no-untyped-call]


def read_scalars(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``scalars.jsonl``: ``kind`` (loss or figure), ``step``, and values by name.

    A line that was torn when the machine stopped is left out, with what was appended to it.
    """
    entries = []
    for line in path.read_text(errors="replace").splitlines():
        with suppress(json.JSONDecodeError):
            entries.append(json.loads(line))
    return entries


def draw_curves(scalars: Path, picture: Path) -> None:
    """Draw losses and figures of ``scalars.jsonl`` over the steps, one field each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for entry in read_scalars(scalars):
        for name in entry.keys() - {"kind", "step", "scenes_per_s"}:
            curves.setdefault((entry["kind"], name), []).append((entry["step"], entry[name]))
    columns = 4
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, ((kind, name), points) in enumerate(sorted(curves.items(), reverse=True), start=1):
        field = figure.add_subplot(rows, columns, place, title=name, xlabel="step")
        field.plot(*zip(*points, strict=True), marker="." if kind == "figure" else "")
    figure.savefig(picture, dpi=80)
