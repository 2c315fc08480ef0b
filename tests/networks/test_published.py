"""The tables of the documents against our networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from argos.networks.asbunet import asbunet
from argos.networks.comparing import Cell, Row, Table, compare, forward_ms, judge
from argos.networks.counting import conv_weights
from argos.networks.published import TABLES

TIMED = "asbunet:6"

NOT_EQUAL = {
    "asbunet:7": {("MobileNetV2 U-Net x1", "variables"): "unexplained",
                  ("MobileNetV2 U-Net x1.3", "variables"): "unexplained",
                  ("MobileNetV2 U-Net x1.4", "variables"): "unexplained",
                  **{(row.name, "MB"): "unexplained" for row in TABLES["asbunet:7"].rows}},
    "rtseg:5.5": {("Single-Shape", "variables"): "unexplained"},
    "essnet:3.2": {("ESSNetB-D", "conv weights"): "unexplained"},
    "essnet:3.4": {("ESSNetA-D", "conv weights"): "unexplained", ("ESSNetA-D", "GFLOPs"): "unexplained"},
    "essnet:4.1": {("ESSNet-enc-UPS", "GFLOPs"): "within", ("ESSNet-trans4x", "GFLOPs"): "within",
                   ("ESSNet-nodec", "GFLOPs"): "within"},
}  # fmt: skip
"""Everything else is equal in each printed digit."""


@pytest.mark.parametrize("name", [name for name in TABLES if name != TIMED])
def test_every_number_is_equal_but_for_those_with_a_reason(name: str) -> None:
    found = compare(TABLES[name])
    different = {(number.row, number.quantity): number.status for number in found if number.status != "equal"}
    assert different == NOT_EQUAL.get(name, {})
    assert all(number.note for number in found if number.status != "equal")


def test_times_are_of_this_machine_and_accuracies_are_not_made_up() -> None:
    table = replace(TABLES[TIMED], size=(32, 48), rows=TABLES[TIMED].rows[-1:])
    accuracy, milliseconds = compare(table)
    assert (accuracy.ours, accuracy.status) == (None, "unexplained")
    assert isinstance(milliseconds.ours, float)
    assert milliseconds.ours > 0
    assert milliseconds.status == "unexplained"


def test_a_forward_pass_is_timed_without_touching_the_network() -> None:
    network = asbunet()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert forward_ms(network, (16, 16), runs=1) > 0
    assert all((before[name] == tensor).all() for name, tensor in network.state_dict().items())
    assert network.training


@pytest.mark.parametrize(
    ("printed", "ours", "status"),
    [
        ("1656385", 1_656_385, "equal"),
        ("1656385", 1_656_384, "wrong"),
        ("27.705", 27.7055, "equal"),  # cut off
        ("8.852", 8.85151, "equal"),  # rounded
        ("8.852", 8.8531, "wrong"),
        ("0.1", 0.2, "wrong"),  # a whole digit
        ("16x256x512", "16x256x512", "equal"),
        ("16x256x512", "16x128x256", "wrong"),
        ("0.9", None, "wrong"),
    ],
)
def test_a_number_is_equal_when_its_printed_digits_are(printed: str, ours: float | str | None, status: str) -> None:
    assert judge(Cell("quantity", printed, None), ours) == status


def test_a_reason_makes_a_difference_unexplained_and_a_tolerance_allows_it() -> None:
    assert judge(Cell("GFLOPs", "7.41", None, note="another tool"), 7.0) == "unexplained"
    assert judge(Cell("GFLOPs", "7.41", None, tolerance=0.01, note="another tool"), 7.37) == "within"
    assert judge(Cell("GFLOPs", "7.41", None, tolerance=0.01, note="another tool"), 7.33) == "unexplained"


def test_a_network_that_changed_is_told() -> None:
    row = Row("wrong", lambda: nn.Conv2d(3, 4, 1), (Cell("weights", "13", lambda n, _: conv_weights(n)),))
    (found,) = compare(Table("title", (8, 8), (row,)))
    assert (found.ours, found.difference, found.status) == (12, -1.0, "wrong")
