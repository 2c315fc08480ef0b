"""Tiny networks of "somebody else" in the forms they come in: code, ``torch.export`` and ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from argos.engines.export import export
from argos.engines.own_network import build_own
from argos.sources.read import read

CLIP = str(Path(__file__).parents[1] / "samples" / "people.mp4")

CODE = '''
import torch
from torch import nn


class Shapes(nn.Module):
    """Three classes at half the size, and what it saw: two outputs by name."""

    def __init__(self, classes=3):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, image):
        return {"out": 40 * self.head(torch.relu(self.norm(self.down(image)))), "seen": image[:, :1]}


def shapes(classes=3):
    torch.manual_seed(1)
    return Shapes(classes)


class Halves(nn.Module):
    """The left and the right half are somebody, as surely as they are bright; masks are the bright pixels."""

    def __init__(self):
        super().__init__()
        self.grey = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.grey.weight, 1 / 3)

    def forward(self, image):
        grey = self.grey(image)[0]
        height, width = grey.shape[1], grey.shape[2]
        middle = width // 2
        boxes = torch.tensor([[0.0, 0.0, middle, height], [middle, 0.0, width, height]])
        scores = torch.stack([grey[:, :, :middle].mean(), grey[:, :, middle:].mean()])
        return {"boxes": boxes, "scores": scores, "labels": torch.tensor([1, 7]), "masks": grey.repeat(2, 1, 1)}


def no_module():
    return 3


def lazy():
    return nn.Sequential(nn.LazyConv2d(1, 3))


def broken():
    raise RuntimeError("out of paper")
'''


def write_code(folder: Path) -> Path:
    """The networks as a file."""
    path = folder / "theirs.py"
    path.write_text(CODE)
    return path


def in_all_forms(folder: Path, function: str, height: int, width: int) -> dict[str, str]:
    """A function of ``CODE`` as the configuration names it, in each form."""
    code = f"{write_code(folder)}:{function}"
    network = build_own(code, {}).eval()
    image = torch.rand(1, 3, height, width)
    program = folder / f"{function}.pt2"
    torch.export.save(torch.export.export(network, (image,)), program)
    onnx = folder / f"{function}.onnx"
    names = list(network(image))
    torch.onnx.export(network, (image,), onnx, dynamo=True, external_data=False, verbose=False, output_names=names)
    return {"code": code, "program": str(program), "onnx": str(onnx)}


def real_pictures(height: int, width: int, count: int = 2) -> NDArray[np.uint8]:
    """Corners of the first frames of the sample clip."""
    frames = read(CLIP, "cam")
    return np.stack([next(frames).pixels[200 : 200 + height, 500 : 500 + width] for _ in range(count)])


def export_to(network: nn.Module, path: Path, height: int, width: int, about: dict[str, object]) -> Path:
    """``argos export`` without its command."""
    to = "onnx" if path.suffix == ".onnx" else "torch.export"
    export(network, torch.rand(1, 3, height, width), to, path, about)  # type: ignore[arg-type]
    return path
