"""Limits of a camera, from its configuration and the cards of its models."""

from __future__ import annotations

import pytest

from argos.config import config_from_sources
from argos.engines.weights import load_card
from argos.packing.limits import SemanticLimits
from argos.pipelines.build import view_of


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], SemanticLimits(0.55, 0.98)),
        (["camera.semantic.threshold=0.4"], SemanticLimits(0.4, 0.98)),
        (["camera.semantic.patch_threshold=0"], SemanticLimits(0.55, 0.0)),
        (["camera.privacy.rest=blur"], SemanticLimits(0.55, 0.98)),
        (["camera.privacy.people=blur"], SemanticLimits(0.55, 0.0)),
        (["camera.privacy.people=blur", "camera.semantic.patch_threshold=0.8"], SemanticLimits(0.55, 0.8)),
    ],
)
def test_who_is_to_be_covered_needs_no_sure_pixel(settings: list[str], expected: SemanticLimits) -> None:
    config = config_from_sources(["fake://people"], ["camera.tasks=[semantic]", *settings])
    (camera,) = config.cameras.values()
    cards = {"semantic": load_card("unet_lite"), "proposal": load_card("qunet16")}
    assert view_of(camera, config, cards).semantic == expected
