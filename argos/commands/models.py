"""``argos models list|info|compare|verify``: the networks, the shipped weights with their cards, the documents."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING, Any

from argos.commands.models_blocks import on_blocks, percent, show_blocks
from argos.commands.models_networks import (
    RULE_NAMES,
    build,
    compare_tables,
    count,
    describe_networks,
    parse_arguments,
    parse_size,
    show_layers,
    show_list,
    show_network,
    trace,
)
from argos.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from argos.engines.weights import Card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos models``."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|info|compare|verify")
    every = verbs.add_parser("list", help="every network with its numbers, and the shipped models")
    info = verbs.add_parser("info", help="the card of a model (data and its terms, recipe, metrics, limits), or a "
                            "network, and its layers")  # fmt: skip
    info.add_argument(
        "name", help="a shipped model, the path of a .safetensors file, or a network of argos models list"
    )
    info.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                      help="argument of the network, as in --set decoder=trans4x")  # fmt: skip
    info.add_argument("--layers", action="store_true", help="also the layers of a model; a network shows them anyway")
    info.add_argument("--blocks", type=percent, metavar="PERCENT",
                      help="also how it runs in mode gather, with so much of the image active: what is computed, and "
                      "the steps that run on whole maps")  # fmt: skip
    compare = verbs.add_parser("compare", help="published numbers beside ours; status 7 when one differs and no reason "
                               "is known")  # fmt: skip
    compare.add_argument("--table", action="append", default=[], metavar="NAME",
                         help="as in essnet:3.2; default: every table")  # fmt: skip
    check = verbs.add_parser("verify", help="check digests and shapes; status 4 when one does not match")
    check.add_argument("names", nargs="*", help="default: every shipped model")
    for verb in (every, info):
        verb.add_argument("--size", type=parse_size, default=(640, 640), metavar="WIDTHxHEIGHT",
                          help="of the image whose operations are counted (default: 640x640)")  # fmt: skip
        verb.add_argument("--count-rule", choices=RULE_NAMES, default="macs",
                          help="how parameters and operations are counted: macs is ours, the others are those of the "
                          "documents (default: macs)")  # fmt: skip
    for verb in (every, info, compare, check):
        verb.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    if args.verb == "list":
        return _list(args)
    if args.verb == "info":
        return _info(args)
    if args.verb == "compare":
        return compare_tables(args.table, args.json)
    return _verify(args)


def _list(args: argparse.Namespace) -> int:
    import msgspec

    from argos.engines.weights import list_cards

    networks, cards = describe_networks(args.size, args.count_rule), list_cards()
    if args.json:
        height, width = args.size
        report = {"size": [width, height], "count_rule": args.count_rule, "networks": networks}
        print(json.dumps(report | {"models": [msgspec.to_builtins(card) for card in cards]}))
        return 0
    print(show_list(networks, args.size, args.count_rule))
    print("\nshipped models (argos models info NAME)")
    for card in cards:
        print(f"{card.name:<17} {card.task:<10} {card.network:<16} {card.summary}")
    return 0


def _info(args: argparse.Namespace) -> int:
    import msgspec

    from argos.engines.weights import load_card
    from argos.networks.table import NETWORKS

    arguments: dict[str, Any] = parse_arguments(args.set)
    try:
        card: Card | None = load_card(args.name)
    except WeightsError as error:
        if args.name not in NETWORKS:
            raise WeightsError(f"{error}; networks are {', '.join(NETWORKS)}") from error
        card = None
    if card is not None and arguments:
        raise UsageError(f"--set: the card of {args.name} fixes the arguments of its network")
    if card is not None:
        arguments = card.arguments
    name = card.network if card else args.name
    network = build(name, arguments)
    counted = count(network, args.size, args.count_rule)
    layers = trace(network, args.size) if args.layers or not card else []
    blocks = None if args.blocks is None else on_blocks(network, args.size, args.blocks)
    if args.json:
        about = {"name": name, "arguments": arguments, **counted, "layers": layers, "blocks": blocks}
        print(msgspec.json.encode({"card": card, "network": about}).decode())
        return 0
    if card:
        print(_card(card), end="\n\n")
    print(show_network(name, arguments, counted, args.count_rule))
    if blocks is not None:
        print(show_blocks(blocks, args.size, args.blocks))
    if layers:
        print()
        print(show_layers(layers, args.size))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from argos.engines.weights import list_cards, load_network, weights_path
    from argos.training.pretrained import check_latents

    faults = {}
    names = args.names or [card.name for card in list_cards()]
    for name in names:
        try:
            load_network(name)
            check_latents(weights_path(name))
        except WeightsError as error:
            faults[name] = str(error)
    if args.json:
        print(json.dumps({name: faults.get(name, "ok") for name in names}))
    else:
        for name in names:
            print(f"{name:<17} {faults.get(name, 'ok')}")
    return WeightsError.exit_code if faults else 0


def _card(card: Card) -> str:
    thresholds = ", ".join(f"{name} {value:g}" for name, value in card.thresholds.items())
    lines = [
        f"{card.name}  ({card.task}, {card.network} {card.arguments or ''})".rstrip(" )") + ")",
        *textwrap.wrap(card.summary, 100),
        "",
        f"thresholds   {thresholds}",
        f"sha256       {card.sha256}",
        "",
        "measured",
        *(f"  {name:<22} {value:.4f}" for name, value in card.metrics.items()),
        *textwrap.wrap(card.measured, 100, initial_indent="  ", subsequent_indent="  "),
        "",
        "limits",
        *textwrap.wrap(card.limits, 100, initial_indent="  ", subsequent_indent="  "),
        "",
        "recipe",
        *textwrap.wrap(f"{card.recipe} Seed {card.seed}.", 100, initial_indent="  ", subsequent_indent="  "),
        "",
        "training data",
        *(
            line
            for source in card.data
            for line in textwrap.wrap(source, 100, initial_indent="  - ", subsequent_indent="    ")
        ),
        "",
        "terms",
        *textwrap.wrap(card.terms, 100, initial_indent="  ", subsequent_indent="  "),
    ]
    return "\n".join(lines)
