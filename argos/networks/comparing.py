"""Published numbers beside ours: what a table of a document holds, and how a number of ours compares."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Size = tuple[int, int]
Measure = Callable[[nn.Module, Size], float | str]
Status = Literal["equal", "within", "unexplained", "wrong"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One printed number.

    Attributes:
        quantity: what it says, with its unit.
        printed: as printed; its decimals tell how exact it is.
        measure: gives ours from a network on the meta device and a size; ``None`` where nothing here can.
        tolerance: share of the printed number that ours may differ by.
        note: why ours differs, or on what the equality rests.
    """

    quantity: str
    printed: str
    measure: Measure | None
    tolerance: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: the name in it, how the network is built, its numbers."""

    name: str
    build: Callable[[], nn.Module]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a document.

    Attributes:
        title: document and what the table shows.
        size: (height, width) of the image that operations are counted for.
        rows: in the order of the document.
        left_out: what else the document's table holds, and why it is not here.
    """

    title: str
    size: Size
    rows: tuple[Row, ...]
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """One printed number beside ours.

    Attributes:
        row, quantity, printed, note: from the table.
        ours: number or text; ``None`` where nothing here can measure it.
        difference: ours minus printed; ``None`` where one of them is no number.
        status: ``equal`` in every printed digit, rounded or cut off; ``within`` the tolerance; ``unexplained``, with
            the reason as note; ``wrong``: different without a known reason.
    """

    row: str
    quantity: str
    printed: str
    ours: float | str | None
    difference: float | None
    status: Status
    note: str


def compare(table: Table) -> list[Compared]:
    """Measure what a table prints on our networks."""
    return [compared for row in table.rows for compared in compare_row(row, table.size)]


def compare_row(row: Row, size: Size) -> list[Compared]:
    """Measure the numbers of one row on our network."""
    with torch.device("meta"):
        network = row.build()
    found = []
    for cell in row.cells:
        ours = cell.measure(network, size) if cell.measure else None
        difference = ours - float(cell.printed) if isinstance(ours, int | float) else None
        status = judge(cell, ours)
        found.append(Compared(row.name, cell.quantity, cell.printed, ours, difference, status, cell.note))
    return found


def judge(cell: Cell, ours: float | str | None) -> Status:
    """Say how ours compares with what is printed.

    Documents round and cut off alike, so a number with decimals is equal when it is less than one of its last digit
    away; an integer is equal when it is the same.
    """
    if isinstance(ours, str):
        equal = ours == cell.printed
    elif ours is not None:
        apart, decimals = abs(ours - float(cell.printed)), len(cell.printed.partition(".")[2])
        # a little less than one digit: 0.1 is not exact in binary
        equal = apart < (1 - 1e-9) * 10.0**-decimals if decimals else apart == 0
        if not equal and apart <= cell.tolerance * abs(float(cell.printed)):
            return "within"
    else:
        equal = False
    if equal:
        return "equal"
    return "unexplained" if cell.note else "wrong"


def forward_ms(network: nn.Module, size: Size, runs: int = 3) -> float:
    """Milliseconds of one forward pass of one image on this machine: the best of some runs after a first one.

    Args:
        network: may be on the meta device; the weights are drawn anew, the time does not depend on them.
        size: (height, width).
        runs: at least 1.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = copy.deepcopy(network).to_empty(device=device).eval()
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.fill_(0.01)  # memory as it is could hold numbers that are slow to compute with
    image = torch.rand(1, 3, *size, device=device)
    best = float("inf")
    with torch.inference_mode():
        network(image)
        for _ in range(runs):
            _wait(device)
            started = time.perf_counter()
            network(image)
            _wait(device)
            best = min(best, time.perf_counter() - started)
    return best * 1e3


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
