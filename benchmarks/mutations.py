"""Damage to bytes and to text, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable

HEAD = 600
"""The first bytes of a file say most about the rest."""

_TOKENS = (
    "null", "true", "-1", "0", "1e400", ".nan", ".inf", "99999999999999999999", "''", "[]", "{}", "[[[[]]]]", "0x10",
    "!!python/object:os.system", "&a [*a]", "*missing", "<<: {a: 1}", "${HOME}", "${NO_SUCH}", "${file:/dev/null}",
    "${file:/no/such}", "\u202e", "\x00", "\ufeff", "é", "2024-01-01", "1:20", "no", "- - -", "? a", "|", ">", "---",
    "...", "%YAML 9", "#", ":", ",", "'", '"', "\t", "rtsp://a:b@c", "fake://people?n=99999999", "webcam:-1",
    "fake://people?size=axb",
)  # fmt: skip


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four wounds at random places, a quarter of them in the head.

    Args:
        data: at least one byte.
        rng: seeded.
    """
    wounded = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not wounded:
            break
        at = rng.randrange(min(HEAD, len(wounded)) if rng.random() < 0.25 else len(wounded))
        rng.choice(_WOUNDS)(wounded, at, rng)
    return bytes(wounded)


def mutate_text(text: str, rng: random.Random) -> str:
    """One to three changes to the lines and words of a YAML text, or to its bytes."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        match rng.randrange(8):
            case 0:
                lines[at] = " " * rng.randrange(5) + lines[at]
            case 1:
                lines[at] = lines[at].lstrip()
            case 2:
                lines.insert(rng.randrange(len(lines)), lines[at])
            case 3:
                del lines[at]
            case 4:
                lines[at] += rng.choice(_TOKENS)
            case 5 | 6:
                key, colon, _ = lines[at].partition(":")
                lines[at] = f"{key}{colon} {rng.choice(_TOKENS)}"
            case 7:
                return mutate(text.encode(), rng).decode("utf-8", "replace")
        text = "\n".join(lines) or "\n"
    return text


def _length(rng: random.Random) -> int:
    return 1 << rng.randrange(11)


def _flip(data: bytearray, at: int, rng: random.Random) -> None:
    for _ in range(rng.randrange(1, 12)):
        data[min(len(data) - 1, at + rng.randrange(64))] ^= 1 << rng.randrange(8)


def _extreme(data: bytearray, at: int, rng: random.Random) -> None:
    count = min(rng.choice((1, 2, 4, 8)), len(data) - at)
    data[at : at + count] = rng.choice((b"\x00", b"\xff", b"\x7f", b"\x80")) * count


def _noise(data: bytearray, at: int, rng: random.Random) -> None:
    count = min(_length(rng), len(data) - at)
    data[at : at + count] = rng.randbytes(count)


def _cut_out(data: bytearray, at: int, rng: random.Random) -> None:
    del data[at : at + _length(rng)]


def _repeat(data: bytearray, at: int, rng: random.Random) -> None:
    data[at:at] = data[at : at + _length(rng)]


def _put_in(data: bytearray, at: int, rng: random.Random) -> None:
    data[at:at] = rng.randbytes(_length(rng))


def _move(data: bytearray, at: int, rng: random.Random) -> None:
    piece = data[at : at + _length(rng)]
    del data[at : at + len(piece)]
    to = rng.randrange(len(data) + 1)
    data[to:to] = piece


def _cut_off(data: bytearray, at: int, rng: random.Random) -> None:
    if rng.random() < 0.3:
        del data[max(1, at) :]


_WOUNDS: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    _flip, _flip, _extreme, _noise, _cut_out, _repeat, _put_in, _move, _cut_off,
)  # fmt: skip
