"""Numba kernel of 3x3 convolutions of codes with signs, requantised to codes, by instructions that oneDNN does not use.

The map that enters is packed into words, and the type of the words says how a step, one word of a pixel with the signs
of 16 channels, is computed:

- 32 bits, four codes (``quads``): ``vpmaddubsw`` of AVX2 and AVX-512 multiplies bytes and adds neighbours in 16 bits.
  A code times a sign is at most 255, so a pair cannot saturate, and 64 pairs fit into 16 bits before they are widened:
  32 products by two instructions, three times what float32 has. oneDNN widens each pair, as other weights need.
- 64 bits, 64 codes of one bit (``bits``): with the signs as bits too, the sum is ``2 popcount(codes & positive) -
  popcount(codes)``.

Products per nanosecond of one core of an Ice Lake server from 64 channels on, and those of oneDNN: quads 130 and 85
(AVX2), 120 and 90 (AVX-512 without VNNI); bits 230 and 75 (AVX2), 840 and 300 (VNNI). Four planes of bits for codes of
four would win nowhere. The inner loop is written in LLVM's language (``_tile``): plain loops that count bits take 1.5
to 1.8 times as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

QUAD, BITS = 4, 64
"""Codes in a word of either kind."""

BLOCK = 16
"""Channels that a tile has, in vectors of 8, or of 16 where AVX-512 multiplies."""

PIXELS = 4
"""Pixels that a tile has, beside each other: their sums take half of the 16 registers of AVX2."""

STRIP_BYTES = 128 * 1024
"""Of the rows that are worked on together, for each block of channels in turn: they stay in the second cache."""

BYTE, WORD16, WORD32, WORD64, FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
COUNTS = ir.VectorType(WORD64, 8)


def quad_weights(signs: NDArray[np.int8]) -> NDArray[np.int8]:
    """Lay signs ``(C_out, C_in, 3, 3)`` out for ``quads``: ``(blocks, steps, BLOCK, QUAD)``, what is missing is 0."""
    c_out, c_in = signs.shape[:2]
    padded = np.pad(signs, ((0, -c_out % BLOCK), (0, -c_in % QUAD), (0, 0), (0, 0)))
    split = padded.reshape(padded.shape[0] // BLOCK, BLOCK, padded.shape[1] // QUAD, QUAD, 3, 3)
    ordered = split.transpose(0, 4, 5, 2, 1, 3)  # block, row, column, word, channel out, code of the word
    return np.ascontiguousarray(ordered).reshape(len(split), -1, BLOCK, QUAD)


def bit_weights(signs: NDArray[np.int8]) -> NDArray[np.uint64]:
    """Lay signs ``(C_out, C_in, 3, 3)`` out for ``bits``: ``(blocks, steps, BLOCK)``, 1 where a sign is positive."""
    c_out, c_in = signs.shape[:2]
    padded = np.pad(signs > 0, ((0, -c_out % BLOCK), (0, -c_in % BITS), (0, 0), (0, 0)))
    split = padded.reshape(padded.shape[0] // BLOCK, BLOCK, padded.shape[1] // BITS, BITS, 3, 3)
    packed = np.packbits(split.transpose(0, 4, 5, 2, 1, 3), -1, "little")
    return np.ascontiguousarray(packed).view(np.uint64).reshape(len(split), -1, BLOCK)


@njit(cache=True, nogil=True)
def quads(codes: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Codes ``(H, W, C)`` as words ``(H, W, C / 4 rounded up)``; of a multiple of four channels it is a view."""
    height, width, channels = codes.shape
    if channels % QUAD == 0:
        return codes.view(np.uint32)
    padded = np.zeros((height * width, channels + -channels % QUAD), np.uint8)
    pixels = codes.reshape(height * width, channels)
    for i in range(height * width):
        for c in range(channels):
            padded[i, c] = pixels[i, c]
    return padded.view(np.uint32).reshape(height, width, padded.shape[1] // QUAD)


@intrinsic  # type: ignore[untyped-decorator]
def _mask(typing: Any, codes: Any, index: Any) -> Any:
    """Which of the 64 bytes from an index of a flat array are not 0, as bits."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(BYTE, BITS)
        codes, index = args
        found = builder.load(_address(context, builder, signature.args[0], codes, index, kind), align=1)
        return builder.bitcast(builder.icmp_unsigned("!=", found, kind([0] * BITS)), WORD64)

    return types.uint64(codes, types.uint64), emit


@njit(cache=True, nogil=True)
def bits(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Codes ``(H, W, C)``, each 0 or 1, as words ``(H, W, C / 64 rounded up)``."""
    height, width, channels = codes.shape
    pixels, flat = codes.reshape(height * width, channels), codes.reshape(-1)
    words = np.zeros((height * width, (channels + BITS - 1) // BITS), np.uint64)
    for i in range(height * width):
        for k in range(channels // BITS):
            words[i, k] = _mask(flat, i * channels + k * BITS)
        for c in range(channels // BITS * BITS, channels):
            words[i, c // BITS] |= np.uint64(pixels[i, c]) << np.uint64(c % BITS)
    return words.reshape(height, width, words.shape[1])


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any, to: ir.Type) -> Any:
    """Where an element of a flat array is, as the address of a ``to``."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), to.as_pointer())


def _splat(builder: Any, value: Any, count: int) -> Any:
    """A vector of one value."""
    none = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    places = ir.Constant(ir.VectorType(WORD32, count), [0] * count)
    return builder.shuffle_vector(builder.insert_element(none, value, WORD32(0)), none, places)


def _add(builder: Any, to: Any, value: Any) -> None:
    """Add to a variable, which becomes a register."""
    builder.store(builder.add(builder.load(to), value), to)


def _call(builder: Any, name: str, result: ir.Type, *arguments: Any) -> Any:
    """One instruction of the processor."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _multiply(builder: Any, steps: Any, chunk: Any, lanes: int, word: Any, weights: Any) -> list[Any]:
    """The sums of ``_tile`` by multiplication, 32 bits each: one vector after the other, each for all pixels.

    Args:
        lanes: channels of a vector.
        word: gives the word of a step and a pixel.
        weights: gives the address of the weights of a step from a place on, for a type.
    """
    codes4, pairs = ir.VectorType(BYTE, 4 * lanes), ir.VectorType(WORD16, 2 * lanes)
    sums = ir.VectorType(WORD32, lanes)
    multiply, widen = MULTIPLY[lanes]
    count = BLOCK // lanes
    wide = [cgutils.alloca_once_value(builder, sums([0] * lanes)) for _ in range(count * PIXELS)]
    narrow = [cgutils.alloca_once(builder, pairs) for _ in wide]
    with cgutils.for_range_slice(builder, WORD64(0), steps, chunk, WORD64) as (first, _):
        for part in narrow:
            builder.store(pairs([0] * 2 * lanes), part)
        last = builder.add(first, chunk)
        last = builder.select(builder.icmp_unsigned("<", last, steps), last, steps)
        with cgutils.for_range_slice(builder, first, last, WORD64(1), WORD64) as (j, _):
            signs = [builder.load(weights(j, 4 * lanes * v, codes4), align=1) for v in range(count)]
            for p in range(PIXELS):
                codes = builder.bitcast(_splat(builder, word(j, p), lanes), codes4)
                for v in range(count):
                    _add(builder, narrow[v * PIXELS + p], _call(builder, multiply, pairs, codes, signs[v]))
        for part, to in zip(narrow, wide, strict=True):
            _add(builder, to, _call(builder, widen, sums, builder.load(part), pairs([1] * 2 * lanes)))
    return [builder.load(to) for to in wide]


MULTIPLY = {
    8: ("llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd"),
    16: ("llvm.x86.avx512.pmaddubs.w.512", "llvm.x86.avx512.pmaddw.d.512"),
}
"""Instructions that multiply and that widen vectors of so many channels."""


def _count(builder: Any, steps: Any, word: Any, weights: Any) -> list[Any]:
    """The sums of ``_tile`` by counting bits, in vectors of 8; see ``_multiply``."""
    found = [cgutils.alloca_once_value(builder, COUNTS([0] * 8)) for _ in range(2 * PIXELS)]
    ones = [cgutils.alloca_once_value(builder, WORD64(0)) for _ in range(PIXELS)]
    for v in range(2):  # one after the other: with AVX2 the counts of one take eight registers
        with cgutils.for_range_slice(builder, WORD64(0), steps, WORD64(1), WORD64) as (j, _):
            positive = builder.load(weights(j, 8 * v, COUNTS), align=8)
            for p in range(PIXELS):
                codes = word(j, p)
                both = builder.and_(positive, _splat(builder, codes, 8))
                _add(builder, found[v * PIXELS + p], _call(builder, "llvm.ctpop.v8i64", COUNTS, both))
                if v == 0:
                    _add(builder, ones[p], builder.ctpop(codes))
    sums = []
    for n, counts in enumerate(found):
        twice = builder.shl(builder.load(counts), COUNTS([1] * 8))
        total = builder.sub(twice, _splat(builder, builder.load(ones[n % PIXELS]), 8))
        sums.append(builder.trunc(total, ir.VectorType(WORD32, 8)))
    return sums


def _requantize(builder: Any, sums: Any, scale: Any, offset: Any, largest: Any) -> Any:
    """``clamp(round(sums * scale + offset), 0, largest)`` of a vector, halves to even, in bytes."""
    floats, lanes = scale.type, scale.type.count
    zero, shift = floats([0.0] * lanes), floats([2.0**23] * lanes)
    value = builder.fadd(builder.fmul(builder.sitofp(sums, floats), scale), offset)
    value = builder.select(builder.fcmp_ordered("<", value, zero), zero, value)
    value = builder.select(builder.fcmp_ordered(">", value, largest), largest, value)
    # a float32 from 2**23 on is a whole number, and its low bits are that number
    whole = builder.bitcast(builder.fadd(value, shift), sums.type)
    return builder.trunc(whole, ir.VectorType(BYTE, lanes))


@intrinsic  # type: ignore[untyped-decorator]
def _tile(
    typing: Any, strip: Any, start: Any, stride: Any, taps: Any, weights: Any, block: Any, chunk: Any, affine: Any,
    largest: Any, out: Any, place: Any, pitch: Any,
) -> Any:  # fmt: skip
    """Write the codes of ``PIXELS`` pixels and ``BLOCK`` channels.

    All arrays are flat.

    Args:
        strip: words; those of the first pixel are at ``start + taps``, those of the next ``stride`` further.
        taps: where the word of each step is.
        weights: of all blocks of channels.
        block: that is computed.
        chunk: steps of quads that fit into 16 bits.
        affine: scales of all channels, then offsets.
        largest: code.
        out: codes; those of the first pixel go to ``place``, those of the next ``pitch`` further.
    """
    place_type = types.uint64
    signature = types.void(
        strip, place_type, place_type, taps, weights, place_type, place_type, affine, types.float32, out, place_type,
        place_type,
    )  # fmt: skip

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        strip, start, stride, taps, weights, block, chunk, affine, largest, out, place, pitch = args
        strip_kind, _, _, taps_kind, weights_kind, _, _, affine_kind, _, out_kind, _, _ = signature.args
        multiplied = strip_kind.dtype == types.uint32
        steps = context.make_array(taps_kind)(context, builder, taps).nitems
        per_step = WORD64(BLOCK * QUAD if multiplied else BLOCK)
        of_block = builder.mul(block, builder.mul(steps, per_step))

        def word(step: Any, pixel: int) -> Any:
            tap = builder.load(_address(context, builder, taps_kind, taps, step, WORD64))
            at = builder.add(builder.add(start, builder.mul(stride, WORD64(pixel))), tap)
            kind = context.get_value_type(strip_kind.dtype)
            return builder.load(_address(context, builder, strip_kind, strip, at, kind))

        def weight(step: Any, first: int, kind: ir.Type) -> Any:
            at = builder.add(of_block, builder.add(builder.mul(step, per_step), WORD64(first)))
            return _address(context, builder, weights_kind, weights, at, kind)

        if multiplied:
            lanes = 16 if "+avx512bw" in context.codegen().magic_tuple()[2] else 8
            sums = _multiply(builder, steps, chunk, lanes, word, weight)
        else:
            lanes = 8
            sums = _count(builder, steps, word, weight)
        floats, cut = ir.VectorType(FLOAT, lanes), _splat(builder, largest, lanes)
        channels = builder.udiv(context.make_array(affine_kind)(context, builder, affine).nitems, WORD64(2))
        for v in range(BLOCK // lanes):
            channel = builder.add(builder.mul(block, WORD64(BLOCK)), WORD64(lanes * v))
            scale, offset = (
                builder.load(_address(context, builder, affine_kind, affine, at, floats), align=4)
                for at in (channel, builder.add(channel, channels))
            )
            for p in range(PIXELS):
                codes = _requantize(builder, sums[v * PIXELS + p], scale, offset, cut)
                at = builder.add(builder.add(place, builder.mul(pitch, WORD64(p))), WORD64(lanes * v))
                builder.store(codes, _address(context, builder, out_kind, out, at, codes.type), align=1)
        return context.get_dummy_value()

    return signature, emit


@njit(cache=True, nogil=True)
def _copy(target: NDArray[Any], source: NDArray[Any]) -> None:
    for i in range(len(source)):
        target[i] = source[i]


@njit(cache=True, nogil=True)
def convolve_rows(
    words: NDArray[np.uint32] | NDArray[np.uint64],
    weights: NDArray[np.int8] | NDArray[np.uint64],
    scale: NDArray[np.float32],
    offset: NDArray[np.float32],
    chunk: int,
    largest: int,
    first: int,
    last: int,
    out: NDArray[np.uint8],
) -> None:
    """Convolve with zero padding and requantise some rows of a map.

    Args:
        words: ``(H, W, K)``, of ``quads`` or ``bits``.
        weights: of ``quad_weights`` or ``bit_weights``.
        scale, offset: ``(C_out,)``, of ``layers.quantize.exact_affine``.
        chunk: of quads only, how many of the largest codes may be added in 16 bits: ``32767 // (2 * code)``.
        largest: code that leaves.
        first, last: rows, the last exclusive.
        out: ``(H, W, C_out)``, those rows are written.
    """
    height, width, depth = words.shape
    channels = out.shape[2]
    blocks = weights.shape[0]
    columns = (width + PIXELS - 1) // PIXELS * PIXELS + 2
    row = columns * depth
    count = max(1, min(last - first, STRIP_BYTES // (row * words.itemsize) - 2))
    strip = np.zeros((count + 2) * row, words.dtype)
    taps = np.empty(9 * depth, np.uint64)
    for j in range(9 * depth):
        taps[j] = j // (3 * depth) * row + j % (3 * depth)
    affine = np.zeros(2 * blocks * BLOCK, np.float32)
    _copy(affine, scale)
    _copy(affine[blocks * BLOCK :], offset)
    nothing = np.zeros(width * depth, words.dtype)
    lines, flat_weights, flat_out = words.reshape(height, width * depth), weights.reshape(-1), out.reshape(-1)
    spare = np.empty(PIXELS * BLOCK, np.uint8)
    for top in range(first, last, count):
        bottom = min(last, top + count)
        for y in range(top - 1, bottom + 1):
            inside = y >= 0 and y < height
            _copy(strip[(y - top + 1) * row + depth :], lines[y] if inside else nothing)
        for b in range(blocks):
            used = min(BLOCK, channels - b * BLOCK)
            for y in range(top, bottom):
                for x in range(0, width, PIXELS):
                    start, place = (y - top) * row + x * depth, (y * width + x) * channels + b * BLOCK
                    whole = used == BLOCK and x + PIXELS <= width
                    to, at, pitch = (flat_out, place, channels) if whole else (spare, 0, BLOCK)
                    _tile(strip, start, depth, taps, flat_weights, b, chunk, affine, largest, to, at, pitch)
                    if whole:
                        continue
                    for p in range(min(PIXELS, width - x)):
                        for c in range(used):
                            flat_out[place + p * channels + c] = spare[p * BLOCK + c]
