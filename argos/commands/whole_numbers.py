"""Numbers in options, checked before anything else is done."""

from __future__ import annotations

import argparse


def at_least_one(text: str) -> int:
    """A whole number from 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"should be a whole number, 1 or more, got {text!r}")
    return number
