"""Assignment: the kernel against scipy, and the cases a greedy choice gets wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from argos.kernels.assignment import assign


def best_sum(scores: NDArray[np.float64], least: float) -> float:
    """The highest sum, by scipy; a pair that may not be made is worth nothing."""
    allowed = np.where(scores >= least, scores, 0.0)
    return float(allowed[linear_sum_assignment(allowed, maximize=True)].sum())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 1000]))
def test_sum_of_scores_is_the_one_of_scipy(rows: int, columns: int, seed: int, levels: int) -> None:
    scores = np.random.default_rng(seed).integers(0, levels + 1, (rows, columns)) / levels  # few levels: many ties
    pairs = assign(scores, 0.3)
    assert np.isclose(scores[pairs[:, 0], pairs[:, 1]].sum(), best_sum(scores, 0.3))
    assert (scores[pairs[:, 0], pairs[:, 1]] >= 0.3).all()
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    assert pairs[:, 0].tolist() == sorted(pairs[:, 0])


@pytest.mark.parametrize(
    ("scores", "least", "pairs"),
    [
        (np.zeros((0, 3)), 0.1, []),
        (np.zeros((3, 0)), 0.1, []),
        (np.array([[0.9, 0.8], [0.8, 0.1]]), 0.1, [[0, 1], [1, 0]]),  # the best pair first would give 1.0, not 1.6
        (np.array([[0.9, 0.3], [0.3, 0.0]]), 0.2, [[0, 0]]),  # two weak pairs are worth less than a strong one
        (np.array([[0.2], [0.7], [0.6]]), 0.5, [[1, 0]]),
        (np.array([[0.4, 0.4], [0.4, 0.4]]), 0.5, []),
    ],
)
def test_worked_cases(scores: NDArray[np.float64], least: float, pairs: list[list[int]]) -> None:
    assert assign(scores, least).tolist() == pairs


def test_a_hundred_by_a_hundred_is_solved_like_scipy() -> None:
    scores = np.random.default_rng(5).random((100, 120)) ** 4
    pairs = assign(scores, 0.05)
    assert np.isclose(scores[pairs[:, 0], pairs[:, 1]].sum(), best_sum(scores, 0.05))
