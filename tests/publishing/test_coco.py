from __future__ import annotations

import numpy as np
import pytest
from publishing_results import made_instances, made_result
from pycocotools import mask as coco
from pycocotools.coco import COCO

from argos.publishing.coco import coco_annotations
from argos.publishing.supervision import detections
from argos.types import Result


@pytest.fixture
def result() -> Result:
    return made_result(seq=3, instances=made_instances([[0, 0, 30, 90], [70, 15, 120, 77], [5, 5, 9, 9]], (90, 120)))


def test_annotations_hold_the_masks_on_the_whole_frame(result: Result) -> None:
    annotations = result.to_coco()
    assert annotations == coco_annotations(result)
    for n, annotation in enumerate(annotations):
        assert np.array_equal(coco.decode(annotation["segmentation"]).astype(bool), result.instances.full_mask(n))
    assert annotations[1]["bbox"] == [70, 15, 50, 62]
    assert (annotations[1]["image_id"], annotations[1]["category_id"], annotations[1]["track_id"]) == (9, 1, 8)


def test_annotations_are_loaded_by_pycocotools(result: Result) -> None:
    ground_truth = COCO()
    ground_truth.dataset = {"images": [{"id": 9, "height": 90, "width": 120}], "categories": [{"id": 1}], "info": {}}
    ground_truth.createIndex()
    loaded = ground_truth.loadRes(result.to_coco())
    for annotation, mask in zip(loaded.loadAnns(loaded.getAnnIds()), range(3), strict=True):
        assert np.array_equal(loaded.annToMask(annotation).astype(bool), result.instances.full_mask(mask))


def test_no_instances_task_gives_no_annotations() -> None:
    assert coco_annotations(made_result(instances=None)) == []


def test_detections_hold_boxes_masks_and_ids(result: Result) -> None:
    pytest.importorskip("supervision", reason="supervision is not installed")
    found = result.to_supervision()
    assert found.xyxy.tolist() == result.instances.boxes.tolist()
    assert found.tracker_id.tolist() == [7, 8, 9]
    assert np.array_equal(found.mask[1], result.instances.full_mask(1))
    assert len(detections(made_result(instances=None))) == 0


def test_without_supervision_the_message_says_what_to_install(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    with pytest.raises(ImportError, match="pip install supervision"):
        detections(result)
