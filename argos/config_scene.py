"""The keys of a camera about people over time: ``track``, ``zones``, ``lines``, and ``active`` hours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from argos.analytics.anchors import Anchor
from argos.analytics.geometry import area, crosses_itself
from argos.analytics.hours import Hours, parse_span
from argos.config_values import Seconds, Section, Share

Coordinate = Annotated[float, Field(ge=0)]
Corner = Annotated[tuple[Coordinate, Coordinate], Field(strict=False)]
Side = Annotated[int, Field(ge=1)]


class TrackSection(Section):
    """Ids that stay with people from frame to frame; of the task instances."""

    enabled: bool = Field(default=True, description="false: ids are null")
    low_score: Share | None = Field(
        default=None,
        description="weaker people, down to this score, are shown where they continue a track, 0..1; "
        "null: half of instances.score_threshold",
    )
    min_iou: float = Field(default=0.1, gt=0, le=1, description="least overlap with where a track is expected")
    confirm_frames: int = Field(default=3, ge=1, description="frames in a row after which somebody new gets an id")
    lost_s: Seconds = Field(default=2.0, description="somebody unseen for longer is somebody new, seconds")


def _check_polygon(corners: tuple[Corner, ...]) -> tuple[Corner, ...]:
    if crosses_itself(corners):
        raise ValueError("two edges cross each other: give the corners in order, one after the other around the zone")
    if area(corners) == 0:
        raise ValueError("has no area: its corners lie on one line")
    return corners


def _check_span(text: str) -> str:
    parse_span(text)
    return text


def _check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not found, or no name at all
        known = "a name of the tz database like Europe/Berlin or America/New_York"
        raise ValueError(f"should be {known}, got '{name}' (where the system has none: pip install tzdata)") from error
    return name


class ActiveSection(Section):
    """Hours of the week in which something counts."""

    hours: Annotated[tuple[Annotated[str, AfterValidator(_check_span)], ...], Field(strict=False, min_length=1)] = (
        Field(
            description="any of these, as in 'mon-fri 22:00-06:00' (the days on which they begin), 'sat,sun' or "
            "'08:00-18:30'"
        )
    )
    timezone: Annotated[str, AfterValidator(_check_timezone)] | None = Field(
        default=None, description="whose clocks, as in Europe/Berlin; summer time is followed; null: this machine's"
    )

    @property
    def span(self) -> Hours:
        """The hours, to be asked."""
        zone = None if self.timezone is None else ZoneInfo(self.timezone)
        return Hours(tuple(parse_span(text) for text in self.hours), zone)


class CrowdSection(Section):
    """When people in a zone are a crowd; events say when one begins and ends."""

    people: int = Field(ge=2, description="with so many a crowd begins")
    end_people: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="with so many or fewer it ends; less than people; null: one less"
    )
    start_s: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="there have to be so many for this long, seconds"
    )
    end_s: Annotated[float, Field(ge=0)] = Field(default=3.0, description="and so few for this long, seconds")

    @field_validator("end_people")
    @classmethod
    def _fewer(cls, end_people: int | None, info: ValidationInfo) -> int | None:
        people = info.data.get("people")
        if end_people is not None and people is not None and end_people >= people:
            raise ValueError(f"should be less than people ({people}), got {end_people}")
        return end_people


class LoiterSection(Section):
    """When somebody stays too long in a zone; events say when and until when."""

    after_s: Seconds = Field(description="whoever is in for so long loiters, seconds")
    grace_s: Annotated[float, Field(ge=0)] = Field(
        default=5.0, description="who comes back after at most so long was never away, seconds"
    )


class _Marked(Section):
    """Something drawn on the frame."""

    units: Literal["share", "px"] = Field(
        default="share", description="share: of the frame's width and height, 0..1; px: pixels of reference"
    )
    reference: Annotated[tuple[Side, Side], Field(strict=False)] | None = Field(
        default=None, description="[width, height] of the frame that pixels were measured on; needed by units: px"
    )
    anchor: Anchor = Field(
        default="mask_bottom",
        description="the point that stands for a person: mask_bottom (where the feet are), bottom_center or center of "
        "the box",
    )
    active: ActiveSection | None = Field(
        default=None, description="outside of these hours nothing happens here; null: always"
    )

    def _shares(self, corners: Sequence[Corner]) -> tuple[tuple[float, float], ...]:
        width, height = self.reference if self.units == "px" and self.reference else (1, 1)
        return tuple((x / width, y / height) for x, y in corners)


def _check_on_frame(corners: tuple[Corner, ...], info: ValidationInfo) -> tuple[Corner, ...]:
    """Corners inside the frame, in the units of their section."""
    units, reference = info.data.get("units", "share"), info.data.get("reference")
    if units == "px" and reference is None:
        raise ValueError("pixels of which frame? give reference: [width, height] beside units: px")
    width, height = reference if units == "px" and reference else (1, 1)
    for x, y in corners:
        if x > width or y > height:
            hint = " - for pixels write units: px and reference: [width, height]" if units == "share" else ""
            raise ValueError(f"[{x:g}, {y:g}] is outside of the frame, which ends at [{width}, {height}]{hint}")
    return corners


class ZoneSection(_Marked):
    """A part of the frame; events say who enters and leaves, and how many are there."""

    polygon: Annotated[tuple[Corner, ...], Field(strict=False, min_length=3), AfterValidator(_check_polygon)] = Field(
        description="corners [x, y] in order, three or more"
    )
    enter_frames: int = Field(default=3, ge=1, description="frames in a row inside after which somebody is in")
    leave_frames: int = Field(default=6, ge=1, description="frames in a row outside after which somebody is out")
    crowd: CrowdSection | None = Field(default=None, description="how many are a crowd; null: no number is")
    loiter: LoiterSection | None = Field(default=None, description="who stays too long; null: nobody")

    @field_validator("polygon")
    @classmethod
    def _on_frame(cls, polygon: tuple[Corner, ...], info: ValidationInfo) -> tuple[Corner, ...]:
        return _check_on_frame(polygon, info)

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """The polygon as shares of the frame."""
        return self._shares(self.polygon)


class LineSection(_Marked):
    """A line; events say who crosses it, and in which direction."""

    points: Annotated[tuple[Corner, Corner], Field(strict=False)] = Field(
        description="[[x, y], [x, y]]; left and right are those of somebody who stands on the first point and looks at "
        "the second"
    )
    confirm_frames: int = Field(default=2, ge=1, description="frames in a row on a side after which somebody is there")

    @field_validator("points")
    @classmethod
    def _on_frame(cls, points: tuple[Corner, Corner], info: ValidationInfo) -> tuple[Corner, Corner]:
        if points[0] == points[1]:
            raise ValueError("both points are the same")
        _check_on_frame(points, info)
        return points

    @property
    def ends(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The points as shares of the frame."""
        start, end = self._shares(self.points)
        return start, end
