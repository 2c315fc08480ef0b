"""The decoupled Kalman filter against the matrix form, and what it must do with time."""

from __future__ import annotations

import numpy as np

from argos.tracking.motion import FIRST_SPEED, MEASURED, PUSHED, Motion, corrected, joined, predicted, started

BOX = np.array([[100.0, 50.0, 140.0, 150.0]])
SEEN = np.zeros(1, np.bool_)
ROW = np.zeros(1, np.intp)


def test_equals_the_matrix_form_of_a_kalman_filter() -> None:
    rng = np.random.default_rng(1)
    motion = started(BOX)
    state, covariance = np.concatenate([BOX[0], np.zeros(4)]), np.zeros((8, 8))
    height = 100.0
    covariance[:4, :4], covariance[4:, 4:] = (
        np.eye(4) * (MEASURED * height) ** 2,
        np.eye(4) * (FIRST_SPEED * height) ** 2,
    )
    measure = np.eye(4, 8)
    for dt in (0.1, 0.04, 0.5, 0.0, 0.1):
        height = state[3] - state[1]
        step = np.eye(8) + dt * np.eye(8, k=4)
        push = (PUSHED * height) ** 2 * np.block(
            [[np.eye(4) * dt**3 / 3, np.eye(4) * dt**2 / 2], [np.eye(4) * dt**2 / 2, np.eye(4) * dt]]
        )
        state, covariance = step @ state, step @ covariance @ step.T + push
        motion = predicted(motion, dt, SEEN)
        np.testing.assert_allclose(motion.edges[0], state[:4])
        box = BOX[0] + rng.normal(0, 3, 4) + 20 * dt
        noise = np.eye(4) * (MEASURED * (box[3] - box[1])) ** 2
        gain = covariance @ measure.T @ np.linalg.inv(measure @ covariance @ measure.T + noise)
        state = state + gain @ (box - measure @ state)
        covariance = covariance - gain @ measure @ covariance
        motion = corrected(motion, ROW, box[None])
        np.testing.assert_allclose(motion.edges[0], state[:4])
        np.testing.assert_allclose(motion.speeds[0], state[4:], atol=1e-9)
        np.testing.assert_allclose(motion.spread[0, :, 0], np.diag(covariance)[:4])
        np.testing.assert_allclose(motion.spread[0, :, 1], np.diag(covariance, 4), atol=1e-9)
        np.testing.assert_allclose(motion.spread[0, :, 2], np.diag(covariance)[4:])


def walk(times: list[float], speed: float) -> Motion:
    motion, now = started(BOX), 0.0
    for time in times:
        motion = corrected(predicted(motion, time - now, SEEN), ROW, BOX + np.array([speed * time, 0, speed * time, 0]))
        now = time
    return motion


def test_speed_is_found_and_dropped_frames_change_nothing() -> None:
    often = walk([n / 10 for n in range(1, 31)], 60.0)
    dropped = walk([n / 10 for n in range(1, 31) if n % 4 not in (1, 2) or n > 26], 60.0)
    for motion in (often, dropped):
        np.testing.assert_allclose(motion.speeds[0], [60, 0, 60, 0], atol=0.6)
        ahead = predicted(motion, 0.5, SEEN)
        np.testing.assert_allclose(ahead.edges[0], (BOX + np.array([210, 0, 210, 0]))[0], atol=0.6)


def test_who_is_not_seen_keeps_the_size() -> None:
    motion = started(BOX)
    motion.speeds[:] = [30.0, 0.0, -10.0, 40.0]  # the right edge was being covered by somebody
    ahead = predicted(motion, 2.0, np.ones(1, np.bool_))
    np.testing.assert_allclose(ahead.edges, BOX + np.array([20, 40, 20, 40]))


def test_rows_are_independent() -> None:
    two = joined(started(BOX), started(BOX + 300))
    moved = corrected(predicted(two, 0.2, np.zeros(2, np.bool_)), np.array([1]), BOX + 310)
    np.testing.assert_array_equal(moved.edges[0], BOX[0])
    assert (moved.edges[1] > BOX[0] + 300).all()
    assert moved.taken(np.array([1])).edges.shape == (1, 4)
