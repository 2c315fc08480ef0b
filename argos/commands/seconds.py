"""Times in options, checked before anything else is done."""

from __future__ import annotations

import argparse
import math


def seconds(text: str) -> float:
    """A number of seconds above 0, and an end to it.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"should be a number of seconds above 0, got {text!r}")
    return number
