"""The keys of a camera about people over time: ``track``."""

from __future__ import annotations

from pydantic import Field

from argos.config_values import Seconds, Section, Share


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
