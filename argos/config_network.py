"""The keys of ``camera.yaml`` for a network of the user's own: where it is, what it takes, what it gives."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationInfo, field_validator

from argos.config_faults import shown
from argos.config_values import Section

FILES = (".onnx", ".pt2")
"""Networks that are files as a whole; everything else is code."""

_CODE = re.compile(r"(?P<place>[\w.]+|.+\.py):[A-Za-z_]\w*")

Side = Annotated[int, Field(ge=1, le=8192)]  # as long as those of canvases
Channel = Annotated[int, Field(ge=0)]
OutputName = str | Annotated[int, Field(ge=0)]
Triple = Annotated[tuple[float, float, float], Field(strict=False)]


def is_file(network: str) -> bool:
    """Whether a network is a file as a whole."""
    return network.lower().endswith(FILES)


def is_network(name: str) -> bool:
    """Whether a text names a network of the user's own, and not a model with a card."""
    return is_file(name) or _CODE.fullmatch(name) is not None


def check_network(network: str) -> str:
    """Where a network is; whether it is there is not asked.

    Raises:
        ValueError: with the forms there are.
    """
    if is_network(network):
        return network
    forms = "module:function, file.py:function, or the path of an .onnx or .pt2 file"
    suffix = PurePath(network).suffix.lower()
    hint = ""
    if suffix in (".pt", ".pth", ".safetensors", ".ckpt"):
        hint = " - that holds weights alone: name the function that builds the network here, the file under weights"
    elif suffix == ".py":
        hint = f" - name the function in it that builds the network, as in {network}:build"
    elif re.fullmatch(r"\w+", network):
        hint = f" - for a shipped model leave the mapping out and write its name alone: {network}"
    raise ValueError(f"should be {forms}, got {shown(network)}{hint}")


class NetworkInput(Section):
    """The pictures that a network takes, made from RGB of 0..255."""

    size: Annotated[tuple[Side, Side], Field(strict=False)] | None = Field(
        default=None,
        description="[height, width] of the only pictures it takes: canvases get this size, whole frames are shrunk "
        "into it; null: what the file says, or any size",
    )
    stride: Side = Field(
        default=32,
        description="sides of pictures are multiples of it, as deep as the network halves them; what is missing is "
        "filled with grey",
    )
    range: Annotated[tuple[float, float], Field(strict=False)] = Field(
        default=(0.0, 1.0), description="[black, white]: what 0 and 255 become, before mean and std; as [0, 255]"
    )
    mean: Triple = Field(default=(0.0, 0.0, 0.0), description="subtracted from each colour, in units of range")
    std: Triple = Field(default=(1.0, 1.0, 1.0), description="then each colour is divided by it")
    order: Literal["rgb", "bgr"] = Field(default="rgb", description="order of the colours; bgr for networks of OpenCV")

    @field_validator("range")
    @classmethod
    def _apart(cls, range: tuple[float, float]) -> tuple[float, float]:
        if range[0] == range[1]:
            raise ValueError(f"black and white should differ, got {range[0]:g} for both")
        return range

    @field_validator("std")
    @classmethod
    def _divides(cls, std: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(std) <= 0:
            raise ValueError(f"should be greater than 0, got {min(std):g}")
        return std


class SemanticOutput(Section):
    """The map that a semantic network gives: batch x channels x height x width."""

    name: OutputName | None = Field(
        default=None, description="name or position of the output that is the map; null: the only one"
    )
    meaning: Literal["logits", "probabilities", "classes"] = Field(
        default="logits",
        description="logits (sigmoid of one channel, softmax of several), probabilities in 0..1, or classes: the "
        "number of the class of each pixel",
    )
    person: Annotated[tuple[Channel, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None,
        description="channels, or numbers of classes, that are person, from 0; null: the only one, of two the second",
    )
    stride: Side | None = Field(
        default=None, description="picture pixels per pixel of the map; null: found from its shape"
    )

    @field_validator("person")
    @classmethod
    def _counted_once(cls, person: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if person is not None and len(set(person)) < len(person):
            raise ValueError(f"should name each once, their probabilities are added, got {list(person)}")
        return person


class InstancesOutput(Section):
    """What an instance network gives for one picture: one entry per person in each output."""

    boxes: OutputName = Field(
        default="boxes", description="name or position of the boxes: [x0, y0, x1, y1] in pixels of the picture"
    )
    scores: OutputName = Field(default="scores", description="name or position of the scores, 0..1")
    labels: OutputName = Field(default="labels", description="name or position of the labels; read where person is set")
    masks: OutputName = Field(default="masks", description="name or position of the masks: people x height x width")
    cover: Literal["picture", "box"] = Field(default="picture", description="what a mask covers")
    meaning: Literal["probabilities", "logits"] = Field(
        default="probabilities", description="of the masks: person from probability 0.5, or from logit 0"
    )
    person: Annotated[tuple[int, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="labels that are person; null: all"
    )


class _OwnNetwork(Section):
    """A network of the user's own behind the region proposals; see docs/own_network.md."""

    network: Annotated[str, AfterValidator(check_network)] = Field(
        description="module:function or file.py:function that returns a torch.nn.Module (the code is run), or the "
        "path of an .onnx file or of a .pt2 file of torch.export; relative paths start at the configuration's folder "
        "when they exist there, otherwise at the current directory"
    )
    arguments: dict[str, Any] = Field(default={}, description="arguments of the function, by name")
    weights: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description=".safetensors file with the state dict of the function's network; null: as the function made it",
    )
    input: NetworkInput | None = Field(
        default=None, description="the pictures it takes; null: as argos export wrote into the file, or the defaults"
    )

    @field_validator("arguments", "weights")
    @classmethod
    def _of_code(cls, value: Any, info: ValidationInfo) -> Any:
        network = info.data.get("network", "")
        if value and is_file(network) and not (info.field_name == "weights" and cls is OwnInstancesModel):
            raise ValueError(f"is for code; {shown(network)} is a whole network: remove this key")
        return value


class OwnSemanticModel(_OwnNetwork):
    """A semantic network of the user's own behind the region proposals; see docs/own_network.md."""

    output: SemanticOutput | None = Field(
        default=None, description="the map it gives; null: as argos export wrote into the file, or the defaults"
    )


class OwnInstancesModel(_OwnNetwork):
    """An instance network of the user's own behind the region proposals; see docs/own_network.md."""

    output: InstancesOutput | None = Field(
        default=None, description="what it gives; null: as argos export wrote into the file, or the defaults"
    )


def _written_out(value: Any) -> Any:
    """``semantic: net.onnx`` is short for ``semantic: {network: net.onnx}``."""
    return {"network": value} if isinstance(value, str) and is_network(value) else value


def _kind(value: Any) -> str:
    return "name" if isinstance(value, str) else "own"


ModelName = Annotated[str, Field(min_length=1)]
SemanticModel = Annotated[
    Annotated[ModelName, Tag("name")] | Annotated[OwnSemanticModel, Tag("own")],
    Discriminator(_kind),
    BeforeValidator(_written_out),
]
InstancesModel = Annotated[
    Annotated[ModelName, Tag("name")] | Annotated[OwnInstancesModel, Tag("own")],
    Discriminator(_kind),
    BeforeValidator(_written_out),
]
