"""Configurations: what they become, and every fault with its exact words."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from argos.config import (
    Camera,
    Config,
    ConfigFaults,
    build_config,
    config_digest,
    config_from_sources,
    load_config,
    read_document,
    source_options,
)
from argos.config_faults import models_in
from argos.config_models import ConfigFile
from argos.config_paths import config_warnings
from argos.config_report import config_schema, resolved_yaml
from argos.errors import ConfigError

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

MINIMAL = "version: 1\ncamera:\n  source: webcam:0\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "camera.yaml"
    path.write_text(text)
    return path


def faults(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> list[str]:
    """The lines of the error, the folder cut off."""
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text), overrides)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}/", "").splitlines()


CASES = {
    "unknown_key": (
        MINIMAL + "  spots: 1\n  rate: {fsp: 5}\npublsh: {}\n",
        [
            "camera.yaml:4:3: camera.spots: unknown key - known here: "
            "source, rate, latency, priority, tasks, regions, instances, semantic, track, active, privacy, name, "
            "zones, lines, mask_areas",
            "camera.yaml:5:10: camera.rate.fsp: unknown key - did you mean 'fps'?",
            "camera.yaml:6:1: publsh: unknown key - did you mean 'publish'?",
        ],
    ),
    "unknown_key_in_a_source": (
        "version: 1\ncamera:\n  source:\n    url: webcam:0\n    reconect: {initial_s: 1}\n",
        ["camera.yaml:5:5: camera.source.reconect: unknown key - did you mean 'reconnect'?"],
    ),
    "key_of_a_section_one_level_up": (
        MINIMAL + "  fps: 5\n",
        ["camera.yaml:4:3: camera.fps: unknown key - did you mean 'rate.fps'?"],
    ),
    "out_of_range": (
        MINIMAL + "  rate:\n    fps: -1\n  regions: {threshold: 1.5, margin: -2}\n  instances: {max_people: 0}\n",
        [
            "camera.yaml:5:10: camera.rate.fps: should be greater than 0, got -1",
            "camera.yaml:6:24: camera.regions.threshold: should be at most 1, got 1.5",
            "camera.yaml:6:37: camera.regions.margin: should be at least 0, got -2",
            "camera.yaml:7:27: camera.instances.max_people: should be at least 1, got 0",
        ],
    ),
    "wrong_types": (
        MINIMAL + "  rate: 5\n  instances: {nms: no, max_people: '5'}\nlogging: [debug]\noutputs: 3\n"
        "publish: {bind: 5555, insecure: yes}\n",
        [
            "camera.yaml:4:9: camera.rate: should be a mapping (key: value), got 5",
            "camera.yaml:5:20: camera.instances.nms: should be a number, got 'no'",
            "camera.yaml:5:36: camera.instances.max_people: should be a whole number, got '5' (remove the quotes)",
            "camera.yaml:6:10: logging: should be a mapping (key: value), got a list",
            "camera.yaml:7:10: outputs: should be a list, got 3",
            "camera.yaml:8:17: publish.bind: should be text, got 5555 (put it in quotes)",
            "camera.yaml:8:33: publish.insecure: should be true or false, got 'yes'",
        ],
    ),
    "whole_and_finite_numbers": (
        MINIMAL + "  instances: {max_people: 1.0}\n  rate: {fps: .inf}\n  semantic: {threshold: true}\n",
        [
            "camera.yaml:4:27: camera.instances.max_people: should be a whole number, got 1",
            "camera.yaml:5:15: camera.rate.fps: should be a finite number, got inf",
            "camera.yaml:6:25: camera.semantic.threshold: should be a number, got true",
        ],
    ),
    "endless_number": (
        MINIMAL.replace("version: 1", "version: 99999999999999999999"),
        ["camera.yaml:1:10: version: should be a whole number of fewer digits, got 99999999999999999999"],
    ),
    "choices": (
        MINIMAL + "  regions: {mode: fulll, dilation: dynmic}\n  tasks: [semantik]\nengine: {scale: -1}\n",
        [
            "camera.yaml:4:19: camera.regions.mode: should be 'auto', 'pack', 'gather', 'full' or 'mask', got 'fulll'"
            " - did you mean 'full'?",
            "camera.yaml:4:36: camera.regions.dilation: should be a whole number or 'dynamic', got 'dynmic'"
            " - did you mean 'dynamic'?",
            "camera.yaml:5:11: camera.tasks.0: should be 'semantic' or 'instances', got 'semantik'"
            " - did you mean 'semantic'?",
            "camera.yaml:6:17: engine.scale: should be greater than 0 or 'auto', got -1",
        ],
    ),
    "lists": (
        MINIMAL + "  tasks: []\nengine:\n  packing: {canvas: [320]}\npublish: {kinds: [result, result]}\n",
        [
            "camera.yaml:4:10: camera.tasks: should be a list of at least 1, got an empty list",
            "camera.yaml:6:21: engine.packing.canvas: should be a list of 2, got a list",
            "camera.yaml:7:18: publish.kinds: should name each once, got 'result' twice",
        ],
    ),
    "canvas": (
        MINIMAL + "engine: {packing: {canvas: [320, 300]}}\n",
        ["camera.yaml:4:34: engine.packing.canvas.1: should be a multiple of 32, got 300"],
    ),
    "too_long_canvas": (
        MINIMAL + "engine: {packing: {canvas: [32, 32, 32]}}\n",
        ["camera.yaml:4:28: engine.packing.canvas: should be a list of 2, got a list"],
    ),
    "gutter": (
        MINIMAL + "engine: {packing: {canvas: [320, 64], gutter: 32}}\n",
        ["camera.yaml:4:47: engine.packing.gutter: should be less than half of the canvas' shorter side (64), got 32"],
    ),
    "gutter_of_the_default_canvas": (
        MINIMAL + "engine: {packing: {gutter: 100000}}\n",
        [
            "camera.yaml:4:28: engine.packing.gutter: should be less than half of the canvas' shorter side (384), "
            "got 100000"
        ],
    ),
    "scene": (
        "version: 1\ncameras:\n  a: {source: 'fake://people?sead=4'}\n  b: {source: 'fake://people?n=-1'}\n"
        "  c: {source: 'fake://animals'}\n",
        [
            "camera.yaml:3:15: cameras.a.source: fake://people?sead=4: unknown key 'sead'; allowed are n, seed, fps, "
            "size, frames, realtime",
            "camera.yaml:4:15: cameras.b.source: fake://people?n=-1: n: should be 0 to 100, got -1",
            "camera.yaml:5:15: cameras.c.source: fake://animals: the only rendered source is "
            "fake://people?n=&seed=&fps=&size=&frames=&realtime=",
        ],
    ),
    "encoding_of_instances": (
        MINIMAL + "publish: {masks: {instances: coco_rle}}\n",
        ["camera.yaml:4:19: publish.masks.instances: unknown key - known here: semantic"],
    ),
    "device": (
        MINIMAL + "engine: {device: gpu, threads: 0}\n",
        [
            "camera.yaml:4:18: engine.device: should be auto, cpu, cuda or cuda:N, got 'gpu'",
            "camera.yaml:4:32: engine.threads: should be at least 1, got 0",
        ],
    ),
    "back_off": (
        "version: 1\ncamera:\n  source: {url: webcam:0, reconnect: {initial_s: 2, max_s: 1}}\n",
        ["camera.yaml:3:60: camera.source.reconnect.max_s: should be at least initial_s (2), got 1"],
    ),
    "missing_source": (
        "version: 1\ncamera:\n  name: desk\n",
        ["camera.yaml:2:1: camera.source: is required"],
    ),
    "missing_url": (
        "version: 1\ncamera:\n  source: {transport: udp}\n",
        ["camera.yaml:3:3: camera.source: is required"],
    ),
    "missing_version": (
        "camera: {source: webcam:0}\n",
        ["camera.yaml:1:1: version: is required: write version: 1"],
    ),
    "wrong_version": (
        "version: 2\ncamera: {source: webcam:0}\n",
        ["camera.yaml:1:10: version: should be 1, got 2"],
    ),
    "unknown_scheme": (
        "version: 1\ncamera: {source: 'rtps://10.0.0.7/main'}\n",
        [
            "camera.yaml:2:18: camera.source: unknown scheme 'rtps://' (known: rtsp://, rtsps://, http://, https://, "
            "fake://, file://) - did you mean 'rtsps'?"
        ],
    ),
    "webcam_without_number": (
        "version: 1\ncamera: {source: {url: 'webcam:front'}}\n",
        [
            "camera.yaml:2:24: camera.source.url: should be webcam:N with the number N of the device, "
            "as in webcam:0, got 'webcam:front'"
        ],
    ),
    "empty_source": (
        "version: 1\ncamera: {source: ''}\n",
        ["camera.yaml:2:18: camera.source: should be a URL, a path, webcam:N or fake://..., got nothing"],
    ),
    "both_forms": (
        "version: 1\ncamera: {source: webcam:0}\ncameras:\n  b: {source: webcam:1}\n",
        [
            "camera.yaml:3:1: cameras: camera and cameras cannot both be given: move the camera below cameras, "
            "or remove one"
        ],
    ),
    "no_camera": (
        "version: 1\n",
        ["camera.yaml:1:1: no camera: write camera: {source: ...}, or cameras: with one or more names below"],
    ),
    "cameras_as_a_list": (
        "version: 1\ncameras:\n  - {source: webcam:0}\n",
        [
            "camera.yaml:2:1: cameras: should be a mapping from names to cameras, got a list",
        ],
    ),
    "names": (
        "version: 1\ncameras:\n  Front Door: {source: webcam:0}\n  lab: {source: webcam:1, name: other}\n",
        [
            "camera.yaml:3:3: cameras.Front Door: a name should be 1 to 63 of a-z, 0-9, '-' and '_', "
            "the first a letter or digit, got 'Front Door'",
            "camera.yaml:4:27: cameras.lab.name: the key 'lab' is the camera's name; remove this one",
        ],
    ),
    "same_camera_twice": (
        "version: 1\ncameras:\n  a: {source: webcam:0}\n  a: {source: webcam:1}\n",
        ["camera.yaml:4:3: cameras.a: duplicate key, first on line 3"],
    ),
    "same_source_twice": (
        "version: 1\ncameras:\n  a: {source: webcam:0}\n  b: {source: {url: webcam:0}}\n",
        ["camera.yaml:4:21: cameras.b.source.url: the same source as cameras.a: remove one of them"],
    ),
    "faults_of_defaults_once": (
        "version: 1\ndefaults:\n  rate: {fps: 0}\n  name: x\n"
        "cameras:\n  a: {source: webcam:0}\n  b: {source: webcam:1}\n",
        [
            "camera.yaml:3:15: defaults.rate.fps: should be greater than 0, got 0",
            "camera.yaml:4:3: defaults.name: unknown key - known here: "
            "source, rate, latency, priority, tasks, regions, instances, semantic, track, active, privacy",
        ],
    ),
    "missing_variable": (
        "version: 1\ncamera:\n  source: rtsp://${ARGOS_TEST_NOT_SET}/main\n  rate: {fps: 0}\n",
        [
            "camera.yaml:3:11: camera.source: environment variable ARGOS_TEST_NOT_SET is not set - "
            "set it or give a default: ${ARGOS_TEST_NOT_SET:-value}",
            "camera.yaml:4:15: camera.rate.fps: should be greater than 0, got 0",
        ],
    ),
    "missing_variable_alone": (
        "version: 1\ncamera:\n  source: ${ARGOS_TEST_NOT_SET}\n  rate:\n    fps: ${ARGOS_TEST_NOT_SET}\n",
        [
            "camera.yaml:3:11: camera.source: environment variable ARGOS_TEST_NOT_SET is not set - "
            "set it or give a default: ${ARGOS_TEST_NOT_SET:-value}",
            "camera.yaml:5:10: camera.rate.fps: environment variable ARGOS_TEST_NOT_SET is not set - "
            "set it or give a default: ${ARGOS_TEST_NOT_SET:-value}",
        ],
    ),
    "reachable_bind": (
        MINIMAL + "publish: {bind: 'tcp://0.0.0.0:5555'}\n",
        [
            "camera.yaml:4:17: publish.bind: tcp://0.0.0.0:5555 can be reached from other machines, and what is "
            "published is not encrypted: bind to 127.0.0.1, set publish.curve (argos keygen makes keys), or set "
            "publish.insecure: true if everyone on that network may see it"
        ],
    ),
    "bad_endpoint": (
        MINIMAL + "publish: {bind: 'tcp://127.0.0.1:99999'}\n",
        [
            "camera.yaml:4:17: publish.bind: should be tcp://HOST:PORT or ipc://PATH, as in tcp://127.0.0.1:5555, "
            "got 'tcp://127.0.0.1:99999'"
        ],
    ),
    "outputs": (
        MINIMAL + "outputs:\n  - {type: jsonl}\n  - {type: overlay, path: a.avi}\n  - {type: mp4, path: a.mp4}\n"
        "  - {path: x}\n  - 5\n  - {type: jsonl, path: a, rotate: 1}\n",
        [
            "camera.yaml:5:5: outputs.0.path: is required",
            "camera.yaml:6:27: outputs.1.path: should end in .mp4, got 'a.avi'",
            "camera.yaml:7:5: outputs.2: type should be 'jsonl', 'events', 'overlay', 'contact_sheet', 'recording', "
            "'webhook', 'mqtt', 'moments' or 'virtual_camera', got 'mp4'",
            "camera.yaml:8:5: outputs.3: the key 'type' is required",
            "camera.yaml:9:5: outputs.4: should be a mapping (key: value), got 5",
            "camera.yaml:10:28: outputs.5.rotate: unknown key - known here: type, path",
        ],
    ),
    "outputs_that_collide": (
        "version: 1\ncameras:\n  a: {source: webcam:0}\n  b: {source: webcam:1}\noutputs:\n"
        "  - {type: jsonl, path: a.jsonl}\n  - {type: jsonl, path: ./a.jsonl}\n  - {type: overlay, path: a.mp4}\n"
        "  - {type: jsonl, path: '%camera%.jsonl'}\n",
        [
            "camera.yaml:6:25: outputs.0.path: 2 cameras would write the same file; put %camera% into the path",
            "camera.yaml:7:25: outputs.1.path: outputs.0 writes the same file; give each its own",
            "camera.yaml:8:27: outputs.2.path: 2 cameras would write the same file; put %camera% into the path",
        ],
    ),
    "too_little_memory": (
        "version: 1\ncamera: {name: a, source: {url: 'webcam:0', isolate: process, memory_mb: 8}}\n",
        ["camera.yaml:2:74: camera.source.memory_mb: should be at least 64, got 8"],
    ),
    "recording_of_isolated": (
        "version: 1\ncamera: {name: a, source: {url: 'webcam:0', isolate: process}}\n"
        "outputs:\n  - {type: recording, path: out}\n",
        [
            "camera.yaml:4:12: outputs.0.type: the packets of camera 'a' stay in its process; give it "
            "source.isolate: thread",
        ],
    ),
    "recording_of_covered": (
        "version: 1\ncamera: {name: a, source: clip.mp4, privacy: {people: blur}}\n"
        "outputs:\n  - {type: recording, path: out}\n",
        [
            "camera.yaml:4:12: outputs.0.type: type recording keeps what the camera sends, and camera 'a' is covered "
            "(privacy or mask_areas); leave the recording out, or record an overlay, which is covered",
        ],
    ),
    "one_address_twice": (
        "version: 1\ncamera: {name: a, source: clip.mp4}\n"
        "publish:\n  bind: tcp://127.0.0.1:5555\n  every: tcp://127.0.0.1:5555\n",
        [
            "camera.yaml:5:10: publish.every: needs an address of its own, got tcp://127.0.0.1:5555, "
            "which is publish.bind",
        ],
    ),
    "no_host": (
        "version: 1\ncamera: {name: a, source: 'rtsp:///stream1'}\n",
        ["camera.yaml:2:27: camera.source: should name a host, as in rtsp://10.0.0.7/stream1"],
    ),
    "reference_in_braces": (
        "version: 1\ncamera: {name: a, source: a.mp4, rate: {fps: ${FPS:-5}}}\n",
        [
            "camera.yaml:2:47: not YAML: expected ',' or '}', but got '{' (inside { } and [ ], put ${...} in quotes; "
            "a number: its key on a line of its own)",
        ],
    ),
    "unknown_isolation": (
        "version: 1\ncamera: {name: a, source: {url: 'webcam:0', isolate: child}}\n",
        ["camera.yaml:2:54: camera.source.isolate: should be 'thread' or 'process', got 'child'"],
    ),
    "not_a_mapping": ("- 1\n", ["camera.yaml:1:1: should be a mapping (key: value), got a list - "
                                "argos init writes one"]),
    "empty_file": ("# nothing\n", ["camera.yaml:1:1: is empty - argos init writes one"]),
    "not_yaml": ("version: 1\ncamera: [\n", ["camera.yaml:3:1: not YAML: expected the node content, but found "
                                             "'<stream end>'"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_fault_is_said_with_its_place(tmp_path: Path, case: str) -> None:
    text, lines = CASES[case]
    assert faults(tmp_path, text) == lines


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("camera.rate.fps", "should be KEY=VALUE with a dotted key, as in camera.rate.fps=5"),
        ("camera..fps=1", "should be KEY=VALUE with a dotted key, as in camera.rate.fps=5"),
        ("camera.rate.fps=-1", "camera.rate.fps: should be greater than 0, got -1"),
        ("camera.rate.fsp=1", "camera.rate.fsp: unknown key - did you mean 'fps'?"),
        ("camera.name.x=1", "camera.name: has no keys below it, it is 'desk'"),
        ("camera.tasks=[1, 2", "camera.tasks: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("cameras.desk.rate.fps=1", "cameras.desk.rate.fps: there is one camera: write camera.rate.fps"),
        ("outputs.3.path=x", "outputs.3: should be the number of one of 1 items, from 0"),
        ("camera.rate={fps: 1, fps: 2}", "camera.rate.fps: duplicate key"),
    ],
)
def test_a_bad_override_is_named(tmp_path: Path, override: str, line: str) -> None:
    text = "version: 1\ncamera: {name: desk, source: webcam:0}\noutputs: [{type: jsonl, path: a}]\n"
    assert faults(tmp_path, text, (override,)) == [f"--set {override}: {line}"]


def test_an_override_names_the_only_camera_of_several(tmp_path: Path) -> None:
    text = "version: 1\ncameras: {door: {source: webcam:0}}\n"
    (fault,) = faults(tmp_path, text, ("camera.rate.fps=1",))
    assert "write cameras.door.rate.fps, or defaults.rate.fps for all" in fault


def test_a_folder_named_like_a_shipped_model_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "ssdisb").mkdir()
    (tmp_path / "mine.safetensors").touch()
    path = tmp_path / "camera.yaml"
    path.write_text("version: 1\ncamera: {source: webcam:0}\nengine: {models: {semantic: mine.safetensors}}\n")
    models = load_config(path).engine.models
    assert (models.instances, models.semantic) == ("ssdisb", str(tmp_path / "mine.safetensors"))


def test_overrides_of_several_cameras_are_named(tmp_path: Path) -> None:
    text = "version: 1\ncameras: {door: {source: webcam:0}, lab: {source: webcam:1}}\n"
    assert faults(tmp_path, text, ("camera.rate.fps=1", "cameras.dor.rate.fps=1")) == [
        "--set camera.rate.fps=1: camera.rate.fps: the cameras are below cameras: write cameras.NAME.rate.fps, "
        "or defaults.rate.fps for all",
        "--set cameras.dor.rate.fps=1: cameras.dor.rate.fps: no camera 'dor' (known: door, lab) - did you mean 'door'?",
    ]


def test_overrides_change_values_lists_and_the_short_source(tmp_path: Path) -> None:
    overrides = (
        "camera.rate.fps=5",
        "camera.tasks=[semantic]",
        "camera.source.transport=udp",
        "publish.bind=ipc:///tmp/argos",
        "outputs.0={type: jsonl, path: a.jsonl}",
        "outputs.0.path=b.jsonl",
    )
    config = load_config(write(tmp_path, MINIMAL + "outputs: []\n"), overrides)
    camera = config.cameras["camera"]
    assert (camera.rate.fps, camera.tasks, camera.source.transport) == (5.0, ("semantic",), "udp")
    assert camera.source.url == "webcam:0"
    assert config.publish.bind == "ipc:///tmp/argos"
    assert [output.path for output in config.outputs] == ["b.jsonl"]


def test_an_override_mends_a_fault_of_the_file(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL + "  rate: {fps: -1}\n"), ("camera.rate.fps=1",))
    assert config.cameras["camera"].rate.fps == 1.0


def test_an_override_stands_for_a_variable_that_is_not_set(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL + '  rate: {fps: "${ARGOS_TEST_NOT_SET}"}\n')
    assert load_config(path, ("camera.rate.fps=1",)).cameras["camera"].rate.fps == 1.0
    assert load_config(path, ("camera.rate={fps: 2}",)).cameras["camera"].rate.fps == 2.0
    with pytest.raises(ConfigError, match="ARGOS_TEST_NOT_SET is not set"):
        load_config(path, ("camera.regions.mode=full",))


def test_defaults_are_merged_maps_merge_and_lists_replace(tmp_path: Path) -> None:
    text = """\
version: 1
defaults:
  source: {transport: udp, reconnect: {max_s: 9}}
  rate: {fps: 10}
  tasks: [semantic, instances]
cameras:
  a: {source: webcam:0, rate: }
  b:
    source: {url: webcam:1, reconnect: {factor: 3}}
    rate: {fps: null}
    tasks: [instances]
"""
    config = load_config(write(tmp_path, text))
    a, b = config.cameras["a"], config.cameras["b"]
    assert (a.source.url, a.source.transport, a.rate.fps, a.tasks) == (
        "webcam:0",
        "udp",
        10.0,
        ("semantic", "instances"),
    )
    assert (b.source.reconnect.max_s, b.source.reconnect.factor) == (9.0, 3.0)
    assert (b.rate.fps, b.tasks) == (None, ("instances",))


def test_the_only_camera_is_called_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "Front Door.yaml"
    path.write_text(MINIMAL)
    assert list(load_config(path).cameras) == ["front-door"]


def test_secrets_are_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2\n")
    text = "version: 1\ncamera:\n  source: rtsp://me:${file:pw}@10.0.0.7/a?x=${file:pw}\n  rate: {fps: -1}\n"
    path = write(tmp_path, text.replace("-1", "1"))
    document = read_document(path)
    config = build_config(document, tmp_path, "camera")
    assert config.cameras["camera"].source.url == "rtsp://me:hunter2@10.0.0.7/a?x=hunter2"
    assert "hunter2" not in resolved_yaml(config, sorted(document.secrets))
    bad = "version: 1\ncamera:\n  source: ${file:pw}\n  rate: {fps: '${file:pw}'}\nengine: {device: '${file:pw}'}\n"
    lines = faults(tmp_path, bad)
    assert lines == [
        "camera.yaml:4:15: camera.rate.fps: should be a number (the value is not shown, it comes from a secret)",
        "camera.yaml:5:18: engine.device: should be auto, cpu, cuda or cuda:N "
        "(the value is not shown, it comes from a secret)",
    ]
    lines = faults(tmp_path, "version: 1\ncamera: {source: {url: [rtsp://me:pw@host/]}}\n", ("x=rtsp://me:hunter2@h/",))
    assert "hunter2" not in "".join(lines)


def test_the_digest_follows_settings_and_not_credentials() -> None:
    one = config_from_sources(["rtsp://me:one@host/a"])
    other = config_from_sources(["rtsp://me:two@host/a"])
    slower = config_from_sources(["rtsp://me:one@host/a"], ["camera.rate.fps=5"])
    assert config_digest(one) == config_digest(other)
    assert config_digest(one) != config_digest(slower)
    assert len(config_digest(one).removeprefix("sha256:")) == 64


def test_sources_give_the_same_configuration_as_a_file(tmp_path: Path) -> None:
    from_file = load_config(write(tmp_path, MINIMAL), ("camera.name=video0", "camera.rate.fps=5"))
    assert config_from_sources(["webcam:0"], ["camera.rate.fps=5"]) == from_file


def test_sources_get_names_of_their_own() -> None:
    config = config_from_sources(["a/clip.mp4", "b/clip.mp4", "a/clip.mp4", "clip-2.mp4"], ["defaults.rate.fps=5"])
    assert list(config.cameras) == ["clip", "clip-2", "clip-3", "clip-2-2"]
    assert {camera.rate.fps for camera in config.cameras.values()} == {5.0}


def test_faults_of_sources_have_no_file() -> None:
    with pytest.raises(ConfigFaults) as caught:
        config_from_sources(["rtps://me:pw@h/"], ["camera.fps=1"])
    first, second = str(caught.value).splitlines()
    assert first.startswith("camera.source.url: unknown scheme 'rtps://'")
    assert second == "--set camera.fps=1: camera.fps: unknown key - did you mean 'rate.fps'?"


def test_a_relative_source_is_found_beside_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "beside.mp4").touch()
    (tmp_path / "elsewhere.mp4").touch()
    monkeypatch.chdir(tmp_path)
    text = "version: 1\ncameras:\n  a: {source: beside.mp4}\n  b: {source: elsewhere.mp4}\n  c: {source: nowhere.mp4}\n"
    config = load_config(write(tmp_path / "here", text))
    assert [camera.source.url for camera in config.cameras.values()] == [
        str(tmp_path / "here" / "beside.mp4"),
        "elsewhere.mp4",
        "nowhere.mp4",
    ]
    assert config_warnings(config) == ["camera 'c': nowhere.mp4 does not exist now"]


def test_a_missing_configuration_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"camera.yaml: cannot be read \(No such file or directory\) - argos init"):
        load_config(tmp_path / "camera.yaml")
    (tmp_path / "camera.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not UTF-8 text; a configuration is a YAML file"):
        load_config(tmp_path / "camera.yaml")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_load(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    config = load_config(path)
    assert config.cameras


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_resolved_configuration_loads_to_the_same(path: Path, tmp_path: Path) -> None:
    config = load_config(path, () if path.name != "rtsp.yaml" else ("camera.source.url=rtsp://host/a",))
    assert load_config(write(tmp_path, resolved_yaml(config))) == config


def test_a_configuration_is_frozen_and_strict_in_python_too() -> None:
    camera = Camera(name="a", source="webcam:0")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        camera.name = "b"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Config(version=1, cameras={"a": camera}, engine={"threads": "2"})  # type: ignore[arg-type]


def test_every_key_has_a_description() -> None:
    seen, waiting = set(), [ConfigFile]
    while waiting:
        model = waiting.pop()
        seen.add(model)
        for name, field in model.model_fields.items():
            assert field.description or name == "type", f"{model.__name__}.{name}"
            waiting += [found for found in models_in(field.annotation) if found not in seen]
    assert len(seen) > 15


def test_the_schema_has_both_ways_to_write_a_source() -> None:
    schema = config_schema()
    assert schema["oneOf"] == [{"required": ["camera"]}, {"required": ["cameras"]}]
    source = schema["$defs"]["CameraEntry"]["properties"]["source"]
    assert source["anyOf"] == [{"type": "string"}, {"$ref": "#/$defs/Source"}]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["RegionsSection"]["properties"]["mode"]["enum"] == ["auto", "pack", "gather", "full", "mask"]


def test_source_options_are_those_of_the_camera() -> None:
    camera = config_from_sources(["webcam:0"], ["camera.source.reconnect.give_up_after=3", "camera.rate.fps=5"]).cameras
    options = source_options(camera["video0"])
    assert (options.fps, options.reconnect.give_up_after, options.reconnect.max_s) == (5.0, 3, 1.0)
    assert (options.isolate, options.memory_mb) == ("thread", 1024)
    apart = config_from_sources(["webcam:0"], ["camera.source.isolate=process", "camera.source.memory_mb=null"])
    options = source_options(apart.cameras["video0"])
    assert (options.isolate, options.memory_mb) == ("process", None)
