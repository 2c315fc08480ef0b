from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from argos.publishing.masks import (
    MASK_ENCODINGS,
    decode_mask,
    encode_mask,
    full_frame_runs,
    mask_of_runs,
    read_rle_string,
    rle_string,
    run_lengths,
)

SHAPES = st.tuples(st.integers(0, 40), st.integers(0, 40))
MASKS = SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape))


@pytest.mark.parametrize("encoding", MASK_ENCODINGS)
@given(mask=MASKS)
@settings(max_examples=60, deadline=None)
def test_decoding_gives_the_mask_back(encoding: str, mask: np.ndarray) -> None:
    back = decode_mask(encode_mask(mask, encoding), encoding, mask.shape)
    assert back.dtype == np.bool_
    assert back.shape == mask.shape
    assert np.array_equal(back, mask)


@given(mask=MASKS)
@settings(max_examples=100, deadline=None)
def test_coco_rle_is_what_pycocotools_writes(mask: np.ndarray) -> None:
    expected = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    assert encode_mask(mask, "coco_rle") == expected


@pytest.mark.parametrize("fill", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_coco_rle_is_what_pycocotools_writes_on_a_whole_frame(fill: float) -> None:
    rng = np.random.default_rng(int(fill * 100))
    mask = np.kron(rng.random((36, 64)) < fill, np.ones((20, 20))).astype(np.bool_)
    expected = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]
    assert encode_mask(mask, "coco_rle") == expected
    assert np.array_equal(decode_mask(expected, "coco_rle", mask.shape), mask)


@given(runs=st.lists(st.integers(0, 2**31), min_size=1, max_size=30))
def test_run_lengths_of_any_size_survive_the_string(runs: list[int]) -> None:
    array = np.array(runs, np.int64)
    assert read_rle_string(rle_string(array)).tolist() == runs


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_crop_on_its_full_frame_is_what_pycocotools_writes(data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    h, w = data.draw(st.tuples(st.integers(1, height), st.integers(1, width)))
    x, y = data.draw(st.tuples(st.integers(0, width - w), st.integers(0, height - h)))
    mask = data.draw(hnp.arrays(np.bool_, (h, w)))
    full = np.zeros((height, width), np.bool_)
    full[y : y + h, x : x + w] = mask
    expected = coco.encode(np.asfortranarray(full, dtype=np.uint8))["counts"]
    assert rle_string(full_frame_runs(mask, (x, y), (height, width))) == expected


@given(data=st.binary(max_size=40), encoding=st.sampled_from(MASK_ENCODINGS), size=SHAPES)
@settings(max_examples=200, deadline=None)
def test_nonsense_is_a_value_error_or_a_mask_of_that_size(data: bytes, encoding: str, size: tuple[int, int]) -> None:
    try:
        mask = decode_mask(data, encoding, size)
    except ValueError:
        return
    assert mask.shape == size
    assert np.array_equal(mask_of_runs(run_lengths(mask), size), mask)


def test_a_compressed_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = encode_mask(np.zeros((4000, 4000), np.bool_), "bits_zlib")
    with pytest.raises(ValueError, match="more than the expected 8 bytes"):
        decode_mask(bomb, "bits_zlib", (8, 8))


def test_an_unknown_encoding_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown mask encoding 'webp'; known are bits, bits_zlib, coco_rle"):
        decode_mask(b"", "webp", (1, 1))
