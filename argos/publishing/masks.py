"""Masks as bytes: plain bits, compressed bits, and COCO's compressed run lengths.

``coco_rle`` is byte for byte what pycocotools writes: run lengths in column order, beginning with zeros, each from the
third on as the difference to the one before the last, in groups of five bits, lowest first, moved to printable ASCII.
"""

from __future__ import annotations

import zlib
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from argos.types import Size

MaskEncoding = Literal["bits", "bits_zlib", "coco_rle"]
MASK_ENCODINGS: tuple[str, ...] = get_args(MaskEncoding)

_DIGITS = 7  # five bits each: pycocotools keeps counts in 32 bits


def encode_mask(mask: NDArray[np.bool_], encoding: MaskEncoding) -> bytes:
    """Write a mask ``(h, w)`` bool in one of ``MASK_ENCODINGS``."""
    if encoding == "coco_rle":
        return rle_string(run_lengths(mask))
    bits = np.packbits(mask).tobytes()
    return zlib.compress(bits, 1) if encoding == "bits_zlib" else bits


def decode_mask(data: bytes, encoding: str, size: Size) -> NDArray[np.bool_]:
    """Read a mask ``(h, w)`` bool of the given size; nothing larger than that is ever unpacked.

    Raises:
        ValueError: the encoding is unknown, or the data does not hold exactly that many pixels.
    """
    if encoding not in MASK_ENCODINGS:
        raise ValueError(f"unknown mask encoding '{encoding}'; known are {', '.join(MASK_ENCODINGS)}")
    if encoding == "coco_rle":
        return mask_of_runs(read_rle_string(data), size)
    return _unpack(data if encoding == "bits" else _inflate(data, _bytes_of(size)), size)


def _bytes_of(size: Size) -> int:
    return (size[0] * size[1] + 7) // 8


def _inflate(data: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        bits = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"mask: {error}") from error
    if not inflater.eof:
        raise ValueError(f"mask: more than the expected {limit} bytes, or cut short")
    return bits


def _unpack(bits: bytes, size: Size) -> NDArray[np.bool_]:
    """Row by row, the highest bit first, rows not padded."""
    if len(bits) != _bytes_of(size):
        raise ValueError(f"mask: expected {_bytes_of(size)} bytes for {size[1]}x{size[0]} pixels, got {len(bits)}")
    flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=size[0] * size[1])
    return flat.view(np.bool_).reshape(size)


def run_lengths(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths of the runs of a mask ``(h, w)`` in column order, zeros first (so the first may be 0)."""
    if mask.size == 0:
        return np.zeros(1, np.int64)
    height, width = mask.shape
    changed = np.zeros(mask.shape, np.bool_)  # found in row order and sorted: cheaper than turning a large mask
    np.not_equal(mask[1:], mask[:-1], out=changed[1:])
    np.not_equal(mask[0, 1:], mask[-1, :-1], out=changed[0, 1:])  # a column begins where the one before ended
    y, x = np.divmod(np.flatnonzero(changed), width)
    ends = np.sort(x * height + y)
    first = [0, 0] if mask[0, 0] else [0]
    return np.diff(np.concatenate((first, ends, [mask.size]))).astype(np.int64, copy=False)


def full_frame_runs(mask: NDArray[np.bool_], corner: tuple[int, int], size: Size) -> NDArray[np.int64]:
    """Run lengths of a cropped mask on its whole frame, without making the frame.

    Args:
        mask: ``(h, w)`` bool.
        corner: ``(x, y)`` of the mask's first pixel in the frame.
        size: size of the frame.
    """
    x, y = corner
    columns = np.zeros((size[0], mask.shape[1]), np.bool_)
    columns[y : y + mask.shape[0]] = mask
    runs = run_lengths(columns)
    after = (size[1] - x - mask.shape[1]) * size[0]
    runs[0] += x * size[0]
    if len(runs) % 2:  # ends with zeros
        runs[-1] += after
    elif after:
        runs = np.append(runs, after)
    return runs


def mask_of_runs(runs: NDArray[np.int64], size: Size) -> NDArray[np.bool_]:
    """The mask ``(h, w)`` of run lengths; inverse of ``run_lengths``.

    Raises:
        ValueError: a run is negative or the runs do not add up to the size.
    """
    pixels = size[0] * size[1]
    if (runs < 0).any() or (runs > pixels).any() or runs.sum() != pixels:
        raise ValueError(f"mask: its runs do not add up to {size[1]}x{size[0]} pixels")
    values = np.zeros(len(runs), np.bool_)
    values[1::2] = True
    return np.ascontiguousarray(np.repeat(values, runs).reshape(size[1], size[0]).T)


def rle_string(runs: NDArray[np.int64]) -> bytes:
    """Run lengths in COCO's compressed form.

    Reference:
        pycocotools, common/maskApi.c, rleToString.
    """
    values = runs.copy()
    values[3:] -= runs[1:-2]
    magnitude = np.where(values < 0, ~values, values)
    lengths = np.ones(len(values), np.int64)
    for digits in range(1, _DIGITS):
        lengths += magnitude >= 1 << (5 * digits - 1)  # the highest bit of the last digit is the sign
    starts = np.cumsum(lengths) - lengths
    text = np.empty(lengths.sum(), np.uint8)
    for place in range(lengths.max()):
        more = lengths > place + 1
        text[starts + place] = (values & 31) + 32 * more + 48
        values, starts, lengths = values[more] >> 5, starts[more], lengths[more]
    return text.tobytes()


def read_rle_string(data: bytes) -> NDArray[np.int64]:
    """Run lengths of COCO's compressed form; inverse of ``rle_string``.

    Raises:
        ValueError: the text is not of that form.

    Reference:
        pycocotools, common/maskApi.c, rleFrString.
    """
    codes = np.frombuffer(data, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero((codes & 32) == 0)
    if not len(codes) or (codes < 0).any() or (codes > 63).any() or not len(last) or last[-1] != len(codes) - 1:
        raise ValueError("mask: not a compressed COCO run-length string")
    starts = np.concatenate(([0], last[:-1] + 1))
    lengths = last - starts + 1
    if lengths.max() > _DIGITS:
        raise ValueError(f"mask: a run length of more than {_DIGITS} digits")
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    values -= np.where(codes[last] & 16, np.int64(1) << (5 * lengths), 0)
    values[1::2] = values[1::2].cumsum()
    values[2::2] = values[2::2].cumsum()
    return values
