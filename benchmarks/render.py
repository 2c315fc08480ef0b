"""Writes ``docs/benchmarks*.md`` and the tables of the README from ``benchmarks/results/``; measures nothing.

python benchmarks/render.py            # write them
python benchmarks/render.py --check    # status 1 when one of them is not what the figures give
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS, PAGE, README = ROOT / "benchmarks" / "results", ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
MARKS = "<!-- benchmarks/render.py -->", "<!-- end of benchmarks/render.py -->"
"""Around the tables of the README."""

Report = dict[str, Any]

HEAD = """\
# Benchmarks

Written by `benchmarks/render.py` from the files in `benchmarks/results/`; `make bench` measures everything again and
writes this page. All sides of one table ran in turns in one process, on the machine named above it: compare within a
table, not between tables. Times are medians with the 10th and 90th percentile. What was not run says so.
The same on other processors: """

OTHERS = {"epyc": "AMD EPYC: VNNI and bfloat16, no matrix unit (AMX)"}
"""Folder in ``benchmarks/results`` -> another machine, whose figures have a page of their own."""

OTHER_HEAD = """\
# Benchmarks on another processor

{machine}. Written by `benchmarks/render.py` from the files in `benchmarks/results/{name}/`, measured by
`python benchmarks/all.py --of {name}`; what the tables say and which were run at all is in
[benchmarks.md](benchmarks.md), of the machine that the documentation speaks of."""


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the page.

    Attributes:
        title: its heading.
        file: in ``benchmarks/results``.
        words: what is compared with what.
        lines: Markdown of what the file holds.
        how: the command that measures it.
    """

    title: str
    file: str
    words: str
    lines: Callable[[Report], list[str]]
    how: str


def machine_line(machine: Report) -> str:
    """One sentence about where figures come from."""
    name = machine.get("cpu") or machine.get("processor")
    parts = [f"{name}"]
    limit = machine.get("isa_limit", "none")
    if limit != "none":
        parts.append(f"held to {limit}")
    elif machine.get("flags"):
        parts.append(" ".join(machine["flags"]))
    if machine.get("threads"):
        parts.append(f"{machine['threads']} threads")
    if machine.get("torch"):
        parts.append(f"torch {machine['torch']}")
    if machine.get("onnxruntime"):
        parts.append(f"ONNX Runtime {machine['onnxruntime']}")
    load = machine.get("load_1m", machine.get("load"))
    if load is not None:
        parts.append(f"load {load:.1f}")
    return f"*{'; '.join(parts)}.*"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Markdown; every column but the first is aligned to the right."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def spread(side: Report) -> str:
    """Median and percentiles."""
    digits = 3 if side["ms"] < 10 else 1
    return f"{side['ms']:.{digits}f} ({side['ms_p10']:.{digits}f}-{side['ms_p90']:.{digits}f})"


def iou(value: float | None) -> str:
    """An IoU; nothing where nobody was found."""
    return "-" if value is None else f"{value:.3f}"


def pipeline(report: Report) -> list[str]:
    """Modes and opponents of ``argos bench``."""
    rows = [
        [
            f"**{row['name']}**{chosen(row)}" if row in report["modes"] else row["name"],
            spread(row),
            f"{row['fps']:.1f}",
            f"{row['speed_up']:.2f}",
            f"{row['share']:.0%}",
            iou(row["iou_full"]),
            iou(row["iou_truth"]),
        ]
        for row in [*report["modes"], *report.get("opponents", [])]
    ]
    rows += [[name, f"*not run*: {reason}", *[""] * 5] for name, reason in report.get("not_run", {}).items()]
    if "opponents" not in report:
        rows.append(["opponents", "*not run*", *[""] * 5])
    height, width = report["size"]
    whole = ", ".join(f"{mode} {max(rates):.1f}" for mode, rates in report["pipeline_fps"].items())
    return [
        f"`{report['command']}`: {report['frames']} frames of {width}x{height}, tasks {' and '.join(report['tasks'])}.",
        "",
        *table(["", "ms a frame", "fps", "x full", "pixels", "IoU with full", "IoU with truth"], rows),
        "",
        f"Whole pipeline, with decoding, fps: {whole}. Decoding alone: {max(report['decode_fps']):.0f}.",
    ]


def clips(report: Report) -> list[str]:
    """``auto`` and ``pack`` against the full frame on every clip."""
    rows = []
    for name, modes in report["clips"].items():
        full, auto, pack = modes["full"], modes["auto"], modes["pack"]
        ways = ", ".join(f"{mode} {share:.0%}" for mode, share in auto["chosen"].items())
        rows.append([name.replace("_", " "), f"{full['ms']:.0f}"] + [
            cell for row in (auto, pack)
            for cell in (f"{row['ms']:.0f}", f"{row['speed_up']:.2f}", f"{row['share']:.0%}", iou(row["iou_full"]))
        ] + [ways])  # fmt: skip
    sides = [f"{mode} {what}" for mode in ("auto", "pack") for what in ("ms", "x", "pixels", "IoU")]
    head = ["clip", "full ms", *sides, "auto chose"]
    return [
        f"{report['frames']} frames of each. *IoU*: of person pixels with those of `full`; else of false finds.",
        "",
        *table(head, rows),
    ]


def chosen(row: Report) -> str:
    """What ``auto`` chose, by frames."""
    if row["name"] != "auto" or not row.get("chosen"):
        return ""
    return f" ({', '.join(f'{mode} {share:.0%}' for mode, share in row['chosen'].items())})"


def packing(report: Report) -> list[str]:
    """Kernels from regions to canvases, one column for each number of regions."""
    counts = list(report["regions"])
    names = list(report["regions"][counts[0]])
    rows = [[name, *(spread(report["regions"][count][name]) for count in counts)] for name in names]
    return table(["ms", *(f"{count} regions" for count in counts)], rows)


def qunet(report: Report) -> list[str]:
    """QU-Net in integers and its float forms."""
    rows = []
    for width, sides in report["widths"].items():
        for name, side in sides["sides"].items():
            rows.append([f"{name}, width {width}", spread(side), f"{side['ms_ratio']:.2f}", f"{side['cpu_ratio']:.2f}"])
    differing = sum(sides["differing_logits"] for sides in report["widths"].values())
    logits = sum(sides["logits"] for sides in report["widths"].values())
    height, width = report["size"]
    return [
        *table([f"{width}x{height}", "ms", "x integer", "x integer, processor time"], rows),
        "",
        f"{differing} of {logits} logits differ between the integers and the float QU-Net.",
        "",
        *table(["shipped, on the sample", "people's pixels covered", "of the frame proposed", "scores that differ"],
               [[f"{name}, {side}", f"{of['covered']:.4f}", f"{of['area']:.4f}", f"{of['differing_scores']:.0f}"]
                for name, sides in report["shipped"].items() for side, of in sides.items()]),
    ]  # fmt: skip


def compiled(report: Report) -> list[str]:
    """torch, torch.compile and ONNX Runtime on each network."""
    rows = [
        [label, side, spread(row), f"{row['cpu_ms']:.1f}", f"{row['start_s']:.1f}"]
        for label, sides in report["networks"].items()
        for side, row in sides.items()
    ]
    return table(["network", "by", "ms", "of processor", "first picture after, s"], rows)


def sparse(report: Report) -> list[str]:
    """Whole networks and single layers on active blocks: the share of the dense time."""
    shares = list(next(iter(report["networks"].values())))
    rows = []
    for kind, side in (("networks", "engine"), ("layers", "blocks")):
        for name, by_share in report[kind].items():
            dense = sorted(row["dense"]["ms"] for row in by_share.values())[len(by_share) // 2]
            moved = [f"{row['moved']:.3f}" for row in by_share.values() if "moved" in row]
            ratios = (f"{by_share[share][side]['ms_ratio']:.2f}" for share in shares)
            rows.append([name, f"{dense:.1f}", *ratios, f"{moved[0]} - {moved[-1]}" if moved else "-"])
    height, width = report["size"]
    threads = f"{report['threads']} thread{'s' if report['threads'] > 1 else ''}"
    head = [f"{width}x{height}, {threads}", "dense ms", *(f"{share} active" for share in shares), "moved"]
    return [*table(head, rows), "", *executed(report)]


def executed(report: Report) -> list[str]:
    """Multiply-accumulates of both semantics, and the time of ``exact``, as shares of those of the dense network."""
    shares = list(next(iter(report["networks"].values())))
    rows = [
        [name] + [cell for row in by_share.values() for cell in (
            f"{row['blocks_macs']:.0%}", f"{row['exact_macs']:.0%}", f"{row['exact']['ms_ratio']:.2f}")]
        for name, by_share in report["networks"].items()
    ]  # fmt: skip
    head = [f"{share}: {what}" for share in shares for what in ("masked, work", "exact, work", "exact, time")]
    return table(["executed", *head], rows)


def gpu(report: Report) -> list[str]:
    """Proposals, networks on active blocks, and streams, on one device."""
    rows = [["QU-Net, 720p", side, spread(row), ""] for side, row in report["proposals"].items()]
    rows += [
        [name, share, spread(row), f"{row['share_of_dense']:.2f}"]
        for name, by_share in report["networks"].items()
        for share, row in by_share.items()
    ]
    counted = [
        [mode, count, spread(row)] for mode, by_count in report["streams"].items() for count, row in by_count.items()
    ]
    return [
        *table(["network", "run", "ms", "of dense"], rows),
        "",
        *table(["mode", "streams", "ms for a frame of each"], counted),
    ]


def networks(report: Report) -> list[str]:
    """One forward pass of each network."""

    def ms(value: Report | None) -> str:
        return "*not run*" if value is None else f"{value['median']:.1f}"

    rows = [
        [
            f"{row['network']} ({row['paper']})",
            f"{row['size'][0]}x{row['size'][1]}",
            ms(row["cpu_ms"]),
            ms(row["cuda_ms"]),
            "-" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}",
        ]
        for row in report["networks"]
    ]
    return table(["network", "input", "CPU ms", "CUDA ms", "peak MB"], rows)


def tracking(report: Report) -> list[str]:
    """Measures of the trackers."""
    trackers = [(name, row) for name, row in report.items() if name != "machine"]
    return table(["tracker", *trackers[0][1]], [[name, *map(str, row.values())] for name, row in trackers])


def viewers(report: Report) -> list[str]:
    """The line without and with viewers of the live page."""
    rows = [
        [name, f"{report['fps'][key]:.2f}", f"{report['cpu_ms'][key]:.0f}"]
        for name, key in (("nobody", "without"), (f"{report['viewers']} viewers", "with"))
    ]
    cost = 1 - report["fps"]["with"] / report["fps"]["without"]
    return [*table(["looking", "fps", "processor ms per frame"], rows), "", f"They cost {100 * cost:.1f} % of the fps."]


def counting(report: Report) -> list[str]:
    """What was counted against the truth, and how well the tracks of the whole line follow the people."""
    rows = [[name, *(str(row[key]) for key in ("true", "counted", "off"))] for name, row in report["counts"].items()]
    tracks = report["tracks"]
    return [
        *table(["event", "true", "counted", "off, summed by scene"], rows),
        "",
        f"{report['seconds']:.0f} s of film. Tracks of the whole line against the true people:",
        "",
        *table(list(tracks), [[str(value) for value in tracks.values()]]),
    ]


def line(report: Report) -> list[str]:
    """Stages at once or in turn, beside a neighbour, start and messages."""

    def seconds(side: Report) -> str:
        return f"{side['median']:.2f} ({side['least']:.2f}-{side['most']:.2f})"

    rows = [
        [f"{mode}, {name}", seconds(side), f"{side['x']:.2f}"]
        for mode, sides in report["stages"].items()
        for name, side in sides.items()
    ]
    beside, message = report["neighbour"], report["message"]
    stages = [
        [stage, f"{ms:.1f}", f"{beside['beside'][stage]:.1f}", f"{beside['times'][stage]:.2f}"]
        for stage, ms in beside["alone"].items()
        if ms >= 0.05
    ]
    processor = report["processor"]
    others = processor["besides_the_networks"]
    masks = [
        [kind, f"{side['bytes']}", f"{side['ms']['median']:.2f}"] for kind, side in message.items() if kind != "share"
    ]
    return [
        f"{report['rounds']} rounds of {report['frames']} frames of `samples/people.mp4`, 720p at the default scale, "
        "both tasks; an overlay video and JSON lines are written, every result is encoded.",
        "",
        *table(["fps", "median (least-most)", "x serial"], rows),
        "",
        "Milliseconds of each stage in mode `pack`, one frame in flight, alone and beside a process that counts as "
        "fast as it can:",
        "",
        *table(["stage", "alone", "beside it", "times"], stages),
        "",
        "Milliseconds of the processor for a frame in mode `pack`, all threads together, nothing written:",
        "",
        *table(["part", "ms"], [[part, f"{ms:.1f}"] for part, ms in processor.items() if part[:7] != "besides"]),
        "",
        f"All but the deep networks: {others:.1f} ms, {others / (2000 / 30):.0%} of what two cores have for a frame at "
        "30 fps.",
        "",
        *table(["start, seconds", "median (least-most)"], [
            ["nothing kept from earlier starts", seconds(report["start"]["cold_s"])],
            ["second start", seconds(report["start"]["warm_s"])],
            ["`argos --help`", seconds(report["start"]["help_s"])],
        ]),
        "",
        f"The mask of a person, {message['share']:.1%} of 720p:",
        "",
        *table(["encoding", "bytes", "ms"], masks),
    ]  # fmt: skip


def worst(report: Report) -> list[str]:
    """Mode auto against the full frame over any ten seconds."""
    rows = [
        [
            f"`{name}`",
            f"{row['full_ms']:.1f}",
            f"{row['auto_ms']:.1f}",
            f"{row['auto_over_full']:.3f}",
            "-" if row["worst_window"] is None else f"{row['worst_window']:.3f}",
            ", ".join(f"{mode} {share:.0%}" for mode, share in row["chosen"].items()),
        ]
        for name, row in report["sources"].items()
    ]
    return table(["source", "full, ms", "auto, ms", "auto / full", "worst 10 s", "auto chose"], rows)


def limited(name: str, limit: str) -> Section:
    """QU-Net under a limit of oneDNN's instruction sets."""
    return Section(
        f"QU-Net in integers, as on a processor with {name} only",
        f"qunet_integer_{limit.lower()}.json",
        f"The same machine under `ONEDNN_MAX_CPU_ISA={limit}`: ratios carry over to such processors, times do not.",
        qunet,
        f"ONEDNN_MAX_CPU_ISA={limit} python benchmarks/qunet_integer.py",
    )


OPPONENTS = (
    "**Bold** are the modes of ARGOS. `full` is the reference: the same networks on the full frame at the same scale. "
    "`shrunk` is the full frame with as many pixels as `pack` computes; `tiles` are of 512 pixels with an overlap of a "
    "fifth, one inference each; `motion` packs what OpenCV's MOG2 sees, `motion-boxes` runs one inference for each of "
    "its boxes; `full-onnxruntime` and `full-openvino` run the same weights, `full-bf16`, `pack-bf16`, `full-int8` and "
    "`pack-int8` are modes of ARGOS in bfloat16 (by OpenVINO) and in 8 bits. *pixels*: those that the deep networks "
    "compute, as a share of the full frame's; for `gather` multiply-accumulates."
)

SECTIONS: tuple[tuple[str, tuple[Section, ...]], ...] = (
    (
        "Pipeline",
        (
            Section("720p at full resolution", "people_720p_semantic.json", OPPONENTS, pipeline, "make bench"),
            Section("720p at the default scale", "people_default.json",
                    "The long side becomes 640 network pixels, both tasks.", pipeline, "make bench"),
            Section("A real clip: two people walk past", "walking_default.json",
                    "Both tasks, the default scale; there is no ground truth.", pipeline, "make bench"),
            Section("Every real clip, and an empty room", "clips.json",
                    "The first frames of each clip, both tasks, default settings. Most clips were chosen because "
                    "much happens in them; most cameras see an empty room most of the time.",
                    clips, "python benchmarks/clips.py"),
            Section("How much slower than the full frame `auto` ever is", "auto.json",
                    "Both on every frame in turns; *worst 10 s*: the window of ten seconds of auto, after its first "
                    "two, in which it took longest beside the same frames in full. Where auto chose `full` nearly "
                    "always, both sides computed the same, and what differs by more than 2 % is the machine.",
                    worst, "python benchmarks/auto.py"),
            Section("The same on real clips, over and over", "auto_real.json",
                    "Those on which `auto` has least to save: each begins again until `auto` has run for 20 s.",
                    worst, "python benchmarks/all.py --only auto_real"),
            Section("Stages, neighbours, start and messages", "line.json",
                    "The pipeline as a whole against the very same stages called one after the other in one thread. "
                    "*2 in flight* is the default: while the networks run on one frame, the next is proposed and sent.",
                    line, "python benchmarks/line.py"),
            Section("Tracking", "tracking.json", "Rendered scenes with exact truth, seen by a detector that errs.",
                    tracking, "python benchmarks/tracking.py"),
            Section("Counting by the shipped line", "counting.json",
                    "Rendered scenes with exact truth: crossings of a line and entries of a zone, detector, tracker "
                    "and analytics together. The truth is what the analytics say of the true masks and ids.",
                    counting, "python benchmarks/counting.py"),
            Section("Viewers of the live page", "viewers.json",
                    "Over WebSockets, in a process of their own on the same machine; medians of alternating spells.",
                    viewers, "python benchmarks/viewers.py"),
        ),
    ),
    (
        "Engines",
        (
            Section("QU-Net in integers", "qunet_integer.json", "Against its own float form and a plain float U-Net.",
                    qunet, "python benchmarks/qunet_integer.py"),
            Section("Compiled networks", "compiled.json",
                    "Why ARGOS leaves torch.compile alone: ONNX Runtime takes less time and starts sooner. *Frozen*: "
                    "inductor with the weights as constants.",
                    compiled, "python benchmarks/compiled.py"),
            Section("Sparse networks", "sparse.json",
                    "Time on the active blocks as a share of the dense time, in `masked` semantics. *moved*: mean "
                    "change of the result inside of the mask against the dense network, in its standard deviations. "
                    "*work*: multiply-accumulates executed, as a share of the dense network's; `exact` adds what the "
                    "active blocks depend on, and where that is more than half all is computed.",
                    sparse, "python benchmarks/sparse.py"),
            Section("Sparse networks on 720p", "sparse_720p.json",
                    "The same on larger pictures, where what each layer costs besides its blocks weighs less.",
                    sparse, "python benchmarks/sparse.py --size 720x1280 --no-layers"),
            limited("AVX-512, VNNI and no AMX", "AVX512_CORE_VNNI"),
            limited("AVX-512 and no VNNI", "AVX512_CORE"),
            limited("AVX2 and VNNI", "AVX2_VNNI"),
            limited("AVX2", "AVX2"),
        ),
    ),
    (
        "GPU",
        (
            Section("Proposals, sparse networks and streams", "gpu.json",
                    "*Recorded*: QU-Net as one CUDA graph. *Streams*: 720p at the default scale, both tasks, all "
                    "analysed together, without decoding; 33 ms keep up with 30 frames per second of each.",
                    gpu, "python benchmarks/gpu.py"),
        ),
    ),
    (
        "Kernels",
        (
            Section("From regions to canvases", "packing.json", "Regions of 720p on canvases of 640x640 at scale 1.",
                    packing, "python benchmarks/packing.py"),
        ),
    ),
    (
        "Networks",
        (
            Section("Every network at its paper's input size", "networks.json",
                    "Weights drawn at random. The papers' own figures stand beside ours in [networks.md](networks.md).",
                    networks, "python benchmarks/networks.py"),
        ),
    ),
)  # fmt: skip


def page(results: Path) -> str:
    """The page of the machine that the documentation speaks of: every table, *not run* where there are no figures."""
    links = ", ".join(f"[{words}]({page_of(name).name})" for name, words in OTHERS.items())
    return "\n".join([f"{HEAD}{links}.", *tables(results, SECTIONS)]) + "\n"


def other_page(name: str) -> str:
    """The page of another machine: the tables that were measured there."""
    measured = [
        (heading, tuple(section for section in sections if (RESULTS / name / section.file).exists()))
        for heading, sections in SECTIONS
    ]
    head = OTHER_HEAD.format(name=name, machine=OTHERS[name])
    return "\n".join([head, *tables(RESULTS / name, measured)]) + "\n"


def page_of(name: str) -> Path:
    """Where the page of another machine stands."""
    return PAGE.with_name(f"benchmarks_{name}.md")


def tables(results: Path, chapters: Sequence[tuple[str, Sequence[Section]]]) -> list[str]:
    """The lines of some tables, from the figures in a folder."""
    lines = []
    for heading, sections in chapters:
        lines += ["", f"## {heading}"] if sections else []
        for section in sections:
            lines += ["", f"### {section.title}", "", section.words, ""]
            path = results / section.file
            if not path.exists():
                lines.append(f"*not run*: `{section.how}`")
                continue
            report = json.loads(path.read_text())
            if "machine" in report:
                lines += [machine_line(report["machine"]), ""]
            lines += section.lines(report)
    return lines


CLIPS = {"`samples/people.mp4`": "people_default.json", "two people who walk past (480x270)": "walking_default.json"}
"""At the default scale, in the README."""


def readme(results: Path) -> str:
    """The tables of the README: all of 720p at full resolution, ``auto`` alone at the default scale."""
    report = json.loads((results / "people_720p_semantic.json").read_text())
    lines = [*pipeline(report), "", machine_line(report["machine"]), ""]
    rows = []
    for clip, file in CLIPS.items():
        report = json.loads((results / file).read_text())
        full, auto = (next(row for row in report["modes"] if row["name"] == name) for name in ("full", "auto"))
        truth = "-" if full["iou_truth"] is None else f"{iou(full['iou_truth'])} / {iou(auto['iou_truth'])}"
        rows.append([clip, f"{full['ms']:.1f}", f"{auto['ms']:.1f}", f"{auto['speed_up']:.2f}", f"{auto['share']:.0%}",
                     iou(auto["iou_full"]), truth])  # fmt: skip
    head = ["clip", "full, ms", "auto, ms", "x full", "pixels", "IoU with full", "with truth, full / auto"]
    words = "At the default scale (the long side becomes 640 network pixels) with both tasks:"
    return "\n".join([*lines, words, "", *table(head, rows)])


def with_tables(text: str, tables: str) -> str:
    """A text with what stands between the marks replaced.

    Raises:
        ValueError: the marks are missing.
    """
    before, begin, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (begin and end):
        raise ValueError(f"README.md should hold {MARKS[0]} and {MARKS[1]}")
    return f"{before}{begin}\n{tables}\n{end}{after}"


def main() -> int:
    """Write or check the page and the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 when one of them is out of date")
    given = parser.parse_args()
    wanted = {PAGE: page(RESULTS), README: with_tables(README.read_text(), readme(RESULTS))}
    wanted |= {page_of(name): other_page(name) for name in OTHERS}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if given.check:
            print(f"{path.name} is not what benchmarks/results gives: python benchmarks/render.py", file=sys.stderr)
        else:
            path.write_text(wanted[path])
    return 1 if stale and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
