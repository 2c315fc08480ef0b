"""Time of frames: a clock that never goes back, and thinning out to a frame rate."""

from __future__ import annotations

import math


class FrameClock:
    """Turns presentation times as they come (missing, repeated, jumping back) into seconds that never decrease.

    A jump, as between two joined recordings or when a camera sets its clock back, moves the origin so that time goes
    on from the last frame; over a step back of a frame or two time stands still. A missing or repeated time is the last
    one plus the duration of a frame.
    """

    def __init__(self, step_s: float, jump_s: float = math.inf) -> None:
        """Start a clock.

        Args:
            step_s: usual time from frame to frame, for frames that do not tell.
            jump_s: a step forward by more than this is a jump, as every step back is.
        """
        self._step_s, self._jump_s = step_s, jump_s
        self._raw_s: float | None = None
        self._now_s: float | None = None
        self._offset_s = 0.0

    def read(self, raw_s: float | None, duration_s: float = 0.0) -> float:
        """Time of the next frame in seconds.

        Args:
            raw_s: its presentation time as the stream tells it; None where it does not.
            duration_s: how long it is shown; 0 where unknown.
        """
        step_s = duration_s if 0 < duration_s < 10 else self._step_s
        if self._now_s is None:
            self._now_s = 0.0 if raw_s is None else raw_s
        elif raw_s is None or raw_s == self._raw_s:
            self._now_s += step_s
        elif not -2 * step_s <= raw_s + self._offset_s - self._now_s <= self._jump_s:
            self._now_s += step_s
            self._offset_s = self._now_s - raw_s
        else:
            self._now_s = max(self._now_s, raw_s + self._offset_s)
        if raw_s is not None:
            self._raw_s = raw_s
        return self._now_s


class Pacer:
    """Lets at most ``fps`` frames per second pass, by presentation time; never waits.

    A frame may come a quarter of the interval early, so that a 15 fps camera with jitter keeps every frame at 15; the
    next one is then due that much later, so the rate over time holds.
    """

    def __init__(self, fps: float | None) -> None:
        """Start a pacer; None lets everything pass."""
        if fps is not None and not fps > 0:
            raise ValueError(f"fps: should be greater than 0, got {fps}")
        self._interval_s = 0.0 if fps is None else 1.0 / fps
        self._due_s: float | None = None

    def passes(self, pts_s: float) -> bool:
        """Whether the frame shown at ``pts_s`` is kept; call once per frame, in order."""
        interval_s = self._interval_s
        if interval_s == 0.0:
            return True
        # a due time further away than one interval means that the clock of the source started anew
        if self._due_s is None or self._due_s - pts_s > 1.5 * interval_s or pts_s - self._due_s > interval_s:
            self._due_s = pts_s
        if pts_s < self._due_s - 0.25 * interval_s:
            return False
        self._due_s += interval_s
        return True
