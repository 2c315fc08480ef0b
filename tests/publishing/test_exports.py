"""Results in the formats of other tools, read back by those tools or by their rules."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from publishing_results import made_instances, made_result

from argos.cli import main
from argos.publishing.jsonl import JsonlWriter
from argos.types import Result, no_instances

SIZE = (90, 120)


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[Result]]:
    """Three frames: two people, nobody, one person with an id and one without."""
    half = replace(made_instances([[3, 4, 33, 44], [60, 10, 90, 80]], SIZE), ids=np.array([-1, 9]))
    results = [
        made_result(0, index=4),
        made_result(1, index=7, instances=no_instances(SIZE), semantic=None),
        made_result(2, index=9, instances=half),
    ]
    path = tmp_path / "results.jsonl"
    with JsonlWriter(path) as writer:
        for result in results:
            writer.write(result)
    return path, results


def test_coco_is_read_by_pycocotools_with_the_same_masks(written: tuple[Path, list[Result]]) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    path, results = written
    assert main(["convert", str(path), "--to", "coco"]) == 0
    data = coco.COCO(path.with_name("results.coco.json"))
    assert sorted(data.getImgIds()) == [1, 2, 3]
    for image, result in enumerate(results, 1):
        assert result.instances is not None
        found = data.loadAnns(data.getAnnIds(imgIds=[image]))
        assert len(found) == len(result.instances)
        for n, annotation in enumerate(found):
            mask = data.annToMask(annotation)
            np.testing.assert_array_equal(mask.astype(bool), result.instances.full_mask(n))
            assert annotation["area"] == mask.sum()
    assert [a.get("track_id") for a in data.loadAnns(data.getAnnIds(imgIds=[3]))] == [None, 9]
    assert data.loadCats([1])[0]["name"] == "person"


def test_mot_has_a_line_for_everybody_with_an_id(written: tuple[Path, list[Result]], tmp_path: Path) -> None:
    assert main(["convert", str(written[0]), "--to", "mot", "-o", str(tmp_path / "new" / "gt.txt")]) == 0
    lines = [line.split(",") for line in (tmp_path / "new" / "gt.txt").read_text().splitlines()]
    assert {len(line) for line in lines} == {10}
    assert [line[:6] for line in lines if line[0] == "10"] == [["10", "9", "60", "10", "30", "70"]]
    assert {line[0] for line in lines} == {"5", "10"}


def test_ids_go_on_after_a_reconnect(tmp_path: Path) -> None:
    def seen(n: int, epoch: int, *ids: int) -> Result:
        people = made_instances([[3, 4, 33, 44], [60, 10, 90, 80]], SIZE)
        return replace(made_result(n, index=n, instances=replace(people, ids=np.array(ids))), epoch=epoch)

    path = tmp_path / "results.jsonl"
    with JsonlWriter(path) as writer:
        for result in (seen(0, 0, 1, 3), seen(1, 1, -1, 1), seen(2, 1, 2, 1), seen(3, 2, 1, -1)):
            writer.write(result)
    assert main(["convert", str(path), "--to", "mot", "-o", str(tmp_path / "gt.txt")]) == 0
    found = [line.split(",")[:2] for line in (tmp_path / "gt.txt").read_text().splitlines()]
    assert found == [["1", "1"], ["1", "3"], ["2", "4"], ["3", "5"], ["3", "4"], ["4", "6"]]


def test_csv_counts_people_frame_by_frame(written: tuple[Path, list[Result]]) -> None:
    assert main(["convert", str(written[0]), "--to", "csv"]) == 0
    with written[0].with_name("results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["people"]) for row in rows] == [("4", "2"), ("7", "0"), ("9", "2")]
    assert rows[1]["person_share"] == ""
    assert float(rows[0]["person_share"]) > 0


def test_a_pipe_is_written_into_and_a_link_followed(written: tuple[Path, list[Result]], tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link.csv"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "there.csv")
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for out in (pipe, link):
            assert main(["convert", str(written[0]), "--to", "csv", "-o", str(out)]) == 0
        assert os.read(reading, 65536) == (tmp_path / "there.csv").read_bytes() != b""
    finally:
        os.close(reading)
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_outlines_of_yolo_fill_to_the_masks(written: tuple[Path, list[Result]]) -> None:
    path, results = written
    assert main(["convert", str(path), "--to", "yolo-seg"]) == 0
    folder = path.with_name("results_labels")
    assert sorted(file.name for file in folder.iterdir()) == [f"desk_{n:06d}.txt" for n in (4, 7, 9)]
    assert (folder / "desk_000007.txt").read_text() == ""
    people = results[2].instances
    assert people is not None
    for n, line in enumerate((folder / "desk_000009.txt").read_text().splitlines()):
        label, *values = line.split()
        assert label == "0"
        places = np.array(values, float).reshape(-1, 2)
        assert places.min() >= 0
        assert places.max() <= 1
        painted = np.zeros(SIZE, np.uint8)
        cv2.fillPoly(painted, [np.floor(places * [120, 90]).astype(np.int32)], 1)
        mask = people.full_mask(n)
        assert (painted.astype(bool) & mask).sum() / mask.sum() > 0.5
    assert main(["convert", str(path), "--to", "yolo-seg"]) == 6  # the folder exists


def test_what_cannot_be_converted_says_so_and_leaves_nothing(
    written: tuple[Path, list[Result]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = written
    assert main(["convert", str(path.with_name("none.jsonl")), "--to", "csv"]) == 2
    assert "none.jsonl: no such file; argos run with an output of type jsonl" in capsys.readouterr().err
    assert main(["convert", str(path), "--to", "csv", "-o", str(path)]) == 2
    with JsonlWriter(path) as writer:
        writer.write(made_result(0, run="another"))
    before = sorted(path.parent.iterdir())
    assert main(["convert", str(path), "--to", "coco"]) == 6
    assert "results of camera 'desk' are followed by those of another run" in capsys.readouterr().err
    assert sorted(path.parent.iterdir()) == before
