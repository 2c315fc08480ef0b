"""The keys of a camera about what nobody may see: ``privacy`` and ``mask_areas``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from argos.analytics.geometry import area, crosses_itself
from argos.config_values import Seconds, Section, Share

Covering = Literal["none", "blur", "pixelate", "fill", "background"]
_COVERINGS = "none, blur, pixelate, fill (grey), background (the empty scene as learned; grey until it is)"


def _check_area(corners: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if crosses_itself(corners) or area(corners) == 0:
        raise ValueError("should enclose an area: give the corners in order, one after the other around it")
    return corners


MaskArea = Annotated[
    tuple[Annotated[tuple[Share, Share], Field(strict=False)], ...],
    Field(strict=False, min_length=3),
    AfterValidator(_check_area),
]
"""Corners ``[x, y]`` as shares of the frame."""


class PrivacySection(Section):
    """What is covered before a picture is published, written, streamed or handed to Python."""

    people: Covering = Field(default="none", description=f"how people are covered: {_COVERINGS}")
    rest: Covering = Field(default="none", description="how everything but people is covered; as people")
    on_uncertain: Literal["regions", "full_frame"] = Field(
        default="regions",
        description="where the proposer sees somebody whom the deep network does not find: regions covers what was "
        "proposed, full_frame everything; with nobody found at all, a network that failed or a late mask it is always "
        "everything",
    )
    margin: Annotated[float, Field(ge=0, le=0.25)] = Field(
        default=0.01, description="growth of the covered people, share of the frame's shorter side"
    )
    hold_s: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.5, description="where somebody was covered stays covered for so long, seconds"
    )
    late_s: Seconds = Field(default=5.0, description="a mask that took longer is not trusted, seconds")

    @property
    def is_on(self) -> bool:
        """Whether anything is covered."""
        return (self.people, self.rest) != ("none", "none")
