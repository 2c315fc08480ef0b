"""``argos init``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from argos.cli import main
from argos.commands.init import TEMPLATE, configuration_text
from argos.config import config_from_sources, load_config

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "source",
    [
        "webcam:0",
        "/dev/video2",
        "clip.mp4",
        "a folder/with: spaces #1/*.png",
        "rtsp://me:p'w\"@10.0.0.7:554/a?b=1#c",
        "rtsp://${not a variable}@h/",
        "fake://people?n=5&seed=1",
        "2024",
        "no",
    ],
)
def test_what_is_written_is_valid_and_has_the_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    path = tmp_path / "camera.yaml"
    assert main(["init", "--source", source, "-o", str(path)]) == 0
    assert f"wrote {path}" in capsys.readouterr().out
    assert main(["check", str(path)]) == 0
    expected = config_from_sources([source], ["publish.bind=tcp://127.0.0.1:5555"])
    assert load_config(path) == expected


def test_the_shipped_example_is_what_init_writes() -> None:
    assert (ROOT / "configs" / "camera.yaml").read_text() == configuration_text("webcam:0")


def test_what_is_commented_out_shows_the_defaults(tmp_path: Path) -> None:
    plain, full = tmp_path / "plain.yaml", tmp_path / "full.yaml"
    plain.write_text(configuration_text("webcam:0"))
    full.write_text(re.sub(r"^( *)#(?=[a-z-])", r"\1", plain.read_text(), flags=re.MULTILINE))
    written, default = load_config(full), load_config(plain)
    assert len(written.outputs) == 8
    cameras = {name: camera.model_copy(update={"zones": {}, "lines": {}}) for name, camera in written.cameras.items()}
    assert written.model_copy(update={"outputs": (), "cameras": cameras}) == default


def test_every_key_is_in_the_template() -> None:
    from argos.config_faults import models_in
    from argos.config_models import Config

    waiting, names = [Config], set()
    while waiting:
        for name, field in waiting.pop().model_fields.items():
            names.add(name)
            waiting += models_in(field.annotation)
    assert {name for name in names if not re.search(rf"\b{name}:", TEMPLATE)} == set()


def test_an_existing_file_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text("mine")
    assert main(["init", "-o", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"argos: {path}: exists; choose another with -o FILE, or replace it with --force\n"
    )
    assert path.read_text() == "mine"
    assert main(["init", "-o", str(path), "--force"]) == 0
    assert load_config(path).cameras["video0"].source.url == "webcam:0"


def test_a_password_in_the_file_is_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "camera.yaml"
    assert main(["init", "--source", "rtsp://me:hunter2@h/a", "-o", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == f"{path} holds a password: keep it private, or write ${{CAMERA_PASSWORD}} in its place\n"
    assert "hunter2" not in out


def test_a_wrong_source_and_a_wrong_folder_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--source", "rtps://h/", "-o", str(tmp_path / "a.yaml")]) == 2
    assert capsys.readouterr().err.startswith("argos: --source: camera.source.url: unknown scheme 'rtps://'")
    assert main(["init", "-o", str(tmp_path / "no" / "a.yaml")]) == 6
    assert capsys.readouterr().err == (f"argos: {tmp_path}/no/a.yaml: cannot be written (No such file or directory)\n")
