"""Stitching: the inverse of packing, and one instance per person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from argos.packing.pack import pack
from argos.packing.stitch import stitch_instances, stitch_scores
from argos.types import Frame, Instances, PackedBatch, Regions, Size, no_instances

Box = tuple[int, int, int, int]


def frame_of(height: int, width: int, seed: int = 0) -> Frame:
    random = np.random.default_rng(seed)
    return Frame(random.integers(0, 256, (height, width, 3), dtype=np.uint8), f"camera{seed}", 0, 0.0)


def regions_of_boxes(boxes: list[Box], frame_size: Size) -> Regions:
    return Regions(np.array(boxes, np.int32).reshape(-1, 4), np.ones(len(boxes), np.float32), frame_size)


def pack_one(frame: Frame, boxes: list[Box], canvas: Size, *, margin: int, scale: float = 1.0) -> PackedBatch:
    regions = regions_of_boxes(boxes, frame.size)
    return pack([frame], [regions], canvas, scale=scale, margin=margin, gutter=1, max_canvases=4)


def red(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A network whose score is the red of the pixel."""
    return (pixels[..., 0] / np.float32(255)).astype(np.float32)


def instances_of(masks: list[NDArray[np.bool_]], scores: list[float], labels: list[int] | None = None) -> Instances:
    """Instances of whole-picture masks, boxes tight."""
    boxes, cropped = [], []
    for mask in masks:
        ys, xs = np.nonzero(mask)
        x0, y0, x1, y1 = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
        boxes.append((x0, y0, x1, y1))
        cropped.append(mask[y0:y1, x0:x1])
    return Instances(
        np.array(boxes, np.int32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels or [0] * len(masks), np.int32),
        tuple(cropped),
        masks[0].shape if masks else (0, 0),  # type: ignore[arg-type]
    )


def stitch_one(per_canvas: list[Instances], batch: PackedBatch, frame: Frame) -> Instances:
    return stitch_instances(per_canvas, batch.placements, 0, frame.size, nms=0.5, max_people=9)


def seen_on_canvases(batch: PackedBatch, colours: dict[int, float]) -> list[Instances]:
    """A perfect network: each colour of the red channel is one person with the given score, in each rectangle."""
    found = []
    for n, canvas in enumerate(batch.pixels):
        masks, scores = [], []
        for a0, b0, a1, b1 in batch.placements.target[batch.placements.canvas == n]:
            for colour, score in colours.items():
                mask = np.zeros(canvas.shape[:2], np.bool_)
                mask[b0:b1, a0:a1] = canvas[b0:b1, a0:a1, 0] == colour
                if mask.any():
                    masks.append(mask)
                    scores.append(score)
        found.append(instances_of(masks, scores) if masks else no_instances(canvas.shape[:2]))  # type: ignore[arg-type]
    return found


def painted(size: Size, people: dict[int, Box]) -> Frame:
    """A black frame with a rectangle of each colour."""
    pixels = np.zeros((*size, 3), np.uint8)
    for colour, (x0, y0, x1, y1) in people.items():
        pixels[y0:y1, x0:x1, 0] = colour
    return Frame(pixels, "painted", 0, 0.0)


@st.composite
def some_frames(draw: st.DrawFn) -> tuple[list[Frame], list[Regions]]:
    frames, regions = [], []
    for n in range(draw(st.integers(1, 3))):
        height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
        boxes = []
        for _ in range(draw(st.integers(0, 4))):
            x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
            boxes.append((x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))))
        frames.append(frame_of(height, width, n))
        regions.append(regions_of_boxes(boxes, (height, width)))
    return frames, regions


@settings(max_examples=120, deadline=None)
@given(
    some_frames(),
    st.tuples(st.integers(40, 90), st.integers(40, 90)),
    st.integers(0, 6),
    st.integers(0, 3),
)
def test_stitch_undoes_pack(made: tuple[list[Frame], list[Regions]], canvas: Size, margin: int, gutter: int) -> None:
    frames, regions = made
    batch = pack(frames, regions, canvas, scale=1.0, margin=margin, gutter=gutter, max_canvases=1000)
    assert (batch.placements.scale == 1).all()  # nothing here is more than twice a canvas
    for n, frame in enumerate(frames):
        expected = np.zeros(frame.size, np.float32)
        for x0, y0, x1, y1 in regions[n].boxes:
            expected[y0:y1, x0:x1] = red(frame.pixels)[y0:y1, x0:x1]
        stitched = stitch_scores(red(batch.pixels), batch.placements, n, frame.size)
        np.testing.assert_array_equal(stitched, expected)


@pytest.mark.parametrize("scale", [0.5, 0.31, 1.7])
def test_stitched_scores_lie_where_they_were_when_the_scale_is_not_one(scale: float) -> None:
    ramp = np.broadcast_to((np.arange(100) * 2).astype(np.uint8)[None, :, None], (80, 100, 3)).copy()
    frame = Frame(ramp, "ramp", 0, 0.0)
    regions = regions_of_boxes([(20, 10, 90, 60)], frame.size)
    batch = pack([frame], [regions], (128, 128), scale=scale, margin=8, gutter=0, max_canvases=1)
    stitched = stitch_scores(red(batch.pixels), batch.placements, 0, frame.size)
    np.testing.assert_allclose(stitched[10:60, 20:90], red(ramp)[10:60, 20:90], atol=2.5 / 255)
    stitched[10:60, 20:90] = 0
    assert not stitched.any()


def test_larger_score_wins_where_cores_overlap() -> None:
    frame = frame_of(20, 40)
    batch = pack_one(frame, [(0, 0, 20, 20), (10, 0, 30, 20)], (20, 60), margin=0)
    canvases = np.zeros((1, 20, 60), np.float32)
    for target, score in zip(batch.placements.target, (0.3, 0.8), strict=True):
        canvases[0, :, target[0] : target[2]] = score
    stitched = stitch_scores(canvases, batch.placements, 0, frame.size)
    np.testing.assert_array_equal(stitched[0, [0, 9, 10, 29, 30]], np.float32([0.3, 0.3, 0.8, 0.8, 0]))


def test_people_come_back_to_their_frames() -> None:
    people = {50: (10, 10, 20, 40), 90: (60, 20, 70, 50)}
    frames = [painted((60, 100), people), painted((50, 50), {200: (5, 6, 15, 30)})]
    regions = [
        regions_of_boxes([(8, 8, 22, 42), (58, 18, 72, 52)], (60, 100)),
        regions_of_boxes([(0, 0, 20, 40)], (50, 50)),
    ]
    batch = pack(frames, regions, (64, 64), scale=1.0, margin=3, gutter=2, max_canvases=2)
    seen = seen_on_canvases(batch, {50: 0.6, 90: 0.9, 200: 0.7})
    first = stitch_instances(seen, batch.placements, 0, (60, 100), nms=0.5, max_people=10)
    assert first.boxes.tolist() == [[60, 20, 70, 50], [10, 10, 20, 40]]
    assert first.scores.tolist() == pytest.approx([0.9, 0.6])
    assert first.size == (60, 100)
    np.testing.assert_array_equal(first.full_mask(1), frames[0].pixels[..., 0] == 50)
    second = stitch_instances(seen, batch.placements, 1, (50, 50), nms=0.5, max_people=10)
    assert second.boxes.tolist() == [[5, 6, 15, 30]]
    only = stitch_instances(seen, batch.placements, 0, (60, 100), nms=0.5, max_people=1)
    assert only.scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("scale", [0.5, 0.37, 1.9])
def test_masks_are_resized_where_the_scale_is_not_one(scale: float) -> None:
    ys, xs = np.indices((100, 100))
    disc = (xs - 47.3) ** 2 + (ys - 52.1) ** 2 < 30**2
    pixels = np.where(disc[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    batch = pack_one(Frame(pixels, "disc", 0, 0.0), [(10, 12, 90, 95)], (200, 200), scale=scale, margin=4)
    seen = [instances_of([batch.pixels[0, ..., 0] > 127], [0.8])]
    # grey around the rectangle is below 127, so the disc alone is on
    person = stitch_instances(seen, batch.placements, 0, (100, 100), nms=0.5, max_people=5)
    back = person.full_mask(0)
    assert (back & disc).sum() / (back | disc).sum() > 0.95
    x0, y0, x1, y1 = person.boxes[0]
    assert abs(np.array([x0, y0, x1, y1]) - [18, 23, 78, 83]).max() <= 3


@pytest.mark.parametrize("margin", [0, 6, 16])
def test_person_cut_by_a_seam_is_joined(margin: int) -> None:
    frame = painted((60, 160), {80: (40, 10, 110, 50)})
    batch = pack_one(frame, [(20, 0, 130, 60)], (80, 90), margin=margin)
    assert len(batch.placements) == 2
    joined = stitch_one(seen_on_canvases(batch, {80: 0.7}), batch, frame)
    assert len(joined) == 1
    np.testing.assert_array_equal(joined.full_mask(0), frame.pixels[..., 0] == 80)


@pytest.mark.parametrize("scores", [(0.9, 0.8, 0.7), (0.9, 0.7, 0.8), (0.9, 0.9, 0.9), (0.7, 0.9, 0.8)])
def test_person_in_three_tiles_is_one_whichever_is_seen_best(scores: tuple[float, ...]) -> None:
    frame = painted((760, 240), {80: (80, 30, 160, 730)})
    batch = pack_one(frame, [(20, 20, 220, 738)], (384, 640), margin=16)
    assert len(batch.placements) == 3
    parts: dict[int, list[tuple[NDArray[np.bool_], float]]] = {n: [] for n in range(len(batch.pixels))}
    for n, score in enumerate(scores):
        _, y0, _, y1 = batch.placements.source[n].tolist()
        part = on_canvas(batch, n, (80, max(30, y0), 160, min(730, y1)))
        parts[int(batch.placements.canvas[n])].append((part, score))
    seen = [instances_of([mask for mask, _ in found], [score for _, score in found]) for found in parts.values()]
    stitched = stitch_one(seen, batch, frame)
    assert stitched.boxes.tolist() == [[80, 30, 160, 730]]
    assert stitched.scores.tolist() == pytest.approx([0.9])


def test_two_people_at_a_seam_stay_two() -> None:
    people = {80: (40, 0, 76, 30), 120: (74, 34, 110, 60)}  # one ends right of the seam at 75, one begins left of it
    frame = painted((60, 160), people)
    batch = pack_one(frame, [(20, 0, 130, 60)], (80, 90), margin=8)
    seen = seen_on_canvases(batch, {80: 0.7, 120: 0.6})
    assert sum(len(canvas) for canvas in seen) == 4  # each tile sees a bit of both
    stitched = stitch_one(seen, batch, frame)
    assert stitched.boxes.tolist() == [[40, 0, 76, 30], [74, 34, 110, 60]]


def two_views() -> tuple[PackedBatch, Frame]:
    """Two regions whose margins share the columns 34..66 of the frame."""
    frame = frame_of(60, 100)
    return pack_one(frame, [(10, 0, 50, 60), (50, 0, 90, 60)], (60, 140), margin=16), frame


def on_canvas(batch: PackedBatch, n: int, box: Box) -> NDArray[np.bool_]:
    """A rectangle of the frame as seen in rectangle ``n``."""
    dx, dy = (batch.placements.target[n, :2] - batch.placements.source[n, :2]).tolist()
    mask = np.zeros(batch.pixels.shape[1:3], np.bool_)
    mask[box[1] + dy : box[3] + dy, box[0] + dx : box[2] + dx] = True
    return mask


def test_person_seen_whole_by_two_rectangles_is_kept_once_with_the_higher_score() -> None:
    batch, frame = two_views()
    seen = instances_of([on_canvas(batch, 0, (45, 10, 55, 40)), on_canvas(batch, 1, (44, 10, 55, 41))], [0.6, 0.9])
    stitched = stitch_one([seen], batch, frame)
    assert stitched.boxes.tolist() == [[44, 10, 55, 41]]
    assert stitched.scores.tolist() == pytest.approx([0.9])


def test_people_who_overlap_little_or_have_other_labels_stay_apart() -> None:
    batch, frame = two_views()
    masks = [on_canvas(batch, 0, (42, 10, 50, 40)), on_canvas(batch, 1, (49, 10, 58, 40))]
    stitched = stitch_one([instances_of(masks, [0.6, 0.9])], batch, frame)
    assert len(stitched) == 2
    same = [on_canvas(batch, 0, (45, 10, 55, 40)), on_canvas(batch, 1, (45, 10, 55, 40))]
    stitched = stitch_one([instances_of(same, [0.6, 0.9], [0, 1])], batch, frame)
    assert stitched.labels.tolist() == [1, 0]


def test_overlap_within_one_rectangle_is_the_business_of_the_network() -> None:
    batch, frame = two_views()
    masks = [on_canvas(batch, 0, (15, 10, 30, 40)), on_canvas(batch, 0, (16, 10, 30, 40))]
    stitched = stitch_one([instances_of(masks, [0.6, 0.9])], batch, frame)
    assert len(stitched) == 2


def test_instance_outside_every_rectangle_is_dropped_and_one_across_the_edge_is_cut() -> None:
    frame = frame_of(40, 40)
    batch = pack_one(frame, [(10, 10, 30, 30)], (40, 40), margin=0)
    outside, across = np.zeros((2, 40, 40), np.bool_)
    outside[24:34, 24:34] = True
    across[5:15, 12:26] = True  # the rectangle ends at 20
    stitched = stitch_one([instances_of([outside, across], [0.9, 0.8])], batch, frame)
    assert stitched.boxes.tolist() == [[22, 15, 30, 25]]
    assert stitched.masks[0].all()


def test_nothing_packed_gives_no_people() -> None:
    frame = frame_of(10, 10)
    batch = pack_one(frame, [], (16, 16), margin=0)
    assert len(stitch_instances([], batch.placements, 0, frame.size, nms=0.5, max_people=9)) == 0
    assert not stitch_scores(np.zeros((0, 16, 16), np.float32), batch.placements, 0, frame.size).any()


@settings(max_examples=60, deadline=None)
@given(some_frames(), st.sampled_from([1.0, 0.4, 1.5]), st.integers(0, 8), st.integers(0, 2**31))
def test_stitched_masks_stay_in_the_frame_and_order_is_by_score(
    made: tuple[list[Frame], list[Regions]], scale: float, margin: int, seed: int
) -> None:
    frames, regions = made
    batch = pack(frames, regions, (40, 40), scale=scale, margin=margin, gutter=1, max_canvases=3)
    random = np.random.default_rng(seed)
    seen = []
    for _ in batch.pixels:
        corners = random.integers(0, 39, (6, 2))
        ends = np.minimum(corners + random.integers(1, 30, (6, 2)), 40)
        boxes = np.concatenate([corners, ends], axis=1).astype(np.int32)
        masks = tuple(random.random((y1 - y0, x1 - x0)) < 0.6 for x0, y0, x1, y1 in boxes)
        seen.append(Instances(boxes, random.random(6, np.float32), np.zeros(6, np.int32), masks, (40, 40)))
    for n, frame in enumerate(frames):
        stitched = stitch_instances(seen, batch.placements, n, frame.size, nms=0.5, max_people=4)
        assert len(stitched) <= 4
        assert (stitched.boxes[:, :2] >= 0).all()
        assert (stitched.boxes[:, 2:] <= [frame.size[1], frame.size[0]]).all()
        assert (np.diff(stitched.scores) <= 0).all()
        assert all(mask.any() for mask in stitched.masks)
        reachable = np.zeros(frame.size, np.bool_)
        for x0, y0, x1, y1 in batch.placements.source[batch.placements.frame == n]:
            reachable[y0:y1, x0:x1] = True
        assert not (stitched.union() & ~reachable).any()
