"""From a configuration to the parts of a pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from main_job import PEOPLE, own_models
from torch import Tensor, nn

from argos.config import config_from_sources
from argos.engines.fold import fold_batch_norm
from argos.engines.weights import load_card
from argos.errors import UsageError
from argos.packing.costs import Costs, GatherCost, Line, Tasks
from argos.pipelines.build import instance_limits, people_of_config, view_of
from argos.sources.read import read

NETWORKS = """
import torch
from torch import nn

class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, image):
        x = self.stem(image)
        return self.last(x * torch.sigmoid(x.mean((2, 3), keepdim=True)))

class Twice(Gated):
    def forward(self, image):
        return self.last(self.stem(image.repeat(2, 1, 1, 1)))[: len(image)]

class Plain(Gated):
    def forward(self, image):
        return self.last(self.stem(image))

def plain():
    return Plain()

def gated():
    torch.manual_seed(0)
    return Gated()

def twice():
    return Twice()
"""


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    """A network that pools whole maps, and one that blocks cannot follow."""
    path = tmp_path / "networks.py"
    path.write_text(NETWORKS)
    return path


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


@pytest.mark.parametrize("mode", ["auto", "gather"])
def test_a_network_that_pools_whole_maps_runs_masked_in_place_of_exact_and_is_named_at_the_start(
    networks: Path, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ["camera.tasks=[semantic]", f"engine.models.semantic.network={networks}:gated"]
    settings += [f"camera.regions.mode={mode}", "camera.regions.threshold=0.01"]
    config = config_from_sources([PEOPLE], [*settings, "engine.sparse=exact"])
    people, cards = people_of_config(config)
    (told,) = [record.getMessage() for record in caplog.records if "engine.sparse" in record.getMessage()]
    assert told.startswith(f"engine.sparse: exact is not for {cards['semantic'].name} (mean after layer stem reads a w")
    assert told.endswith("; masked is taken")
    assert people.in_place.semantics == "masked"
    view, frame = view_of(next(iter(config.cameras.values())), config, cards), next(read(PEOPLE, "cam"))
    if mode == "gather":
        (analysis,) = people.step([frame], [view], [False])
        assert analysis.mode == "gather"


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The networks that were built for blocks."""
    found: list[nn.Module] = []

    def counted(network: nn.Module, image: Tensor) -> nn.Module:
        found.append(network)
        return fold_batch_norm(network, image)

    monkeypatch.setattr("argos.engines.sparse.fold_batch_norm", counted)
    return found


@pytest.mark.parametrize("gather", [None, GatherCost(1.0, 10.0, 30.0)])
def test_auto_builds_for_blocks_at_the_start_what_was_measured_so(
    networks: Path, gather: GatherCost | None, folded: list[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: dict[Tasks, Costs] = {("semantic",): Costs(5.0, Line(1.0, 100.0), gather)}
    monkeypatch.setattr("argos.pipelines.build.known_costs", lambda *given: costs)
    settings = ["camera.tasks=[semantic]", f"engine.models.semantic.network={networks}:plain"]
    people_of_config(config_from_sources([PEOPLE], settings))
    assert len(folded) == (gather is not None)


@pytest.mark.parametrize(("mode", "semantics"), [("gather", "masked"), ("gather", "exact"), ("auto", "exact")])
def test_a_network_is_built_for_blocks_once(networks: Path, mode: str, semantics: str, folded: list[nn.Module]) -> None:
    settings = ["camera.tasks=[semantic]", f"engine.models.semantic.network={networks}:plain"]
    settings += [f"camera.regions.mode={mode}", "camera.regions.threshold=0.01", f"engine.sparse={semantics}"]
    config = config_from_sources([PEOPLE], settings)
    people, cards = people_of_config(config)
    view, frame = view_of(next(iter(config.cameras.values())), config, cards), next(read(PEOPLE, "cam"))
    (analysis,) = people.step([frame], [replace(view, mode="gather")], [False])
    assert analysis.mode in ("gather", "full")
    assert len(folded) == 1


def test_a_network_that_blocks_cannot_follow_is_refused_in_mode_gather_at_the_start(networks: Path) -> None:
    settings = ["camera.tasks=[semantic]", f"engine.models.semantic.network={networks}:twice"]
    people_of_config(config_from_sources([PEOPLE], settings))
    with pytest.raises(
        UsageError, match=r"layer stem: expected one map of the image, got a batch of 2.* set regions.mode to pack"
    ):
        people_of_config(config_from_sources([PEOPLE], [*settings, "camera.regions.mode=gather"]))
