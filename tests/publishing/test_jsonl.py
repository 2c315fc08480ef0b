from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from publishing_results import assert_same, made_instances, made_result
from pycocotools import mask as coco

from argos.errors import PublishError, SchemaError
from argos.publishing.jsonl import JsonlWriter, read_jsonl, result_line
from argos.types import no_instances


def test_what_was_written_is_read(tmp_path: Path) -> None:
    results = [
        made_result(0),
        made_result(1, instances=None, semantic=None, pts=None),
        made_result(2, instances=no_instances((90, 120))),
        made_result(3, instances=made_instances([[0, 0, 120, 90], [4, 4, 4, 9]], (90, 120), tracked=False)),
    ]
    path = tmp_path / "new" / "results.jsonl"
    with JsonlWriter(path) as writer:
        for n, result in enumerate(results, 1):
            writer.write(result)
            assert path.read_bytes().count(b"\n") == n  # nothing waits in a buffer
    for read, written in zip(read_jsonl(path), results, strict=True):
        assert_same(read, written)


def test_a_line_is_read_by_pycocotools_as_it_stands() -> None:
    result = made_result()
    line = json.loads(result_line(result))
    assert np.array_equal(coco.decode(line["semantic"]["rle"]).astype(bool), result.semantic.mask)
    person = line["instances"][1]
    assert np.array_equal(coco.decode(person["mask"]["rle"]).astype(bool), result.instances.masks[1])
    assert person["mask"]["crop"] == person["box"]


def test_every_cut_of_the_last_line_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first, second = result_line(made_result(0)), result_line(made_result(1))
    for cut in [1, 2, 30, len(second) // 2, len(second) - 2]:
        path.write_bytes(first + second[:cut])
        reader = read_jsonl(path)
        assert [result.seq for result in reader] == [0]
        assert reader.skipped == 1
    path.write_bytes(first + second[:-1])  # only the end of line is missing: the result is whole
    assert [result.seq for result in read_jsonl(path)] == [0, 1]


def test_the_next_run_appends_after_an_unfinished_line(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(result_line(made_result(0)) + result_line(made_result(1))[:100])
    with JsonlWriter(path) as writer:
        writer.write(made_result(2))
    reader = read_jsonl(path)
    assert [result.seq for result in reader] == [0, 2]
    assert reader.skipped == 1


@pytest.mark.parametrize("line", ['{"schema":"argos.result/1.0"}\n', "hello\n", "[1]\n", '{"schema":"coco"}\n'])
def test_a_whole_line_that_is_no_result_names_file_and_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(result_line(made_result(0)) + line.encode())
    with pytest.raises(SchemaError, match=r"results\.jsonl:2: .*; lines of an output of type jsonl are wanted"):
        list(read_jsonl(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_names_the_file_and_the_remedy() -> None:
    with JsonlWriter("/dev/full") as writer, pytest.raises(PublishError, match=r"^/dev/full: cannot write \(No space"):
        writer.write(made_result())


@pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")
def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"cannot be opened for writing \(Is a directory\)") as caught:
        JsonlWriter(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_code == 6
