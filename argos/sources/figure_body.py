"""The body of a figure in a pose: limbs, clothes, head and bag as tubes and balls."""

from __future__ import annotations

import numpy as np

from argos.sources.figure_person import Figure
from argos.sources.figure_pose import Arm, Leg, Pose, Vector
from argos.sources.figure_shapes import (
    BAG,
    BOTTOM,
    FACE,
    HAIR,
    HAT,
    SHOE,
    SKIN,
    TOP,
    Body,
    add_ball,
    add_tube,
    axes_of,
)


def _add_leg(body: Body, figure: Figure, leg: Leg, left: Vector) -> None:
    w = figure.build**0.8
    bare = figure.bottom_kind != "trousers"
    loose = 0.0 if bare else figure.bottom.loose
    material = SKIN if bare else BOTTOM
    wide = 0.5 + figure.hips / 2
    add_tube(
        body, leg.hip, leg.knee, left,
        [(-0.05, 0.056 * w * wide + loose / 2, 0.064 * w + loose / 2), (0.35, 0.051 * w + loose, 0.056 * w + loose),
         (1.0, 0.035 * w + loose, 0.038 * w + loose)], material, bow=0.006,
    )  # fmt: skip
    cuff = 0.026 + 1.5 * loose if not bare else 0.021
    add_tube(
        body, leg.knee, leg.ankle, left,
        [(0.0, 0.034 * w + loose, 0.037 * w + loose), (0.3, 0.034 * w + loose, 0.038 * w + loose),
         (0.75, 0.8 * (cuff + 0.006), cuff + 0.004), (0.98, cuff, cuff + 0.002)], material, bow=-0.006,
    )  # fmt: skip
    if figure.bottom_kind != "trousers":
        # Short legs of cloth; under a skirt too, where it lies on the thigh that pushes forward.
        shorts = figure.bottom_kind == "shorts"
        flare = 0.008 + figure.bottom.loose if shorts else 0.004
        end = 1.0 if figure.bottom_kind == "long_skirt" else 0.8
        add_tube(
            body, leg.hip, leg.knee, left,
            [(-0.05, 0.058 * w * wide, 0.066 * w), (0.5, 0.052 * w + flare, 0.058 * w + flare),
             (end, 0.046 * w + flare, 0.050 * w + flare)], BOTTOM, hem="end" if shorts else "none",
        )  # fmt: skip
    if figure.bottom_kind == "long_skirt":
        add_tube(
            body, leg.knee, leg.ankle, left, [(0.0, 0.040 * w, 0.044 * w), (0.5, 0.042 * w, 0.046 * w)], BOTTOM,
        )  # fmt: skip
    frame = axes_of(leg.foot, left)
    heel, toe = leg.ankle - 0.028 * leg.foot, leg.ankle + 0.088 * leg.foot
    sole = np.array([0.0, -0.017, 0.0])
    add_tube(
        body, heel + sole, toe + 1.3 * sole, frame[:, 0],
        [(0.0, 0.021, 0.023), (0.35, 0.022, 0.026), (0.7, 0.026, 0.019), (1.0, 0.020, 0.013)], SHOE,
    )  # fmt: skip
    add_tube(body, leg.ankle + sole, leg.ankle - sole / 2, left, [(0.0, 0.023, 0.028), (1.0, 0.02, 0.024)], SHOE)


def _add_arm(body: Body, figure: Figure, arm: Arm, side: int, left: Vector) -> None:
    w = figure.build**0.8
    loose = figure.top.loose + (0.004 if figure.sleeve >= 1.0 else 0.001)
    add_tube(
        body, arm.shoulder, arm.elbow, left,
        [(0.0, 0.029 * w, 0.033 * w), (0.3, 0.027 * w, 0.031 * w), (1.0, 0.022 * w, 0.024 * w)], SKIN,
    )  # fmt: skip
    add_tube(
        body, arm.elbow, arm.wrist, left,
        [(0.0, 0.022 * w, 0.023 * w), (0.25, 0.023 * w, 0.024 * w), (1.0, 0.014, 0.015)], SKIN,
    )  # fmt: skip
    upper = float(np.clip(figure.sleeve / 0.5, 0.0, 1.0))
    if upper > 0.05:
        add_tube(
            body, arm.shoulder, arm.shoulder + max(upper, 0.3) * (arm.elbow - arm.shoulder), left,
            [(0.0, 0.029 * w + loose, 0.034 * w + loose), (0.4, 0.030 * w + loose, 0.034 * w + loose),
             (1.0, 0.026 * w + loose, 0.028 * w + loose)], TOP, hem="none" if figure.sleeve > 0.5 else "end",
        )  # fmt: skip
    lower = float(np.clip(figure.sleeve / 0.5 - 1.0, 0.0, 1.0))
    if lower > 0.05:
        add_tube(
            body, arm.elbow, arm.elbow + lower * 1.02 * (arm.wrist - arm.elbow), left,
            [(0.0, 0.026 * w + loose, 0.027 * w + loose), (1.0, 0.019 + loose, 0.020 + loose)], TOP, hem="end",
        )  # fmt: skip
    palm = arm.wrist + 0.034 * arm.hand
    frame = axes_of(arm.hand, np.array([1.0, 0.0, 0.3]))
    add_ball(body, palm, frame, (0.013, 0.036, 0.021), SKIN)
    add_ball(body, palm + 0.026 * arm.hand - 0.004 * side * frame[:, 0], frame, (0.011, 0.026, 0.016), SKIN)
    add_ball(body, palm + 0.016 * frame[:, 2] - 0.004 * arm.hand, frame, (0.008, 0.022, 0.008), SKIN)


def _add_trunk(body: Body, figure: Figure, pose: Pose) -> None:
    w, s, h = figure.build, figure.shoulders * (0.6 + 0.4 * figure.build), figure.hips
    loose = figure.top.loose
    hips, neck = pose.hips, pose.neck
    pelvis = hips + np.array([0.0, 0.02, 0.0])
    left = pose.pelvis_left + pose.chest_left
    if figure.bottom_kind in ("skirt", "long_skirt"):
        short = figure.bottom_kind == "skirt"
        length, flare = (0.27, 1.16) if short else (0.43, 1.3)
        stride = abs(float((pose.legs[0].knee - pose.legs[1].knee)[2]))
        middle = (pose.legs[0].knee + pose.legs[1].knee) / 2 - pelvis
        hem = pelvis + np.array([0.5 * middle[0], -length, 0.75 * middle[2]])
        add_tube(
            body, pelvis + np.array([0.0, 0.05, 0.0]), hem, pose.pelvis_left,
            [(0.0, 0.080 * w, 0.060 * w), (0.25, 0.100 * w * h, 0.078 * w),
             (1.0, 0.100 * w * h * flare, 0.076 * w * flare + 0.34 * stride)], BOTTOM, over=0.012, hem="end",
        )  # fmt: skip
    else:
        add_tube(
            body, hips - np.array([0.0, 0.028, 0.0]), pelvis + np.array([0.0, 0.05, 0.0]), pose.pelvis_left,
            [(0.0, 0.082 * w * h, 0.062 * w), (0.5, 0.094 * w * h, 0.07 * w), (1.0, 0.084 * w, 0.06 * w)], BOTTOM,
        )  # fmt: skip
    low = -(figure.hem + 0.02) / 0.28
    coat = figure.hem > 0.1
    spread = 0.4 * abs(float((pose.legs[0].knee - pose.legs[1].knee)[2])) * figure.hem if coat else 0.0
    body.trunk = len(body.materials)
    add_tube(
        body, hips + np.array([0.0, 0.02, 0.0]), neck, left,
        [(low, 0.106 * w * h + loose * 1.5 + 0.08 * figure.hem, 0.076 * w + loose * 1.5 + 0.06 * figure.hem + spread),
         (0.0, 0.103 * w * h + loose, 0.074 * w + loose + figure.belly * 0.4),
         (0.28, 0.089 * w + loose, 0.064 * w + loose + figure.belly * 0.7),
         (0.60, 0.098 * w + loose, 0.068 * w + loose + figure.bust * 0.6),
         (0.76, 0.104 * s + loose, 0.066 * w + loose + figure.bust * 0.3),
         (0.87, 0.094 * s, 0.054 * w), (0.95, 0.066 * s, 0.045), (1.0, 0.042, 0.038), (1.03, 0.036, 0.034)],
        TOP, bow=-0.006, over=0.022, hem="start",
    )  # fmt: skip
    for arm, side in zip(pose.arms, (-1, 1), strict=True):  # slope of the shoulders
        add_tube(
            body, neck - np.array([0.0, 0.020, 0.004]), arm.shoulder + np.array([0.0, 0.002, 0.0]),
            np.array([0.0, 1.0, 0.0]),
            [(0.15, 0.024, 0.034), (0.6, 0.026 * w, 0.036), (1.0, 0.028 * w + loose / 2, 0.033 * w + loose / 2)], TOP,
            over=0.020,
        )  # fmt: skip
        if figure.bust > 0.005:
            at = neck + np.array([0.0, -0.095, 0.048 * w + figure.bust]) + side * 0.042 * pose.chest_left
            frame = axes_of(np.array([0.0, 1.0, 0.0]), pose.chest_left)
            add_ball(body, at, frame, (0.040 * w, 0.042, 0.026), TOP)


def _add_head(body: Body, figure: Figure, pose: Pose) -> None:
    k = figure.head
    up = np.array([0.0, 1.0, 0.0])
    frame = axes_of(up, pose.head_left)
    forward = frame[:, 2]
    c = pose.head
    add_tube(
        body, pose.neck - 0.022 * up, c - 0.04 * up, pose.head_left, [(0.0, 0.036, 0.036), (1.0, 0.030, 0.032)], SKIN
    )
    add_ball(body, c + k * (0.012 * up - 0.002 * forward), frame, (0.044 * k, 0.052 * k, 0.055 * k), FACE)
    add_tube(
        body, c + k * (0.005 * up + 0.012 * forward), c + k * (-0.050 * up + 0.022 * forward), pose.head_left,
        [(0.0, 0.042 * k, 0.042 * k), (0.6, 0.037 * k, 0.036 * k), (1.0, 0.022 * k, 0.022 * k)], FACE,
    )  # fmt: skip
    add_ball(body, c + k * (-0.008 * up + 0.056 * forward), frame, (0.007 * k, 0.013 * k, 0.009 * k), FACE)
    for side in (-1, 1):
        add_ball(
            body, c + k * (side * 0.045 * frame[:, 0] - 0.004 * up), frame, (0.006 * k, 0.014 * k, 0.009 * k), SKIN
        )
    if figure.hat != "none":
        grow = 0.053 if figure.hat == "scarf" else 0.050
        add_ball(body, c + k * (0.027 * up - 0.006 * forward), frame, (grow * k, 0.045 * k, 0.059 * k), HAT)
        if figure.hat == "cap":
            add_ball(body, c + k * (0.030 * up + 0.062 * forward), frame, (0.040 * k, 0.006 * k, 0.038 * k), HAT)
        if figure.hat == "scarf":
            add_ball(body, c + k * (-0.012 * up - 0.020 * forward), frame, (0.052 * k, 0.064 * k, 0.050 * k), HAT)
            add_ball(body, c + k * (-0.070 * up - 0.004 * forward), frame, (0.054 * k, 0.030 * k, 0.052 * k), HAT)
            return
    hair = figure.hair
    if hair == "bald":
        return
    full = {"crop": 0.0, "short": 0.004, "curly": 0.013}.get(hair, 0.004)
    if figure.hat == "none":
        add_ball(
            body, c + k * (0.024 * up - 0.006 * forward), frame,
            ((0.047 + full) * k, (0.047 + full) * k, (0.056 + full) * k), HAIR,
        )  # fmt: skip
    add_ball(body, c + k * (-0.002 * up - 0.022 * forward), frame, ((0.046 + full) * k, 0.048 * k, 0.040 * k), HAIR)
    if hair in ("long", "bob"):
        end = -0.14 if hair == "long" else -0.065
        back = c + k * (0.01 * up - 0.022 * forward)
        add_tube(
            body, back, c + k * (end * up - 0.034 * forward), pose.head_left,
            [(0.0, 0.052 * k, 0.042 * k), (0.5, 0.056 * k, 0.034 * k), (1.0, 0.044 * k, 0.020 * k)], HAIR,
        )  # fmt: skip
        for side in (-1, 1):
            at = c + k * side * 0.045 * frame[:, 0]
            add_tube(
                body, at + k * 0.02 * up, at + k * (0.7 * end * up + 0.006 * forward), pose.head_left,
                [(0.0, 0.010 * k, 0.030 * k), (1.0, 0.012 * k, 0.022 * k)], HAIR,
            )  # fmt: skip
    elif hair == "ponytail":
        add_tube(
            body, c + k * (0.02 * up - 0.058 * forward), c + k * (-0.10 * up - 0.078 * forward), pose.head_left,
            [(0.0, 0.014 * k, 0.014 * k), (0.4, 0.020 * k, 0.018 * k), (1.0, 0.008 * k, 0.008 * k)], HAIR, bow=-0.01,
        )  # fmt: skip
    elif hair == "bun":
        add_ball(body, c + k * (0.045 * up - 0.050 * forward), frame, (0.024 * k, 0.024 * k, 0.024 * k), HAIR)


def _add_bag(body: Body, figure: Figure, pose: Pose) -> None:
    up = np.array([0.0, 1.0, 0.0])
    frame = axes_of(up, pose.chest_left)
    w = figure.build
    if figure.bag == "backpack":
        low, high = pose.neck - 0.27 * up - 0.105 * w * frame[:, 2], pose.neck - 0.035 * up - 0.085 * w * frame[:, 2]
        add_tube(
            body, low, high, pose.chest_left,
            [(0.0, 0.074, 0.042), (0.4, 0.082, 0.056), (0.8, 0.076, 0.050), (1.0, 0.05, 0.03)], BAG, over=0.022,
        )  # fmt: skip
        for side in (-1, 1):
            top = pose.neck + side * 0.066 * frame[:, 0] + 0.010 * up
            add_tube(
                body, top - 0.02 * frame[:, 2], top - 0.15 * up + 0.062 * w * frame[:, 2], pose.chest_left,
                [(0.0, 0.012, 0.03), (1.0, 0.012, 0.012)], BAG, bow=0.026, over=0.03,
            )  # fmt: skip
    elif figure.bag == "shoulder":
        side = figure.bag_side
        at = pose.hips + np.array([0.0, 0.03, -0.01]) + side * 0.125 * w * frame[:, 0]
        add_tube(body, at - 0.05 * up, at + 0.05 * up, frame[:, 2], [(0.0, 0.085, 0.030), (1.0, 0.07, 0.024)], BAG)
        add_tube(
            body, at + 0.05 * up, pose.neck - side * 0.055 * frame[:, 0] + 0.004 * up, frame[:, 0],
            [(0.0, 0.008, 0.008), (1.0, 0.008, 0.008)], BAG, bow=0.085 * w, over=0.022,
        )  # fmt: skip
    elif figure.bag == "hand":
        arm = pose.arms[0 if figure.bag_side < 0 else 1]
        grip = arm.wrist + 0.055 * arm.hand
        add_tube(body, grip - 0.19 * up, grip - 0.04 * up, frame[:, 2], [(0.1, 0.075, 0.032), (1.0, 0.068, 0.024)], BAG)
        add_tube(body, grip - 0.05 * up, grip, frame[:, 2], [(0.0, 0.03, 0.005), (1.0, 0.012, 0.005)], BAG)


def body_of(figure: Figure, pose: Pose, spacing: float = 0.45) -> Body:
    """All ellipsoids of ``figure`` in ``pose``; ``spacing`` as in ``Body``."""
    body = Body(spacing)
    for leg in pose.legs:
        _add_leg(body, figure, leg, pose.pelvis_left)
    _add_trunk(body, figure, pose)
    for arm, side in zip(pose.arms, (-1, 1), strict=True):
        _add_arm(body, figure, arm, side, pose.chest_left)
    first = len(body.materials)
    _add_head(body, figure, pose)
    for part in range(first, len(body.materials)):  # the whole head is painted in one frame
        body.origins[part] = pose.head
        body.frames[part] = axes_of(np.array([0.0, 1.0, 0.0]), pose.head_left)
    _add_bag(body, figure, pose)
    return body
