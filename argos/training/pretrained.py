"""Backbones from the weights files of image classifiers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from argos.errors import WeightsError


@dataclass(frozen=True, slots=True)
class Matched:
    """What of a file went into a backbone.

    Attributes:
        taken: tensors that were loaded, in order: name in the file and in the backbone.
        left: names in the file for which the backbone has no place, its classifier for one.
    """

    taken: tuple[tuple[str, str], ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        left = f"; left out: {', '.join(self.left[:6])}{' ...' if len(self.left) > 6 else ''}" if self.left else ""
        return f"{len(self.taken)} tensors loaded, {self.taken[0][0]} to {self.taken[-1][0]}{left}"


def load_backbone(backbone: nn.Module, path: Path) -> Matched:
    """Fill a backbone from a state dict of the same network under other names.

    Layers are matched in order: torchvision, timm and their kin list them as they run, whatever they call them.

    Args:
        backbone: filled in place.
        path: a ``.safetensors`` file, or a ``.pth`` that ``torch.load`` reads without running code.

    Raises:
        WeightsError: the file cannot be read, or a layer of the backbone is missing or of another shape.
    """
    stored = {k: v for k, v in _read(path).items() if not k.endswith("num_batches_tracked")}
    names = list(stored)
    taken: list[tuple[str, str]] = []
    state: dict[str, Tensor] = {}
    for name, wanted in backbone.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        found = names[len(taken)] if len(taken) < len(names) else None
        if found is None or stored[found].shape != wanted.shape:
            what = f"{found} is {tuple(stored[found].shape)}" if found else "the file ends"
            raise WeightsError(
                f"{path}: not the weights of this backbone: {name} is {tuple(wanted.shape)}, but {what} there "
                f"({len(taken)} tensors before it match)"
            )
        state[name] = stored[found].float()
        taken.append((found, name))
    backbone.load_state_dict(state, strict=False)
    return Matched(tuple(taken), tuple(names[len(taken) :]))


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read as weights ({str(error).splitlines()[0]})") from error
    while isinstance(state, dict) and isinstance(inner := state.get("state_dict", state.get("model")), dict):
        state = inner
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: should hold a state dict of tensors")
    return dict(state)
