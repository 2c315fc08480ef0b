"""``argos eval``: figures beside those of the card, and sheets of the photos."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask

from argos.cli import main
from argos.engines.weights import SHIPPED
from argos.networks.table import NETWORKS
from argos.sources.synthetic import parse_scene, render
from argos.training.formats.files import PhotoFiles
from argos.training.photos import IGNORE, Photo
from argos.training.sheets import FALSE, FOUND, MISSED, Judged, judge, painted
from argos.training.ship import neutral_card, write_model

SIDE = 96


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one photo of a person by source, and one empty one."""
    rng = np.random.default_rng(0)
    for name in ("persons", "persons_more"):
        (tmp_path / name / "images").mkdir(parents=True)
        (tmp_path / name / "idmasks").mkdir()
        image = rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        cv2.imwrite(str(tmp_path / name / "images" / "one.jpg"), image)
        ids = np.zeros((SIDE, SIDE), np.uint8)
        ids[20:80, 30:60] = 1
        cv2.imwrite(str(tmp_path / name / "idmasks" / "one.png"), ids)
        entry = {"id": 1, "file_name": "one.jpg", "height": SIDE, "width": SIDE, "source": name, "complete": True,
                 "kind": "instance"}  # fmt: skip
        outline = [[30, 20, 60, 20, 60, 80, 30, 80]]
        person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [30, 20, 30, 60], "area": 1800, "iscrowd": 0,
                  "segmentation": outline}  # fmt: skip
        document = {"images": [entry], "annotations": [person], "categories": [{"id": 1, "name": "person"}]}
        (tmp_path / name / "instances_val.json").write_text(json.dumps(document))
    (tmp_path / "backgrounds").mkdir()
    cv2.imwrite(str(tmp_path / "backgrounds" / "empty.jpg"), np.full((SIDE, SIDE, 3), 120, np.uint8))
    monkeypatch.setenv("ARGOS_DATA", str(tmp_path))
    return tmp_path


def test_figures_stand_beside_those_of_the_card(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["eval", "qunet16", "--sheet", str(tmp_path / "sheets"), "--threads", "1"])
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("qunet16@sha256:")
    assert any(line.startswith("pixels_covered") and line.endswith("differs") for line in out)
    assert status == 7, "three photos of noise do not give the figures of the card"
    for name in ("worst", "best"):
        assert cv2.imread(str(tmp_path / "sheets" / f"qunet16_{name}.png")).shape[1] == 1800
    assert main(["eval", "qunet16", "--tolerance", "1", "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measured"].keys() == found["card"].keys()
    assert found["differ"] == []


def test_a_card_with_figures_of_other_photos_is_not_held_against_these(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for suffix in ("safetensors", "json"):
        shutil.copyfile(SHIPPED / f"qunet16.{suffix}", tmp_path / f"mine.{suffix}")
    card = json.loads((tmp_path / "mine.json").read_text()) | {"measured": "the last 20 of the frames of a camera"}
    (tmp_path / "mine.json").write_text(json.dumps(card))
    assert main(["eval", str(tmp_path / "mine.safetensors"), "--json", "--threads", "1"]) == 0
    given = capsys.readouterr()
    assert json.loads(given.out)["card"] == {}
    assert "the figures of its card are of other photos: the last 20 of the frames of a camera" in given.err


def test_each_photo_is_decoded_once(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    plain = PhotoFiles.__init__

    def counting(self: PhotoFiles, decoders: Sequence[Callable[[], Photo]], *rest: int) -> None:
        plain(self, [lambda one=one: (decoded.append(1), one())[1] for one in decoders], *rest)

    monkeypatch.setattr(PhotoFiles, "__init__", counting)
    more = ["--all", "--sheet", str(tmp_path / "sheets"), "--threads", "1", "--tolerance", "1"]
    assert main(["eval", "qunet16", *more]) == 0
    assert len(decoded) == 3


def test_a_detector_is_measured_on_the_photos_with_boxes_too(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(data / "persons", data / "persons_boxes")
    boxes = json.loads((data / "persons_boxes" / "instances_val.json").read_text())
    boxes["images"].append({**boxes["images"][0], "id": 2, "file_name": "half.jpg"})
    image = data / "persons_boxes" / "images" / "one.jpg"
    image.with_name("half.jpg").write_bytes(image.read_bytes()[:-200])
    (data / "persons_boxes" / "boxes_val.json").write_text(json.dumps(boxes))
    assert main(["eval", "ssdisb", "--tolerance", "2", "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measured"].keys() == {"box_ap50", "mask_ap50", "empty_ok"}
    assert found["left_out"] == 1


def test_a_missing_model_and_missing_data_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARGOS_DATA", str(tmp_path))
    assert main(["eval", "nobody"]) == 4
    assert "nobody: no such model" in capsys.readouterr().err
    assert main(["eval", "qunet16"]) != 0
    assert "set ARGOS_DATA" in capsys.readouterr().err


def test_photos_are_judged_and_painted_by_pixel() -> None:
    ids = np.zeros((20, 20), np.uint8)
    ids[:10, :10], ids[:10, 10:] = 1, IGNORE
    photo = Photo(np.zeros((20, 20, 3), np.uint8), ids, np.zeros((0, 4), np.float32), np.zeros(0, np.uint8),
                  np.zeros((0, 4), np.float32), "x", "x.jpg")  # fmt: skip
    found = np.zeros((20, 20), np.bool_)
    found[5:15] = True
    (one,) = judge(lambda _: found, [photo], proposer=False)
    assert one.score == pytest.approx(50 / (100 + 100))  # half of the person, and 100 pixels below
    (covering,) = judge(lambda _: found, [photo], proposer=True)
    assert covering.score == pytest.approx(0.5)
    picture = painted(Judged(photo, found, 0.0))
    for place, colour in (((7, 3), FOUND), ((12, 3), FALSE), ((2, 3), MISSED)):
        assert picture[place].tolist() == [int(0.55 * c) for c in colour]
    assert picture[18, 3].tolist() == [0, 0, 0]


def test_photos_with_boxes_alone_are_measured_by_boxes_alone(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data / "persons" / "instances_val.json"
    document = json.loads(path.read_text())
    del document["annotations"][0]["segmentation"]
    path.write_text(json.dumps(document))
    assert main(["eval", "ssdisb", "--data", f"coco:{path}", "--all", "--json", "--threads", "1"]) == 0
    figures = json.loads(capsys.readouterr().out)["measured"]
    assert figures["bbox_ap50"] == figures["box_ap50"] > 0
    assert not any(name.startswith("segm") for name in figures)


def test_photos_of_ones_own_are_measured_without_the_card(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = f"coco:{data / 'persons' / 'instances_val.json'}"
    assert main(["eval", "ssdisb", "--data", spec, "--all", "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["card"], found["differ"]) == ({}, [])
    assert {"box_ap50", "mask_ap50", "bbox_ap75", "segm_ar_100"} <= found["measured"].keys()
    assert found["measured"]["bbox_ap_small"] == -1, "nobody is that small"
    assert main(["eval", "unet_lite", "--data", spec, "--all", "--json", "--threads", "1"]) == 0
    assert {"iou_persons", "boundary_f"} == json.loads(capsys.readouterr().out)["measured"].keys()
    assert main(["eval", "unet_lite", "--data", "coco:nothing.json"]) == 2
    assert "nothing.json: cannot read the annotations" in capsys.readouterr().err
    image = data / "persons" / "images" / "one.jpg"
    image.write_bytes(image.read_bytes()[:-200])
    more = ["--data", f"coco:{data / 'persons_more' / 'instances_val.json'}", "--threads", "1"]
    assert main(["eval", "qunet16", "--data", spec, *more, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == 1
    assert main(["eval", "qunet16", "--tolerance", "1", "--threads", "1"]) == 0
    assert capsys.readouterr().out.endswith(" 1 pictures that cannot be read; the log names them\n")
    assert main(["eval", "qunet8", *more, "--json"]) == 0
    assert "empty_area" not in json.loads(capsys.readouterr().out)["measured"], "there is no photo without people"
    nobody = ["--data", f"folder:{data / 'backgrounds'}", "--json", "--threads", "1"]
    for model, figure in (("qunet8", "empty_area"), ("asbunet", "empty_ok")):
        assert main(["eval", model, *nobody]) == 0
        assert json.loads(capsys.readouterr().out)["measured"].keys() == {figure}
    assert main(["eval", "unet_lite", "--data", spec]) == 2
    assert "none of the pictures can be read" in capsys.readouterr().err


def test_classes_have_a_sheet_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {"module": "D", "num_classes": 11}
    card = neutral_card("streets", "classes", "essnet_a", arguments, "", "", 1)
    write_model(tmp_path, card, NETWORKS["essnet_a"](**arguments).state_dict(), lambda path, card: {})
    rng = np.random.default_rng(0)
    for folder, shape in (("images", (SIDE, SIDE, 3)), ("labels", (SIDE, SIDE))):
        (tmp_path / folder).mkdir()
        for n in range(3):
            cv2.imwrite(str(tmp_path / folder / f"{n}.png"), rng.integers(0, 12, shape, np.uint8))
    model, spec, sheets = tmp_path / "streets.safetensors", f"camvid:{tmp_path}?labels=classes", tmp_path / "sheets"
    assert main(["eval", str(model), "--data", spec, "--sheet", str(sheets), "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 <= found["measured"]["miou"] <= 1
    assert found["sheets"] == [str(sheets / "streets_worst.png"), str(sheets / "streets_best.png")]
    assert all(cv2.imread(path).shape[1] == 1800 for path in found["sheets"])
    assert main(["eval", str(model), "--data", spec, "--sheet", found["sheets"][0]]) == 6
    assert "streets_worst.png: cannot be written (File exists)" in capsys.readouterr().err
    assert main(["eval", str(model), "--data", f"camvid:{tmp_path}"]) == 2, "pedestrians, not classes"
    assert "label 254, and the network has 11 classes" in capsys.readouterr().err


def test_what_a_run_exports_has_the_figures_of_an_evaluation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rendered people of 640 network pixels: photos with annotations for ``argos eval``, a folder for ``argos run``."""
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    images, people = [], []
    (tmp_path / "images").mkdir()
    film = render(parse_scene("fake://people?n=6&seed=41&size=640x384&fps=1&frames=5"))
    for number, picture in enumerate(film, 1):
        images.append({"id": number, "file_name": f"{number:03d}.png", "height": 384, "width": 640})
        cv2.imwrite(str(tmp_path / "images" / f"{number:03d}.png"), picture.pixels[:, :, ::-1])
        for person in picture.people:
            x0, y0, x1, y1 = person.box
            whole = np.zeros((384, 640), np.uint8, order="F")
            whole[y0:y1, x0:x1] = person.mask
            shape = mask.encode(whole)
            people.append({"id": len(people) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                           "area": int(whole.sum()), "bbox": [x0, y0, x1 - x0, y1 - y0],
                           "segmentation": {"size": shape["size"], "counts": shape["counts"].decode()}})  # fmt: skip
    truth = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))

    assert (
        main(["eval", "ssdisb", "--data", f"coco:{tmp_path / 'truth.json'}", "--all", "--json", "--threads", "1"]) == 0
    )
    evaluated = json.loads(capsys.readouterr().out)["measured"]
    settings = ["camera.tasks=[instances]", "camera.regions.mode=full", "camera.instances.score_threshold=0.05",
                "camera.track.enabled=false", "camera.instances.nms=0.5",
                f"outputs=[{{type: jsonl, path: '{tmp_path}/results.jsonl'}}]"]  # fmt: skip
    assert main(["--quiet", "run", str(tmp_path / "images"), *(part for s in settings for part in ("--set", s))]) == 0
    assert main(["convert", str(tmp_path / "results.jsonl"), "--to", "coco"]) == 0
    known = coco.COCO(str(tmp_path / "truth.json"))
    exported = json.loads((tmp_path / "results.coco.json").read_text())["annotations"]
    for kind in ("bbox", "segm"):
        evaluation = cocoeval.COCOeval(known, known.loadRes(exported), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        ours = [evaluated[f"{kind}_{name}"] for name in ("ap", "ap50", "ap75")]
        np.testing.assert_allclose(evaluation.stats[:3], ours, atol=0.005)
        assert ours[1] > 0.3, "the comparison should be of people who are found"
