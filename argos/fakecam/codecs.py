"""H.264 and H.265, as far as a camera has to know them: kinds of NAL units, fragments in RTP, words of SDP.

Reference:
    RFC 6184 (H.264 in RTP), RFC 7798 (H.265 in RTP), ITU-T H.265 table 7-1.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Codec:
    """How the NAL units of a codec are told apart and sent.

    Attributes:
        name: in FFmpeg.
        encoder: in FFmpeg.
        title: in SDP.
        header: bytes before the body of a NAL unit.
        shift, mask: where its kind stands in the first byte.
        fragment: kind of a piece of a longer NAL unit.
        sets: kinds of the parameter sets, with their names in SDP.
        keys: kinds of the slices at which decoding can begin.
    """

    name: str
    encoder: str
    title: str
    header: int
    shift: int
    mask: int
    fragment: int
    sets: tuple[tuple[int, str], ...]
    keys: frozenset[int]

    def kind(self, nal: bytes) -> int:
        """The kind of a NAL unit."""
        return nal[0] >> self.shift & self.mask

    def fragment_header(self, nal: bytes) -> bytes:
        """What the pieces of a NAL unit begin with, before the byte that tells which piece it is."""
        kept = nal[0] & ~(self.mask << self.shift) & 0xFF
        return bytes((kept | self.fragment << self.shift,)) + nal[1 : self.header]

    def parameters(self, sets: Sequence[bytes]) -> str:
        """The parameter sets in the words of SDP (``a=fmtp``)."""
        texts = [base64.b64encode(nal).decode() for nal in sets]
        if self is H264:
            return (
                f"packetization-mode=1;profile-level-id={sets[0][1:4].hex().upper()};sprop-parameter-sets="
                + ",".join(texts)
            )
        return ";".join(f"{name}={text}" for (_, name), text in zip(self.sets, texts, strict=True))


H264 = Codec(
    "h264", "libx264", "H264", header=1, shift=0, mask=0x1F, fragment=28,
    sets=((7, "sps"), (8, "pps")), keys=frozenset({5}),
)  # fmt: skip
H265 = Codec(
    "hevc", "libx265", "H265", header=2, shift=1, mask=0x3F, fragment=49,
    sets=((32, "sprop-vps"), (33, "sprop-sps"), (34, "sprop-pps")), keys=frozenset(range(16, 22)),
)  # fmt: skip

CODECS = {"h264": H264, "h265": H265}
"""Every codec by the name that users give it."""
