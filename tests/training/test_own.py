"""Networks of others learn by our loss, and what was learnt runs in the pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from own_networks import CLIP, write_code
from safetensors.torch import load_file
from torch import nn

from argos.cli import main
from argos.config import load_config
from argos.engines.own_network import build_own
from argos.engines.own_semantic import SemanticGives
from argos.engines.segmenter import Takes
from argos.errors import WeightsError
from argos.pipelines.api import Pipeline
from argos.training.own import own_loss, phases_of, train_own, write_weights
from argos.training.recipe import Phase
from argos.training.scenes import Mix
from argos.training.stream import Batch

TAKES = Takes(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), stride=48)
GIVES = SemanticGives(name="out", person=(1, 2))


def batch() -> Batch:
    """Two pictures whose left halves are bright, and people."""
    images, ids = torch.full((2, 3, 64, 64), 30, dtype=torch.uint8), torch.zeros((2, 64, 64), dtype=torch.uint8)
    images[..., :32], ids[..., :32] = 220, 1
    return Batch(images, ids, (), (), ())


def test_a_network_with_stride_classes_and_normalisation_learns(tmp_path: Path) -> None:
    network = build_own(f"{write_code(tmp_path)}:shapes", {})
    loss, optimizer = own_loss("theirs", TAKES, GIVES), torch.optim.Adam(network.parameters(), 0.02)
    losses = []
    for _ in range(40):
        total = torch.stack(list(loss(network, batch()).values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total))
    assert losses[-1] < 0.2 * losses[0]


class Odd(nn.Conv2d):
    """Gives a comparison; with too few colours it fails."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image) > 0


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Odd(3, 1, 1), "mine: gives what its weights do not learn from"),
        (Odd(4, 1, 1), "mine: fails on pictures 2x3x64x64: RuntimeError"),
    ],
)
def test_what_goes_wrong_in_the_network_while_it_learns_is_told(network: nn.Module, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        own_loss("mine", Takes(), SemanticGives())(network, batch())


def test_torchscript_does_not_learn(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="mine: a module of TorchScript does not learn; name a function"):
        train_own(torch.jit.script(nn.Conv2d(3, 1, 1)), "mine", Takes(), SemanticGives(),
                  Mix([], [], [], []), [], tmp_path, 0.01)  # fmt: skip


def test_a_layer_with_two_names_is_written(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    network.add_module("again", network[0])
    write_weights(network, tmp_path / "weights.safetensors")
    assert load_file(tmp_path / "weights.safetensors").keys() == network.state_dict().keys()


def test_views_have_sizes_that_the_network_takes() -> None:
    assert [phase.side for phase in phases_of(TAKES)] == [144, 240]
    assert phases_of(Takes(size=(352, 640))) == (Phase(1.0, 352, 4),)


def test_probabilities_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"mine: gives probabilities, and training needs logits: leave the last sig"):
        train_own(nn.Conv2d(3, 1, 1), "mine", Takes(), SemanticGives(meaning="probabilities"),
                  Mix([], [], [], []), [], tmp_path, 0.01)  # fmt: skip


def test_what_the_command_prints_runs_the_trained_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = f"{write_code(tmp_path)}:shapes"
    out = tmp_path / "run"
    train = ["train", "semantic", "--network", code, "--set", "output={name: out, person: [1, 2]}",
             "--set", "arguments.classes=4", "--from", CLIP, "--frames", "10", "--every", "0.1",
             "--teacher", "asbunet", "--minutes", "0.05", "--out", str(out)]  # fmt: skip
    assert main(train) == 0
    assert (out / "weights.safetensors").stat().st_mode & 0o777 == 0o644, "the service that runs it is another user"
    printed = capsys.readouterr().out
    assert "measured on 2 pictures that it did not learn from\niou_camera" in printed
    config = tmp_path / "camera.yaml"
    camera = f"version: 1\ncamera: {{source: {CLIP}, tasks: [semantic]}}\n"
    config.write_text(camera + printed.partition("in the configuration:\n")[2])
    semantic = load_config(config).engine.models.semantic
    assert not isinstance(semantic, str)
    assert semantic.weights == str(out / "weights.safetensors")
    assert semantic.arguments == {"classes": 4}
    with Pipeline.from_yaml(config) as pipeline:
        assert next(iter(pipeline)).semantic is not None
    again = ["train", "semantic", "--network", str(config), "--from", CLIP, "--out", str(tmp_path / "more")]
    (out / "weights.safetensors").rename(tmp_path / "elsewhere.safetensors")
    assert main(again) == 4, "it begins with the weights that the configuration names"
    assert "weights.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "argos: argos train semantic needs --network module:function, file.py:function or a camera.yaml"),
        (["--network", "theirs.onnx"], "argos: --network theirs.onnx: a file does not learn; name the function that"),
        (["--network", "unet_lite"], "for a shipped model leave the mapping out"),
    ],
)
def test_what_cannot_learn_is_a_usage_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "semantic", *arguments]) == 2
    assert message in capsys.readouterr().err
    if arguments:  # --network says which recipe it is
        assert main(["train", *arguments]) == 2
        assert message in capsys.readouterr().err
