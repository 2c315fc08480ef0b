"""What is installed: the package with its weights, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy of what git keeps or would keep, so that stray build folders do not matter."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a checkout of git: {error}")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # not the links to folders, nor what was removed and is still in the index
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_only_the_package(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"argos"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_the_wheel_holds_weights_cards_and_the_typing_marker(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "argos/py.typed" in names
    for model in ("qunet16", "asbunet", "ssdisb", "ssdisb_multi", "unet_lite"):
        assert {f"argos/weights/{model}.safetensors", f"argos/weights/{model}.json"} <= names
    assert not [name for name in names if "camvid" in name or "qunet64" in name], "no camera has a use for them"


def test_the_wheel_is_light(wheel: zipfile.ZipFile) -> None:
    assert sum(entry.compress_size for entry in wheel.infolist()) < 32e6


def test_the_shortcuts_at_the_top_lead_into_the_package() -> None:
    for name in ("pipelines", "kernels"):
        assert (ROOT / name).is_symlink()
        assert (ROOT / name).resolve() == ROOT / "argos" / name


def test_torch_without_cuda_brings_no_cuda_packages() -> None:
    if torch.version.cuda is not None:
        pytest.skip(f"this torch is built for CUDA {torch.version.cuda}")
    names = {distribution.metadata["Name"].lower() for distribution in distributions()}
    assert "torch" in names
    assert not [name for name in names if name.startswith("nvidia-")]


def test_the_pipeline_is_imported_without_the_compiler_of_torch() -> None:
    """It takes seconds at every start."""
    code = "import sys, argos.pipelines.api; print([m for m in ('torch._dynamo', 'sympy') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == "[]\n"
