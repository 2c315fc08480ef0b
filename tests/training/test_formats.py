"""Photos in the formats of others, written to disk as those write them."""

from __future__ import annotations

import json
import logging
import re
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as rle

from argos.errors import DataError
from argos.training.formats.coco_check import run_lengths
from argos.training.formats.files import PhotoFiles
from argos.training.formats.labels import palette_indices
from argos.training.formats.read import read_photos
from argos.training.photos import CROWD, IGNORE, Photo, load_cutouts, read_rgb

ROWS, COLUMNS = 60, 80


def write(path: Path, pixels: NDArray[Any] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels is None:
        pixels = np.random.default_rng(0).integers(0, 255, (ROWS, COLUMNS, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def block(x0: int, y0: int, x1: int, y1: int) -> NDArray[np.bool_]:
    mask = np.zeros((ROWS, COLUMNS), np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def coco(folder: Path, annotations: list[dict[str, Any]], **image: Any) -> Path:
    """A COCO file of one picture."""
    write(folder / "images" / "one.png")
    document = {
        "images": [{"id": 7, "file_name": "one.png", **image}],
        "annotations": [
            {"id": n, "image_id": 7, "category_id": 1, "iscrowd": 0, **a} for n, a in enumerate(annotations)
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
    }
    path = folder / "people.json"
    path.write_text(json.dumps(document))
    return path


def compressed(mask: NDArray[np.bool_]) -> dict[str, Any]:
    encoded = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


FAR, NEAR, GROUP = block(10, 10, 30, 50), block(20, 20, 34, 44), block(50, 5, 70, 25)


def test_coco_polygons_rle_boxes_and_crowds(tmp_path: Path) -> None:
    path = coco(tmp_path, [
        {"bbox": [20, 20, 14, 24], "segmentation": compressed(NEAR), "area": 336},
        {"bbox": [10, 10, 20, 40], "segmentation": [[10, 10, 30, 10, 30, 50, 10, 50]], "area": 800},
        {"bbox": [50, 5, 20, 20], "segmentation": compressed(GROUP), "area": 400, "iscrowd": 1},
        {"bbox": [60, 40, 10, 10]},
        {"bbox": [0, 0, 5, 5], "category_id": 2},
    ])  # fmt: skip
    (photo,) = read_photos(f"coco:{path}")
    assert photo.boxes.tolist() == [[10, 10, 30, 50], [20, 20, 34, 44], [60, 40, 70, 50]], "the smaller lie in front"
    assert photo.box_ids.tolist() == [1, 2, 0]
    assert photo.ignore.tolist() == [[50, 5, 70, 25]]
    assert (photo.ids == 2).tolist() == NEAR.tolist()
    assert (photo.ids == 1).tolist() == (FAR & ~NEAR).tolist()
    assert (photo.ids == IGNORE).tolist() == (GROUP | block(60, 40, 70, 50)).tolist()
    assert photo.boxes_known
    (dogs,) = read_photos(f"coco:{path}?class=dog&images={tmp_path / 'images'}")
    assert dogs.boxes.tolist() == [[0, 0, 5, 5]]


def test_what_some_tools_write_is_taken_as_it_is_meant(tmp_path: Path) -> None:
    """Whole numbers with a point, nothing for null, and outlines without three points for none."""
    path = coco(tmp_path, [
        {"bbox": [10, 10, 20, 40], "segmentation": [[10, 10, 30, 10, 30, 50, 10, 50], [], [1, 1, 2, 2]], "area": None,
         "iscrowd": None, "image_id": 7.0, "category_id": 1.0},
        {"bbox": [60, 40, 10, 10], "segmentation": [[]]},
    ], width=None)  # fmt: skip
    (photo,) = read_photos(f"coco:{path}")
    assert photo.boxes.tolist() == [[10, 10, 30, 50], [60, 40, 70, 50]]
    assert photo.box_ids.tolist() == [1, 0]
    assert (photo.ids == 1).tolist() == FAR.tolist()


def test_people_beyond_the_edges_of_a_picture_are_none_of_its_pixels(tmp_path: Path) -> None:
    path = coco(tmp_path, [
        {"bbox": [-20, -30, 10, 12]},
        {"bbox": [-20, 5, 10, 12], "iscrowd": 1},
        {"bbox": [200, 5, 20, 30], "segmentation": [[200, 5, 220, 5, 220, 35]]},
        {"bbox": [-5, -4.5, 15, 24]},
        {"bbox": [60, 40, 40, 10]},
    ])  # fmt: skip
    (photo,) = read_photos(f"coco:{path}")
    assert photo.boxes.tolist() == [[60, 40, 80, 50], [0, 0, 10, 19.5]]
    assert (photo.box_ids.tolist(), len(photo.ignore)) == ([0, 0], 0)
    assert (photo.ids == IGNORE).tolist() == (block(0, 0, 10, 20) | block(60, 40, 80, 50)).tolist()


def test_a_picture_of_one_row_is_shrunk_to_one_row(tmp_path: Path) -> None:
    write(tmp_path / "long.png", np.zeros((1, 3000, 3), np.uint8))
    (photo,) = read_photos(f"folder:{tmp_path}")
    assert photo.image.shape == (1, 512, 3)


def test_people_that_are_not_told_apart_are_people_for_segmentation(tmp_path: Path) -> None:
    crowd = {"bbox": [50, 5, 20, 20], "segmentation": compressed(GROUP), "area": 400, "iscrowd": 1}
    (photo,) = read_photos(f"coco:{coco(tmp_path, [crowd], kind='semantic')}")
    assert (photo.ids == CROWD).tolist() == GROUP.tolist()
    assert not photo.boxes_known
    with pytest.raises(DataError, match="no pictures to use, 1 images are in it, all of them complete: false"):
        read_photos(f"coco:{coco(tmp_path, [crowd], complete=False)}")


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        ({"bbox": [1, 2, 3]}, r"annotation 0: bbox should be \[x, y, width, height\], got \[1, 2, 3\]"),
        ({"bbox": [1, 2, 3, -1]}, "annotation 0: bbox .* has a negative size"),
        ({"bbox": [1, 2, 3, 4], "image_id": 8}, "annotation 0: image_id 8 is not among the images"),
        ({"bbox": [1, 2, 3, 4], "category_id": "person"}, "annotation 0: category_id should be a number"),
        ({"image_id": [7]}, r"annotation 0: image_id \[7\] is not among the images"),
        ({"bbox": [1, 2, float("nan"), 4]}, r"annotation 0: bbox should be .*, got \[1, 2, nan, 4\]"),
        ({"bbox": [1, 2, True, 4]}, "annotation 0: bbox should be"),
        ({"area": "12"}, "annotation 0: area should be a number of pixels, 0 or more, got '12'"),
        ({"area": float("nan")}, "annotation 0: area should be .* got nan"),
        ({"iscrowd": "no"}, "annotation 0: iscrowd should be 0 or 1, got 'no'"),
        ({"segmentation": "1 2 3"}, "annotation 0: segmentation should be a list of polygons or an RLE, got '1 2 3'"),
        ({"segmentation": [1, 2, 3, 4, 5, 6]}, r"segmentation should be a list of polygons .*got \[1, 2, 3, 4, 5, 6\]"),
        ({"segmentation": [[1, 2, 3]]}, r"segmentation\[0\] should be numbers x, y, .*, got \[1, 2, 3\]"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, r"segmentation\[0\] should be numbers"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, r"segmentation\[0\] should be numbers"),
        ({"segmentation": [[1, 2, 3, 4, 5, 1e300]]}, r"segmentation\[0\] should be numbers"),
        ({"segmentation": {"size": [ROWS, COLUMNS]}}, r"segmentation.counts should be run lengths .*got None"),
        ({"segmentation": {"counts": [1]}}, r"segmentation.size should be \[height, width\] in pixels, got None"),
        (
            {"segmentation": {"size": [COLUMNS, ROWS], "counts": [COLUMNS * ROWS]}},
            r"segmentation.size should be that of image 7, \[60, 80\] \(height, width\), got \[80, 60\]",
        ),
        (
            {"segmentation": {"size": [ROWS, COLUMNS], "counts": [5, 6]}},
            r"segmentation.counts should be the lengths of runs that fill 60x80 pixels, got \[5, 6\]",
        ),
        (
            {"segmentation": {"size": [ROWS, COLUMNS], "counts": "no!"}},
            "counts should be the lengths of runs that fill",
        ),
        ({"segmentation": {"size": [ROWS, COLUMNS], "counts": ""}}, "counts should be the lengths of runs that fill"),
    ],
)
def test_a_wrong_annotation_is_said_before_any_picture_is_read(
    tmp_path: Path, annotation: dict[str, Any], says: str
) -> None:
    path = coco(tmp_path, [{"bbox": [1, 2, 3, 4], **annotation}], height=ROWS, width=COLUMNS)
    with pytest.raises(DataError, match=f"{path}: .*{says}"):
        read_photos(f"coco:{path}")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"images": []}, "no pictures to use, 0 images are in it"),
        ({"images": [{"id": [7], "file_name": "one.png"}]}, r"images\[0\] \(one.png\): id should be .*got \[7\]"),
        ({"images": [{"id": 7, "file_name": "one.png"}, {"id": 7, "file_name": "two.png"}]},
         "image 7: two images have this id, one.png and two.png"),
        ({"images": [{"id": 7, "file_name": "one.png", "complete": "false"}]},
         "image 7: complete should be true or false, got 'false'"),
        ({"images": [{"id": 7, "file_name": "one.png", "kind": "semantics"}]},
         "image 7: kind should be instance or semantic, got 'semantics'"),
        ({"images": [{"id": 7, "file_name": "one.png", "width": "80"}]}, "image 7: width should be pixels, .*got '80'"),
        ({"categories": None}, "categories should be a list of objects with id and name, got None"),
        ({"categories": ["person"]}, r"categories\[0\] should be an object with .*got 'person'"),
        ({"categories": [{"name": "person"}]}, r"categories\[0\] should be an object with a number as id and a name"),
        ({"categories": [{"id": None, "name": "person"}]}, r"categories\[0\] should be"),
    ],
)  # fmt: skip
def test_wrong_images_and_categories_are_said(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = coco(tmp_path, [])
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(DataError, match=f"{path}: {says}"):
        read_photos(f"coco:{path}")


def test_run_lengths_of_compressed_masks_are_those_of_pycocotools() -> None:
    rng = np.random.default_rng(1)
    for share in (0.0, 0.01, 0.3, 1.0):
        mask = (rng.random((ROWS, COLUMNS)) < share).astype(np.uint8)
        flat = mask.flatten(order="F")
        ends = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
        expected = [0, *runs] if flat[0] else runs
        assert run_lengths(compressed(mask.astype(bool))["counts"]) == expected


def test_annotations_for_a_picture_of_another_size_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(read_photos(f"coco:{coco(tmp_path, [], height=COLUMNS, width=ROWS)}")) == []
    assert "one.png: 80x60 pixels, where its annotations are for 60x80; left out" in caplog.text


def test_a_file_that_is_no_coco_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    for text, says in (("[1]", "holds a list"), ('{"images": []}', "no list of annotations"), ("{", "cannot read")):
        path.write_text(text)
        with pytest.raises(DataError, match=says):
            read_photos(f"coco:{path}")
    path = coco(tmp_path, [])
    (tmp_path / "images" / "one.png").unlink()
    with pytest.raises(DataError, match=r"1 of 1 pictures are not in .*the first is one\.png"):
        read_photos(f"coco:{path}")
    with pytest.raises(DataError, match="no category 'cat'; there are: person, dog"):
        read_photos(f"coco:{path}?class=cat")


def test_cityscapes(tmp_path: Path) -> None:
    labels = np.full((ROWS, COLUMNS), 7, np.uint16)
    labels[FAR], labels[NEAR], labels[GROUP] = 24000, 25003, 24
    labels[:, :5] = 1
    write(tmp_path / "leftImg8bit/val/ulm/ulm_1_leftImg8bit.png")
    label = write(tmp_path / "gtFine/val/ulm/ulm_1_gtFine_instanceIds.png", labels)
    (photo,) = read_photos(f"cityscapes:{tmp_path}?split=val")
    assert photo.boxes.tolist() == [[10, 10, 30, 50], [20, 20, 34, 44]]
    assert (photo.ids == IGNORE).tolist() == (GROUP | block(0, 0, 5, ROWS)).tolist()
    assert photo.source == "cityscapes"
    label.unlink()
    with pytest.raises(DataError, match=r"1 of 1 label pictures are missing, the first is .*instanceIds"):
        read_photos(f"cityscapes:{tmp_path}?split=val")
    with pytest.raises(DataError, match="train: no such folder"):
        read_photos(f"cityscapes:{tmp_path}")
    (tmp_path / "leftImg8bit/train").mkdir()
    with pytest.raises(DataError, match=r"train: no pictures here \(\*/\*_leftImg8bit.png ending in .jpg"):
        read_photos(f"cityscapes:{tmp_path}")


def voc(root: Path) -> Path:
    (root / "ImageSets/Main").mkdir(parents=True)
    (root / "ImageSets/Main/train.txt").write_text("a\nb\n")
    (root / "Annotations").mkdir()
    thing = (
        "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>11</ymin><xmax>30</xmax>"
        "<ymax>50</ymax></bndbox></object>"
    )
    for name in "ab":
        write(root / "JPEGImages" / f"{name}.jpg")
        things = thing.format("person", 0, 11) + thing.format("person", 1, 15) + thing.format("dog", 0, 1)
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{things}</annotation>")
    classes, objects = (np.zeros((ROWS, COLUMNS, 3), np.uint8) for _ in range(2))
    classes[FAR | NEAR], classes[GROUP], classes[:2] = (128, 128, 192), (128, 0, 64), (192, 224, 224)  # BGR
    objects[FAR], objects[NEAR], objects[GROUP] = (0, 0, 128), (0, 128, 0), (0, 128, 128)
    write(root / "SegmentationClass/b.png", classes)
    write(root / "SegmentationObject/b.png", objects)
    return root


def test_voc_boxes_and_outlines(tmp_path: Path) -> None:
    boxed, outlined = read_photos(f"voc:{voc(tmp_path)}")
    assert boxed.boxes.tolist() == [[10, 10, 30, 50]]
    assert boxed.ignore.tolist() == [[14, 10, 30, 50]], "difficult"
    assert (boxed.ids == IGNORE).tolist() == FAR.tolist()
    assert sorted(outlined.boxes.tolist()) == [[10, 10, 30, 50], [20, 20, 34, 44]]
    assert ((outlined.ids > 0) & (outlined.ids < IGNORE)).tolist() == (FAR | NEAR).tolist()
    assert (outlined.ids[:2] == IGNORE).all()
    with pytest.raises(DataError, match=r"val\.txt: no such list of photos \(lists here: train\)"):
        read_photos(f"voc:{tmp_path}?split=val")
    (tmp_path / "Annotations/a.xml").write_text("<annotation><object><name>person</name></object></annotation>")
    with pytest.raises(DataError, match=r"a\.xml: cannot read the boxes"):
        read_photos(f"voc:{tmp_path}")


def test_voc_boxes_that_are_counted_from_zero_and_names_with_spaces(tmp_path: Path) -> None:
    root = voc(tmp_path)
    for file in ("JPEGImages/a.jpg", "Annotations/a.xml"):
        (root / file).rename(root / file.replace("/a", "/über 1"))
    (root / "ImageSets/Main/train.txt").write_text("über 1  -1\nb  1\nüber 1\n", "utf-8")
    boxes = root / "Annotations/über 1.xml"
    boxes.write_text(boxes.read_text().replace("<xmin>11", "<xmin>0"))
    first, second, third = read_photos(f"voc:{root}")
    assert (first.name, second.name, third.name) == ("über 1.jpg", "b.jpg", "über 1.jpg")
    assert first.boxes.tolist() == [[0, 10, 30, 50]]
    assert (first.ids == IGNORE).tolist() == block(0, 10, 30, 50).tolist()


def test_camvid_people_and_classes(tmp_path: Path) -> None:
    write(tmp_path / "images" / "one.png")
    labels = np.full((ROWS, COLUMNS), 3, np.uint8)
    labels[FAR], labels[NEAR], labels[GROUP] = 9, 10, 11
    write(tmp_path / "labels" / "one.png", labels)
    (people,) = read_photos(f"camvid:{tmp_path}")
    assert (people.ids == CROWD).tolist() == (FAR & ~NEAR).tolist()
    assert (people.ids == IGNORE).tolist() == (NEAR | GROUP).tolist()
    (classes,) = read_photos(f"camvid:{tmp_path}?labels=classes")
    assert np.unique(classes.ids).tolist() == [3, 9, 10, IGNORE]
    assert (len(classes.boxes), classes.boxes_known) == (0, False)
    with pytest.raises(DataError, match="labels should be person or classes, got 'cars'"):
        read_photos(f"camvid:{tmp_path}?labels=cars")


def test_folders_of_masks_of_ids_and_of_nobody(tmp_path: Path) -> None:
    write(tmp_path / "in" / "one.png")
    write(tmp_path / "masks" / "one.png", NEAR.astype(np.uint8))  # 0 and 1
    write(tmp_path / "ids" / "one.png", np.where(GROUP, IGNORE, np.where(NEAR, 3, 0)).astype(np.uint8))
    (marked,) = read_photos(f"folder:{tmp_path}/in?masks={tmp_path}/masks")
    assert (marked.ids == CROWD).tolist() == NEAR.tolist()
    assert not marked.boxes_known
    (told,) = read_photos(f"folder:{tmp_path}/in?ids={tmp_path}/ids")
    assert (told.boxes.tolist(), told.box_ids.tolist()) == ([[20, 20, 34, 44]], [3])
    (nobody,) = read_photos(f"folder:{tmp_path}/in")
    assert (nobody.ids.max(), nobody.source) == (0, "background")
    write(tmp_path / "ids" / "one.png", np.zeros((ROWS, 2 * COLUMNS), np.uint8))
    with pytest.raises(DataError, match="none of the 1 photos can be read"):
        read_photos(f"folder:{tmp_path}/in?ids={tmp_path}/ids")[0]


def turned_jpeg(path: Path, pixels: NDArray[np.uint8], orientation: int) -> Path:
    """A JPEG whose EXIF data say how to turn it."""
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    tag = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([orientation, 0, 0, 0])
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + tag + b"\x00\x00\x00\x00"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    return path


@pytest.mark.parametrize("turned", [False, True])
def test_annotations_of_a_turned_photo_fit_as_it_is_seen_or_as_it_is_stored(tmp_path: Path, turned: bool) -> None:
    pixels = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    pixels[NEAR] = 255
    turned_jpeg(tmp_path / "my photos" / "one.jpg", pixels, 6)  # to be seen after a turn to the right
    mask = np.ascontiguousarray(np.rot90(NEAR, -1)) if turned else NEAR
    write(tmp_path / "masks" / "one.png", np.where(mask, 255, 0).astype(np.uint8))
    document = {
        "images": [{"id": 1, "file_name": "one.jpg", "height": mask.shape[0], "width": mask.shape[1]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9],
                         "segmentation": compressed(mask)}],
        "categories": [{"id": 1, "name": "person"}],
    }  # fmt: skip
    (tmp_path / "people.json").write_text(json.dumps(document))
    for spec in (f"folder:{tmp_path}/my photos?masks={tmp_path}/masks",
                 f"coco:{tmp_path}/people.json?images={tmp_path}/my photos"):  # fmt: skip
        (photo,) = read_photos(spec)
        assert photo.ids.shape == mask.shape
        assert ((photo.image[:, :, 0] > 128) == (photo.ids > 0)).mean() > 0.98, "people are where they are marked"
    assert read_rgb(tmp_path / "my photos" / "one.jpg").shape[:2] == (COLUMNS, ROWS)


def paletted(path: Path, indices: NDArray[np.uint8], colours: list[tuple[int, int, int]]) -> Path:
    """A PNG with a palette; OpenCV writes none."""

    def part(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    height, width = indices.shape
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 3, 0, 0, 0])
    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"PLTE", bytes(sum(colours, ())))
                     + part(b"tRNS", b"\0") + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))  # fmt: skip
    return path


def test_labels_with_a_palette_are_its_indices_but_for_one_of_greys(tmp_path: Path) -> None:
    write(tmp_path / "in" / "one.png")
    indices = np.where(FAR, 1, np.where(GROUP, 2, 0)).astype(np.uint8)
    paletted(tmp_path / "ids" / "one.png", indices, [(0, 0, 0), (128, 0, 0), (0, 128, 0)])
    (photo,) = read_photos(f"folder:{tmp_path}/in?ids={tmp_path}/ids")
    np.testing.assert_array_equal(photo.ids, indices)
    paletted(tmp_path / "ids" / "one.png", indices, [(7, 7, 7), (0, 0, 0), (9, 9, 9)])  # a grey picture made smaller
    with pytest.raises(DataError, match="none of the 1"):  # its first colour is transparent
        read_photos(f"folder:{tmp_path}/in?ids={tmp_path}/ids")[0]
    assert palette_indices((tmp_path / "in" / "one.png").read_bytes()) is None


@pytest.mark.parametrize(
    ("key", "labels", "says"),
    [
        ("ids", np.where(NEAR, 300, 0).astype(np.uint16), "goes up to 300; ids end at 253"),
        ("masks", np.where(NEAR, 2, FAR).astype(np.uint8), r"goes up to 2; a mask is 0 and 1, or 0 and 255 \(for ids"),
        ("masks", np.dstack([np.full_like(NEAR, 255, np.uint8)] * 3 + [NEAR.astype(np.uint8) * 255]),
         "has transparent pixels; save the labels without transparency"),
        ("masks", np.random.default_rng(0).integers(0, 255, (ROWS, COLUMNS, 3), np.uint8), "a colour picture; labels"),
        ("masks", NEAR[:20].astype(np.uint8), "80x20 for a picture of 80x60"),
    ],
)  # fmt: skip
def test_labels_that_would_be_misread_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, labels: NDArray[Any], says: str
) -> None:
    write(tmp_path / "in" / "one.png")
    write(tmp_path / "out" / "one.png", labels)
    assert list(read_photos(f"folder:{tmp_path}/in?{key}={tmp_path}/out")) == []
    assert re.search(f"out/one.png: {says}", caplog.text)


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_masks_of_8_and_16_bits(tmp_path: Path, white: int) -> None:
    write(tmp_path / "in" / "one.png")
    for kind in (np.uint16, np.uint8) if white < 256 else (np.uint16,):
        write(tmp_path / "out" / "one.png", np.where(NEAR, white, 0).astype(kind))
        (photo,) = read_photos(f"folder:{tmp_path}/in?masks={tmp_path}/out")
        assert (photo.ids == CROWD).tolist() == NEAR.tolist()


def test_unknown_labels_of_camvid_are_no_background(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "images" / "one.png")
    write(tmp_path / "labels" / "one.png", np.where(NEAR, 31, 3).astype(np.uint8))
    assert list(read_photos(f"camvid:{tmp_path}")) == []
    assert "one.png: label 31; there are 0 to 10, and 11 for what is not labelled" in caplog.text


def test_a_coco_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = coco(tmp_path, [])
    path.write_text(path.read_text(), "utf-8-sig")
    assert len(read_photos(f"coco:{path}")) == 1


def test_wrong_lists_and_boxes_of_voc_are_said(tmp_path: Path) -> None:
    boxes = voc(tmp_path) / "Annotations/a.xml"
    for number, wrong in (("nan", "nan, 11"), ("31", "31.0, 11")):
        boxes.write_text(re.sub("<xmin>[0-9nan]+<", f"<xmin>{number}<", boxes.read_text()))
        with pytest.raises(DataError, match=rf"a\.xml: cannot read the boxes \(xmin, .* should rise, got \[{wrong}"):
            read_photos(f"voc:{tmp_path}")
    (tmp_path / "ImageSets/Main/train.txt").write_bytes(b"\xff\xfea\n")
    with pytest.raises(DataError, match=r"train\.txt: not a text"):
        read_photos(f"voc:{tmp_path}")


def test_a_plus_in_the_name_of_a_folder_is_one(tmp_path: Path) -> None:
    write(tmp_path / "pictures" / "one.png")
    write(tmp_path / "c++ masks" / "one.png", FAR.astype(np.uint8))
    (photo,) = read_photos(f"folder:{tmp_path / 'pictures'}?masks={tmp_path / 'c++ masks'}")
    assert (photo.ids == CROWD).tolist() == FAR.tolist()


def test_a_folder_that_cannot_be_entered_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = coco(tmp_path, [])

    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_file", refuse)  # root may enter every folder
    with pytest.raises(DataError, match=r"images/one\.png cannot be read \(Permission denied\)"):
        read_photos(f"coco:{path}")


def test_a_corrupt_picture_is_named_counted_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    photos = read_photos(f"folder:{tmp_path}")
    with caplog.at_level(logging.WARNING):
        assert [photo.name for photo in photos] == ["a.png", "c.png"]
        assert photos[1].name == "c.png"
    assert len(caplog.records) == 1, "once, not at every draw"
    assert "b.png: not a readable picture; left out (1 of 3 so far)" in caplog.text
    assert photos.broken == {1}


@pytest.mark.parametrize("options", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 4]])
def test_half_a_jpeg_is_a_corrupt_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture, options: list[int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (ROWS, COLUMNS, 3), np.uint8)
    data = cv2.imencode(".jpg", pixels, options)[1].tobytes()
    thumbnail = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data  # a whole picture, in a segment of the header
    whole = data[:2] + thumbnail + data[2:] + b"behind the end"
    for name, length in (("a", len(whole)), ("b", len(whole) - len(data) // 2), ("c", len(whole) - 16), ("d", 0)):
        (tmp_path / f"{name}.jpg").write_bytes(whole[:length])
    photos = read_photos(f"folder:{tmp_path}")
    assert [photo.name for photo in photos] == ["a.jpg"]
    assert photos.left_out() == 3
    assert "b.jpg: ends before the picture does; left out (1 of 4 so far)" in caplog.text
    assert "c.jpg: ends before the picture does; left out (2 of 4 so far)" in caplog.text
    assert "d.jpg: not a readable picture; left out (3 of 4 so far)" in caplog.text
    with pytest.raises(DataError, match=r"b.jpg: ends before the picture does"):
        read_rgb(tmp_path / "b.jpg")


def test_cutouts_that_are_none_are_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.png", np.full((8, 6, 4), 200, np.uint8))
    write(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:-30])
    (cutout,) = load_cutouts(tmp_path)
    assert cutout.shape == (8, 6, 4)
    assert "b.png: not a picture with transparency; left out (1 of 3 so far)" in caplog.text
    assert "c.png: not a readable picture; left out (2 of 3 so far)" in caplog.text
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="none of the 2 cut-outs can be read"):
        load_cutouts(tmp_path)


def test_photos_are_decoded_once_while_there_is_room() -> None:
    calls: list[int] = []

    def decode() -> Photo:
        calls.append(1)
        empty = np.zeros((0, 4), np.float32)
        return Photo(np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10), np.uint8), empty, np.zeros(0, np.uint8), empty,
                     "", "")  # fmt: skip

    photos = PhotoFiles([decode, decode], kept_bytes=500)  # one of 400 bytes fits
    for _ in range(3):
        assert len(list(photos)) == 2
    assert len(calls) == 1 + 3


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("people.json", "photos are named KIND:PATH"),
        ("coc:people.json", "did you mean coco:"),
        ("camvid:train?split=val", "no key 'split' for camvid; there are: labels"),
        ("voc:x?mask=y", "no key 'mask' for voc; there are: split, class"),
        ("folder:x?masks=a&ids=b", "x: masks=a and ids=b are given; it is one of the two"),
        ("folder:x?masks=a&masks=b", "key 'masks' is given twice"),
        ("folder:x?masks", "key 'masks' is given without a value"),
        ("coco:", "a path should follow coco:"),
        ("folder:nowhere", "nowhere: no such folder"),
        ("camvid:nowhere", "nowhere/images: no such folder"),
    ],
)
def test_a_wrong_text_is_said(spec: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_photos(spec)
