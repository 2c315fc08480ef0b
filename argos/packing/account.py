"""How much a camera of mode ``auto`` may still spend on questions that save nothing."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from argos.types import Mode

SHARE = 0.02
"""Of the time that full frames would take: what may be lost on questions, and besides what may be saved up for them.
Both together, and what the memory of a scene costs, stay below the 5 % that ``auto`` may be slower than ``full``."""

PERIOD_S = 10.0
"""Over so much time."""

PATIENCE = 3
"""Questions that may be in vain in a row, however many could be afforded."""

REMEMBERED = 9
"""Questions whose median is what the next is expected to take."""


@dataclass(slots=True, eq=False)
class Account:
    """One camera's milliseconds: grows by what regions save and by ``SHARE`` of every full frame, pays the questions.

    A camera that is crowded is asked about again and again in vain until the account is empty, and from then on as
    often as ``SHARE`` of its full frames pays for: the dearer the proposer beside the networks, the more seldom.

    Attributes:
        balance_ms: what is left; everything at the start, when nothing is known.
        mode: how the last frame was run; None before the first.
    """

    balance_ms: float = math.inf
    mode: Mode | None = None
    _questions_ms: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _answered: deque[bool] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _gap_s: float = 0.0
    _last_s: float | None = None

    def asked(self, ms: float) -> None:
        """Remember what a question took."""
        self._questions_ms.append(ms)
        self._answered.append(True)

    def reminded(self) -> None:
        """Remember that an earlier answer was good for another frame."""
        self._answered.append(False)

    @property
    def question_ms(self) -> float:
        """What a question takes: the median of the last ones, 0 before the first."""
        questions = sorted(self._questions_ms)
        return questions[(len(questions) - 1) // 2] if questions else 0.0

    @property
    def answer_ms(self) -> float:
        """What an answer takes on average: the question, over the frames that its answer is good for."""
        return self.question_ms * sum(self._answered) / len(self._answered) if self._answered else 0.0

    def affords_question(self) -> bool:
        """Whether the next frame may be asked about, though that may turn out to be in vain."""
        return self.balance_ms >= self.question_ms

    def book(self, full_ms: float, spent_ms: float, at_s: float) -> None:
        """Enter one frame.

        Args:
            full_ms: what it would have taken in full, unasked.
            spent_ms: what it took.
            at_s: time of the frame, seconds on the clock of the source.
        """
        if self._last_s is not None and at_s > self._last_s:
            gap_s = at_s - self._last_s
            self._gap_s = gap_s if self._gap_s == 0.0 else self._gap_s + (gap_s - self._gap_s) / 8
        self._last_s = at_s
        if not self._questions_ms:
            return  # what may be spent is counted in questions: until the first, anything
        # a slow camera leaves the machine idle: what may be lost is a share of the work, not of the time
        busy = min(1.0, full_ms / (self._gap_s * 1e3)) if self._gap_s > 0 else 1.0
        most = max(self.question_ms, min(PATIENCE * self.question_ms, SHARE * PERIOD_S * 1e3 * busy))
        self.balance_ms = max(-most, min(most, self.balance_ms + (1 + SHARE) * full_ms - spent_ms))
