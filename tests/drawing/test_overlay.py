"""Drawing results: what is tinted, what is left alone, and that everything stays in the picture."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from argos.drawing.contact_sheet import contact_sheet
from argos.drawing.overlay import PALETTE, SEMANTIC, colour_of, legend_of, overlay
from argos.drawing.text import text_size, text_style
from argos.types import Instances, Regions, Result, SemanticMask, Size

SIZE: Size = (240, 320)


def people(*boxes: tuple[int, int, int, int], ids: tuple[int, ...] = (), size: Size = SIZE) -> Instances:
    n = len(boxes)
    masks = tuple(np.ones((y1 - y0, x1 - x0), np.bool_) for x0, y0, x1, y1 in boxes)
    return Instances(
        np.array(boxes, np.int32).reshape(-1, 4),
        np.full(n, 0.87, np.float32),
        np.zeros(n, np.int32),
        masks,
        size,
        np.array(ids, np.int64),
    )


def regions(*boxes: tuple[int, int, int, int], size: Size = SIZE) -> Regions:
    return Regions(np.array(boxes, np.int32).reshape(-1, 4), np.ones(len(boxes), np.float32), size)


def result(
    instances: Instances | None = None,
    semantic: NDArray[np.bool_] | None = None,
    proposed: Regions | None = None,
    size: Size = SIZE,
) -> Result:
    return Result(
        camera="desk", epoch=0, seq=0, index=0, pts=None, time_base=(1, 1000), pts_s=0.0, captured_ns=0, clock="file",
        run="run", size=size, mode="pack", regions=proposed or regions(size=size), instances=instances,
        semantic=None if semantic is None else SemanticMask(semantic), deep_share=0.18,
        spans_ms={"propose": 4.0, "segment": 21.0}, dropped={}, models={},
    )  # fmt: skip


def grey(size: Size = SIZE) -> NDArray[np.uint8]:
    return np.full((*size, 3), 100, np.uint8)


def changed(drawn: NDArray[np.uint8]) -> NDArray[np.bool_]:
    different: NDArray[np.bool_] = (drawn != 100).any(axis=2)
    return different


def test_image_is_left_as_it_is() -> None:
    image = grey()
    image.setflags(write=False)
    drawn = overlay(image, result(people((50, 60, 90, 160))))
    assert changed(drawn).any()
    assert (image == 100).all()


def test_empty_result_without_legend_is_the_image() -> None:
    assert not changed(overlay(grey(), result(people()), legend=False)).any()
    assert changed(overlay(grey(), result(people()))).any()


def test_mask_is_tinted_in_the_colour_of_the_person() -> None:
    drawn = overlay(grey(), result(people((50, 60, 90, 160), (150, 60, 190, 160))), legend=False)
    for x, n in ((70, 0), (170, 1)):
        np.testing.assert_allclose(drawn[110, x], 100 * 0.55 + np.array(PALETTE[n]) * 0.45, atol=1)
    assert not changed(drawn)[170:].any()


def test_colour_follows_the_track_id() -> None:
    first = overlay(grey(), result(people((50, 60, 90, 160), (150, 60, 190, 160), ids=(7, 4))), legend=False)
    later = overlay(grey(), result(people((150, 60, 190, 160), (50, 60, 90, 160), ids=(4, 7))), legend=False)
    np.testing.assert_array_equal(first[110, [70, 170]], later[110, [70, 170]])
    assert colour_of(7) != colour_of(4)
    assert colour_of(0) == colour_of(len(PALETTE))


def test_semantic_mask_is_tinted_outside_people_only() -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[60:160, 50:200] = True
    both = overlay(grey(), result(people((50, 60, 90, 160)), mask), legend=False)
    alone = overlay(grey(), result(people((50, 60, 90, 160))), legend=False)
    np.testing.assert_array_equal(both[110, 70], alone[110, 70])
    np.testing.assert_allclose(both[110, 150], 100 * 0.65 + np.array(SEMANTIC) * 0.35, atol=1)


def test_regions_are_dashed_and_can_be_left_out() -> None:
    found = result(people(), proposed=regions((40, 50, 140, 150)))
    edge = changed(overlay(grey(), found, legend=False))
    assert 0.3 < edge[50, 40:140].mean() < 0.7
    assert 0.3 < edge[50:150, 139].mean() < 0.7
    edge[[50, 149], 40:140] = False
    edge[50:150, [40, 139]] = False
    assert not edge.any()
    assert not changed(overlay(grey(), found, regions=False, legend=False)).any()
    full = dataclasses.replace(found, mode="full")
    assert not changed(overlay(grey(), full, legend=False)).any()


@pytest.mark.parametrize("size", [(180, 320), (1080, 1920), (17, 23), (3, 3)])
def test_people_at_every_edge_are_drawn_in_pictures_of_any_size(size: Size) -> None:
    h, w = size
    boxes = ((0, 0, w // 3, h // 3), (w - w // 3, 0, w, h), (0, h - h // 3, w // 3, h), (0, 0, w, h))
    mask = np.ones(size, np.bool_)
    drawn = overlay(grey(size), result(people(*boxes, size=size), mask, regions(*boxes, size=size), size))
    assert drawn.shape == (h, w, 3)
    assert drawn.dtype == np.uint8
    assert changed(drawn).all()


def test_label_stays_in_the_picture_and_covers_no_other_label() -> None:
    box = (10, 60, 130, 160)
    one = changed(overlay(grey(), result(people(box)), legend=False))
    label_height = text_size("person 87 %", text_style(SIZE))[0]
    assert one[60 - label_height : 60, 10:60].all()
    two = changed(overlay(grey(), result(people(box, box)), legend=False))
    assert not two[: 60 - label_height].any()
    assert not two[170:].any()
    at_top = changed(overlay(grey(), result(people((200, 0, 320, 50))), legend=False))
    assert not at_top[:, :199].any()


def test_legend_says_mode_people_share_and_time() -> None:
    mask = np.zeros(SIZE, np.bool_)
    mask[:24] = True
    assert legend_of(result(people((0, 0, 9, 9)))) == ["pack", "1 person", "18 % computed", "25 ms"]
    assert legend_of(result(None, mask)) == ["pack", "10 % person", "18 % computed", "25 ms"]
    spans = {"propose": 4.0, "segment": 21.0, "total": 8.25}
    timed = dataclasses.replace(result(people()), spans_ms=spans, deep_share=0.0123)
    assert legend_of(timed) == ["pack", "0 people", "1.2 % computed", "8.2 ms"]


def test_legend_wraps_in_a_narrow_picture() -> None:
    narrow = changed(overlay(grey((240, 120)), result(people(size=(240, 120)), size=(240, 120))))
    wide = changed(overlay(grey(), result(people())))
    assert narrow.any(axis=1).sum() > 1.5 * wide.any(axis=1).sum()
    assert not narrow[:, -3:].any()


def test_a_notebook_shows_the_picture_of_a_result() -> None:
    drawn = dataclasses.replace(result(people((40, 40, 80, 120))), image=grey())
    data = drawn._repr_png_()
    assert data is not None
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert (picture[:, :, ::-1] == drawn.plot()).all()
    assert result()._repr_png_() is None  # received from a subscriber


def test_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected the picture of the result, \(240, 320, 3\), got \(120, 160, 3\)"):
        overlay(grey((120, 160)), result(people()))


def test_contact_sheet_lays_out_rows_and_labels() -> None:
    red, blue = grey((60, 80)), grey((30, 90))
    red[:], blue[:] = (250, 0, 0), (0, 0, 250)
    sheet = contact_sheet([red, blue, red], ["one", "", ""], columns=2, width=2 * 80 + 12)
    assert sheet.shape == (4 + 64 + 64, 172, 3)
    assert sheet[4 + 30, 4 + 60].tolist() == [250, 0, 0]
    assert sheet[4 + 30, 88 + 40].tolist() == [0, 0, 250]
    assert sheet[4 + 5, 88 + 40].tolist() == [24, 24, 24]  # above the flat picture
    assert sheet[4 + 64 + 30, 4 + 40].tolist() == [250, 0, 0]
    assert (sheet[4 + 64 :, 88:] == 24).all()
    assert (sheet[4:14, 4:40] != [250, 0, 0]).any()  # its label
    assert (sheet[4 + 64 : 14 + 64, 4:84] == [250, 0, 0]).all()


def test_contact_sheet_refuses_nothing_and_too_many_columns() -> None:
    with pytest.raises(ValueError, match="expected pictures and as many labels, got 1 and 2"):
        contact_sheet([grey()], ["a", "b"], 1, 100)
    with pytest.raises(ValueError, match="a sheet of 50 pixels is too narrow for 10 columns"):
        contact_sheet([grey()], ["a"], 10, 50)
