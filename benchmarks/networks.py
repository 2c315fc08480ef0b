"""Time and memory of one forward pass of each network at its paper's input size, beside what the paper says.

    python benchmarks/networks.py --json benchmarks/results/networks.json --docs docs/networks.md

All networks are built first; in each round every one runs once, so that a slow moment of the machine meets all of them.
Times are medians over the rounds. Memory is what one pass adds to the process, measured in a process of its own, and
the sum of all outputs of all operations, as the profiler that the RT-Seg thesis used counts it. Weights are drawn at
random: neither depends on them. With a GPU the same is measured there.

Instance segmentation also draws the masks of 20 boxes of people between 40 and 440 pixels high, beside the detection.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from argos.machine import cores, processor
from argos.networks.asbunet import asbunet
from argos.networks.dual_aspp import dual_aspp
from argos.networks.essnet import erfnet, essnet, essnet_a, essnet_b, wspdnet
from argos.networks.fcn import mobilenet_fcn, squeezenet_fcn
from argos.networks.qunet import FULL_PRECISION, qunet
from argos.networks.ssd_isb import SSDISB, multi_shape, single_branch, single_shape, single_shape_plus
from argos.networks.unets_published import efficientnet_unet, mobilenet_v2_unet

MARKS = "<!-- benchmarks/networks.py -->", "<!-- end of benchmarks/networks.py -->"
BOXES = 20
M_MMAP_THRESHOLD = -3
"""Of glibc's malloc.h."""


@dataclass(frozen=True, slots=True)
class Row:
    """One network at the input size of its paper.

    Attributes:
        paper: shortly.
        name: in the paper.
        size: (height, width).
        build: the network.
        gpu_ms, cpu_ms, megabytes: as printed, None where it does not say.
        integer: run by the integer engine instead of PyTorch.
    """

    paper: str
    name: str
    size: tuple[int, int]
    build: Callable[[], nn.Module]
    gpu_ms: float | None = None
    cpu_ms: float | None = None
    megabytes: float | None = None
    integer: bool = False


@dataclass(slots=True)
class Measured:
    """Figures of a row, filled as they are measured; times are one per round."""

    cpu_ms: list[float] = field(default_factory=list)
    cuda_ms: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    outputs_mb: float | None = None
    cuda_mb: float | None = None


def fps(gpu: float, cpu: float, megabytes: float) -> dict[str, float]:
    """Printed images a second on the GPU and the CPU, and megabytes, as arguments of ``Row``."""
    return {"gpu_ms": 1e3 / gpu, "cpu_ms": 1e3 / cpu, "megabytes": megabytes}


def dual(name: str, encoder: str, head: str, skip: int = 0, gpu_ms: float | None = None) -> Row:
    """A row of the Dual ASPP paper."""
    return Row("Dual ASPP", name, (1024, 2048), partial(dual_aspp, encoder, head, skip_channels=skip), gpu_ms)


def rows() -> list[Row]:
    """Every network of the five documents; times of ASBU-Net's paper are of a GPU, its input size is not given."""
    asbu, fcn, isb, ess = (352, 640), (1024, 2048), (640, 640), (512, 1024)
    large, small = "mobilenet_v3_large", "mobilenet_v3_small"
    return [
        Row("ASBU-Net", "MobileNetV2 U-Net x1", asbu, partial(mobilenet_v2_unet, 1.0), 12.98),
        Row("ASBU-Net", "MobileNetV2 U-Net x1.3", asbu, partial(mobilenet_v2_unet, 1.3), 15.28),
        Row("ASBU-Net", "MobileNetV2 U-Net x1.4", asbu, partial(mobilenet_v2_unet, 1.4), 15.8),
        Row("ASBU-Net", "EfficientNet U-Net B0", asbu, partial(efficientnet_unet, "B0"), 16.4),
        Row("ASBU-Net", "EfficientNet U-Net B1", asbu, partial(efficientnet_unet, "B1"), 19.68),
        Row("ASBU-Net", "EfficientNet U-Net B2", asbu, partial(efficientnet_unet, "B2"), 21.54),
        Row("ASBU-Net", "ASBU-Net ReLU", asbu, asbunet, 7.46),
        Row("ASBU-Net", "ASBU-Net Swish", asbu, partial(asbunet, activation="swish"), 9.68),
        Row("RT-Seg 4.2", "SqzNet-Base", fcn, squeezenet_fcn, **fps(43.29, 3.69, 2089.03)),
        Row("RT-Seg 4.2", "SqzNet-FCN8", fcn, partial(squeezenet_fcn, steps=1), **fps(74.40, 3.74, 2122.40)),
        Row("RT-Seg 4.2", "SqzNet-Stride8", fcn, partial(squeezenet_fcn, output_stride=8), **fps(48.45, 2.43, 3744.08)),
        Row("RT-Seg 4.2", "MN-Base", fcn, mobilenet_fcn, **fps(75.47, 5.59, 1609.49)),
        Row("RT-Seg 4.2", "MN-FCN16", fcn, partial(mobilenet_fcn, steps=1), **fps(80.19, 5.62, 1612.21)),
        Row("RT-Seg 4.2", "MN-FCN8", fcn, partial(mobilenet_fcn, steps=2), **fps(46.92, 5.33, 1628.20)),
        Row("RT-Seg 4.2", "MN-Stride16", fcn, partial(mobilenet_fcn, output_stride=16), **fps(67.84, 5.09, 1874.31)),
        Row("RT-Seg 4.2", "MN-Stride8", fcn, partial(mobilenet_fcn, output_stride=8), **fps(33.61, 1.91, 5088.76)),
        Row("RT-Seg 5", "Single-Branch", isb, single_branch, **fps(51.95, 8.566, 852.76)),
        Row("RT-Seg 5", "SB-MN0.75", isb, partial(single_branch, 0.75), **fps(62.80, 11.57, 523.76)),
        Row("RT-Seg 5", "SB-FCN16", isb, partial(single_branch, steps=1), **fps(65.91, 11.93, 365.63)),
        Row("RT-Seg 5", "Single-Shape", isb, single_shape, **fps(56.11, 12.66, 405.89)),
        Row("RT-Seg 5", "Single-Shape+", isb, single_shape_plus, **fps(43.68, 6.259, 2179.24)),
        Row("RT-Seg 5", "Multi-Shape", isb, multi_shape, **fps(43.68, 7.983, 1909.90)),
        Row("RT-Seg 5", "MS-MN0.75", isb, partial(multi_shape, multiplier=0.75), **fps(50.27, 10.14, 652.33)),
        Row("RT-Seg 5", "MS-FCN16", isb, partial(multi_shape, steps=1), **fps(49.90, 10.85, 571.23)),
        Row("RT-Seg 5", "MS-NewShapes", isb, partial(multi_shape, "new"), **fps(39.30, 5.940, 2314.30)),
        Row("RT-Seg 5", "MS-SmallShapes", isb, partial(multi_shape, "small"), **fps(48.28, 9.203, 825.22)),
        Row("ESSNet", "ERFNet", ess, erfnet),
        Row("ESSNet", "ESSNetA-D", ess, essnet_a),
        Row("ESSNet", "ESSNetA-DG4", ess, partial(essnet_a, "DG4")),
        Row("ESSNet", "ESSNetB-D", ess, essnet_b),
        Row("ESSNet", "ESSNetB-DG4S", ess, partial(essnet_b, "DG4S")),
        Row("ESSNet", "ESSNet-D", ess, essnet, 1e3 / 47),
        Row("ESSNet", "ESSNet-DG2", ess, partial(essnet, "DG2"), 1e3 / 49),
        Row("ESSNet", "ESSNet-DG4", ess, partial(essnet, "DG4"), 1e3 / 49),
        Row("ESSNet", "ESSNet-enc-UPS", ess, partial(essnet, decoder="enc-UPS")),
        Row("ESSNet", "ESSNet-trans4x", ess, partial(essnet, decoder="trans4x")),
        Row("ESSNet", "ESSNet-trans8x", ess, partial(essnet, decoder="trans8x")),
        Row("ESSNet", "ESSNet-nodec", ess, partial(essnet, decoder="nodec")),
        Row("ESSNet", "WSPD-Net", ess, wspdnet),
        dual("ResNet101 DeepLabV3+", "resnet101", "deeplab"),
        dual("Xception65 DeepLabV3+", "xception65", "deeplab"),
        dual("MobileNetV2", "mobilenet_v2", "none"),
        dual("MobileNetV2 DeepLabV3+", "mobilenet_v2", "deeplab"),
        dual("MobileNetV2 Dual ASPP", "mobilenet_v2", "dual", gpu_ms=16.4),
        dual("MobileNetV3-Large", large, "none"),
        dual("MobileNetV3-Large DeepLabV3+", large, "deeplab"),
        dual("MobileNetV3-Large Dual ASPP", large, "dual"),
        dual("MobileNetV3-Small", small, "none"),
        dual("MobileNetV3-Small DeepLabV3+", small, "deeplab"),
        dual("MobileNetV3-Small Dual ASPP", small, "dual"),
        dual("MobileNetV3-Small Dual ASPP, skip", small, "dual", skip=19),
        Row("QU-Net", "U-Net, full precision", (320, 320), partial(qunet, bits=FULL_PRECISION)),
        Row("QU-Net", "QU-Net, by PyTorch", (320, 320), qunet),
        Row("QU-Net", "QU-Net, integer engine", (320, 320), qunet, integer=True),
        Row("QU-Net", "QU-Net width 16, integer engine", (320, 320), partial(qunet, 16), integer=True),
        Row("QU-Net", "QU-Net, DCT input, by PyTorch", (320, 320), partial(qunet, dct=True)),
    ]


def main() -> None:
    """Measure, print the table, write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="passes of each network that count (default: 5)")
    parser.add_argument("--only", default="", metavar="TEXT", help="networks with this in their paper or name")
    parser.add_argument("--threads", type=int, default=cores()[0], help="of the CPU (default: all)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--docs", type=Path, help="put the table into this page, between its marks")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)  # drawn weights make numbers that trained ones do not
    chosen = [row for row in rows() if given.only.lower() in f"{row.paper} {row.name}".lower()]
    started = time.perf_counter()
    measured = [Measured() for _ in chosen]
    measure_memory(chosen, measured, given.threads)  # first: its processes are forked before there are threads
    print(f"memory after {time.perf_counter() - started:.0f} s", file=sys.stderr)
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        measure_times(chosen, measured, device, given.rounds)
        print(f"{device} after {time.perf_counter() - started:.0f} s", file=sys.stderr)
    name, flags = processor()
    about = {
        "processor": name,
        "flags": flags,
        "threads": given.threads,
        "load": os.getloadavg()[0],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "rounds": given.rounds,
    }
    figures = [entry(row, found) for row, found in zip(chosen, measured, strict=True)]
    table = "\n".join(table_of(figures, about))
    print(table)
    if given.json:
        given.json.write_text(json.dumps({"machine": about, "networks": figures}, indent=1) + "\n")
    if given.docs:
        put_between_marks(given.docs, table)


def runner(row: Row, device: str) -> Callable[[], object]:
    """The network of a row, ready to run on one image, in channels-last memory as in the line."""
    torch.manual_seed(0)
    image = torch.rand(1, 3, *row.size).to(memory_format=torch.channels_last)
    network = row.build().eval()
    if row.integer:
        from argos.engines.integer_qunet import IntegerQUNet

        return partial(IntegerQUNet(network), (image * 255).to(torch.uint8))  # type: ignore[arg-type]
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = (image * 255).round().to(device) if row.paper == "QU-Net" else image.to(device)
    if not isinstance(network, SSDISB):
        return partial(network, image)
    boxes = people(row.size).to(device)

    def detect_and_segment() -> object:
        return network.masks(network(image).features, [boxes])

    return detect_and_segment


def people(size: tuple[int, int]) -> Tensor:
    """Boxes of standing people, small ones more often than large ones, spread over the image."""
    heights = torch.linspace(40**0.5, 440**0.5, BOXES) ** 2
    places = torch.rand(BOXES, 2, generator=torch.Generator().manual_seed(0))
    sides = torch.stack((heights * 0.4, heights), 1)
    corner = places * (torch.tensor((size[1], size[0])) - sides)
    return torch.cat((corner, corner + sides), 1)


@torch.inference_mode()
def measure_times(chosen: list[Row], measured: list[Measured], device: str, rounds: int) -> None:
    """Let all networks run in turns; the first round is not counted."""
    on_device = [(row, found, runner(row, device)) for row, found in zip(chosen, measured, strict=True)
                 if device == "cpu" or not row.integer]  # fmt: skip
    for n in range(rounds + 1):
        for _, found, run in on_device:
            if device == "cuda":
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
                held = torch.cuda.memory_allocated()
            started = time.perf_counter()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
                found.cuda_mb = (torch.cuda.max_memory_allocated() - held) / 1e6
            if n:
                times = found.cpu_ms if device == "cpu" else found.cuda_ms
                times.append((time.perf_counter() - started) * 1e3)


def measure_memory(chosen: list[Row], measured: list[Measured], threads: int) -> None:
    """Peak and sum of outputs of one pass of each network, each in a process of its own."""
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        found = pool.map(memory_of, [(row, threads) for row in chosen], chunksize=1)
    for entry_, (peak, outputs) in zip(measured, found, strict=True):
        entry_.peak_mb, entry_.outputs_mb = peak, outputs


@torch.inference_mode()
def memory_of(task: tuple[Row, int]) -> tuple[float | None, float | None]:
    """Megabytes that one pass adds at most, and megabytes of all that its operations gave; None where unknown."""
    row, threads = task
    torch.set_num_threads(threads)
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 16)  # tensors go back to the system when they are freed
    run = runner(row, "cpu")
    peak = None
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        before = memory_field("VmRSS")
        run()
        peak = (memory_field("VmHWM") - before) / 1e6
    except OSError:
        print("the peak of memory is not known on this system", file=sys.stderr)
        run()
    if row.integer:
        return peak, None
    with OutputBytes() as counter:
        run()
    return peak, counter.total / 1e6


def memory_field(name: str) -> int:
    """A field of this process' status in bytes."""
    match = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match
    return int(match[1]) * 1024


class OutputBytes(TorchDispatchMode):
    """Adds up the bytes of what operations give, views of their inputs left out."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        taken = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, Tensor)}
        for output in result if isinstance(result, tuple | list) else (result,):
            if isinstance(output, Tensor) and output.untyped_storage().data_ptr() not in taken:
                self.total += output.numel() * output.element_size()
        return result


def entry(row: Row, found: Measured) -> dict[str, Any]:
    """Figures of a row for the file and the table."""

    def spread(times: list[float]) -> dict[str, float] | None:
        return {"median": statistics.median(times), "min": min(times), "max": max(times)} if times else None

    printed = {"gpu_ms": row.gpu_ms, "cpu_ms": row.cpu_ms, "mb": row.megabytes}
    return {
        "paper": row.paper,
        "network": row.name,
        "size": [row.size[1], row.size[0]],
        "cpu_ms": spread(found.cpu_ms),
        "cuda_ms": spread(found.cuda_ms),
        "peak_mb": found.peak_mb,
        "outputs_mb": found.outputs_mb,
        "cuda_mb": found.cuda_mb,
        "printed": {name: value for name, value in printed.items() if value is not None},
    }


def table_of(figures: list[dict[str, Any]], about: dict[str, Any]) -> list[str]:
    """Markdown; the GPU of this machine only where there is one."""
    gpu = about["gpu"] is not None
    ours = ["CPU ms", *(["GPU ms", "GPU MB"] if gpu else []), "peak MB", "outputs MB"]
    head = ["paper", "network", "input", *ours, "paper: CPU ms", "GPU ms", "MB"]
    lines = [
        f"Medians of {about['rounds']} rounds on {about['processor']}, {about['threads']} threads"
        + (f", and {about['gpu']}" if gpu else "")
        + f", PyTorch {about['torch']}:",
        "",
        f"| {' | '.join(head)} |",
        f"|{'|'.join(['---'] * 3 + ['---:'] * (len(head) - 3))}|",
    ]
    for row in figures:
        on_gpu = [number(row["cuda_ms"] and row["cuda_ms"]["median"], 1), number(row["cuda_mb"], 0)] if gpu else []
        cells = [
            row["paper"],
            row["network"],
            "x".join(str(side) for side in row["size"]),
            number(row["cpu_ms"] and row["cpu_ms"]["median"], 1),
            *on_gpu,
            number(row["peak_mb"], 0),
            number(row["outputs_mb"], 0),
            *(number(row["printed"].get(name), 0 if name == "mb" else 1) for name in ("cpu_ms", "gpu_ms", "mb")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def number(value: float | None, decimals: int) -> str:
    """A figure, or a dash for none."""
    return "-" if value is None else f"{value:,.{decimals}f}"


def put_between_marks(page: Path, table: str) -> None:
    """Replace what stands between the marks of a page."""
    text = page.read_text()
    start, end = (text.index(mark) for mark in MARKS)
    page.write_text(f"{text[: start + len(MARKS[0])]}\n{table}\n{text[end:]}")


if __name__ == "__main__":
    main()
