"""``docs/live.md`` names every metric and every path, and no other."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from web_scene import Cameras, scene_results

from argos.publishing.delivery import DeliveryTally
from argos.publishing.every import Spool
from argos.web.board import Board
from argos.web.metrics import Metrics, Published
from argos.web.server import PATHS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "live.md").read_text()


def test_every_metric_is_described_with_its_labels() -> None:
    cameras = Cameras("door")
    board = Board("r", ["door"], {}, cameras.__getitem__, {"door": {"zones": {"porch": {}}, "lines": {"gate": {}}}})
    outputs = [("door", "mqtt", DeliveryTally())]
    spools = {"book": Spool(2, 18, 1, True)}
    metrics = Metrics(board, "cpu", lambda: Published({"result": 1}, {"result": 9}, outputs, spools))
    result = scene_results(frames=1)[0]
    board.put(result)
    metrics.result(replace(result, privacy="fallback:low_score"))
    metrics.told("door", "source.up")
    metrics.status(cameras.set("door", "lost", "timeout"))
    metrics.status(cameras.set("door", "up", epoch=1))
    exported = set()
    for name, labels in re.findall(r"^(argos_\w+?)(?:_bucket)?\{([^}]*)\}", metrics.text().decode(), re.M):
        if not name.endswith(("_sum", "_count", "_created")):
            exported.add((name, frozenset(re.findall(r"(\w+)=", labels)) - {"le"}))
    described = re.findall(r"^\| `(argos_\w+)` \| ([\w, ]+) \|", TEXT, re.M)
    assert exported == {(name, frozenset(labels.split(", "))) for name, labels in described}


def test_every_path_is_described() -> None:
    described = {path.replace("NAME", "{camera}") for path in re.findall(r"^\| `(/[\w./]*)` \|", TEXT, re.M)}
    assert described == set(PATHS)


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    asked = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for expr in asked for name in re.findall(r"argos_\w+", expr)}
    described = set(re.findall(r"^\| `(argos_\w+)` \|", TEXT, re.M))
    assert len(names) > 10
    assert names <= described
