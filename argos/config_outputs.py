"""The entries of ``outputs``: files, recordings, webhooks, MQTT, pictures of events, a virtual camera."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_serializer, field_validator

from argos.config_scene import ActiveSection
from argos.config_values import Backoff, Seconds, Section, check_suffix, check_unique
from argos.types import EventType

OverlayStyle = Literal["mask", "outline", "blur", "pixelate", "background", "backdrop", "heatmap"]
STYLE_WORDS = (
    "how people are shown: mask (tinted), outline, blur, pixelate, background (the empty scene as learned), "
    "backdrop (before their surroundings blurred), heatmap (where they were); what the networks miss is shown as it is"
)
_MASKED = "***"
_NOT_SHOWN = "(the value is not shown, it may be a secret)"
EventTypes = Annotated[
    tuple[EventType, ...] | None,
    Field(default=None, strict=False, min_length=1, description="only events of these types; null: all"),
    AfterValidator(lambda types: types if types is None else check_unique(types)),
]
Active = Annotated[
    ActiveSection | None,
    Field(default=None, description="only events within these hours of the week; null: always"),
]


class RetrySection(Backoff):
    """Pauses between attempts to deliver; what waits meanwhile is in memory."""

    initial_s: Seconds = Field(default=0.5, description="after the first failure, seconds")
    max_s: Seconds = Field(default=60.0, description="the longest, seconds; at least initial_s")


class SenderOutput(Section):
    """Somebody who may be away."""

    timeout_s: Seconds = Field(default=3.0, description="longest wait for an answer, seconds")
    retry: RetrySection = Field(default=RetrySection(), description="pauses between attempts")
    spool: int = Field(
        default=1000, ge=1, description="messages that may wait, in memory; when it is full the oldest is dropped"
    )
    events: EventTypes = None
    active: Active = None


def _check_hook(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"should be http://HOST/PATH or https://HOST/PATH {_NOT_SHOWN}")
    try:
        parts.hostname.encode("idna")
    except UnicodeError as error:
        words = f"names a host that cannot be: each part between dots should have 1 to 63 letters {_NOT_SHOWN}"
        raise ValueError(words) from error
    if re.search(r"[\x00-\x20\x7f]", url) or not (parts.path + parts.query).isascii():
        raise ValueError(
            "should have no spaces, and letters beyond ASCII in the host's name alone: percent-encode the others, "
            f"a space as %20 {_NOT_SHOWN}"
        )
    return url


def _check_topic(topic: str) -> str:
    if not re.fullmatch(r"[^+#/\s\x00]+(/[^+#/\s\x00]+)*", topic):
        raise ValueError(f"should be a topic like argos or home/argos, without + and #, got '{topic}'")
    return topic


class WebhookOutput(SenderOutput):
    """Every event as a POST of JSON."""

    type: Literal["webhook"]
    url: Annotated[str, AfterValidator(_check_hook)] = Field(
        repr=False, description="http(s)://...; keep it out of the file where it is a secret: ${HOOK_URL}"
    )
    headers: dict[str, str] = Field(
        default={}, repr=False, description="further headers, as in {Authorization: 'Bearer ${HOOK_TOKEN}'}"
    )

    @field_validator("headers")
    @classmethod
    def _fit(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or re.search(r"[^\t\x20-\x7e]", value):
                raise ValueError(f"header {name!r} should be a name of letters and dashes with one line of plain text")
        return headers

    @field_serializer("url")
    def _without_secrets(self, url: str) -> str:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}/" + (_MASKED if parts.path.strip("/") or parts.query else "")

    @field_serializer("headers")
    def _masked(self, headers: dict[str, str]) -> dict[str, str]:
        return dict.fromkeys(headers, _MASKED)


class MqttOutput(SenderOutput):
    """Events and numbers to an MQTT broker, and to Home Assistant through it; needs the extra mqtt."""

    type: Literal["mqtt"]
    host: Annotated[str, Field(min_length=1)] = Field(description="of the broker")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(default=None, description="null: 1883, with tls 8883")
    username: str | None = Field(default=None, description="null: none")
    password: str | None = Field(
        default=None, repr=False, description="keep it out of the file: ${MQTT_PASSWORD}; null: none"
    )
    tls: bool = Field(default=False, description="encrypt, and check the broker's certificate")
    ca: str | None = Field(default=None, description="file of certificates to trust; null: those of the system")
    prefix: Annotated[str, AfterValidator(_check_topic)] = Field(
        default="argos", description="topics are PREFIX/CAMERA/..."
    )
    home_assistant: Annotated[str, AfterValidator(_check_topic)] | None = Field(
        default=None, description="announce sensors under this prefix, which is usually homeassistant; null: not"
    )

    @field_serializer("password")
    def _masked(self, password: str | None) -> str | None:
        return None if password is None else _MASKED


def _only_with_its_style(backdrop: str | None, info: ValidationInfo) -> str | None:
    if backdrop is not None and info.data.get("style", "backdrop") != "backdrop":
        raise ValueError(f"is for style: backdrop, the style is {info.data['style']}")
    return backdrop


Backdrop = Annotated[
    Annotated[str, Field(min_length=1)] | None,
    Field(
        default=None,
        description="picture behind people in the style backdrop, instead of their blurred surroundings; a relative "
        "path starts at the configuration's folder when it exists there",
    ),
    AfterValidator(_only_with_its_style),
]


class VirtualCameraOutput(Section):
    """A camera that meeting programs can open, with people before another background; needs v4l2loopback (Linux)."""

    type: Literal["virtual_camera"]
    path: Annotated[str, Field(min_length=1)] = Field(description="the device, as in /dev/video10")
    style: OverlayStyle = Field(default="backdrop", description=STYLE_WORDS)
    backdrop: Backdrop


class MomentsOutput(Section):
    """A picture and a clip of every event, from what may be shown: covered where privacy covers."""

    type: Literal["moments"]
    path: Annotated[str, Field(min_length=1)] = Field(
        description="folder for .jpg, .mp4 and .json of each event, from the current directory; %camera% becomes the "
        "camera's name and is needed where there are several"
    )
    before_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=5.0, description="a clip begins so long before its event, seconds"
    )
    after_s: Annotated[float, Field(ge=0, le=600)] = Field(
        default=5.0, description="and ends so long after it, seconds; further events until then prolong it"
    )
    longest_s: Seconds = Field(default=60.0, description="length of a clip at most, seconds")
    fps: Annotated[float, Field(gt=0)] = Field(default=10.0, description="pictures per second of a clip at most")
    clip: bool = Field(default=True, description="false: pictures only")
    style: Literal["mask", "outline", "blur", "pixelate"] = Field(default="mask", description="how people are shown")
    quota_mb: Annotated[float, Field(ge=1)] | None = Field(
        default=None,
        description="the oldest events are deleted so that the folder keeps to this, 10^6 bytes; null: all stay",
    )
    events: EventTypes = None
    active: Active = None

    @field_validator("longest_s")
    @classmethod
    def _holds_an_event(cls, longest_s: float, info: ValidationInfo) -> float:
        least_s = info.data.get("before_s", 0.0) + info.data.get("after_s", 0.0)
        if longest_s < least_s:
            raise ValueError(f"should be at least before_s and after_s together, {least_s:g}, got {longest_s:g}")
        return longest_s


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
