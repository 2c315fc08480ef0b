"""The line gives the same people whichever way it runs, where the ways have to agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from argos.engines.block_held import Held
from argos.engines.dense import InstanceSegmenter, SemanticSegmenter
from argos.engines.gather import SparseSemantic
from argos.engines.sparse import DENSE_ABOVE, SparseNetwork
from argos.networks.asbunet import asbunet
from argos.networks.qunet import qunet
from argos.networks.ssd_isb import SSDISB, person_isb
from argos.packing.limits import InstanceLimits, SemanticLimits, limited
from argos.packing.pack import paste
from argos.packing.planner import GATHERED
from argos.pipelines import people as people_module
from argos.pipelines.people import People
from argos.pipelines.views import Analysis, Canvas, View
from argos.propose.qunet import QUNetProposer
from argos.types import Frame, Instances, PackedBatch, Placements, RegionMask

VIEW = View(
    mode="full",
    proposal_threshold=0.0,  # everything is proposed
    dilation=0,
    min_area=0.0,
    margin=0,
    semantic=SemanticLimits(0.5),
    instances=InstanceLimits(score_threshold=0.3, nms=0.5, max_people=20),
    scale=1.0,
)
EMPTY = replace(VIEW, proposal_threshold=2.0)


@pytest.fixture(scope="module")
def people() -> People:
    """The line with networks of random weights: what they find is nonsense, but the same nonsense each time."""
    torch.manual_seed(0)
    detector = person_isb()
    assert isinstance(detector, SSDISB)
    for head in detector.class_heads:
        torch.nn.init.normal_(head.weight, std=0.2)
    return People(
        QUNetProposer(qunet(8), size=96),
        SemanticSegmenter(asbunet().eval()),
        InstanceSegmenter(detector.eval(), score_threshold=0.3, nms=0.5),
        Canvas((96, 128), 2, 8),
    )


def frame(seed: int = 0, size: tuple[int, int] = (96, 128), camera: str = "a") -> Frame:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    return Frame(pixels, camera, 0, 0.0)


def one(people: People, view: View, refresh: bool = False) -> Analysis:
    return people.step([frame()], [view], [refresh])[0]


def assert_same(a: Analysis, b: Analysis) -> None:
    assert a.semantic is not None
    assert b.semantic is not None
    np.testing.assert_array_equal(a.semantic.mask, b.semantic.mask)
    assert a.instances is not None
    assert b.instances is not None
    np.testing.assert_array_equal(a.instances.boxes, b.instances.boxes)
    np.testing.assert_allclose(a.instances.scores, b.instances.scores, atol=1e-4)
    np.testing.assert_array_equal(a.instances.union(), b.instances.union())


def test_full_finds_something_to_compare(people: People) -> None:
    full = one(people, VIEW)
    assert full.instances is not None
    assert len(full.instances) > 0
    assert full.semantic is not None
    assert 0 < full.semantic.area < 1


def test_packing_the_whole_frame_onto_one_canvas_is_full(people: People) -> None:
    packed = one(people, replace(VIEW, mode="pack"))
    assert packed.mode == "pack"
    assert packed.deep_share == pytest.approx(1.0)
    assert_same(packed, one(people, VIEW))


def test_masking_nothing_is_full(people: People) -> None:
    assert_same(one(people, replace(VIEW, mode="mask")), one(people, VIEW))


def test_gathering_more_than_pays_is_a_full_frame(people: People) -> None:
    """By the program that runs full frames, under their name; nothing is left in place for the next."""
    gathered = one(people, replace(VIEW, mode="gather"))
    assert gathered.mode == "full"
    assert gathered.deep_share == 1.0
    assert_same(gathered, one(people, VIEW))


def test_the_planner_offers_gather_as_far_as_the_engine_runs_it() -> None:
    """Neither floor may import the other, so each has the number."""
    assert GATHERED == DENSE_ABOVE


def test_gathering_every_block_finds_what_full_does(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SparseNetwork, "pays", lambda network, active: True)
    line = People(people.proposer, people.semantic, people.instances, people.canvas)
    gathered, full = one(line, replace(VIEW, mode="gather")), one(people, VIEW)
    assert gathered.mode == "gather"
    assert gathered.deep_share == pytest.approx(1.0, abs=0.01)
    assert gathered.semantic is not None
    assert full.semantic is not None
    assert (gathered.semantic.mask == full.semantic.mask).mean() > 0.999
    assert gathered.instances is not None
    assert full.instances is not None
    assert len(gathered.instances) == len(full.instances)
    np.testing.assert_allclose(gathered.instances.scores, full.instances.scores, atol=1e-3)


@pytest.mark.parametrize("mode", ["pack", "gather", "mask", "auto"])
def test_nothing_proposed_is_an_empty_result(people: People, mode: str) -> None:
    analysis = one(people, replace(EMPTY, mode=mode))
    assert analysis.mode == "skip"
    assert analysis.deep_share == 0
    assert analysis.instances is not None
    assert len(analysis.instances) == 0
    assert analysis.semantic is not None
    assert analysis.semantic.area == 0


@pytest.mark.parametrize(("scale", "margin", "context"), [(0.5, None, 32), (2.0, None, 8), (0.5, 5, 5)])
def test_regions_come_with_as_much_context_as_the_network_is_used_to(
    scale: float, margin: int | None, context: int
) -> None:
    assert replace(VIEW, margin=margin).margin_at(scale) == context


def test_a_refresh_computes_the_full_frame_whatever_the_mode(people: People) -> None:
    analysis = one(people, replace(EMPTY, mode="pack"), refresh=True)
    assert analysis.mode == "full"
    assert_same(analysis, one(people, VIEW))


def test_two_cameras_share_canvases_and_keep_their_own_people(people: People) -> None:
    frames = [frame(1, camera="a"), frame(2, camera="b")]
    view = replace(VIEW, mode="pack")
    together = people.step(frames, [view, view], [False, False])
    alone = [people.step([f], [view], [False])[0] for f in frames]
    for a, b in zip(together, alone, strict=True):
        assert_same(a, b)
        assert a.deep_share == pytest.approx(b.deep_share)


def test_a_task_that_is_off_gives_none(people: People) -> None:
    analysis = one(people, replace(VIEW, semantic=None))
    assert analysis.semantic is None
    assert analysis.instances is not None


def test_a_stricter_camera_keeps_fewer_people(people: People) -> None:
    assert VIEW.instances is not None
    loose = one(people, VIEW)
    strict = one(people, replace(VIEW, instances=replace(VIEW.instances, max_people=1)))
    assert loose.instances is not None
    assert strict.instances is not None
    assert len(strict.instances) == 1
    assert strict.instances.scores[0] == loose.instances.scores[0]


def test_every_millisecond_has_a_stage(people: People) -> None:
    assert set(one(people, replace(VIEW, mode="pack")).spans_ms) == {"propose", "plan", "pack", "segment", "stitch"}


def test_cameras_of_different_size_share_one_plan_and_one_pack(people: People) -> None:
    """One small rectangle of each: together they fit one canvas, at one scale per frame."""
    frames = [frame(1, (96, 128), "a"), frame(2, (192, 256), "b")]
    views = [
        replace(VIEW, mode="pack", proposal_threshold=0.5, scale=1.0),
        replace(VIEW, mode="pack", proposal_threshold=0.5, scale=0.5),
    ]
    scores = np.zeros((96, 128), np.float32)
    scores[:, :40] = 1.0

    class Fixed:
        def __call__(self, of: Frame, small: object = None) -> RegionMask:
            return RegionMask(scores, scores >= 0.5, of.size)

    line = People(Fixed(), people.semantic, None, people.canvas)  # type: ignore[arg-type]
    canvases: list[int] = []
    run = SemanticSegmenter.scores

    def count(self: SemanticSegmenter, pixels: np.ndarray) -> np.ndarray:
        canvases.append(len(pixels))
        return run(self, pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SemanticSegmenter, "scores", count)
        analyses = line.step(frames, views, [False, False])
    assert canvases == [1]
    assert [a.mode for a in analyses] == ["pack", "pack"]
    assert [a.semantic.mask.shape for a in analyses if a.semantic] == [(96, 128), (192, 256)]


def test_a_frame_whose_tiles_are_more_than_itself_is_computed_in_full(people: People) -> None:
    small = People(people.proposer, people.semantic, None, replace(people.canvas, size=(64, 96), most=9))
    view = replace(VIEW, mode="pack", instances=None)
    assert one(small, view).mode == "full"
    crowded, sparse = small.step(
        [frame(1), frame(2, camera="b")], [view, replace(view, proposal_threshold=2.0)], [False, False]
    )
    assert (crowded.mode, crowded.deep_share, sparse.mode) == ("full", 1.0, "skip")


def test_dropped_components_are_computed_in_no_mode(people: People) -> None:
    scores = np.zeros((96, 128), np.float32)
    scores[10:60, 10:40] = 0.9
    scores[80:82, 100:102] = 0.9  # a speck

    class Fixed:
        def __call__(self, of: Frame, small: object = None) -> RegionMask:
            return RegionMask(scores, scores >= 0.5, of.size)

    line = People(Fixed(), people.semantic, None, people.canvas)  # type: ignore[arg-type]
    view = replace(VIEW, proposal_threshold=0.5, min_area=0.01, instances=None, semantic=SemanticLimits(0.0))
    for mode in ("gather", "pack"):
        analysis = line.step([frame()], [replace(view, mode=mode)], [False])[0]
        assert len(analysis.regions) == 1
    gathered = line.step([frame()], [replace(view, mode="gather", semantic=SemanticLimits(0.001))], [False])[0]
    assert gathered.semantic is not None
    assert not gathered.semantic.mask[80:82, 100:102].any()
    assert gathered.semantic.mask[10:60, 10:40].any()


def test_nobody_is_found_in_blocks_that_were_not_computed(people: People) -> None:
    """A masked logit is 0 for every class; it must not count as a person by half."""
    scores = np.zeros((96, 128), np.float32)
    scores[:, :32] = 0.9

    class LeftEdge:
        def __call__(self, of: Frame, small: object = None) -> RegionMask:
            return RegionMask(scores, scores >= 0.5, of.size)

    line = People(LeftEdge(), None, people.instances, people.canvas)  # type: ignore[arg-type]
    view = replace(VIEW, proposal_threshold=0.5, mode="gather", semantic=None)
    found = line.step([frame()], [view], [False])[0].instances
    assert found is not None
    centres = (found.boxes[:, 0] + found.boxes[:, 2]) / 2
    full = one(people, VIEW).instances
    assert full is not None
    assert len(full) > len(found)
    assert (centres < 128).all()


def test_each_camera_keeps_its_own_overlap_and_number_of_people(people: People) -> None:
    boxes = np.array([[0, 0, 20, 40], [4, 0, 24, 40], [60, 0, 80, 40]], np.int32)
    masks = tuple(np.ones((40, 20), bool) for _ in boxes)
    found = Instances(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int32), masks, (96, 128))
    strict, loose = InstanceLimits(0.0, 0.3, 9), InstanceLimits(0.0, 0.9, 9)
    assert limited(found, strict).scores.tolist() == pytest.approx([0.9, 0.7])
    assert len(limited(found, loose)) == 3
    assert len(limited(found, InstanceLimits(0.75, 0.9, 9))) == 2
    assert len(limited(found, InstanceLimits(0.0, 0.9, 1))) == 1


@pytest.mark.parametrize("mode", ["pack", "gather", "mask"])
@pytest.mark.parametrize("weakest", [1.0, 0.0])
def test_a_still_scene_in_which_nobody_is_found_is_not_computed_again(
    people: People, mode: str, weakest: float
) -> None:
    """Everything is proposed and nobody shown, weak as they are: after three looks the proposals are not believed."""
    nobody = replace(
        VIEW,
        mode=mode,
        memory=True,
        semantic=None,
        instances=InstanceLimits(score_threshold=weakest, nms=0.5, max_people=1),
        shown_from=1.0,
    )
    still = Frame(frame(3).pixels, f"still-{mode}-{weakest}", 0, 0.0)
    found = people.step([still], [replace(nobody, memory=False)], [False])[0].instances
    assert found is not None
    assert bool(len(found)) == (weakest == 0.0)
    runs = [people.step([still], [nobody], [False])[0].mode for _ in range(5)]
    assert runs[3:] == ["skip", "skip"]
    assert "skip" not in runs[:3]
    changed = Frame(255 - still.pixels, f"still-{mode}", 1, 0.1)
    assert people.step([changed], [nobody], [False])[0].mode != "skip"


def test_who_is_shown_is_looked_at_again_although_the_mask_misses_them(people: People) -> None:
    unmasked = replace(VIEW, mode="pack", memory=True, semantic=SemanticLimits(2.0))
    still = Frame(frame(3).pixels, "unmasked", 0, 0.0)
    for _ in range(6):
        (seen,) = people.step([still], [unmasked], [False])
        assert seen.instances is not None
        assert seen.semantic is not None
        assert len(seen.instances)
        assert not seen.semantic.mask.any()


def test_who_was_found_is_proposed_again_when_the_proposer_is_blind(people: People) -> None:
    seen, blind = replace(VIEW, mode="pack", memory=True), replace(EMPTY, mode="pack", memory=True)
    first = people.step([frame(camera="m")], [seen], [False])[0]
    assert first.semantic is not None
    assert first.semantic.mask.any()
    again = people.step([frame(camera="m")], [blind], [False])[0]
    assert again.mode == "pack"
    covered = np.zeros(first.semantic.mask.shape, np.bool_)
    for x0, y0, x1, y1 in again.regions.boxes:
        covered[y0:y1, x0:x1] = True
    assert covered[first.semantic.mask].all()


@pytest.mark.parametrize(("watched", "questions"), [(False, 1), (True, 4)])
def test_an_unchanged_picture_is_shown_to_the_proposer_once(people: People, watched: bool, questions: int) -> None:
    """A camera that guards somebody's privacy asks every time."""
    asked = []

    class Counting:
        size = people.proposer.size

        def __call__(self, of: Frame, small: object = None) -> RegionMask:
            asked.append(of.index)
            return people.proposer(of)

    line = People(Counting(), people.semantic, None, people.canvas)  # type: ignore[arg-type]
    view = replace(VIEW, mode="mask", memory=True, instances=None, watched=watched)
    still = frame(3, camera="still")
    found = [line.step([replace(still, index=n, pts_s=n / 10)], [view], [False])[0] for n in range(4)]
    assert len(asked) == questions
    for analysis in found[1:]:
        np.testing.assert_array_equal(analysis.regions.boxes, found[0].regions.boxes)


def test_regions_keep_their_place_on_the_canvas_unless_each_frame_is_for_itself(people: People) -> None:
    """Somebody is proposed; then somebody larger besides, whom a fresh layout puts first."""
    first, both = np.zeros((64, 96), np.float32), np.zeros((64, 96), np.float32)
    first[46:60, 75:90] = both[46:60, 75:90] = 0.9
    both[0:28, 0:24] = 0.9
    answers: list[np.ndarray] = []

    class Given:
        size = 96

        def __call__(self, of: Frame, small: object = None) -> RegionMask:
            return RegionMask(answers[-1], answers[-1] >= 0.5, of.size)

    line = People(Given(), people.semantic, None, people.canvas)  # type: ignore[arg-type]
    corners: list[list[int]] = []

    def look(frames: list[Frame], placements: Placements, size: tuple[int, int]) -> PackedBatch:
        corners.append(placements.target[-1, :2].tolist())  # of the one below
        return paste(frames, placements, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(people_module, "paste", look)
        for memory in (False, True):
            view = replace(
                VIEW, mode="pack", memory=memory, instances=None, semantic=SemanticLimits(2.0), proposal_threshold=0.5
            )
            for scores in (first, both):
                answers.append(scores)
                line.step([frame(len(answers))], [view], [False])
        line.forget("a")
        line.step([frame(9)], [view], [False])
    assert corners[0] == corners[2] == corners[3] == [0, 0]
    assert corners[1] == corners[4] != [0, 0]


def test_what_networks_held_of_a_camera_is_forgotten_with_its_scene_its_epoch_and_a_full_frame(people: People) -> None:
    """Bytes that are held of the camera when a frame comes; None in semantics that hold nothing."""
    scores = np.zeros((64, 96), np.float32)
    scores[:, :32] = 0.9

    class LeftEdge:
        size = 96

        def __call__(self, of: Frame, small: object = None) -> RegionMask:
            return RegionMask(scores, scores >= 0.5, of.size)

    view = replace(VIEW, proposal_threshold=0.5, mode="gather", instances=None)
    found: list[int | None] = []
    run = SparseSemantic.scores

    def look(self: SparseSemantic, pixels: np.ndarray, active: np.ndarray, held: Held | None = None) -> np.ndarray:
        found.append(None if held is None else held.nbytes)
        return run(self, pixels, active, held)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SparseSemantic, "scores", look)
        line = People(LeftEdge(), people.semantic, None, people.canvas)  # type: ignore[arg-type]
        line.step([frame()], [view], [False])
        assert found == [None]
        line = People(LeftEdge(), people.semantic, None, people.canvas, semantics="previous")  # type: ignore[arg-type]
        found.clear()
        for n in range(2):
            line.step([frame(n)], [view], [False])
        line.step([frame(2, camera="b")], [view], [False])
        line.step([replace(frame(3), epoch=1)], [view], [False])
        line.step([replace(frame(4), epoch=1)], [view], [False])
        line.step([replace(frame(5), epoch=1)], [view], [True])
        line.step([replace(frame(6), epoch=1)], [view], [False])
        line.forget("a")
        line.step([replace(frame(7), epoch=1)], [view], [False])
    full = found[1]
    assert full
    assert found == [0, full, 0, 0, full, 0, 0]
