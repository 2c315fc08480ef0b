"""``argos doctor``: what this machine has, and what is missing for the main job."""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import asdict, dataclass

from argos import __version__

FAILED = 7


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked at.
        value: what was found.
        state: ``ok``, ``note`` (something optional is missing) or ``problem`` (the main job will not run).
        remedy: what to do; empty when ok.
    """

    name: str
    value: str
    state: str = "ok"
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos doctor``."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report; returns 7 when it has a problem."""
    findings = [*software(), *hardware(), *video(), *weights(), *surroundings()]
    problems = [finding for finding in findings if finding.state == "problem"]
    if args.json:
        print(json.dumps({"ok": not problems, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        for finding in findings:
            mark = {"ok": " ", "note": "-", "problem": "!"}[finding.state]
            print(f"{mark} {finding.name:<22} {finding.value}")
            if finding.remedy:
                print(f"  {'':<22} {finding.state}: {finding.remedy}")
        print(
            f"{len(problems)} problem{'s' * (len(problems) != 1)} found" if problems else "all that is needed is here"
        )
    return FAILED if problems else 0


def software() -> list[Finding]:
    """Versions of Python, ARGOS and the packages it stands on."""
    from argos.machine import threading_layer, versions

    found = [Finding("argos", __version__), Finding("python", f"{platform.python_version()}, {platform.platform()}")]
    installed = versions()
    for module, version in installed.items():
        missing = version.startswith("(")
        remedy = "install it again: pip install --force-reinstall argos-vision" if missing else ""
        found.append(Finding(module, version, "problem" if missing else "ok", remedy))
    if not installed["numba"].startswith("("):
        layer = threading_layer()
        remedy = "parallel kernels will not run: install Numba from its wheel" if layer == "none" else ""
        found.append(Finding("numba threads", layer, "problem" if remedy else "ok", remedy))
    return found


def hardware() -> list[Finding]:
    """Processor, memory and GPUs."""
    from argos.machine import cores, memory_bytes, processor

    name, flags = processor()
    vector = {"avx2", "asimd"} & set(flags)
    slow = "" if vector else "no AVX2 or NEON: everything runs, several times slower"
    usable, share = cores()
    limited = f", limited to {share:g}" if share < usable else ""
    memory = memory_bytes() / 2**30
    small = "" if memory >= 1.5 else "under 1.5 GiB: use one camera and engine.packing.max_canvases: 1"
    return [
        Finding("processor", name),
        Finding("instructions", " ".join(flags) or "unknown", "note" if slow else "ok", slow),
        Finding("cores", f"{usable}{limited}"),
        Finding("memory", f"{memory:.1f} GiB", "note" if small else "ok", small),
        _gpus(),
    ]


def _gpus() -> Finding:
    try:
        import torch
    except (ImportError, OSError):  # already a problem among the versions
        return Finding("devices", "cpu")
    names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return Finding("devices", ", ".join(["cpu", *(f"cuda:{n} ({name})" for n, name in enumerate(names))]))


def video() -> list[Finding]:
    """Codecs."""
    from argos.machine import decoders, encoders

    try:
        found = {f"decode {name}": there for name, there in decoders().items()}
        found |= {f"encode {name}": there for name, there in encoders().items()}
    except (ImportError, OSError):  # already a problem among the versions
        return []
    remedy = "install PyAV from its wheel, which brings FFmpeg: pip install --force-reinstall --only-binary av av"
    return [
        Finding(name, "yes" if there else "no", "ok" if there else "problem", "" if there else remedy)
        for name, there in found.items()
    ]


def weights() -> list[Finding]:
    """Shipped models, each with the digest of its file compared with its card."""
    from argos.errors import WeightsError

    try:
        from argos.engines.weights import digest, list_cards, weights_path
    except (ImportError, OSError):  # a package is missing: already a problem among the versions
        return []
    reinstall = "install argos-vision again"
    try:
        cards = list_cards()
    except WeightsError as error:
        return [Finding("weights", str(error), "problem", reinstall)]
    if not cards:
        return [Finding("weights", "none", "problem", f"{reinstall}: this copy has no models")]
    found = []
    for card in cards:
        try:
            same = digest(weights_path(card.name)) == card.sha256
        except (WeightsError, OSError) as error:
            found.append(Finding(f"model {card.name}", str(error), "problem", reinstall))
            continue
        value = f"sha256:{card.sha256[:12]}" + ("" if same else ", but the file is another one")
        found.append(Finding(f"model {card.name}", value, "ok" if same else "problem", "" if same else reinstall))
    return found


def surroundings() -> list[Finding]:
    """Cameras and display."""
    from argos.machine import webcams

    cameras = webcams()
    denied = any(name.endswith("(no permission)") for name in cameras)
    remedy = "join the group video: sudo usermod -aG video $USER, then log in again" if denied else ""
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    hint = "" if display else "no windows here: use argos sub --view FILE.jpg and recorded overlays"
    return [
        Finding("cameras", ", ".join(cameras) or "none", "note" if denied else "ok", remedy),
        Finding("display", display or "none", "ok" if display else "note", hint),
    ]
