"""The keys of ``camera.yaml``: frozen models with every default, range and meaning."""

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

from argos.config_http import Http
from argos.config_network import InstancesModel, ModelName, SemanticModel
from argos.config_outputs import (
    STYLE_WORDS,
    Active,
    Backdrop,
    EventTypes,
    MomentsOutput,
    MqttOutput,
    OverlayStyle,
    VirtualCameraOutput,
    WebhookOutput,
)
from argos.config_privacy import MaskArea, PrivacySection
from argos.config_scene import ActiveSection, LineSection, TrackSection, ZoneSection
from argos.config_values import (
    CanvasSide,
    Name,
    Seconds,
    Section,
    Share,
    check_bind,
    check_device,
    check_suffix,
    check_unique,
    check_url,
)
from argos.sources.names import is_live

Task = Literal["semantic", "instances"]


class Reconnect(Section):
    """How a live source that was lost is tried again."""

    initial_s: Seconds = Field(default=0.1, description="wait before the first new attempt, seconds")
    max_s: Seconds = Field(default=1.0, description="longest wait between attempts, seconds; at least initial_s")
    factor: float = Field(default=2.0, ge=1, description="the wait grows by this factor at each attempt")
    jitter: Share = Field(default=0.2, description="random share of the wait that is added or taken away, 0..1")
    give_up_after: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="attempts after which the camera is given up; null: never"
    )

    @field_validator("max_s")
    @classmethod
    def _not_below_initial(cls, max_s: float, info: ValidationInfo) -> float:
        if max_s < info.data.get("initial_s", 0):
            raise ValueError(f"should be at least initial_s ({info.data['initial_s']:g}), got {max_s:g}")
        return max_s


class SourceDefaults(Section):
    """How sources are opened and read."""

    transport: Literal["tcp", "udp"] = Field(default="tcp", description="how RTSP carries the pictures")
    open_timeout_s: Seconds = Field(default=2.0, description="longest wait for a live source to open, seconds")
    stall_timeout_s: Seconds = Field(
        default=1.5, description="a live source without a decoded frame for this long is lost, seconds"
    )
    reconnect: Reconnect = Field(default=Reconnect(), description="how a live source that was lost is tried again")
    isolate: Literal["thread", "process"] = Field(
        default="thread",
        description="where pictures are decoded; process: in a process of its own, which may crash or hang on a "
        "damaged stream and is started again (not with an output of type recording)",
    )
    memory_mb: Annotated[int, Field(ge=64)] | None = Field(
        default=1024,
        description="most memory of a decoder process beyond what it has at its start, in MiB; null: no limit",
    )


class Source(SourceDefaults):
    """Where pictures come from."""

    url: Annotated[str, AfterValidator(check_url)] = Field(
        description="rtsp(s)://..., http(s)://..., webcam:N, /dev/videoN, fake://people?n=5&seed=1, or the path of a "
        "video, an image, a directory or a glob of images; a relative path starts at the configuration's folder when "
        "it exists there, otherwise at the current directory"
    )


class Rate(Section):
    """How many frames are analysed."""

    fps: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="at most this many frames per second, chosen by presentation time; null: all"
    )


class Latency(Section):
    """What happens to frames that come faster than they are analysed."""

    policy: Literal["latest", "every_frame"] | None = Field(
        default=None,
        description="latest: older frames are dropped and counted; every_frame: reading waits; "
        "null: every_frame for files, latest for live sources",
    )
    max_age_ms: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="age that results of a live source should not exceed, from capture to publishing: when they do, "
        "less is computed, step by step (rate, then regions only, then scale, then smaller models), until it is over; "
        "null: never",
    )

    @field_validator("max_age_ms")
    @classmethod
    def _may_drop(cls, max_age_ms: float | None, info: ValidationInfo) -> float | None:
        if max_age_ms is not None and info.data.get("policy") == "every_frame":
            raise ValueError("needs policy latest: with every_frame nothing may be left out")
        return max_age_ms


class RegionsSection(Section):
    """Where the deep networks look."""

    mode: Literal["auto", "pack", "gather", "full", "mask"] = Field(
        default="auto",
        description="pack: regions into canvases; gather: in place, active blocks only; full: the whole frame; "
        "mask: the whole frame with the rest blanked; auto: skip (nothing proposed), pack, full or, after argos tune, "
        "gather: the cheapest, frame by frame",
    )
    threshold: Share | None = Field(
        default=None, description="probability from which a cell is proposed, 0..1; null: the value in the model's card"
    )
    dilation: Annotated[int, Field(ge=0, le=1000)] | Literal["dynamic"] = Field(
        default=4,
        description="growth of the proposed cells, in cells; dynamic: in proportion to each",
    )
    min_area: Share = Field(default=0.0002, description="smaller components are dropped; share of the frame, 0..1")
    margin: int = Field(
        default=16, ge=0, le=10_000, description="context that the network sees around each region, frame pixels"
    )
    memory: bool = Field(
        default=True,
        description="places where the deep network has found nobody are not asked about again until the picture "
        "changes there, and those where it has found somebody are, whatever is proposed; while nothing changes at all, "
        "the proposer is asked once a second; regions keep their place on the canvas; false: each frame for itself",
    )
    refresh_full_s: Seconds | None = Field(
        default=10.0, description="the whole frame is analysed this often, which bounds a miss, seconds; null: never"
    )


class InstancesSection(Section):
    """People one by one."""

    score_threshold: Share | None = Field(
        default=None, description="lowest score of a person, 0..1; null: the value in the model's card"
    )
    nms: Share | None = Field(
        default=None,
        description="of two boxes with a larger IoU the better one is kept, 0..1; null: the value in the model's card",
    )
    max_people: int = Field(default=100, ge=1, description="most people per frame")


class SemanticSection(Section):
    """Person or not, for every pixel."""

    threshold: Share | None = Field(
        default=None, description="probability from which a pixel is person, 0..1; null: the value in the model's card"
    )


def _url_mapping(source: Any) -> Any:
    """``source: URL`` is short for ``source: {url: URL}``."""
    return {"url": source} if isinstance(source, str) else source


class CameraDefaults(Section):
    """What holds for every camera that does not say otherwise: maps are merged, lists replaced."""

    source: SourceDefaults = Field(default=SourceDefaults(), description="how the source is opened and read")
    rate: Rate = Field(default=Rate(), description="how many frames are analysed")
    latency: Latency = Field(default=Latency(), description="what happens to frames that come too fast")
    priority: int = Field(
        default=1,
        ge=1,
        le=100,
        description="share of the analysis where frames of several cameras come faster than they are analysed: with 2 "
        "twice as many as a camera with 1",
    )
    tasks: Annotated[tuple[Task, ...], Field(strict=False, min_length=1), AfterValidator(check_unique)] = Field(
        default=("instances",), description="what is found: semantic (one person mask), instances (people one by one)"
    )
    regions: RegionsSection = Field(default=RegionsSection(), description="where the deep networks look")
    instances: InstancesSection = Field(default=InstancesSection(), description="settings of the task instances")
    semantic: SemanticSection = Field(default=SemanticSection(), description="settings of the task semantic")
    track: TrackSection = Field(default=TrackSection(), description="ids that stay with people; of the task instances")
    active: ActiveSection | None = Field(
        default=None, description="hours of the week in which zones and lines are watched; null: always"
    )
    privacy: PrivacySection = Field(
        default=PrivacySection(), description="what is covered in every picture, fail-closed"
    )


class Camera(CameraDefaults):
    """One camera, complete."""

    name: Name = Field(description="a-z, 0-9, '-' and '_'; names the camera in topics, files and messages")
    source: Annotated[Source, BeforeValidator(_url_mapping, json_schema_input_type=str | Source)] = Field(
        description="where pictures come from: text (see url) or a mapping"
    )
    zones: dict[Name, ZoneSection] = Field(
        default={}, description="parts of the frame, by name: who enters, who leaves, how many are there"
    )
    lines: dict[Name, LineSection] = Field(default={}, description="lines, by name: who crosses in which direction")
    mask_areas: Annotated[tuple[MaskArea, ...], Field(strict=False)] = Field(
        default=(),
        description="polygons of corners [x, y], shares of the frame, filled with grey before anything looks at the "
        "picture: nothing is found there and nothing is shown",
    )

    @field_validator("zones", "lines")
    @classmethod
    def _followed(cls, marks: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        track, tasks = info.data.get("track", TrackSection()), info.data.get("tasks", ("instances",))
        if marks and not (track.enabled and "instances" in tasks):
            raise ValueError("needs people with ids: put instances into tasks and leave track.enabled true")
        return marks


class CameraEntry(Camera):
    """One camera as it is written; without ``name`` it is the key, or the stem of the configuration's file."""

    name: Name | None = Field(default=None, description=str(Camera.model_fields["name"].description))  # type: ignore[assignment]


class Packing(Section):
    """The canvases that regions are packed into."""

    canvas: Annotated[tuple[CanvasSide, CanvasSide], Field(strict=False)] = Field(
        default=(384, 640),
        description="[height, width] of a full canvas in network pixels, multiples of 32; "
        "where less is enough a part of it is computed",
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
    scale: Annotated[float, Field(gt=0, le=4)] | Literal["auto"] = Field(
        default="auto",
        description="network pixels per frame pixel; auto: the frame's long side becomes 640",
    )
    backend: Literal["torch", "onnxruntime", "openvino"] = Field(
        default="torch", description="the program that runs the deep networks on a CPU"
    )
    precision: Literal["float32", "int8"] = Field(
        default="float32",
        description="int8: the deep networks in 8 bits, quantised at the first start and kept; needs backend "
        "onnxruntime or openvino, any mode but gather; networks of your own run as they are",
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
        "each camera and task; exact: the regions come out as in the whole frame, for more computing; not for networks "
        "with global pooling",
    )
    packing: Packing = Field(default=Packing(), description="the canvases that regions are packed into")
    models: Models = Field(default=Models(), description="weights by role")

    @field_validator("precision")
    @classmethod
    def _has_program(cls, precision: str, info: ValidationInfo) -> str:
        if precision == "int8" and info.data.get("backend", "") == "torch":  # a faulty backend is a fault of its own
            raise ValueError(
                "int8 is not run by torch: set engine.backend to onnxruntime (or openvino), or use float32"
            )
        return precision

    @field_validator("calibration")
    @classmethod
    def _ends(cls, source: str | None, info: ValidationInfo) -> str | None:
        if source is not None and is_live(source):
            raise ValueError("should be a video, a folder of pictures or fake://..., not a live source")
        if source is not None and info.data.get("precision", "") == "float32":
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
            cls._reachable_at(every.bind, info)
        return every

    @classmethod
    def _reachable_at(cls, bind: str, info: ValidationInfo) -> None:
        # faulty keys or a faulty insecure are faults of their own
        closed = info.data.get("curve", True) is not None
        check_bind(bind, insecure=info.data.get("insecure", True) or closed)


class JsonlOutput(Section):
    """One line of JSON per result."""

    type: Literal["jsonl"]
    path: Annotated[str, Field(min_length=1)] = Field(
        description="file to write, from the current directory; %camera% becomes the camera's name and is "
        "needed where there are several"
    )


class EventsOutput(Section):
    """One line of JSON per event in a zone or at a line."""

    type: Literal["events"]
    path: Annotated[str, Field(min_length=1)] = Field(description="file to write; as the path of jsonl")
    events: EventTypes = None
    active: Active = None


class OverlayOutput(Section):
    """A video with masks and boxes drawn."""

    type: Literal["overlay"]
    path: Annotated[str, check_suffix(".mp4")] = Field(description="an .mp4 file; as the path of jsonl")
    style: OverlayStyle = Field(default="mask", description=STYLE_WORDS)
    backdrop: Backdrop


class ContactSheetOutput(Section):
    """One picture with drawn frames from the whole run."""

    type: Literal["contact_sheet"]
    path: Annotated[str, check_suffix(".png", ".jpg")] = Field(description="a .png or .jpg file; as the path of jsonl")


class RecordingOutput(Section):
    """What the camera sends, packet by packet as it comes, and the results beside it."""

    type: Literal["recording"]
    path: Annotated[str, Field(min_length=1)] = Field(
        description="folder for segments (.mkv) with their results (.jsonl); otherwise as the path of jsonl"
    )
    segment_s: Seconds = Field(
        default=60.0, description="length of a segment, seconds; the next key picture begins another"
    )
    quota_mb: Annotated[float, Field(ge=1)] | None = Field(
        default=None,
        description="the oldest segments are deleted so that the folder keeps to this, 10^6 bytes; null: all stay",
    )


Output = Annotated[
    JsonlOutput
    | EventsOutput
    | OverlayOutput
    | ContactSheetOutput
    | RecordingOutput
    | WebhookOutput
    | MqttOutput
    | MomentsOutput
    | VirtualCameraOutput,
    Field(discriminator="type"),
]


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
