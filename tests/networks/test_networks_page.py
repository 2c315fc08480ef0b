from __future__ import annotations

import inspect
import re
from pathlib import Path

from argos.networks.table import NETWORKS

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()


def test_every_name_and_argument_of_the_page_exists() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \|", PAGE, re.MULTILINE)
    assert len(rows) == 20
    for name, arguments in rows:
        known = inspect.signature(NETWORKS[name]).parameters
        for argument in re.findall(r"`(\w+)`", arguments):
            assert argument in known or argument in NETWORKS or argument == "fcn_crops", (name, argument)


def test_the_example_of_the_page_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope: dict[str, object] = {}
    exec(example, scope)
    assert scope["network"].num_classes == 2
