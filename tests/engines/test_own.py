"""Networks of others in the deep place: code, ``torch.export`` and ONNX find the same, and say what does not fit."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from own_networks import in_all_forms, real_pictures
from safetensors.torch import save_file
from torch import nn

from argos.engines.gather_own import SparseOwnSemantic, sparse_instances, sparse_semantic
from argos.engines.own_instances import GivenInstances, InstancesGives, OwnInstances
from argos.engines.own_network import OwnNetwork, build_own, load_own, of_module
from argos.engines.own_semantic import GivenSemantic, OwnSemantic, SemanticGives
from argos.engines.segmenter import Takes
from argos.errors import UsageError, WeightsError
from argos.types import Instances, Size

pytest.importorskip("onnxscript", reason="needs the extra 'export'")

SIZE = (64, 96)
TAKES = Takes(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), order="bgr")
GIVES = SemanticGives(name="out", person=(0, 2))
FORMS = ["code", "program", "onnx"]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return in_all_forms(tmp_path_factory.mktemp("shapes"), "shapes", *SIZE)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return in_all_forms(tmp_path_factory.mktemp("halves"), "Halves", *SIZE)


def loaded(spec: str) -> OwnNetwork:
    return load_own(spec, {}, None)


@pytest.mark.parametrize("form", FORMS)
def test_semantic_in_every_form_is_the_plain_computation(shapes: dict[str, str], form: str) -> None:
    pixels = real_pictures(*SIZE)
    network = loaded(shapes[form])
    own = OwnSemantic(network, replace(TAKES, size=network.size), GIVES)
    assert own.size == (None if form == "code" else SIZE)
    found = own.scores(pixels)

    image = torch.from_numpy(pixels[..., ::-1].copy()).permute(0, 3, 1, 2) / 255
    image = (image - torch.tensor(TAKES.mean)[:, None, None]) / torch.tensor(TAKES.std)[:, None, None]
    with torch.no_grad():
        classes = build_own(shapes["code"], {}).eval()(image)["out"].double().softmax(dim=1)
    odds = ((classes[:, 0] + classes[:, 2]) / classes[:, 1]).log()
    wanted = F.interpolate(odds[:, None], SIZE, mode="bilinear")[:, 0].sigmoid()
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert 0.1 < (found >= 0.5).mean() < 0.9


@pytest.mark.parametrize("form", ["program", "onnx"])
def test_semantic_files_equal_the_code_on_real_pictures(shapes: dict[str, str], form: str) -> None:
    pixels = real_pictures(*SIZE)
    wanted = OwnSemantic(loaded(shapes["code"]), TAKES, GIVES).scores(pixels)
    np.testing.assert_allclose(
        OwnSemantic(loaded(shapes[form]), replace(TAKES, size=SIZE), GIVES).scores(pixels), wanted, atol=1e-4
    )


@pytest.mark.parametrize("form", FORMS)
def test_instances_in_every_form_are_the_bright_halves(halves: dict[str, str], form: str) -> None:
    pixels = np.zeros((2, *SIZE, 3), np.uint8)
    pixels[0, 10:40, 60:80] = 255
    pixels[1, :, :30] = 200
    network = loaded(halves[form])
    own = OwnInstances(network, Takes(size=network.size), InstancesGives(), score_threshold=0.05, nms=0.5)
    right, left = own.instances(pixels)
    assert right.boxes.tolist() == [[48, 0, 96, 64]]
    assert right.scores.tolist() == pytest.approx([30 * 20 / (64 * 48)])
    np.testing.assert_array_equal(right.masks[0], pixels[0, :, 48:, 0] > 127)
    assert left.boxes.tolist() == [[0, 0, 48, 64]]
    assert left.labels.tolist() == [0]
    only = OwnInstances(network, Takes(size=network.size), InstancesGives(person=(7,)), 0.05, 0.5)
    assert [len(people) for people in only.instances(pixels)] == [1, 0]


def test_masks_of_boxes_are_spread_over_their_boxes() -> None:
    def network(image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mask = torch.zeros(1, 1, 2, 2)
        mask[0, 0, :, 0] = 1.0
        return torch.tensor([[[10.0, 10, 50, 50]]]), torch.tensor([[0.9]]), mask

    gives = InstancesGives(boxes=0, scores=1, masks=2, cover="box")
    (people,) = OwnInstances(of_module(network, "mine"), Takes(), gives, 0.5, 0.5).instances(real_pictures(*SIZE, 1))
    assert people.boxes.tolist() == [[10, 10, 50, 50]]
    assert people.masks[0][:, :15].all()
    assert not people.masks[0][:, 25:].any()


def test_pictures_are_filled_up_to_the_stride_and_the_rest_is_cut_off() -> None:
    seen: list[tuple[int, ...]] = []

    def network(image: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(image.shape))
        return image.mean(dim=1, keepdim=True) * 10 - 5

    pixels = real_pictures(*SIZE)
    scores = OwnSemantic(of_module(network, "mine"), Takes(stride=28), SemanticGives()).scores(pixels)
    assert seen == [(2, 3, 84, 112)]
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(5 - 10 * pixels.mean(axis=3) / 255)), atol=1e-4)
    small = OwnSemantic(of_module(network, "mine"), Takes(size=(100, 200)), SemanticGives()).scores(pixels)
    assert seen[-1] == (2, 3, 100, 200)
    np.testing.assert_allclose(small, scores, atol=1e-6)


def test_classes_and_probabilities_are_taken_as_they_are() -> None:
    pixels = real_pictures(*SIZE, 1)
    classes = OwnSemantic(
        of_module(lambda image: (image[:, 0] * 2).round().long(), "mine"),
        Takes(),
        SemanticGives(None, "classes", (1, 2)),
    )
    np.testing.assert_array_equal(classes.scores(pixels), pixels[..., 0] / np.float32(255) * 2 > 0.5)
    red = OwnSemantic(of_module(lambda image: image, "mine"), Takes(), SemanticGives(None, "probabilities", (0,)))
    np.testing.assert_allclose(red.scores(pixels), pixels[..., 0] / 255, atol=1e-6)


class Brightness(nn.Module):
    """Log odds that grow with the mean colour, of bytes with the colours last."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.float().mean(dim=3, keepdim=True) / 25.5 - 5


def test_a_file_that_takes_bytes_with_colours_last_gets_them(tmp_path: Path) -> None:
    path = tmp_path / "bytes.pt2"
    torch.export.save(torch.export.export(Brightness(), (torch.zeros(1, *SIZE, 3, dtype=torch.uint8),)), path)
    network = loaded(str(path))
    assert network.size == SIZE
    pixels = real_pictures(*SIZE)
    scores = OwnSemantic(network, Takes(size=SIZE), SemanticGives()).scores(pixels)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(5 - pixels.mean(axis=3) / 25.5)), atol=1e-4)


def test_gathering_every_block_is_dense_and_an_empty_one_finds_nobody(shapes: dict[str, str]) -> None:
    own = OwnSemantic(loaded(shapes["code"]), TAKES, GIVES)
    (pixels,) = real_pictures(*SIZE, 1)
    sparse = sparse_semantic(own)
    np.testing.assert_allclose(sparse.scores(pixels, np.ones(SIZE, np.bool_)), own.scores(pixels[None])[0], atol=1e-4)
    part = np.zeros(SIZE, np.bool_)
    part[:16, :16] = True
    assert not sparse.scores(pixels, part)[~part].any()
    assert isinstance(sparse, SparseOwnSemantic)
    assert sparse.sparse.executed_macs < sparse.sparse.dense_macs


def test_gathered_instances_are_those_with_an_active_middle(halves: dict[str, str]) -> None:
    own = OwnInstances(loaded(halves["code"]), Takes(), InstancesGives(), 0.05, 0.5)
    pixels = np.full((*SIZE, 3), 200, np.uint8)
    active = np.zeros(SIZE, np.bool_)
    active[:, 60:90] = True
    assert sparse_instances(own).instances(pixels, active).boxes.tolist() == [[48, 0, 96, 64]]


@pytest.mark.parametrize("form", ["program", "onnx"])
def test_a_file_in_mode_gather_names_the_other_modes(shapes: dict[str, str], form: str) -> None:
    own = OwnSemantic(loaded(shapes[form]), replace(TAKES, size=SIZE), GIVES)
    with pytest.raises(
        UsageError, match=r"runs as a whole, so it does not run in mode gather; set regions.mode to pack"
    ):
        sparse_semantic(own)


def test_weights_come_from_a_safetensors_file_of_any_precision(shapes: dict[str, str], tmp_path: Path) -> None:
    network = build_own(shapes["code"], {})
    nn.init.constant_(network.head.bias, 0.5)  # type: ignore[union-attr, arg-type]
    path = tmp_path / "theirs.safetensors"
    save_file({key: value.half() if value.ndim > 1 else value for key, value in network.state_dict().items()}, path)
    filled = load_own(shapes["code"], {}, path)
    assert filled.module is not None
    assert filled.module.head.bias.unique().tolist() == [0.5]  # type: ignore[union-attr, operator]
    assert filled.sha256 != loaded(shapes["code"]).sha256
    with pytest.raises(
        WeightsError, match=r"weights do not fit the network: head.weight is \(3, 8, 1, 1\), the network has"
    ):
        load_own(shapes["code"], {"classes": 5}, path)
    with pytest.raises(WeightsError, match=r"nothing.pth: weights should be a .safetensors file; .*save_file"):
        load_own(shapes["code"], {}, tmp_path / "nothing.pth")


def test_a_module_of_torchscript_runs_as_its_source_does(shapes: dict[str, str]) -> None:
    network = build_own(shapes["code"], {}).eval()
    pictures = real_pictures(64, 96)
    scores = [
        OwnSemantic(of_module(module, "theirs"), Takes(), SemanticGives(name="out", person=(1,))).scores(pictures)
        for module in (network, torch.jit.script(network))
    ]
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-5)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("shape", {}, r"has no function 'shape' - did you mean 'shapes'\?"),
        ("shapes", {"clases": 3}, r"cannot be called with the arguments given \(clases=3\): TypeError"),
        ("no_module", {}, r"no_module: should return a torch.nn.Module, got int"),
        ("broken", {}, r"RuntimeError: out of paper"),
        ("lazy", {}, r"lazy: 0.weight gets its size from the first picture \(a lazy layer\); run the network once"),
    ],
)
def test_code_that_gives_no_network_says_why(
    shapes: dict[str, str], function: str, arguments: dict[str, int], message: str
) -> None:
    file = shapes["code"].rpartition(":")[0]
    with pytest.raises(WeightsError, match=message):
        load_own(f"{file}:{function}", arguments, None)


def test_what_cannot_be_loaded_names_file_and_remedy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(
        WeightsError, match=r"no_such_package:net: cannot be imported: ModuleNotFoundError.*; install it"
    ):
        load_own("no_such_package:net", {}, None)
    with pytest.raises(WeightsError, match=r"no such file: /.*/gone.py"):
        load_own(f"{tmp_path}/gone.py:net", {}, None)
    (tmp_path / "bad.pt2").write_bytes(b"no zip")
    logging.getLogger("torch.export").addHandler(caplog.handler)  # torch passes nothing on to the root
    with pytest.raises(WeightsError, match=r"bad.pt2: cannot be loaded as torch.export"):
        load_own(f"{tmp_path}/bad.pt2", {}, None)
    logging.getLogger("torch.export").removeHandler(caplog.handler)
    assert not caplog.records
    with pytest.raises(WeightsError, match=r"gone.pt2: no such file"):
        load_own(f"{tmp_path}/gone.pt2", {}, None)


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (
            SemanticGives(),
            r"gives more than one output; set engine.models.semantic.output.name to one of: out 1x3x32x48,",
        ),
        (SemanticGives(name="mask"), r"gives no output 'mask'; set .* to one of: out 1x3x32x48, seen 1x1x64x96"),
        (SemanticGives(name="out"), r"gives 3 channels; set engine.models.semantic.output.person"),
        (SemanticGives(name="out", person=(15,)), r"gives 3 channels, 0 to 2, and .*output.person names 15"),
        (
            SemanticGives(name="out", person=(1,), stride=4),
            r"gives 1x3x32x48 for pictures of 64x96, expected a map of ev",
        ),
        (SemanticGives("out", "classes", (1,)), r"3 channels where numbers of classes have one; set .*output.meaning"),
    ],
)
def test_a_map_that_is_not_as_said_names_the_key(shapes: dict[str, str], gives: SemanticGives, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        OwnSemantic(loaded(shapes["code"]), Takes(), gives).scores(real_pictures(*SIZE, 1))


def test_people_that_are_not_as_said_name_the_key(halves: dict[str, str], shapes: dict[str, str]) -> None:
    pictures = real_pictures(*SIZE, 1)
    with pytest.raises(
        WeightsError, match=r"gives no output 'boxes'; set engine.models.instances.output.boxes to one of: out"
    ):
        OwnInstances(loaded(shapes["code"]), Takes(), InstancesGives(), 0.5, 0.5).instances(pictures)
    with pytest.raises(WeightsError, match=r"gives boxes of 2x64x96, expected Nx4, \(x0, y0, x1, y1\) in pixels"):
        OwnInstances(loaded(halves["code"]), Takes(), InstancesGives(boxes="masks"), 0.5, 0.5).instances(pictures)


@pytest.mark.parametrize("shape", [(2, *SIZE), (0, 1, *SIZE), (2, 1, *SIZE)])
def test_maps_are_as_many_as_pictures(shape: tuple[int, ...]) -> None:
    own = OwnSemantic(of_module(lambda image: torch.zeros(shape), "mine"), Takes(), SemanticGives())
    told = "x".join(map(str, shape))
    with pytest.raises(
        WeightsError, match=rf"mine: gives {told} for 1 pictures at once, expected Nx\(classes\)xHxW or"
    ):
        own.scores(real_pictures(*SIZE, 1))


@pytest.mark.parametrize("name", ["boxes", "scores", "labels", "masks"])
def test_one_number_for_the_only_person_names_the_key(name: str) -> None:
    one = {"boxes": [[1.0, 1.0, 9.0, 9.0]], "scores": [0.9], "labels": [1.0], "masks": np.ones((1, *SIZE)).tolist()}
    given = {key: torch.tensor(value) for key, value in one.items()} | {name: torch.tensor(0.9)}
    own = OwnInstances(of_module(lambda image: given, "mine"), Takes(), InstancesGives(person=(1,)), 0.5, 0.5)
    with pytest.raises(
        WeightsError, match=rf"mine: gives one number as {name}, .*engine.models.instances.output.{name}"
    ):
        own.instances(real_pictures(*SIZE, 1))


@pytest.mark.parametrize(
    "wrong",
    [{"labels": torch.ones(3)}, {"labels": torch.ones(2, 1)}, {"scores": torch.ones(3)}, {"scores": torch.ones(2, 1)}],
)
def test_another_number_of_labels_or_scores_than_people_is_told(wrong: dict[str, torch.Tensor]) -> None:
    two = {"boxes": torch.ones(2, 4), "scores": torch.ones(2), "labels": torch.ones(2), "masks": torch.ones(2, *SIZE)}
    own = OwnInstances(of_module(lambda image: two | wrong, "mine"), Takes(), InstancesGives(person=(1,)), 0.5, 0.5)
    with pytest.raises(WeightsError, match=r"mine: gives boxes 2x4, scores .*; expected one of each per person"):
        own.instances(real_pictures(*SIZE, 1))


@pytest.mark.parametrize(("scores", "told"), [([90.0, 4.0], "4 to 90"), ([2.5, -3.0], "-3 to 2.5")])
def test_scores_of_people_that_are_none_are_told(scores: list[float], told: str) -> None:
    two = {"boxes": torch.ones(2, 4), "scores": torch.tensor(scores), "masks": torch.ones(2, *SIZE)}
    own = OwnInstances(of_module(lambda image: two, "mine"), Takes(), InstancesGives(), 0.5, 0.5)
    with pytest.raises(WeightsError, match=rf"mine: gives scores of {told}, expected values in 0..1; engine.*scores"):
        own.instances(real_pictures(*SIZE, 1))


def test_labels_may_be_bits() -> None:
    one = {"boxes": [[1, 1, 9, 9]], "scores": [1.0], "labels": [True], "masks": np.ones((1, *SIZE)).tolist()}
    people = {key: torch.tensor(value) for key, value in one.items()}
    own = OwnInstances(of_module(lambda image: people, "mine"), Takes(), InstancesGives(person=(1,)), 0.5, 0.5)
    assert len(own.instances(real_pictures(*SIZE, 1))[0]) == 1


def test_classes_may_be_bits_and_none_may_be_nan() -> None:
    gives, pictures = SemanticGives(meaning="classes", person=(1,)), real_pictures(*SIZE, 1)
    bright = OwnSemantic(of_module(lambda image: image[:, :1] > 0.5, "mine"), Takes(), gives)
    assert (bright.scores(pictures) == (pictures[..., 0] > 127)).all()
    with pytest.raises(WeightsError, match="gives NaN"):
        OwnSemantic(of_module(lambda image: image[:, :1] * torch.nan, "mine"), Takes(), gives).scores(pictures)


@pytest.mark.parametrize(
    ("given", "message"),
    [(None, "gives a NoneType"), ("no", "gives a str"), ([], "gives no tensor"), ({"a": 1}, "gives no tensor")],
)
def test_a_network_that_gives_no_tensors_is_named(given: Any, message: str) -> None:
    own = OwnSemantic(of_module(lambda image: given, "mine"), Takes(), SemanticGives())
    with pytest.raises(WeightsError, match=rf"mine: {message}; expected tensors, by name or in order"):
        own.scores(real_pictures(*SIZE, 1))


@dataclass
class Says:
    """A segmenter of one's own code that says what it was told to."""

    told: Any
    size: Size | None = None

    def scores(self, pixels: Any) -> Any:
        return self.told

    def instances(self, pixels: Any) -> Any:
        return self.told


def test_scores_of_given_segmenters_may_be_any_floats() -> None:
    halves = np.full((1, *SIZE), 0.5, np.float32)
    for told in (halves, halves.astype(np.float16), halves.tolist(), torch.from_numpy(halves).bfloat16()):
        found = GivenSemantic(Says(told)).scores(real_pictures(*SIZE, 1))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, halves)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (None, r"gives a NoneType for pictures 1x64x96x3, expected probabilities 1x64x96 float32"),
        (np.zeros((1, *SIZE, 1), np.float32), r"gives 1x64x96x1 float32 for pictures 1x64x96x3"),
        (np.zeros((1, 32, 48), np.float32), r"gives 1x32x48 float32 for"),
        (np.zeros((1, *SIZE), np.uint8), r"gives 1x64x96 uint8 for"),
        (np.full((1, *SIZE), np.nan), r"gives nan to nan, expected probabilities in 0..1"),
        (np.full((1, *SIZE), 7.5), r"gives 7.5 to 7.5, expected probabilities in 0..1"),
    ],
)
def test_scores_of_given_segmenters_are_probabilities_of_the_pictures(told: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=rf"Says.scores: {message}"):
        GivenSemantic(Says(told)).scores(real_pictures(*SIZE, 1))


def somebody(box: tuple[int, int, int, int], score: float = 0.9, size: Size = SIZE) -> Instances:
    mask = np.ones((box[3] - box[1], box[2] - box[0]), np.bool_)
    return Instances(np.array([box], np.int32), np.array([score], np.float32), np.zeros(1, np.int32), (mask,), size)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (None, r"gives a NoneType of nothing for 1 pictures, expected a list of argos.types.Instances, one for each"),
        ([], r"gives a list of nothing for 1 pictures"),
        ([3], r"gives a list of int for 1 pictures"),
        ([somebody((0, 0, 8, 8))] * 2, r"gives a list of Instances, Instances for 1 pictures"),
        ([somebody((0, 0, 8, 8), size=(32, 96))], r"gives people of a picture of 32x96, expected those of 64x96"),
        ([somebody((90, 0, 98, 8))], r"gives the box \[90, 0, 98, 8\] for a picture of 64x96, expected .* inside it"),
        ([somebody((0, 0, 8, 8), score=np.nan)], r"gives the scores \[nan\], expected values in 0..1"),
        ([somebody((0, 0, 8, 8), score=5.0)], r"gives the scores \[5.0\]"),
    ],
)
def test_people_of_given_segmenters_are_those_of_the_pictures(told: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=rf"Says.instances: {message}"):
        GivenInstances(Says(told), 0.5, 0.5).instances(real_pictures(*SIZE, 1))


def test_given_segmenters_are_named_where_they_cannot_gather() -> None:
    with pytest.raises(UsageError, match=r"^Says: is no network that can be looked into"):
        sparse_semantic(GivenSemantic(Says(None)))
    with pytest.raises(UsageError, match=r"^Says: is no network that can be looked into"):
        sparse_instances(GivenInstances(Says(None), 0.5, 0.5))


def test_a_network_that_fails_says_on_which_pictures(shapes: dict[str, str]) -> None:
    own = OwnSemantic(of_module(nn.Conv2d(4, 1, 1), "mine"), Takes(), SemanticGives())
    with pytest.raises(
        WeightsError, match=r"mine: fails on pictures 1x3x64x96: RuntimeError: .* input.size and input.str"
    ):
        own.scores(real_pictures(*SIZE, 1))
    wrong = OwnSemantic(loaded(shapes["program"]), Takes(), GIVES)
    with pytest.raises(WeightsError, match=r"shapes.pt2: fails on pictures 1x3x32x32"):
        wrong.scores(real_pictures(32, 32, 1))


def test_files_that_take_no_pictures_are_refused(tmp_path: Path) -> None:
    for shape, message in (
        ((1, 4, 8, 8), "takes an input of 1x4x8x8, expected pictures"),
        ((2, 3, 8, 8), "takes 2 pic"),
    ):
        path = tmp_path / f"{shape[0]}{shape[1]}.pt2"
        torch.export.save(torch.export.export(nn.Conv2d(shape[1], 1, 1), (torch.rand(shape),)), path)
        with pytest.raises(WeightsError, match=message):
            loaded(str(path))
