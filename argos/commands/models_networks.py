"""The parts of ``argos models`` that look at networks: their list, one network with its layers, the comparison."""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from argos.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from argos.networks.comparing import Compared
    from argos.networks.layer_table import Layer

EXIT_DIFFERS = 7
RULE_NAMES = ("macs", "tf-vars", "conv-only", "conv+2bn", "hooks", "bit-ops")


def parse_size(text: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` to (height, width), for argparse."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"should be WIDTHxHEIGHT in pixels, as in 640x352, got {text!r}")
    return int(height), int(width)


def describe_networks(size: tuple[int, int], rule: str) -> list[dict[str, Any]]:
    """What is known of every network: name, task, classes, parameters, operations, shipped weights, source."""
    from argos.engines.weights import list_cards
    from argos.networks.families import family_of
    from argos.networks.table import NETWORKS

    cards = list_cards()
    return [
        {
            "name": name,
            "task": family_of(name).task,
            **count(build(name, {}), size, rule),
            "weights": [card.name for card in cards if card.network == name],
            "source": family_of(name).source,
        }
        for name in NETWORKS
    ]


def build(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network of the table without memory for its weights.

    Raises:
        UsageError: an argument is unknown or has a wrong value.
    """
    import torch

    from argos.networks.table import NETWORKS

    builder = NETWORKS[name]
    known = inspect.signature(builder).parameters
    for key in arguments:
        if key not in known:
            raise UsageError(f"--set {key}: no argument of {name}; known are {', '.join(known)}")
    try:
        with torch.device("meta"):
            return builder(**arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--set: {name} cannot be built with {dict(arguments)}: {error}") from error


def parse_arguments(settings: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` with values in YAML to arguments of a network.

    Raises:
        UsageError: one has no ``=`` or no valid value.
    """
    import yaml

    arguments = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not (key and equals):
            raise UsageError(f"--set {setting}: should be KEY=VALUE, as in --set num_classes=2")
        try:
            arguments[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {setting}: the value is not YAML") from error
    return arguments


def count(network: nn.Module, size: tuple[int, int], rule: str) -> dict[str, Any]:
    """Classes, parameters and billions of operations; the last is ``None`` at a size too small to count."""
    from argos.networks.count_rules import RULES

    counted = RULES[rule]
    try:
        giga = counted.operations(network, size) / 1e9
    except ValueError:  # a batch normalisation saw one value: the smallest map is 1x1
        giga = None
    classes = getattr(network, "num_classes", 1)
    return {"classes": classes, "parameters": counted.parameters(network), "giga_operations": giga}


def trace(network: nn.Module, size: tuple[int, int]) -> list[Layer]:
    """The layers of a network.

    Raises:
        UsageError: the size is too small for it.
    """
    from argos.networks.layer_table import trace_layers

    try:
        return trace_layers(network, size)
    except ValueError as error:
        height, width = size
        raise UsageError(f"--size {width}x{height}: too small for this network ({error})") from error


def show_list(networks: list[dict[str, Any]], size: tuple[int, int], rule: str) -> str:
    """Table of the networks."""
    from argos.networks.count_rules import RULES

    height, width = size
    rows = [("network", "task", "classes", "parameters", RULES[rule].unit, "weights", "source")]
    rows += [
        (
            network["name"],
            network["task"],
            str(network["classes"]),
            f"{network['parameters']:,}",
            giga(network["giga_operations"]),
            ", ".join(network["weights"]) or "-",
            network["source"],
        )
        for network in networks
    ]
    note = f"one image of {width}x{height}; {RULES[rule].text}; instances: without the masks of the boxes"
    return "\n".join((*columns(rows, right=(2, 3, 4)), "", note))


def show_network(name: str, arguments: Mapping[str, Any], counted: Mapping[str, Any], rule: str) -> str:
    """One network in a few lines."""
    from argos.networks.count_rules import RULES
    from argos.networks.families import family_of

    family = family_of(name)
    given = "".join(f", {key} = {value!r}" for key, value in arguments.items())
    return "\n".join(
        (
            f"network      {name}{given}",
            f"task         {family.task}, classes: {counted['classes']}",
            f"source       {family.source}",
            f"parameters   {counted['parameters']:,}",
            f"{RULES[rule].unit:<12} {giga(counted['giga_operations'])}",
            f"counted      {RULES[rule].text}",
        )
    )


def show_layers(layers: Sequence[Layer], size: tuple[int, int]) -> str:
    """Table of the layers that hold parameters or multiply."""
    height, width = size
    rows = [("layer", "kind", "output", "parameters", "MMACs")]
    rows += [
        (
            layer.name or "(outside the layers)",
            layer.kind,
            "x".join(str(side) for side in layer.output) or "-",
            f"{layer.parameters:,}",
            f"{layer.macs / 1e6:,.2f}",
        )
        for layer in layers
        if layer.parameters or layer.macs
    ]
    return "\n".join((f"layers at {width}x{height}; output is channels x height x width", *columns(rows, right=(3, 4))))


def compare_tables(names: Sequence[str], as_json: bool) -> int:
    """Print tables of the documents beside ours; status 7 where a number differs without a known reason.

    Raises:
        UsageError: no such table.
    """
    from argos.networks.comparing import compare
    from argos.networks.published import TABLES

    for name in names:
        if name not in TABLES:
            raise UsageError(f"--table {name}: no such table; known are {', '.join(TABLES)}")
    report = {}
    for name in names or TABLES:
        found = compare(TABLES[name])
        report[name] = found
        if not as_json:
            print(show_comparison(name, found), flush=True)
    if as_json:
        print(json.dumps({name: [asdict(number) for number in found] for name, found in report.items()}))
    wrong = any(number.status == "wrong" for found in report.values() for number in found)
    return EXIT_DIFFERS if wrong else 0


def show_comparison(name: str, found: Sequence[Compared]) -> str:
    """One table, published beside ours."""
    from argos.networks.published import TABLES

    table = TABLES[name]
    rows = [("", "quantity", "published", "ours", "difference", "status", "why")]
    rows += [
        (
            number.row,
            number.quantity,
            f"{int(number.printed):,}" if number.printed.isdecimal() else number.printed,
            _number(number.ours, number.printed),
            "" if number.difference is None else _difference(number.difference, float(number.printed)),
            number.status,
            number.note,
        )
        for number in found
    ]
    height, width = table.size
    statuses = [number.status for number in found]
    tally = ", ".join(f"{statuses.count(s)} {s}" for s in dict.fromkeys(statuses))
    head = f"{name}  {table.title}; {width}x{height}; {tally}"
    return "\n".join((head, *columns(rows, right=(2, 3, 4)), *([table.left_out] if table.left_out else []), ""))


def _number(ours: float | str | None, printed: str) -> str:
    """Ours with two digits more than printed, or in full where it is whole."""
    if ours is None:
        return "-"
    if isinstance(ours, str):
        return ours
    decimals = len(printed.partition(".")[2])
    return f"{ours:,}" if isinstance(ours, int) else f"{ours:,.{decimals + 2}f}"


def _difference(difference: float, printed: float) -> str:
    return "0" if difference == 0 else f"{100 * difference / printed:+.2f} %"


def giga(value: float | None) -> str:
    """Billions to three digits, a dash for none."""
    return "-" if value is None else f"{value:.3f}"


def columns(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Lines of a table; the first row is its head, the columns ``right`` are aligned to the right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(widths[n]) if n in right else cell.ljust(widths[n]) for n, cell in enumerate(row)).rstrip()
        for row in rows
    ]
