"""What a training says of itself: log lines, figures as JSON lines and TensorBoard events, and their curves."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Journal:
    """Writes into the folder of a training.

    Args:
        folder: made where it is missing. ``log.txt`` and ``scalars.jsonl`` are appended to, ``curves.png`` is drawn
            anew with each evaluation.
        every_s: seconds between two lines about the loss.
        quiet: write nothing: another process of the same training does.
    """

    def __init__(self, folder: Path, every_s: float, quiet: bool = False) -> None:
        self._folder, self._every_s, self._quiet = folder, every_s, quiet
        self._sums: dict[str, float] = {}
        self._steps = self._skipped = self._seen = 0
        self._reported = time.monotonic()
        self._board: Any = None
        if not quiet:
            folder.mkdir(parents=True, exist_ok=True)
            self._board = _board(folder)

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
        """Write the figures of an evaluation and draw the curves."""
        self.say(f"step {step} " + " ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        self._write("figure", step, figures)
        if not self._quiet:
            draw_curves(self._folder / "scalars.jsonl", self._folder / "curves.png")

    def say(self, text: str) -> None:
        """Write a line to the log."""
        if not self._quiet:
            log.info(text)
            with (self._folder / "log.txt").open("a") as file:
                file.write(f"{time.strftime('%H:%M:%S')} {text}\n")

    def close(self) -> None:
        """Finish TensorBoard's events."""
        if self._board is not None:
            self._board.close()

    def _write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        if self._quiet:
            return
        with (self._folder / "scalars.jsonl").open("a") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)


def _board(folder: Path) -> Any:
    """A writer of TensorBoard's events; None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))  # type: ignore[no-untyped-call]


def draw_curves(scalars: Path, picture: Path) -> None:
    """Draw losses and figures of ``scalars.jsonl`` over the steps, one field each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for line in scalars.read_text().splitlines():
        entry = json.loads(line)
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
