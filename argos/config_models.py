"""The keys of ``camera.yaml`` above those of a camera: frozen models with every default, range and meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from argos.config_camera import Camera, CameraDefaults, CameraEntry
from argos.config_http import Http
from argos.config_network import InstancesModel, ModelName, SemanticModel
from argos.config_outputs import (
    STYLE_WORDS,
    Output,
    OverlayStyle,
)
from argos.config_values import (
    CanvasSide,
    Name,
    Section,
    check_bind,
    check_device,
    check_unique,
    check_url,
)
from argos.sources.names import is_live


class Packing(Section):
    """The canvases that regions are packed into."""

    canvas: Annotated[tuple[CanvasSide, CanvasSide], Field(strict=False)] = Field(
        default=(384, 640),
        description="[height, width] of a full canvas in network pixels, multiples of 32; "
        "where less is enough a part of it is computed, and where a region is higher or wider another shape of no more "
        "pixels",
    )
    max_canvases: int = Field(default=2, ge=1, le=64, description="most canvases per step; what does not fit is shrunk")
    gutter: int = Field(
        default=8, ge=0, description="empty canvas pixels between regions; less than half of the canvas' shorter side"
    )

    @field_validator("gutter")
    @classmethod
    def _leaves_room(cls, gutter: int, info: ValidationInfo) -> int:
        shorter = min(info.data.get("canvas", (2 * gutter + 1,)))  # a faulty canvas is a fault of its own
        if 2 * gutter >= shorter:
            raise ValueError(f"should be less than half of the canvas' shorter side ({shorter}), got {gutter}")
        return gutter


class Models(Section):
    """Models by role: the name of a shipped one, the path of a .safetensors file with its card beside it, or, behind
    the proposals, a network of one's own."""

    proposal: ModelName = Field(default="qunet16", description="proposes regions")
    semantic: SemanticModel = Field(
        default="unet_lite", description="the task semantic: a model, or network, weights, input, output of one's own"
    )
    instances: InstancesModel = Field(
        default="ssdisb", description="the task instances: a model, or network, weights, input, output of one's own"
    )
    semantic_small: SemanticModel | None = Field(
        default=None,
        description="takes the place of semantic at the last step under overload (latency.max_age_ms); null: nothing "
        "does",
    )
    instances_small: InstancesModel | None = Field(
        default=None, description="takes the place of instances at the last step under overload; null: nothing does"
    )


class Engine(Section):
    """How the networks are run."""

    device: Annotated[str, AfterValidator(check_device)] = Field(
        default="auto", description="auto, cpu, cuda or cuda:N; auto takes a GPU where there is one"
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="CPU threads; null: all cores"
    )
    in_flight: Annotated[int, Field(ge=1, le=8)] | None = Field(
        default=None,
        description="frames at once on a CPU: while the networks run on one, the next is proposed and sent to them, "
        "and those of torch share the threads; more frames per second, each a little later; null: 2, or 1 with one "
        "thread",
    )
    scale: Annotated[float, Field(gt=0, le=4)] | Literal["auto"] = Field(
        default="auto",
        description="network pixels per frame pixel; auto: the frame's long side becomes 640",
    )
    backend: Literal["auto", "torch", "onnxruntime", "openvino"] = Field(
        default="auto",
        description="the program that runs the deep networks; auto: on a CPU the one that argos tune found fastest, "
        "onnxruntime where nothing was measured; on a GPU torch",
    )
    precision: Literal["float32", "bfloat16", "int8"] = Field(
        default="float32",
        description="of the deep networks. int8: in 8 bits, quantised at the first start and kept; by any backend but "
        "torch; bfloat16: where the processor has it (avx512_bf16, amx_bf16), by openvino. Neither in mode gather; "
        "networks of your own run as they are",
    )
    calibration: Annotated[str, AfterValidator(check_url)] | None = Field(
        default=None,
        description="video, folder of pictures or fake://... whose frames set the ranges of the 8 bits; null: rendered "
        "people",
    )
    sparse: Literal["masked", "previous", "exact"] = Field(
        default="masked",
        description="mode gather. masked: what lies outside of the regions counts as zero in every layer; previous: as "
        "what it was when last computed, better where people hardly move and worse where they walk, 40 to 160 MB for "
        "each camera and task; exact: the regions come out as in the whole frame, for more computing; networks with "
        "global pooling run masked, and it is said",
    )
    packing: Packing = Field(default=Packing(), description="the canvases that regions are packed into")
    models: Models = Field(default=Models(), description="weights by role")

    @field_validator("precision")
    @classmethod
    def _has_program(cls, precision: str, info: ValidationInfo) -> str:
        backend = info.data.get("backend", "")  # a faulty one is a fault of its own
        if precision == "int8" and backend == "torch":
            raise ValueError(
                "int8 is not run by torch: set engine.backend to auto, onnxruntime or openvino, or use float32"
            )
        if precision == "bfloat16" and backend in ("torch", "onnxruntime"):
            raise ValueError(
                f"bfloat16 is not run by {backend}: set engine.backend to auto or openvino, or use float32"
            )
        return precision

    @field_validator("calibration")
    @classmethod
    def _ends(cls, source: str | None, info: ValidationInfo) -> str | None:
        if source is not None and is_live(source):
            raise ValueError("should be a video, a folder of pictures or fake://..., not a live source")
        if source is not None and info.data.get("precision", "") in ("float32", "bfloat16"):
            raise ValueError("sets the ranges of 8-bit numbers: set engine.precision to int8, or remove the key")
        return source


class MaskEncodings(Section):
    """How masks travel; those of single people always as run lengths, as in COCO."""

    semantic: Literal["bits", "bits_zlib"] = Field(default="bits_zlib", description="bits is larger and faster")


class OverlayPictures(Section):
    """Drawn pictures for viewers; encoded only while someone subscribes."""

    quality: int = Field(default=80, ge=1, le=100, description="JPEG quality, 1..100")
    max_fps: float = Field(default=5.0, gt=0, description="at most this many per second")
    width: Annotated[int, Field(ge=32)] | None = Field(
        default=960, description="wider frames are reduced to this width, pixels; null: never"
    )
    style: OverlayStyle = Field(default="mask", description=STYLE_WORDS)


class Curve(Section):
    """Encryption, and who may subscribe; relative paths start at the configuration's folder when they exist there."""

    server_key: Annotated[str, Field(min_length=1)] = Field(description="the publisher's own keys, a .key_secret file")
    clients: Annotated[str, Field(min_length=1)] = Field(
        description="folder with the public keys (*.key) of those who may subscribe; read again when it changes"
    )


class EverySection(Section):
    """A second address, for consumers that need every message: what they have not done with is kept for them."""

    bind: str = Field(
        description="tcp://HOST:PORT or ipc://PATH, as in tcp://127.0.0.1:5556; read by argos sub --every"
    )
    spool_mb: Annotated[float, Field(gt=0, le=4096)] = Field(
        default=64.0,
        description="most that is kept for one consumer that is slow or away, 10^6 bytes; then its oldest messages go",
    )


def _bind_mapping(every: Any) -> Any:
    """``every: ADDRESS`` is short for ``every: {bind: ADDRESS}``."""
    return {"bind": every} if isinstance(every, str) else every


class Publish(Section):
    """Publishing over ZeroMQ by the contract argos/1."""

    insecure: bool = Field(default=False, description="allow bind to be reached from other machines without encryption")
    curve: Curve | None = Field(default=None, description="keys, see argos keygen; null: nothing is encrypted")
    bind: str | None = Field(
        default=None,
        description="tcp://HOST:PORT or ipc://PATH, as in tcp://127.0.0.1:5555; null: off",
    )
    every: Annotated[
        EverySection | None, BeforeValidator(_bind_mapping, json_schema_input_type=str | EverySection | None)
    ] = Field(default=None, description="a second address for consumers that need every message; null: off")
    kinds: Annotated[
        tuple[Literal["result", "event", "status", "overlay", "notice"], ...],
        Field(strict=False, min_length=1),
        AfterValidator(check_unique),
    ] = Field(default=("result", "event", "status", "overlay", "notice"), description="kinds of messages")
    masks: MaskEncodings = Field(default=MaskEncodings(), description="how masks travel")
    overlay: OverlayPictures = Field(default=OverlayPictures(), description="drawn pictures for viewers")

    @field_validator("bind")
    @classmethod
    def _reachable(cls, bind: str | None, info: ValidationInfo) -> str | None:
        if bind is not None:
            cls._reachable_at(bind, info)
        return bind

    @field_validator("every")
    @classmethod
    def _beside(cls, every: EverySection | None, info: ValidationInfo) -> EverySection | None:
        if every is not None:
            if info.data.get("bind", "") is None:
                raise ValueError("needs publish.bind beside it, as in tcp://127.0.0.1:5555")
            if info.data.get("bind") == every.bind:
                raise ValueError(f"needs an address of its own, got {every.bind}, which is publish.bind")
            cls._reachable_at(every.bind, info)
        return every

    @classmethod
    def _reachable_at(cls, bind: str, info: ValidationInfo) -> None:
        # faulty keys or a faulty insecure are faults of their own
        closed = info.data.get("curve", True) is not None
        check_bind(bind, insecure=info.data.get("insecure", True) or closed)


class Logging(Section):
    """Messages about the run, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the least that is written")
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="text or one JSON object per line; auto: text, with short times on a terminal"
    )


class Settings(Section):
    """What the cameras share."""

    version: Literal[1] = Field(description="version of this form")
    engine: Engine = Field(default=Engine(), description="how the networks are run")
    publish: Publish = Field(default=Publish(), description="publishing over ZeroMQ")
    outputs: Annotated[tuple[Output, ...], Field(strict=False)] = Field(
        default=(), description="files to write, and who is told of events"
    )
    http: Http = Field(default=Http(), description="live page, status, health and metrics over HTTP")
    logging: Logging = Field(default=Logging(), description="messages about the run")


class ConfigFile(Settings):
    """camera.yaml as it is written: ``camera`` or ``cameras``, never both."""

    model_config = ConfigDict(
        title="ARGOS camera.yaml", json_schema_extra={"oneOf": [{"required": ["camera"]}, {"required": ["cameras"]}]}
    )

    camera: CameraEntry | None = Field(default=None, description="the only camera")
    cameras: dict[Name, CameraEntry] | None = Field(default=None, description="several cameras, by name")
    defaults: CameraDefaults = Field(default=CameraDefaults(), description="merged under each camera")


class Config(Settings):
    """A complete configuration: every camera with the defaults merged.

    Attributes:
        cameras: by name, in the order they were written.
    """

    cameras: dict[str, Camera]
