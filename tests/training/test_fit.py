"""The loop learns, stops on time, and goes on where it was, to the same weights."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from argos.errors import DataError, PublishError, WeightsError
from argos.training import journal, stream, together
from argos.training.checkpoint import Progress, check_folder
from argos.training.fit import fit, restore_statistics
from argos.training.losses import dice_loss, person_targets, weighted_bce
from argos.training.measure import coverage, iou_by_source
from argos.training.photos import Photo
from argos.training.recipe import Phase, Recipe, Schedule, learning_rate, optimizer_for, phase_at
from argos.training.scenes import Mix
from argos.training.stream import Batch, SceneStream, batches

RECIPE = Recipe(1.0, (Phase(1.0, 32, 4),), peak_rate=0.1, average=0.5, report_s=0.2, workers=0)


def red_photo() -> Photo:
    image = np.full((64, 64, 3), 90, np.uint8)
    ids = np.zeros((64, 64), np.uint8)
    image[16:48, 16:48] = (220, 30, 30)
    ids[16:48, 16:48] = 1
    box = np.asarray([[16, 16, 48, 48]], np.float32)
    return Photo(image, ids, box, np.ones(1, np.uint8), np.zeros((0, 4), np.float32), "red", "red.png")


def red_loss(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    person, valid = person_targets(batch.ids)
    logits = network(batch.images.float() / 255)[:, 0]
    return {"bce": weighted_bce(logits, person, valid, 1.0), "dice": dice_loss(logits, person, valid)}


RED = Mix([[red_photo()]], [1.0], [red_photo()], [], paste=0.0)


def train(
    folder: Path,
    recipe: Recipe,
    figures: list[float] | None = None,
    *,
    width: int = 4,
    about: str = "red",
    norm: bool = False,
) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, width, 1), nn.BatchNorm2d(width) if norm else nn.Dropout2d(0.2), nn.Conv2d(width, 1, 1)
    )
    left = iter(figures or [])
    return fit(network, RED, red_loss, recipe, folder, lambda _: {"fine": next(left, 1.0)}, about={"data": about})


def test_training_finds_red_people_and_ends_on_time(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, minutes=0.05)
    network = train(tmp_path, recipe)

    def score(image: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            return torch.sigmoid(network(pixels)[0, 0]).numpy()

    assert iou_by_source(score, [red_photo()])["iou_red"] > 0.9
    covered = coverage(lambda image: score(image) > 0.5, [red_photo()])
    assert covered["people_covered"] == 1.0
    assert covered["area"] < 0.5
    steps = torch.load(tmp_path / "last.pt", weights_only=True)["step"]
    again = train(tmp_path, recipe)  # its time is up: it only evaluates
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == steps
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    kinds = {json.loads(line)["kind"] for line in (tmp_path / "scalars.jsonl").read_text().splitlines()}
    assert kinds == {"loss", "figure"}
    assert (tmp_path / "curves.png").stat().st_size > 2000
    assert " min left " in (tmp_path / "log.txt").read_text()


RUN = """
import dataclasses, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_fit import RECIPE, train
from argos.training import fit, unbroken
unbroken.stop_on_sigterm()
average = fit.average_into
def slowly(*args):
    average(*args)
    if {pause} > 1:
        (Path({folder!r}) / "log.txt").write_text("holding")
    time.sleep({pause})
fit.average_into = slowly
train(Path({folder!r}), dataclasses.replace(RECIPE, steps=40, accumulate=2, save_s={save_s}, workers={workers}))
"""


def begin(folder: Path, *, pause: float = 0.0, save_s: float = 120.0, workers: int = 0) -> subprocess.Popen[bytes]:
    """Train in a process of its own, so that all start alike, whatever other tests set in this one."""
    script = RUN.format(
        tests=str(Path(__file__).parent), folder=str(folder), pause=pause, save_s=save_s, workers=workers
    )
    return subprocess.Popen([sys.executable, "-c", script], start_new_session=True)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a training that nobody disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert begin(folder).wait(120) == 0
    return folder


def wait_for(path: Path, text: bytes = b"") -> None:
    deadline = time.monotonic() + 120
    while not (path.exists() and text in path.read_bytes()):
        assert time.monotonic() < deadline, f"{path} should come"
        time.sleep(0.01)


def check_goes_on(folder: Path, unbroken: Path) -> None:
    """The training of a folder was stopped on its way, and ends with the weights of the unbroken one."""
    assert 0 < torch.load(folder / "last.pt", weights_only=True)["step"] < 40
    assert begin(folder).wait(120) == 0
    whole, resumed = (torch.load(one / "last.pt", weights_only=True) for one in (unbroken, folder))
    assert resumed["seen"] == whole["seen"] == 40 * 2 * 4  # steps, batches, scenes
    assert whole["step"] == resumed["step"] == 40
    for weights in ("network", "average"):
        assert all(torch.equal(whole[weights][key], resumed[weights][key]) for key in whole[weights])


def test_a_killed_training_goes_on_to_the_weights_of_an_unbroken_one(tmp_path: Path, unbroken: Path) -> None:
    child = begin(tmp_path, pause=0.02, save_s=0.1, workers=1)
    wait_for(tmp_path / "last.pt")
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it was to be killed in the middle"
    check_goes_on(tmp_path, unbroken)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_keep_every_whole_step(tmp_path: Path, unbroken: Path, number: signal.Signals) -> None:
    """It comes in the middle of a step nearly always: most of it sleeps between the network and its average."""
    child = begin(tmp_path, pause=0.2, workers=1)
    wait_for(tmp_path / "log.txt", b"step ")
    os.killpg(child.pid, number)  # as a terminal and systemd do, to the processes that draw as well
    assert child.wait(60) == -signal.SIGINT
    step = torch.load(tmp_path / "last.pt", weights_only=True)["step"]
    assert f"step {step} stopped; the same command goes on from here" in (tmp_path / "log.txt").read_text()
    check_goes_on(tmp_path, unbroken)


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    child = begin(tmp_path, pause=60.0)
    wait_for(tmp_path / "log.txt", b"holding")
    for _ in range(2):
        os.kill(child.pid, signal.SIGINT)
        time.sleep(0.3)
    assert child.wait(20) == 130
    assert not (tmp_path / "last.pt").exists(), "half a step is no checkpoint"


def test_a_full_disk_is_named_and_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, steps=2)
    train(tmp_path, recipe)
    before, limits = (tmp_path / "last.pt").read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limits[1]))
    try:
        with pytest.raises(
            PublishError, match=r"last.pt: cannot be written \(.*the same command goes on from its last"
        ):
            train(tmp_path, dataclasses.replace(recipe, steps=4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not (tmp_path / "last.part").exists(), "it would take the room that is missing"
    train(tmp_path, dataclasses.replace(recipe, steps=4))
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 4


def test_a_folder_that_cannot_be_made_is_said_before_photos_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        PublishError, match=r"file/run: cannot be written \(.*file is not a folder\); --out names anoth"
    ):
        check_folder(tmp_path / "file" / "run", {})
    with pytest.raises(PublishError, match="file: cannot be written"):
        train(tmp_path / "file", RECIPE)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # whoever runs the tests may write anywhere
    with pytest.raises(PublishError, match=f"new: cannot be written \\(no permission in {tmp_path}\\)"):
        check_folder(tmp_path / "new", {})


def test_one_process_at_a_time_trains_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; from pathlib import Path; from argos.training.checkpoint import alone_in\n"
    code += "with alone_in(Path(sys.argv[1])): print('in', flush=True); input()"
    recipe = dataclasses.replace(RECIPE, steps=1)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        for refused in (lambda: check_folder(tmp_path, {}), lambda: train(tmp_path, recipe)):
            with pytest.raises(DataError, match=r"another process trains in it; wait for its end, or choose another"):
                refused()
        monkeypatch.setenv("RANK", "1")
        check_folder(tmp_path, {})
        other.kill()
    assert not (tmp_path / "log.txt").exists()
    train(tmp_path, recipe)
    assert (tmp_path / "last.pt").exists()


def test_only_the_training_of_a_folder_goes_on_there(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, steps=2)
    train(tmp_path, recipe)
    with pytest.raises(DataError, match=r"data is 'red' there and 'blue' here; choose another folder with --out, or"):
        train(tmp_path, recipe, about="blue")
    with pytest.raises(DataError, match=r"rate is '0.1' there and '0.2' here"):
        train(tmp_path, dataclasses.replace(recipe, peak_rate=0.2))
    with pytest.raises(DataError, match="optimizer is 'adamw' there and 'sgd' here"):
        train(tmp_path, dataclasses.replace(recipe, optimizer="sgd"))
    with pytest.raises(DataError, match="network is 'Sequential of 21 parameters' there and 'Sequential of 41 para"):
        train(tmp_path, recipe, width=8)
    train(tmp_path, dataclasses.replace(recipe, steps=4, workers=1))
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["step"] == 4, "its length may change"
    del state["identity"]  # as folders were written before
    torch.save(state, tmp_path / "last.pt")
    train(tmp_path, dataclasses.replace(recipe, steps=5, peak_rate=0.2))
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 5


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path, recipe = tmp_path / "last.pt", dataclasses.replace(RECIPE, steps=2)
    train(tmp_path, recipe)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"last.pt: damaged, it cannot be read as a checkpoint .*remove this one"):
        train(tmp_path, recipe)
    torch.save({"network": {}}, path)
    with pytest.raises(WeightsError, match=r"last.pt: not a checkpoint of this training"):
        train(tmp_path, recipe)


def test_a_training_that_diverges_ends_and_says_so(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, steps=1000, peak_rate=1e30, report_s=0.0)
    with pytest.raises(DataError, match=r"step 2\d: loss or gradient not finite in 20 steps in a row at a rate of"):
        train(tmp_path, recipe)
    assert "1 steps skipped, not finite" in (tmp_path / "log.txt").read_text()
    losses = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line.get("bce", 0.0)) for line in losses)


def test_figures_of_steps_that_come_again_are_dropped(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, steps=3, report_s=0.0, evaluate_steps=3)
    train(tmp_path, recipe)
    scalars = tmp_path / "scalars.jsonl"
    whole = scalars.read_text()
    with scalars.open("a") as file:  # as a machine leaves it that stopped after the last checkpoint
        file.write('{"kind": "loss", "step": 2, "bc{"kind": "loss", "step": 3, "bce": 0.4}\n')  # appended to a torn one
        file.write('{"kind": "loss", "step": 4, "bce": 0.5}\n{"kind": "loss", "step": 5, "bc')
    train(tmp_path, recipe)
    assert scalars.read_text() == whole, "nothing was trained, and evaluated once more in place of before"
    train(tmp_path, dataclasses.replace(recipe, steps=6))
    entries = [(line["kind"], line["step"]) for line in map(json.loads, scalars.read_text().splitlines())]
    assert entries == [("loss", 1), ("loss", 2), ("loss", 3), ("figure", 3),
                       ("loss", 4), ("loss", 5), ("loss", 6), ("figure", 6)]  # fmt: skip


def test_batches_do_not_depend_on_who_draws_them() -> None:
    recipe = dataclasses.replace(RECIPE, steps=100)
    alone = iter(batches(SceneStream(RED, recipe, 0.0, 3)))
    shared = iter(batches(SceneStream(RED, dataclasses.replace(recipe, workers=2), 0.0, 3)))
    for _ in range(4):
        assert torch.equal(next(alone).images, next(shared).images)


def test_a_gpu_is_fed_by_more_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "cores", lambda: (64, 12.0))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert stream.workers_here() == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert stream.workers_here() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert stream.workers_here() == 2
    monkeypatch.setattr(stream, "cores", lambda: (2, 1.0))
    assert stream.workers_here() == 1


TOGETHER = """
import dataclasses, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
from test_fit import RECIPE, train
from argos.training.together import part_of
network = train(Path({folder!r}) / "run", dataclasses.replace(RECIPE, steps=6, report_s=0.0), norm=True)
torch.save(network.state_dict(), Path({folder!r}) / f"weights{{part_of()[0]}}.pt")
"""


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    script = tmp_path / "together.py"
    script.write_text(TOGETHER.format(tests=str(Path(__file__).parent), folder=str(tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    subprocess.run(command, check=True, timeout=180, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    first, second = (torch.load(tmp_path / f"weights{n}.pt", weights_only=True) for n in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert (tmp_path / "run" / "log.txt").read_text().count("done, step 6") == 1
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["seen"] == 6 * 4 * 2
    alone = train(tmp_path / "alone", dataclasses.replace(RECIPE, steps=6), norm=True).state_dict()
    assert not torch.equal(first["0.weight"], alone["0.weight"]), "they saw the batches of two"


def test_the_others_wait_for_a_long_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    waits: list[timedelta] = []
    monkeypatch.setattr(together.dist, "init_process_group", lambda backend, timeout: waits.append(timeout))
    monkeypatch.setattr(together.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(together.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert together.part_of() == (1, 2)
    assert waits[0] > timedelta(hours=1)


def test_a_training_that_gets_no_better_lowers_its_rate_and_ends(tmp_path: Path) -> None:
    schedule = Schedule("plateau", factor=0.5, patience=2)
    recipe = dataclasses.replace(RECIPE, steps=1000, schedule=schedule, stop_after=4, evaluate_steps=1)
    train(tmp_path, recipe, figures=[0.2, 0.5, 0.4, 0.4, 0.3, 0.5])
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert (state["step"], state["best"]) == (6, 0.5)
    assert "no better in 4 evaluations" in (tmp_path / "log.txt").read_text()
    best, average = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("best", "average"))
    train(tmp_path / "two", dataclasses.replace(recipe, steps=2), figures=[0.2, 0.5])
    second = torch.load(tmp_path / "two" / "last.pt", weights_only=True)["average"]
    for key, value in second.items():
        assert torch.equal(value, best[key])
        assert torch.equal(value, average[key]), "the weights of the best evaluation, the second, not the last ones"
    at = Progress()
    for figure in (0.2, 0.1, 0.1, 0.3, 0.1, 0.1):
        at.judge(figure, patience=2)
    assert (at.best, at.waited, at.plateaus) == (0.3, 2, 2)


def test_an_evaluation_that_is_cut_short_is_made_up_for(tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        RECIPE, steps=8, schedule=Schedule("plateau", factor=0.1, patience=1), evaluate_steps=2
    )
    whole = train(tmp_path / "whole", recipe, figures=[0.5, 0.4, 0.6])

    class Stopped(list[float]):
        """Figures of which the second is asked for when somebody presses Ctrl-C."""

        def __iter__(self) -> Iterator[float]:
            yield 0.5
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", recipe, figures=Stopped([0.5]))
    gone_on = train(tmp_path / "cut", recipe, figures=[0.4, 0.6])
    states = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "cut")]
    assert [(state["plateaus"], state["best"]) for state in states] == [(1, 0.6)] * 2
    for key, value in whole.state_dict().items():
        assert torch.equal(value, gone_on.state_dict()[key])


@pytest.mark.parametrize(("steps", "every", "at"), [(230, 0, [100, 200, 230]), (7, 3, [3, 6, 7]), (2, 0, [2])])
def test_a_training_in_steps_is_evaluated_by_steps(tmp_path: Path, steps: int, every: int, at: list[int]) -> None:
    train(tmp_path, dataclasses.replace(RECIPE, steps=steps, evaluate_steps=every, evaluate_min=0.0))
    lines = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "figure"] == at
    assert dataclasses.replace(RECIPE, steps=6000).evaluated_steps == 300


def test_an_evaluation_is_due_in_its_time_however_often_a_training_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "draw_curves", lambda scalars, picture: None)  # it takes the seconds of the training
    recipe = dataclasses.replace(RECIPE, minutes=0.01, evaluate_min=1.9)
    train(tmp_path, recipe)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    first, state["spent"] = state["step"], 116.0
    del state["evaluated_s"]  # as it was written before
    torch.save(state, tmp_path / "last.pt")
    train(tmp_path, dataclasses.replace(recipe, minutes=2.0))
    lines = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    figures = [line["step"] for line in lines if line["kind"] == "figure"]
    assert figures[:2] == [first, first + 1], "after 114 s of both runs"
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert 116 <= state["evaluated_s"] <= state["spent"]
    assert figures[2:] == [state["step"]], "and not again"


def test_schedules() -> None:
    def rate(progress: float, step: int = 0, plateaus: int = 0, **schedule: float | str) -> float:
        recipe = dataclasses.replace(RECIPE, peak_rate=1.0, schedule=Schedule(**schedule))  # type: ignore[arg-type]
        return learning_rate(recipe, progress, step, plateaus)

    assert rate(0.0) == pytest.approx(0.05)
    assert rate(0.03) == pytest.approx(1.0)
    assert rate(1.0) == pytest.approx(0.01)
    assert rate(0.5, kind="constant") == 1.0
    steps = [rate(0.0, step, kind="staircase", factor=0.75, every=10_000) for step in (0, 9_999, 10_000, 25_000)]
    assert steps == pytest.approx([1, 1, 0.75, 0.75**2]), "the thesis' Eq. 3.2"
    assert [rate(p, kind="staircase", factor=0.1, every=0.3) for p in (0.29, 0.3, 0.95)] == pytest.approx(
        [1, 0.1, 1e-3]
    )
    assert rate(0.5, plateaus=2, kind="plateau", factor=0.5) == 0.25


@pytest.mark.parametrize(("optimizer", "rate"), [("adamw", 0.05), ("adam", 0.05), ("rmsprop", 0.005), ("sgd", 0.5)])
def test_every_optimizer_learns(tmp_path: Path, optimizer: str, rate: float) -> None:
    recipe = dataclasses.replace(RECIPE, steps=60, optimizer=optimizer, peak_rate=rate, report_s=0.0)  # type: ignore[arg-type]
    train(tmp_path, recipe)
    lines = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    losses = [line["bce"] for line in lines if line["kind"] == "loss"]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def test_a_frozen_network_is_said() -> None:
    with pytest.raises(DataError, match="no parameter of the network learns"):
        optimizer_for(nn.Conv2d(1, 1, 1).requires_grad_(False), RECIPE)


def test_half_precision_learns_the_same_task(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, steps=20, precision="bfloat16", report_s=0.0)
    assert all(torch.isfinite(p).all() for p in train(tmp_path, recipe).parameters())


def test_phases_follow_each_other() -> None:
    small, large = Phase(0.5, 128, 10), Phase(1.0, 224, 8)
    assert phase_at(0.2, (small, large)) is small
    assert phase_at(0.5, (small, large)) is large
    assert phase_at(1.3, (small, large)) is large


def test_ignored_pixels_weigh_nothing() -> None:
    ids = torch.tensor([[[0, 1, 255, 254]]], dtype=torch.uint8)
    person, valid = person_targets(ids)
    assert person.tolist() == [[[0, 1, 0, 1]]]
    assert valid.tolist() == [[[1, 1, 0, 1]]]
    logits = torch.tensor([[[-20.0, 20.0, 20.0, 20.0]]])
    assert float(weighted_bce(logits, person, valid, 3.0)) < 1e-6
    assert float(dice_loss(logits, person, valid)) < 1e-3


def test_running_statistics_of_a_skipped_step_are_taken_back() -> None:
    """NaN in them would stay: nothing times NaN is a number."""
    network, average = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    network(torch.full((2, 3, 4, 4), torch.inf))
    assert network.running_var is not None
    assert network.running_var.isnan().all()
    restore_statistics(network, average)
    assert torch.equal(network.running_var, torch.ones(3))


def test_one_folder_has_one_name_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = f"('coco:{tmp_path}/data/people.json?class=person',)"
    torch.save({"identity": {"data": here}}, tmp_path / "last.pt")
    check_folder(tmp_path, {"data": ("coco:./data/people.json?class=person",)})
    with pytest.raises(DataError, match="holds another training: data is"):
        check_folder(tmp_path, {"data": ("coco:./data/other.json?class=person",)})
