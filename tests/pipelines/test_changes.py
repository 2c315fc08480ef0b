from __future__ import annotations

from pathlib import Path

import pytest

from argos.config import Config, load_config
from argos.errors import ConfigError
from argos.pipelines.changes import Changes, check, compare, is_rewatched

TWO = """version: 1
cameras:
  door: {source: "rtsp://10.0.0.5/door", tasks: [instances]}
  yard: {source: "rtsp://10.0.0.6/yard"}
"""
PORCH = "zones: {porch: {polygon: [[0.1, 0.5], [0.9, 0.5], [0.9, 1.0], [0.1, 1.0]]}}"


@pytest.fixture
def config(tmp_path: Path):
    def made(text: str = TWO, *overrides: str) -> Config:
        (tmp_path / "camera.yaml").write_text(text)
        return load_config(tmp_path / "camera.yaml", overrides)

    return made


def test_equal_configurations_have_no_changes(config) -> None:
    changes = compare(config(), config())
    assert not changes
    assert str(changes) == "nothing has changed"


def test_cameras_are_added_removed_reopened_and_adjusted_each_alone(config) -> None:
    old = config(TWO + "  shed: {source: 'webcam:0'}\n  gate: {source: 'webcam:1'}\n")
    new = config(
        """version: 1
cameras:
  door: {source: {url: "rtsp://10.0.0.5/door", stall_timeout_s: 3}}
  yard: {source: "rtsp://10.0.0.6/yard"}
  gate: {source: 'webcam:1', regions: {mode: full}}
  attic: {source: 'webcam:2'}
logging: {level: debug}
"""
    )
    changes = compare(old, new)
    assert changes == Changes(("attic",), ("shed",), ("door",), ("gate",), ("logging",))
    assert str(changes) == "added attic; removed shed; reopened door; adjusted gate; changed logging"


@pytest.mark.parametrize(
    ("override", "reopened"),
    [
        ("cameras.door.source.url=rtsp://u:other@10.0.0.5/door", True),
        ("cameras.door.rate.fps=5", True),
        ("cameras.door.latency.policy=every_frame", True),
        ("cameras.door.instances.score_threshold=0.4", False),
        ("cameras.door.privacy.people=blur", False),
    ],
)
def test_only_what_concerns_the_source_opens_it_again(config, override: str, reopened: bool) -> None:
    changes = compare(config(), config(TWO, override))
    assert (changes.reopened, changes.adjusted) == ((("door",), ()) if reopened else ((), ("door",)))


def test_zones_are_watched_anew_when_they_or_their_ids_change_and_not_otherwise(config) -> None:
    old = config().cameras["door"]
    zoned = config(TWO.replace('door"', 'door", ' + PORCH, 1).replace('", zones', '", zones')).cameras["door"]
    assert is_rewatched(old, zoned)
    assert is_rewatched(old, config(TWO, "cameras.door.track.lost_s=5").cameras["door"])
    assert not is_rewatched(old, config(TWO, "cameras.door.regions.mode=full").cameras["door"])


def test_what_holds_while_it_runs_is_refused_by_name_and_its_value_is_not_told(config) -> None:
    new = config(
        TWO, "engine.threads=3", "engine.models.instances=other", "publish.bind=tcp://127.0.0.1:5999",
        "http.token=geheimes-wort-0123456789", "outputs=[{type: jsonl, path: 'out/%camera%.jsonl'}]",
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        check(config(), new, ["instances"])
    assert str(caught.value) == (
        "engine.threads, engine.models.instances, publish.bind, outputs, http.token: cannot change while ARGOS runs; "
        "put the old value back, or start ARGOS again"
    )


@pytest.mark.parametrize(
    "output", ["type: overlay, path: o.mp4", "type: jsonl, path: o.jsonl", "type: recording, path: rec"]
)
def test_files_of_the_only_camera_are_not_handed_to_another(config, output: str) -> None:
    """Opened anew while the old one writes them they are cut off, or deleted under the new one as empty."""
    one = "version: 1\ncamera: {name: NAME, source: 'webcam:0'}\noutputs: [{OUTPUT}]\n".replace("OUTPUT", output)
    door, yard = config(one.replace("NAME", "door")), config(one.replace("NAME", "yard"))
    check(door, config(one.replace("NAME", "door"), "camera.source=webcam:1"), ["instances"])
    with pytest.raises(ConfigError, match=r"outputs.0.path: belongs to camera 'door', which cannot get another name"):
        check(door, yard, ["instances"])
    each = one.replace("path: ", "path: ./%camera%/")
    check(config(each.replace("NAME", "door")), config(each.replace("NAME", "yard")), ["instances"])


def test_a_task_whose_network_was_not_loaded_is_refused(config) -> None:
    check(config(), config(TWO, "cameras.door.regions.mode=full"), ["instances"])
    with pytest.raises(ConfigError, match=r"cameras.yard.tasks: no network for 'semantic' was loaded"):
        check(config(), config(TWO, "cameras.yard.tasks=[semantic]"), ["instances"])
