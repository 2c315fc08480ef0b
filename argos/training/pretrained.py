"""What a training begins with: weights of an earlier one, and backbones from the files of image classifiers."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from argos.engines.sign_bits import LATENTS, SIGNS, binary_weights, unpack_signs, with_latents
from argos.engines.weights import Card, digest, load_network, weights_path
from argos.errors import WeightsError

log = logging.getLogger(__name__)

_ANY_BRANCH = re.compile(r"^branches\.\d+\.")


@dataclass(frozen=True, slots=True)
class Matched:
    """What of a file went into a backbone.

    Attributes:
        taken: tensors that were loaded, in order: name in the file and in the backbone.
        left: names in the file for which the backbone has no place, its classifier for one.
    """

    taken: tuple[tuple[str, str], ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        left = f"; left out: {', '.join(self.left[:6])}{' ...' if len(self.left) > 6 else ''}" if self.left else ""
        return f"{len(self.taken)} tensors loaded, {self.taken[0][0]} to {self.taken[-1][0]}{left}"


def encoder_of(network: nn.Module) -> nn.Module | None:
    """The part of a network that an image classifier can begin: its ``backbone`` or ``encoder``; None where none can.

    A plain sequence of layers is an encoder that was invented for its network: ASBU-Net, ERFNet and ESSNet have one.
    """
    encoder = getattr(network, "backbone", getattr(network, "encoder", None))
    return None if isinstance(encoder, (nn.Sequential, nn.ModuleList)) else encoder


def load_backbone(backbone: nn.Module, path: Path) -> Matched:
    """Fill a backbone from a state dict of the same network under other names.

    Where the file has all of its names, maybe behind one prefix, layers are matched by name: weights of ours. Else in
    order: torchvision, timm and their kin list layers as they run, whatever they call them; ``.safetensors`` lists them
    by the alphabet.

    Args:
        backbone: filled in place.
        path: a ``.safetensors`` file, or a ``.pth`` that ``torch.load`` reads without running code.

    Raises:
        WeightsError: the file cannot be read, or a layer of the backbone is missing or of another shape.
    """
    stored = {k: v for k, v in read_state(path).items() if not k.endswith("num_batches_tracked")}
    wanted = {k: v for k, v in backbone.state_dict().items() if not k.endswith("num_batches_tracked")}
    pairs = _by_name(list(wanted), list(stored)) or list(zip(stored, wanted, strict=False))
    for number, name in enumerate(wanted):
        found = pairs[number][0] if number < len(pairs) else None
        if found is None or stored[found].shape != wanted[name].shape:
            what = f"{found} is {tuple(stored[found].shape)}" if found else "the file ends"
            sorted_away = (
                "; .safetensors keeps no order of layers: save the state dict of the classifier with torch.save"
                if path.suffix == ".safetensors"
                else ""
            )
            raise WeightsError(
                f"{path}: not the weights of this backbone: {name} is {tuple(wanted[name].shape)}, but {what} there "
                f"({number} tensors before it match){sorted_away}"
            )
    backbone.load_state_dict({name: stored[found].float() for found, name in pairs}, strict=False)
    taken = {found for found, _ in pairs}
    return Matched(tuple(pairs), tuple(name for name in stored if name not in taken))


def _by_name(wanted: list[str], stored: list[str]) -> list[tuple[str, str]]:
    """Names in a file and in a backbone, where the file has each of the backbone behind the same prefix; else none."""
    for last in (name for name in stored if name.endswith(wanted[0])):
        prefix = last.removesuffix(wanted[0])
        if all(prefix + name in stored for name in wanted):
            return [(prefix + name, name) for name in wanted]
    return []


def take_what_fits(network: nn.Module, path: Path, anew: str = "") -> str:
    """Load the weights whose names and shapes are those of the network; say what did not.

    Where SSD-ISB has more branches than the one of the file, each begins as that: their layers are the same.

    Args:
        network: gets them.
        path: a state dict of torch, or safetensors.
        anew: prefix of names that are left as they are.

    Raises:
        WeightsError: the file cannot be read, or nothing in it fits.
    """
    found = read_state(path)
    own = network.state_dict()
    if not any(name.startswith("branches.1.") for name in found):
        found |= {name: found[only] for name in own if (only := _ANY_BRANCH.sub("branches.0.", name)) in found}
    fits = {
        key: value
        for key, value in found.items()
        if key in own and own[key].shape == value.shape and not (anew and key.startswith(anew))
    }
    if not fits:
        raise WeightsError(f"{path}: none of its {len(found)} tensors fits the network")
    network.load_state_dict(fits, strict=False)
    return f"{len(fits)} of {len(own)} tensors taken, {len(found) - len(fits)} left out"


def read_state(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a ``.safetensors`` file, or of a ``.pth`` or ``.pt`` that holds a state dict.

    Binary weights that the file has as bits get the magnitudes that lie beside it, or become weights of one magnitude;
    then the log says what that means.

    Raises:
        WeightsError: the file cannot be read, or holds something else.
    """
    state = _read(path)
    if not any(name.endswith(SIGNS) for name in state):
        return state
    return with_latents(unpack_signs(state), _latents(path))


def started_from(name: str) -> tuple[nn.Module, Card]:
    """A model to train on: ``load_network``, its binary weights as far from turning as its training left them.

    Raises:
        WeightsError: as ``load_network``.
    """
    if name.endswith(".pt"):
        raise WeightsError(
            f"{name}: weights without a card; begin with the .safetensors file of that training, which has one"
        )
    network, card = load_network(name)
    if binary_weights(network) and _has_signs(weights_path(name)):
        network.load_state_dict(with_latents(network.state_dict(), _latents(weights_path(name))))
    return network.requires_grad_(True), card


def _has_signs(path: Path) -> bool:
    with safe_open(path, "pt") as file:
        return any(name.endswith(SIGNS) for name in file.keys())  # noqa: SIM118  # it is no dict


def _latents(path: Path) -> dict[str, Tensor]:
    """Magnitudes of the binary weights of a model's file; none where its training has left none, and the log says so.

    Raises:
        WeightsError: the file beside it cannot be read.
    """
    found = _latents_beside(path)
    if found is None:
        log.warning(
            "%s: holds the signs of its binary weights, and %s that tells how far each is from turning is not beside "
            "it: that has to be found anew (argos train NAME --start RUN/average.pt begins with all of it)",
            path,
            path.with_suffix(LATENTS).name,
        )
    return found or {}


def check_latents(path: Path) -> None:
    """Read the magnitudes beside a model's file, where there are any.

    Raises:
        WeightsError: they cannot be read, or belong to other weights.
    """
    beside = path.with_suffix(LATENTS)
    if beside.exists() and _latents_beside(path) is None:
        raise WeightsError(f"{beside}: belongs to other weights than {path.name} beside it; install both again")


def _latents_beside(path: Path) -> dict[str, Tensor] | None:
    """None where they are missing or belong to other weights."""
    beside = path.with_suffix(LATENTS)
    try:
        with safe_open(beside, "pt") as file:
            if (file.metadata() or {}).get("of") == digest(path):
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
    except FileNotFoundError:
        pass
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{beside}: cannot be read ({error}); remove it to begin with the signs alone") from error
    return None


def reason_of(error: Exception) -> str:
    """The first line of why a file could not be read, without torch's advice to run whatever code is in it."""
    said = str(error).strip().partition("\n")[0]
    return type(error).__name__ if not said or "weights_only" in said else said


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and safetensors raise what they like, some of it without a word
        raise WeightsError(
            f"{path}: cannot be read as weights ({reason_of(error)}); a state dict is wanted, in a .safetensors "
            "file or written by torch.save"
        ) from error
    while isinstance(state, dict) and isinstance(inner := state.get("state_dict", state.get("model")), dict):
        state = inner
    if not isinstance(state, dict) or not state or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path}: should hold a state dict of tensors")
    return dict(state)
