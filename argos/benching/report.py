"""A comparison as JSON and as a table."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from typing import Any

import torch

from argos.benching.compare import Comparison
from argos.machine import cores, instruction_limit, processor
from argos.pipelines.backend import version_of

HEADER = (
    "| name | ms median (p10-p90) | fps | x full | pixels computed | IoU with full | IoU with truth |",
    "|---|---|---|---|---|---|---|",
)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The rows as they are written."""
    return asdict(comparison)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    usable, share = cores()
    name, flags = processor()
    return {
        "cpu": name,
        "flags": flags,
        "isa_limit": instruction_limit(),
        "cores": usable,
        "cores_share": share,
        "load_1m": round(os.getloadavg()[0], 2),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "onnxruntime": version_of("onnxruntime"),
        "python": platform.python_version(),
    }


def table(report: dict[str, Any]) -> str:
    """The report of ``argos bench``, read again or just made."""
    height, width = report["size"]
    pipeline = ", ".join(f"{mode} {max(rates):.1f}" for mode, rates in report["pipeline_fps"].items())
    return "\n".join(
        [
            f"{report['frames']} frames of {width}x{height}, tasks {', '.join(report['tasks'])}; "
            f"{report['machine']['cpu']}, {report['machine']['threads']} threads",
            "",
            *rows(report),
            "",
            f"decoding alone {max(report['decode_fps']):.0f} fps; whole pipeline, fps: {pipeline}; "
            f"pack over full {report['pack_over_full']:.2f}; "
            f"decoding over pipeline {report['decode_over_pipeline']:.1f}",
        ]
    )


def rows(report: dict[str, Any]) -> list[str]:
    """Modes and opponents as a Markdown table; what did not run says why."""
    lines = list(HEADER)
    for row in [*report["modes"], *report.get("opponents", [])]:
        lines.append(
            f"| {named(row)} | {row['ms']:.1f} ({row['ms_p10']:.1f}-{row['ms_p90']:.1f}) | {row['fps']:.1f} | "
            f"{row['speed_up']:.2f} | {row['share']:.1%} | {iou(row['iou_full'])} | {iou(row['iou_truth'])} |"
        )
    lines += [f"| {name} | *not run*: {reason} | | | | | |" for name, reason in report.get("not_run", {}).items()]
    return lines


def iou(value: float | None) -> str:
    """An IoU as it stands in tables."""
    return "-" if value is None else f"{value:.3f}"


def named(row: dict[str, Any]) -> str:
    """The name of a row; that of ``auto`` with the modes it chose, by frames."""
    chosen = row.get("chosen", {}) if row["name"] == "auto" else {}
    words = ", ".join(f"{mode} {share:.0%}" for mode, share in chosen.items())
    return f"{row['name']} ({words})" if words else str(row["name"])
