"""The oracle of placing: the package rectpack, with the heuristics of ``argos.packing.place``."""

from __future__ import annotations

import numpy as np
import rectpack
from numpy.typing import NDArray

from argos.packing.place import Places
from argos.types import Size


def place_by_rectpack(sizes: NDArray[np.int32], canvas_size: Size, *, gutter: int, max_canvases: int) -> Places | None:
    """As ``argos.packing.place.place``."""
    count = len(sizes)
    canvas, corner = np.zeros(count, np.int32), np.zeros((count, 2), np.int32)
    if count == 0:
        return canvas, corner
    height, width = canvas_size
    packer = rectpack.newPacker(
        mode=rectpack.PackingMode.Offline,
        bin_algo=rectpack.PackingBin.BBF,
        pack_algo=rectpack.MaxRectsBssf,
        sort_algo=rectpack.SORT_AREA,
        rotation=False,
    )
    packer.add_bin(width + gutter, height + gutter, count=min(max_canvases, count))
    for n, (h, w) in enumerate(sizes.tolist()):
        packer.add_rect(w + gutter, h + gutter, n)
    packer.pack()
    placed = packer.rect_list()
    if len(placed) < count:
        return None
    for b, x, y, _, _, n in placed:
        canvas[n], corner[n] = b, (x, y)
    return canvas, corner
