"""``docs/benchmarks.md`` is what the committed figures give."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.all import STEPS  # type: ignore[import-not-found]  # noqa: E402
from benchmarks.render import (  # type: ignore[import-not-found]  # noqa: E402
    MARKS,
    OTHERS,
    PAGE,
    README,
    RESULTS,
    SECTIONS,
    other_page,
    page,
    page_of,
    readme,
    with_tables,
)

FILES = [section.file for _, sections in SECTIONS for section in sections]


def test_the_page_is_what_the_committed_figures_give() -> None:
    assert PAGE.read_text() == page(RESULTS), "python benchmarks/render.py"


@pytest.mark.parametrize("name", OTHERS)
def test_the_page_of_another_machine_has_its_figures_and_no_table_without(name: str) -> None:
    text = other_page(name)
    assert page_of(name).read_text() == text, "python benchmarks/render.py"
    measured = {path.name for path in (RESULTS / name).glob("*.json")}
    assert measured
    assert measured <= set(FILES)
    assert text.count("\n### ") == len(measured)
    assert "*not run*: `" not in text
    assert f"({page_of(name).name})" in PAGE.read_text()


def test_the_tables_of_the_readme_are_what_the_committed_figures_give() -> None:
    text = README.read_text()
    assert text == with_tables(text, readme(RESULTS)), "python benchmarks/render.py"
    assert with_tables(f"a{MARKS[0]}b{MARKS[1]}c", "d") == f"a{MARKS[0]}\nd\n{MARKS[1]}c"
    with pytest.raises(ValueError, match=r"README\.md should hold"):
        with_tables("a", "d")


def test_the_same_figures_give_the_same_page_in_any_folder(tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "results")
    assert page(tmp_path / "results") == page(RESULTS)


def test_every_table_without_figures_says_that_it_was_not_run_and_how_to(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.count("*not run*: `") == len(FILES)
    for _, sections in SECTIONS:
        for section in sections:
            assert f"*not run*: `{section.how}`" in text


def test_another_figure_gives_another_page(tmp_path: Path) -> None:
    shutil.copytree(RESULTS, tmp_path / "results")
    path = tmp_path / "results" / "people_default.json"
    report = json.loads(path.read_text())
    report["modes"][0]["ms"] = 12345.6
    path.write_text(json.dumps(report))
    assert "| **full** | 12345.6 (" in page(tmp_path / "results")


def test_make_bench_measures_every_table() -> None:
    assert sorted(step.file for step in STEPS) == sorted(FILES)


@pytest.mark.parametrize("text", [str(ROOT), "/root", "/home", "/tmp"])
def test_no_path_of_a_machine_gets_into_the_page(text: str) -> None:
    assert not any(text in each for each in (page(RESULTS), *map(other_page, OTHERS)))
