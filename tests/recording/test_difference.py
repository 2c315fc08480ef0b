"""Two runs told apart: results changed by hand, and the frames that are then named."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from publishing_results import made_instances, made_result

from argos.cli import main
from argos.errors import SchemaError, UsageError
from argos.publishing.jsonl import result_line
from argos.recording.difference import change, contents_of, mask_iou, paired
from argos.types import Instances, Result, SemanticMask, no_instances


def run_of(frames: int = 6, **changes: object) -> list[Result]:
    return [made_result(seq, **changes) for seq in range(frames)]


def written(path: Path, results: Sequence[Result]) -> str:
    path.write_bytes(b"".join(map(result_line, results)))
    return str(path)


def without(people: Instances, n: int) -> Instances:
    keep = [i for i in range(len(people)) if i != n]
    masks = tuple(people.masks[i] for i in keep)
    return Instances(people.boxes[keep], people.scores[keep], people.labels[keep], masks, people.size, people.ids[keep])


def with_mask(people: Instances, n: int, rows: int) -> Instances:
    """Person ``n`` without the upper rows of its mask."""
    masks = list(people.masks)
    masks[n] = masks[n].copy()
    masks[n][:rows] = False
    return replace(people, masks=tuple(masks))


def diff(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["diff", *arguments])
    return status, capsys.readouterr().out


def test_the_same_results_of_another_run_are_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = written(tmp_path / "a.jsonl", run_of(epoch=3))
    b = written(tmp_path / "b.jsonl", run_of(run="another", epoch=0, captured_ns=5))
    status, out = diff(capsys, a, b, "--iou", "1")
    assert status == 0
    assert "6 frames compared, 0 changed (0.0%)" in out
    assert "config: sha256:cc in both" in out


def test_changed_frames_are_named_with_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = run_of(), run_of(run="new", config="sha256:dd", models={"instances": "ssd_isb@sha256:ff"})
    people = [result.instances for result in before]
    assert all(found is not None for found in people)
    after[1] = replace(after[1], instances=without(people[1], 0))  # type: ignore[arg-type]
    after[2] = replace(after[2], instances=with_mask(people[2], 1, 30))  # type: ignore[arg-type]
    before[4] = replace(before[4], instances=no_instances((90, 120)))
    status, out = diff(capsys, written(tmp_path / "a.jsonl", before), written(tmp_path / "b.jsonl", after))
    assert status == 7
    lines = out.splitlines()
    assert lines[0] == "desk frame 5 at 0.067 s: 1 vanished at [11, 20, 41, 80]"
    assert lines[1].startswith("desk frame 7 at 0.133 s: masks changed: IoU 0.")
    assert lines[2] == "desk frame 11 at 0.267 s: 2 appeared at [14, 20, 44, 80] [70, 15, 101, 77]"
    assert lines[3] == "6 frames compared, 3 changed (50.0%): 1 masks, 2 people appeared, 1 vanished"
    assert "instances: A ssd_isb@sha256:aa, B ssd_isb@sha256:ff" in lines
    assert "semantic: A asbunet@sha256:bb, B none" in lines
    assert lines[-1] == "config: A sha256:cc, B sha256:dd"


def test_json_holds_every_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    after = [replace(result, instances=no_instances((90, 120))) for result in run_of()]
    a, b = written(tmp_path / "a.jsonl", run_of()), written(tmp_path / "b.jsonl", after)
    status, out = diff(capsys, a, b, "--json", "--limit", "1")
    report = json.loads(out)
    assert (status, report["changed"], report["people_vanished"]) == (7, 6, 12)
    assert [found["index"] for found in report["changes"]] == [3, 5, 7, 9, 11, 13]
    assert diff(capsys, a, b, "--limit", "1")[1].splitlines()[1] == "... and 5 more (--limit)"


@pytest.mark.parametrize(
    ("rows", "iou", "changes"), [(1, 1.0, True), (1, 0.9, False), (30, 0.9, True), (0, 1.0, False)]
)
def test_the_threshold_is_an_iou(rows: int, iou: float, changes: bool) -> None:
    one = made_result(0, semantic=None)
    assert one.instances is not None
    mask = one.instances.masks[0]
    other = replace(one, instances=with_mask(one.instances, 0, rows))
    found = change(one, other, iou)
    assert (found is not None) == changes
    if found is not None:
        assert found.changed == (pytest.approx(mask[rows:].sum() / mask.sum()),)


def test_people_in_another_order_are_the_same() -> None:
    boxes = [[10, 20, 40, 80], [70, 15, 101, 77]]
    one = made_instances(boxes, (90, 120))
    turned = Instances(one.boxes[::-1].copy(), one.scores, one.labels, one.masks[::-1], one.size, one.ids)
    result = made_result(0, instances=one)
    assert change(result, replace(result, instances=turned), 1.0) is None


def test_the_person_mask_counts_too() -> None:
    one = made_result(0, instances=None)
    assert one.semantic is not None
    less = one.semantic.mask.copy()
    less[:45] = False
    found = change(one, replace(one, semantic=SemanticMask(less)), 0.95)
    assert found is not None
    assert found.semantic == pytest.approx(less.sum() / one.semantic.mask.sum())
    assert mask_iou(np.zeros((2, 2), np.bool_), np.zeros((2, 2), np.bool_)) == 1.0


def test_a_missing_task_and_another_size_are_said() -> None:
    one = made_result(0)
    found = change(one, replace(one, semantic=None), 0.5)
    assert found is not None
    assert found.other == "task semantic only in A"
    found = change(one, replace(one, size=(45, 60)), 0.5)
    assert found is not None
    assert found.other == "size 120x90 became 60x45"


def test_frames_of_one_side_are_counted_and_reconnects_stay_apart(tmp_path: Path) -> None:
    live = [*run_of(4, epoch=2), *run_of(3, epoch=3), *run_of(2, run="later", epoch=0)]
    again = [*run_of(5, epoch=0), *run_of(3, epoch=1)[1:], *run_of(2, epoch=2)]
    shifted = [replace(result, pts_s=result.pts_s + 0.0009) for result in again]
    written(tmp_path / "a.jsonl", live)
    written(tmp_path / "b.jsonl", shifted)
    pairs = list(paired(contents_of(tmp_path / "a.jsonl"), contents_of(tmp_path / "b.jsonl")))
    assert [n for _, n, one, other in pairs if one and other] == [0] * 4 + [1] * 2 + [2] * 2
    assert [(n, one is None) for _, n, one, other in pairs if not (one and other)] == [(0, True), (1, False)]
    assert all(one.index == other.index for _, _, one, other in pairs if one and other)


def test_a_camera_that_one_side_lacks_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [replace(result, camera=name) for name in ("door", "yard") for result in run_of(3)]
    a, b = written(tmp_path / "a.jsonl", both), written(tmp_path / "b.jsonl", both[:3])
    assert "0 frames only in A, 0 only in B" in diff(capsys, b, b)[1]
    assert "3 frames only in A, 0 only in B" in diff(capsys, a, b)[1]
    assert "0 frames only in A, 3 only in B" in diff(capsys, b, a)[1]


def test_nothing_in_common_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = written(tmp_path / "a.jsonl", run_of(2))
    b = written(tmp_path / "b.jsonl", [replace(result, pts_s=99.0 + result.seq) for result in run_of(2)])
    status, out = diff(capsys, a, b)
    assert status == 7
    assert out.startswith("0 frames compared, 0 changed; is B a run over the same pictures as A?")
    assert "2 frames only in A, 2 only in B" in out


def test_unfinished_lines_are_left_out_and_wrong_files_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = written(tmp_path / "a.jsonl", run_of(2))
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(Path(a).read_bytes() + result_line(made_result(2))[:100])
    status, out = diff(capsys, a, str(cut))
    assert status == 0
    assert "unfinished lines left out: 0 in A, 1 in B" in out
    (tmp_path / "other.jsonl").write_bytes(b'{"a": 1}\n')
    with pytest.raises(SchemaError, match=r"other\.jsonl:1: "):
        contents_of(tmp_path / "other.jsonl")
    with pytest.raises(UsageError, match=r"gone\.jsonl: no results there; give a \.jsonl file"):
        contents_of(tmp_path / "gone.jsonl")
    two = [*run_of(1), *run_of(1, camera="gate")]
    with pytest.raises(UsageError, match="no camera in common: A has desk, gate; B has door"):
        list(paired(contents_of(Path(written(tmp_path / "two.jsonl", two))),
                    contents_of(Path(written(tmp_path / "door.jsonl", run_of(1, camera="door"))))))  # fmt: skip
