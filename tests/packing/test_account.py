"""What a camera may spend on questions."""

from __future__ import annotations

from argos.packing.account import PATIENCE, SHARE, Account


def asked_frames(account: Account, *, full_ms: float, question_ms: float, frames: int, gap_s: float) -> list[bool]:
    """A crowded camera: every question is in vain."""
    asked = []
    for n in range(frames):
        asks = account.affords_question()
        if asks:
            account.asked(question_ms)
        account.book(full_ms, full_ms + question_ms * asks, n * gap_s)
        asked.append(asks)
    return asked


def test_a_crowded_camera_is_asked_as_often_as_its_share_pays_for() -> None:
    asked = asked_frames(Account(), full_ms=100, question_ms=20, frames=400, gap_s=0.1)
    assert asked[: PATIENCE + 1] == [True] * (PATIENCE + 1)
    assert abs(sum(asked[100:]) - 300 * SHARE * 100 / 20) <= 1


def test_the_dearer_the_question_the_more_seldom() -> None:
    counts = [sum(asked_frames(Account(), full_ms=100, question_ms=q, frames=500, gap_s=0.1)) for q in (2, 10, 40, 150)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 4


def test_what_regions_save_pays_for_questions_but_is_not_hoarded() -> None:
    account = Account()
    for n in range(1000):
        account.asked(20)
        account.book(100, 30, n * 0.1)
    assert account.balance_ms == PATIENCE * 20
    assert sum(asked_frames(account, full_ms=100, question_ms=20, frames=20, gap_s=0.1)) <= PATIENCE + 2


def test_a_slow_camera_saves_up_no_more_than_its_own_frames_pay_for() -> None:
    account = Account()
    for n in range(100):  # one frame of 100 ms per second
        account.asked(10)
        account.book(100, 20, float(n))
    assert account.balance_ms == SHARE * 10 * 100


def test_frames_before_the_first_question_cost_nothing() -> None:
    """A stream begins with a frame that is refreshed in full, and nobody knows yet what a question takes."""
    account = Account()
    account.book(50, 500, 0.0)
    assert asked_frames(account, full_ms=50, question_ms=40, frames=PATIENCE, gap_s=0.1) == [True] * PATIENCE


def test_one_disturbed_question_is_outvoted() -> None:
    account = Account()
    for ms in (20, 900, 20):
        account.asked(ms)
    assert account.question_ms == 20


def test_an_answer_takes_the_question_over_the_frames_it_is_good_for() -> None:
    account = Account()
    for _ in range(3):
        account.asked(30)
        account.reminded()
        account.reminded()
    assert (account.question_ms, account.answer_ms) == (30, 10)
