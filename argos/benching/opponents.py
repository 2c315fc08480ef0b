"""The table of opponents: what else one could do with the same deep networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from argos.benching.contender import Contender, Setting
from argos.benching.motion import motion, motion_boxes
from argos.benching.precision import in_precision
from argos.benching.runtimes import by_onnxruntime, by_openvino
from argos.benching.tiles import tiles
from argos.benching.whole import bf16_by_torch, shrunk, torch_alone
from argos.errors import UsageError

OPPONENTS: Mapping[str, Callable[[Setting], Contender]] = {
    "full-bf16": partial(in_precision, precision="bfloat16", asked="full", backend="openvino"),
    "pack-bf16": partial(in_precision, precision="bfloat16", asked="pack", backend="openvino"),
    "full-bf16-torch": bf16_by_torch,
    "full-int8": partial(in_precision, precision="int8", asked="full", backend="onnxruntime"),
    "pack-int8": partial(in_precision, precision="int8", asked="pack", backend="onnxruntime"),
    "full-int8-openvino": partial(in_precision, precision="int8", asked="full", backend="openvino"),
    "pack-int8-openvino": partial(in_precision, precision="int8", asked="pack", backend="openvino"),
    "full-torch": torch_alone,
    "full-onnxruntime": by_onnxruntime,
    "full-openvino": by_openvino,
    "shrunk": shrunk,
    "tiles": tiles,
    "motion": motion,
    "motion-boxes": motion_boxes,
}


def chosen(text: str) -> list[str]:
    """Names of opponents from ``all``, ``none`` or a list with commas, in the order of the table.

    Raises:
        UsageError: a name that is not in the table.
    """
    if text in ("all", "none"):
        return list(OPPONENTS) if text == "all" else []
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in OPPONENTS]
    if unknown:
        raise UsageError(f"--opponents: unknown {', '.join(unknown)}; should be all, none or of {', '.join(OPPONENTS)}")
    return [name for name in OPPONENTS if name in names]
