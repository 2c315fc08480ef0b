"""The walking cycle: where the joints of a figure are at a phase of its stride.

Coordinates are the person's own: (left, up, forward), in shares of the stature, the floor at up = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argos.sources.figure_person import Figure

Vector = NDArray[np.float64]

THIGH, SHIN, UPPER_ARM, FOREARM = 0.242, 0.245, 0.166, 0.145

# Joint angles in degrees at 0, 10, .., 90 % of a stride that begins with the heel strike of that leg.
# Reference: D. A. Winter, Biomechanics and Motor Control of Human Movement, natural cadence (rounded).
HIP = (26.0, 23.0, 14.0, 3.0, -7.0, -12.0, -3.0, 16.0, 28.0, 30.0)
KNEE = (4.0, 15.0, 14.0, 7.0, 5.0, 13.0, 38.0, 60.0, 45.0, 14.0)
ANKLE = (0.0, -4.0, 3.0, 6.0, 9.0, 3.0, -15.0, -5.0, 1.0, 2.0)


@dataclass(frozen=True, slots=True, eq=False)
class Leg:
    """Joints of one leg, each ``(3,)``; ``foot`` is the unit vector from heel to toe."""

    hip: Vector
    knee: Vector
    ankle: Vector
    foot: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """Joints of one arm, each ``(3,)``; ``hand`` is the unit vector from wrist to fingers."""

    shoulder: Vector
    elbow: Vector
    wrist: Vector
    hand: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Joints of a body; ``left_*`` vectors point to the person's left at that height.

    Attributes:
        legs, arms: right first.
        hips, neck: ends of the spine; head: centre of the skull.
        pelvis_left, chest_left, head_left: unit vectors.
    """

    legs: tuple[Leg, Leg]
    arms: tuple[Arm, Arm]
    hips: Vector
    neck: Vector
    head: Vector
    pelvis_left: Vector
    chest_left: Vector
    head_left: Vector


def _curve(table: tuple[float, ...], phase: float) -> float:
    """The periodic curve through ``table`` (its Fourier series) at ``phase`` in 0..1, in radians."""
    spectrum = np.fft.rfft(np.asarray(table)) / len(table)
    harmonics = np.arange(1, 5)  # the fifth is the sampling limit of ten samples and only adds ripple
    waves = spectrum[harmonics] * np.exp(2j * np.pi * harmonics * phase)
    return float(np.deg2rad(spectrum[0].real + 2.0 * waves.real.sum()))


def _sagittal(angle: float) -> Vector:
    """Unit vector that hangs down at angle 0 and swings forward with growing angle."""
    return np.array([0.0, -np.cos(angle), np.sin(angle)])


def _turn(vector: Vector, yaw: float) -> Vector:
    """``vector`` turned about the vertical, forward towards left."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([c * vector[0] + s * vector[2], vector[1], -s * vector[0] + c * vector[2]])


def _leg(figure: Figure, hip: Vector, phase: float, stride: float) -> Leg:
    stand = np.deg2rad(2.0)
    thigh = stand + stride * (_curve(HIP, phase) - stand)
    bend = stride * figure.spring * max(_curve(KNEE, phase), 0.0) + np.deg2rad(3.0)
    shin = thigh - bend
    toe = shin + stride * _curve(ANKLE, phase)
    knee = hip + THIGH * figure.legs * _sagittal(thigh)
    ankle = knee + SHIN * figure.legs * _sagittal(shin)
    outward = np.sign(hip[0]) * 0.22  # feet point a little outward
    foot = _turn(np.array([0.0, np.sin(toe), np.cos(toe)]), outward)
    return Leg(hip, knee, ankle, foot)


def _arm(figure: Figure, shoulder: Vector, side: int, phase: float, stride: float) -> Arm:
    held = figure.arm if side < 0 else "swing"
    carries = figure.bag == "hand" and side == figure.bag_side
    swing = stride * figure.swing * (0.35 if carries or held in ("still", "bent") else 1.0)
    wave = np.cos(2 * np.pi * phase)  # the arm is forward while the leg of the same side is back
    upper = np.deg2rad(-4.0 - 19.0 * swing * wave)
    bend = np.deg2rad(14.0 + 11.0 * swing * (1.0 - wave))
    spread, inward = np.deg2rad(9.0) * figure.build, np.deg2rad(4.0)
    if held == "phone":
        upper, bend, inward = np.deg2rad(22.0 + 3 * wave), np.deg2rad(96.0), np.deg2rad(34.0)
    elif held == "bent":
        upper, bend, inward = np.deg2rad(-8.0 - 6 * swing * wave), np.deg2rad(68.0), np.deg2rad(24.0)
    down = _sagittal(upper)
    elbow = shoulder + UPPER_ARM * np.array([side * np.sin(spread), down[1] * np.cos(spread), down[2]])
    fore = _sagittal(upper + bend)
    fore = np.array([-side * np.sin(inward) * abs(np.sin(upper + bend)) + side * 0.05, fore[1], fore[2]])
    fore /= np.linalg.norm(fore)
    wrist = elbow + FOREARM * fore
    return Arm(shoulder, elbow, wrist, fore)


def pose(figure: Figure, phase: float, stride: float = 1.0) -> Pose:
    """Joints of ``figure``.

    Args:
        phase: position in the stride, 0..1 (two steps); the right heel strikes at 0.
        stride: 1 for a normal walk, 0 for standing still.
    """
    wave, beat = np.cos(2 * np.pi * phase), np.cos(4 * np.pi * phase)
    pelvis_left = _turn(np.array([1.0, 0.0, 0.0]), 0.09 * stride * wave)
    chest_left = _turn(np.array([1.0, 0.0, 0.0]), -0.10 * stride * wave)
    hips = np.array([0.008 * stride * np.sin(2 * np.pi * phase), 0.0, 0.0])
    hip_at = 0.052 * figure.hips * pelvis_left
    legs = tuple(
        _leg(figure, hips + side * hip_at, (phase + (0.0 if side < 0 else 0.5)) % 1.0, stride) for side in (-1, 1)
    )
    # The body rides on the lower foot: heel or ball, whichever is lower.
    soles = [min((leg.ankle - 0.035 * leg.foot)[1], (leg.ankle + 0.075 * leg.foot)[1]) for leg in legs]
    lift = np.array([0.0, 0.040 - min(soles), 0.0])
    legs = tuple(Leg(leg.hip + lift, leg.knee + lift, leg.ankle + lift, leg.foot) for leg in legs)
    hips = hips + lift
    lean = figure.lean * (0.4 + 0.6 * stride)
    spine = np.array([0.0, np.cos(lean), np.sin(lean)])
    neck = hips + (0.30 - 0.45 * (figure.legs - 1.0)) * spine  # long legs, short trunk
    head_left = _turn(np.array([1.0, 0.0, 0.0]), 0.03 * stride * wave)
    head = neck + np.array([0.0, 0.103 + 0.002 * beat * stride, 0.018])
    arms = tuple(
        _arm(
            figure,
            neck - 0.044 * spine + side * 0.104 * figure.shoulders * chest_left,
            side,
            (phase + (0.0 if side < 0 else 0.5)) % 1.0,
            stride,
        )
        for side in (-1, 1)
    )
    return Pose((legs[0], legs[1]), (arms[0], arms[1]), hips, neck, head, pelvis_left, chest_left, head_left)
