"""Writes ``docs/faults.md`` from the figures of ``make faults`` and ``make endure``; measures nothing.

python benchmarks/render_faults.py            # write it
python benchmarks/render_faults.py --check    # status 1 when it is not what the figures give
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "faults.md"

Figures = Any  # of JSON

HEAD = """\
# Faults

What cameras, networks, subscribers and files do to ARGOS, and what becomes of it: real faults on real sockets, made by
`argos fakecam` and by signals. Written by `benchmarks/render_faults.py` from the files in `benchmarks/results/`;
`make faults` and `make endure` measure everything again and write this page. What was not run says so."""


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _verdict(wrong: object) -> str:
    """What was wrong, or good."""
    words = "; ".join(wrong) if isinstance(wrong, list) else str(wrong)
    return f"**{words}**" if words else "good"


def _faults(told: Figures) -> list[str]:
    lines = [
        "A camera with a key picture three times a second has the fault, another one is read beside it. *back*: "
        "seconds from the end of the fault to the first picture after it. "
        f"{told['limit_s']:g} s are allowed, and on top of it what a refused password (tried again after 10 s), sound "
        "only (looked at twice), another codec (noticed when pictures stay away for 1.5 s) and a frozen process "
        "(noticed after 5 s) take.",
        "",
        "| fault | over | decoded in | noticed s | back s | told by | verdict |",
        "|---|---|---|---:|---:|---|---|",
    ]
    lines += [
        f"| {one['fault']} | {one['transport']} | {one['isolate']} | {_seconds(one['noticed_s'])} | "
        f"{_seconds(one['back_s'])} | {one['code'] or '-'} | {_verdict(one['wrong'])} |"
        for one in told["faults"]
    ]
    grown = told["growth"]
    lines += [
        "",
        f"{grown['reconnects']} reconnects: memory {grown['memory_mb']:+.2f} MB, "
        f"descriptors {grown['descriptors']:+d}, threads {grown['threads']:+d}: {_verdict(grown['wrong'])}.",
        "",
        "On the port of the publisher, which asks for CURVE keys:",
        "",
    ]
    return lines + [f"- {one['who']}: {one['seen']}: {_verdict(one['wrong'])}" for one in told["strangers"]]


def _slow(told: Figures) -> list[str]:
    lines = [
        "Ages at three good subscribers without and with bad ones beside them: a socket that is never read, a program "
        "that takes nothing, and a consumer of every result that is done with none. Rounds of both kinds alternate.",
        "",
        "| | results | missed | p50 ms | p95 ms | p99 ms | publisher's memory MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {'with slow subscribers' if row['bad'] else 'good ones alone'} | {row['results']} | {row['missed']} | "
        f"{row['p50_ms']} | {row['p95_ms']} | {row['p99_ms']} | {row['memory_mb']:+} |"
        for row in told["rounds"]
    ]
    return [
        *lines,
        "",
        f"p95 with slow subscribers: {told['difference_ms']:+.3f} ms; rounds of one kind differ by "
        f"{told['noise_ms']:.3f} ms.",
    ]


def _mutants(told: Figures) -> list[str]:
    lines = [
        "Videos in several codecs and containers, messages and configurations, each changed at random. *good*: videos "
        "that still showed a picture; messages and configurations that were accepted.",
        "",
        "| | mutants | good | crashes of the decoding child | hangs of it | tracebacks | wrong |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    return lines + [
        f"| {one['kind']} | {one['count']} | {one['good'] / one['count']:.0%} | {len(one['crashes'])} | "
        f"{len(one['hangs'])} | {len(one['tracebacks'])} | {_verdict(one['wrong'])} |"
        for one in told["kinds"]
    ]


def _kills(told: Figures) -> list[str]:
    return [
        "kill -9 at random moments. Afterwards what was written is read, `seq` has no gap, the others go on and what "
        "was killed starts again.",
        "",
        "| killed | times |",
        "|---|---:|",
        *(f"| {what} | {number} |" for what, number in sorted(told["kills"].items())),
        "",
        f"{sum(told['kills'].values())} kills: {_verdict(told['wrong'])}.",
    ]


def _soak(told: Figures) -> list[str]:
    if "memory_growth_mb" not in told:
        return [f"Too short to be judged: {_verdict(told['wrong'])}."]
    rows = {f"memory, MB (of {told['memory_mb']:.0f})": "memory_growth_mb", "descriptors": "descriptors",
            "threads": "threads"}  # fmt: skip
    return [
        f"`argos run`, {told['cameras']} cameras that drop it in turn and one that is never there, decoded in a "
        f"{told['isolate']}: {told['seconds'] / 60:.0f} minutes, {told['reconnects']} reconnects, "
        f"{sum(told['results'].values())} results.",
        "",
        "| | over the last " + f"{told['judged_s'] / 60:.0f} minutes |",
        "|---|---:|",
        *(f"| {what} | {_growth(told[key])} |" for what, key in rows.items()),
        "",
        f"{_verdict(told['wrong'])}.",
    ]


def _growth(slope: Figures) -> str:
    return f"{slope['total']:+.2f} (95 %: {slope['low']:+.2f} to {slope['high']:+.2f})"


SECTIONS: Mapping[str, tuple[str, Callable[[Figures], list[str]], str]] = {
    "faults.json": ("Cameras, and strangers on the port", _faults, "make faults"),
    "slow_subscribers.json": ("Slow subscribers", _slow, "make faults"),
    "mutants.json": ("Mutants", _mutants, "make mutants"),
    "kills.json": ("kill -9", _kills, "make kills"),
    "soak.json": ("Cameras that reboot", _soak, "make soak"),
    "soak_process.json": ("Cameras that reboot, decoded in processes", _soak, "make soak ISOLATE=process"),
}
"""File in ``benchmarks/results`` -> heading, Markdown of what it holds, and the command that measures it."""


def page(figures: Mapping[str, Figures]) -> str:
    """The whole page.

    Args:
        figures: what the files of ``SECTIONS`` hold, those that are there.
    """
    lines = [HEAD]
    for file, (title, rows, how) in SECTIONS.items():
        lines += ["", f"## {title}", ""]
        if file not in figures:
            lines.append(f"*not run*: `{how}`")
            continue
        told = figures[file]
        lines += [f"*{told['machine']}; load before it {told['load_1m']:.1f}.*", "", *rows(told)]
    return "\n".join(lines) + "\n"


def read_figures(folder: Path) -> dict[str, Figures]:
    """What was measured."""
    return {file: json.loads((folder / file).read_text()) for file in SECTIONS if (folder / file).is_file()}


def main() -> int:
    """Write the page, or tell whether it is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 when the page is stale")
    given = parser.parse_args()
    text = page(read_figures(RESULTS))
    if given.check:
        return int(not PAGE.is_file() or PAGE.read_text() != text)
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
