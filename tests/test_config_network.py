"""The keys for a network of one's own: every fault at once, with what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from argos.config import ConfigFaults, load_config
from argos.config_network import OwnInstancesModel, OwnSemanticModel
from argos.config_paths import config_warnings
from argos.config_report import resolved_yaml

OWN = """
version: 1
camera:
  name: desk
  source: fake://people
  tasks: [semantic, instances]
  regions: {mode: pack}
engine:
  models:
    semantic:
      network: nets/theirs.py:build
      arguments: {classes: 21}
      weights: theirs.safetensors
      input: {stride: 16, range: [0, 255], mean: [123.675, 116.28, 103.53], std: [58.4, 57.1, 57.4], order: bgr}
      output: {name: out, meaning: logits, person: [15], stride: 8}
    instances: people.onnx
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "camera.yaml"
    path.write_text(text)
    return path


def test_a_network_of_ones_own_is_read_and_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "theirs.py").touch()
    (tmp_path / "people.onnx").touch()
    config = load_config(written(tmp_path, OWN))
    semantic, instances = config.engine.models.semantic, config.engine.models.instances
    assert isinstance(semantic, OwnSemanticModel)
    assert semantic.network == f"{tmp_path}/nets/theirs.py:build"
    assert semantic.input is not None
    assert semantic.input.range == (0, 255)
    assert semantic.output is not None
    assert semantic.output.person == (15,)
    assert isinstance(instances, OwnInstancesModel)
    assert instances.network == str(tmp_path / "people.onnx")
    assert instances.input is None
    assert config_warnings(config) == ["engine.models.semantic.weights: theirs.safetensors does not exist now"]


def test_what_is_printed_in_full_loads_again(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, OWN))
    again = load_config(written(tmp_path, resolved_yaml(config)))
    assert again.engine == config.engine


def test_missing_files_and_packages_are_warned_of(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, OWN), ["engine.models.instances=no_such_package.nets:build"])
    assert config_warnings(config) == [
        "engine.models.semantic.network: nets/theirs.py does not exist now",
        "engine.models.semantic.weights: theirs.safetensors does not exist now",
        "engine.models.instances.network: the package no_such_package is not installed: install it",
    ]


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("semantic.inptu={}", "engine.models.semantic.inptu: unknown key - did you mean 'input'?"),
        ("semantic.input.meen=[1, 2, 3]", "engine.models.semantic.input.meen: unknown key - did you mean 'mean'?"),
        (
            "semantic.output.meaning=logit",
            "should be 'logits', 'probabilities' or 'classes', got 'logit' - did you mean ",
        ),
        ("semantic.input.std=[1, 0, 1]", "semantic.input.std: should be greater than 0, got 0"),
        ("semantic.input.range=[1, 1]", "semantic.input.range: black and white should differ, got 1 for both"),
        ("semantic.input.size=[352]", "semantic.input.size: should be a list of 2, got a list"),
        ("semantic.input.stride=0", "semantic.input.stride: should be at least 1, got 0"),
        ("semantic.input.stride=9000", "semantic.input.stride: should be at most 8192, got 9000"),
        ("semantic.input.size=[352, 100000]", "semantic.input.size.1: should be at most 8192, got 100000"),
        ("semantic.output.person=[15, 1, 15]", "output.person: should name each once, their probabilities are added"),
        ("semantic.output.person=[]", "semantic.output.person: should be a list of at least 1"),
        ("semantic.network=theirs.pth", "got 'theirs.pth' - that holds weights alone: name the function that builds"),
        ("semantic.network=theirs.py", "- name the function in it that builds the network, as in theirs.py:build"),
        ("semantic.network=unet_lite", "for a shipped model leave the mapping out and write its name alone: unet_lite"),
        ("semantic.network=theirs.onnx", "semantic.arguments: is for code; 'theirs.onnx' is a whole network: remove"),
        ("semantic=3", "engine.models.semantic: should be"),
        ("instances={}", "engine.models.instances.network: is required"),
        ("instances={network: p.onnx, output: {cover: frame}}", "should be 'picture' or 'box', got 'frame'"),
    ],
)
def test_a_fault_says_where_and_what_instead(tmp_path: Path, override: str, fault: str) -> None:
    with pytest.raises(ConfigFaults) as found:
        load_config(written(tmp_path, OWN), [f"engine.models.{override}"])
    assert fault in str(found.value)


def test_gather_with_a_file_is_a_fault_at_the_mode(tmp_path: Path) -> None:
    text = OWN.replace("mode: pack", "mode: gather")
    with pytest.raises(ConfigFaults) as found:
        load_config(written(tmp_path, text))
    assert str(found.value).endswith(
        "camera.yaml:7:19: camera.regions.mode: gather looks into the network, and engine.models.instances is a file "
        "('people.onnx'): set mode to pack, full or mask, or give the network as module:function"
    )
    assert len(found.value.faults) == 1


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_gather_in_another_precision_is_a_fault_at_the_mode(tmp_path: Path, precision: str) -> None:
    text = (
        f"camera: {{source: a.mp4, regions: {{mode: gather}}}}\nengine: {{backend: openvino, precision: {precision}}}\n"
    )
    with pytest.raises(ConfigFaults) as found:
        load_config(written(tmp_path, f"version: 1\n{text}"))
    assert str(found.value).endswith(
        "camera.yaml:2:41: camera.regions.mode: gather looks into the network, and engine.precision: "
        f"{precision} runs it as a whole: set mode to auto, pack, full or mask, or precision to float32"
    )


@pytest.mark.parametrize(
    ("engine", "fault"),
    [
        ("backend: torch, precision: int8", "engine.precision: int8 is not run by torch: set engine.backend to auto"),
        ("precision: int4", "engine.precision: should be 'float32', 'bfloat16' or 'int8', got 'int4'"),
        ("backend: onnxruntime, precision: bfloat16", "bfloat16 is not run by onnxruntime: set engine.backend to auto"),
        ("precision: bfloat16, calibration: clip.mp4", "engine.calibration: sets the ranges of 8-bit numbers"),
        ("calibration: clip.mp4", "engine.calibration: sets the ranges of 8-bit numbers: set engine.precision to int8"),
        ("backend: openvino, precision: int8, calibration: 'rtsp://me:secret@cam'", "not a live source"),
        ("backend: openvino, precision: int8, calibration: 'fake://cats'", "the only rendered source is fake://people"),
    ],
)
def test_a_fault_of_8_bits_says_what_to_set(tmp_path: Path, engine: str, fault: str) -> None:
    with pytest.raises(ConfigFaults) as found:
        load_config(written(tmp_path, f"version: 1\ncamera: {{source: a.mp4}}\nengine: {{{engine}}}\n"))
    assert fault in str(found.value)
    assert "secret" not in str(found.value)
    assert len(found.value.faults) == 1


def test_pictures_that_calibrate_start_at_the_folder_of_the_configuration(tmp_path: Path) -> None:
    text = "version: 1\ncamera: {source: a.mp4}\nengine: {backend: openvino, precision: int8, calibration: clip.mp4}\n"
    path = written(tmp_path, text)
    assert load_config(path).engine.calibration == "clip.mp4"
    assert "engine.calibration: clip.mp4 does not exist now" in config_warnings(load_config(path))
    (tmp_path / "clip.mp4").touch()
    assert load_config(path).engine.calibration == str(tmp_path / "clip.mp4")
