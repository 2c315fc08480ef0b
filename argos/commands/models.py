"""``argos models list|info|verify``: the shipped weights, their cards and digests."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING

from argos.errors import WeightsError

if TYPE_CHECKING:
    from argos.engines.weights import Card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos models``."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|info|verify")
    every = verbs.add_parser("list", help="the shipped models, a line each")
    info = verbs.add_parser("info", help="the card of a model: data and its terms, recipe, metrics, limits")
    info.add_argument("name", help="a shipped model, or the path of a .safetensors file")
    check = verbs.add_parser("verify", help="check digests and shapes; status 4 when one does not match")
    check.add_argument("names", nargs="*", help="default: every shipped model")
    for verb in (every, info, check):
        verb.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    import msgspec

    from argos.engines.weights import list_cards, load_card, load_network

    if args.verb == "info":
        card = load_card(args.name)
        print(msgspec.json.encode(card).decode() if args.json else _info(card))
        return 0
    if args.verb == "list":
        cards = list_cards()
        if args.json:
            print(json.dumps([msgspec.to_builtins(card) for card in cards]))
        else:
            for card in cards:
                print(f"{card.name:<10} {card.task:<10} {card.network:<16} {card.summary}")
        return 0
    faults = {}
    names = args.names or [card.name for card in list_cards()]
    for name in names:
        try:
            load_network(name)
        except WeightsError as error:
            faults[name] = str(error)
    if args.json:
        print(json.dumps({name: faults.get(name, "ok") for name in names}))
    else:
        for name in names:
            print(f"{name:<10} {faults.get(name, 'ok')}")
    return WeightsError.exit_code if faults else 0


def _info(card: Card) -> str:
    thresholds = ", ".join(f"{name} {value:g}" for name, value in card.thresholds.items())
    lines = [
        f"{card.name}  ({card.task}, {card.network} {card.arguments or ''})".rstrip(" )") + ")",
        *textwrap.wrap(card.summary, 100),
        "",
        f"thresholds   {thresholds}",
        f"sha256       {card.sha256}",
        "",
        "measured",
        *(f"  {name:<18} {value:.4f}" for name, value in card.metrics.items()),
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
