"""From a configuration to the parts of a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
from main_job import own_models

from argos.config import config_from_sources
from argos.engines.weights import load_card
from argos.pipelines.build import instance_limits


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ([], (0.0, 0.5)),
        (["camera.instances.nms=0.3"], (0.0, 0.3)),
        (["camera.instances.nms=0", "camera.instances.score_threshold=0.9"], (0.9, 0.0)),
        (["camera.instances.nms=null"], (0.0, 0.5)),
    ],
)
def test_what_the_configuration_leaves_open_comes_from_the_card(
    tmp_path: Path, chosen: list[str], wanted: tuple[float, float]
) -> None:
    card = load_card(str(own_models(tmp_path)["instances"]))
    (camera,) = config_from_sources(["webcam:0"], chosen).cameras.values()
    limits = instance_limits(camera, card)
    assert (limits.score_threshold, limits.nms) == wanted
