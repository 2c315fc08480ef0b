"""What the values of a configuration must be: names, URLs, endpoints, devices; and the base of its mappings."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from argos.config_faults import did_you_mean, shown
from argos.errors import SourceError
from argos.publishing.endpoints import is_address, is_loopback

SCHEMES = ("rtsp", "rtsps", "http", "https", "fake", "file")
"""Source URLs; everything else with ``://`` is a typing error."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def check_name(name: str) -> str:
    """The name of a camera, zone or line, if it can stand in topics and file names.

    Raises:
        ValueError: with the rule, as all checks here.
    """
    if not _NAME.fullmatch(name):
        rule = "1 to 63 of a-z, 0-9, '-' and '_', the first a letter or digit"
        raise ValueError(f"a name should be {rule}, got {shown(name)}")
    return name


def check_url(url: str) -> str:
    """A source, if its scheme is known and what follows can be read; whether it is there is not asked."""
    scheme, colon, _ = url.partition("://")
    if not url.strip():
        raise ValueError("should be a URL, a path, webcam:N or fake://..., got nothing")
    if colon and scheme.lower() not in SCHEMES:
        known = ", ".join(f"{known}://" for known in SCHEMES)
        hint = did_you_mean(scheme.lower(), SCHEMES)
        raise ValueError(f"unknown scheme '{scheme}://' (known: {known}){hint}")
    if scheme.lower() == "fake":
        _check_scene(url)
    elif colon and scheme.lower() != "file" and not _has_host(url):
        raise ValueError(f"should name a host, as in {scheme}://10.0.0.7/stream1")
    if url.startswith("webcam:") and not re.fullmatch(r"webcam:\d+", url):
        raise ValueError(f"should be webcam:N with the number N of the device, as in webcam:0, got {shown(url)}")
    return url


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:  # an address in brackets that is none
        return False


def _check_scene(url: str) -> None:
    from argos.sources.synthetic import parse_scene  # with it comes OpenCV, which other sources do not pay for here

    try:
        parse_scene(url)
    except SourceError as error:
        raise ValueError(str(error)) from error


def check_device(device: str) -> str:
    """The name of a device; whether this machine has it is not asked."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ValueError(f"should be auto, cpu, cuda or cuda:N, got {shown(device)}")
    return device


def check_unique(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list that names nothing twice."""
    repeated = [value for n, value in enumerate(values) if value in values[:n]]
    if repeated:
        raise ValueError(f"should name each once, got {shown(repeated[0])} twice")
    return values


def check_suffix(*suffixes: str) -> Any:
    """The validator of paths that end in one of ``suffixes``, given in small letters with their dot."""

    def check(path: str) -> str:
        if PurePath(path).suffix.lower() not in suffixes:
            raise ValueError(f"should end in {' or '.join(suffixes)}, got {shown(path)}")
        return path

    return AfterValidator(check)


def check_bind(bind: str, *, insecure: bool) -> None:
    """Refuse an endpoint that cannot be read, or that other machines can reach without ``insecure``.

    Raises:
        ValueError: with the remedy.
    """
    if not is_address(bind):
        raise ValueError(f"should be tcp://HOST:PORT or ipc://PATH, as in tcp://127.0.0.1:5555, got {shown(bind)}")
    if not insecure and not is_loopback(bind):
        raise ValueError(
            f"{bind} can be reached from other machines, and what is published is not encrypted: "
            "bind to 127.0.0.1, set publish.curve (argos keygen makes keys), or set publish.insecure: true "
            "if everyone on that network may see it"
        )


Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]
CanvasSide = Annotated[int, Field(ge=32, le=8192, multiple_of=32)]
Name = Annotated[str, AfterValidator(check_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]


class Section(BaseModel):
    """A mapping with known keys; an empty one (``rate:`` with nothing below) has the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _empty_section(cls, data: Any) -> Any:
        return {} if data is None else data


class Backoff(Section):
    """Waits between attempts, longer and longer."""

    initial_s: Seconds
    max_s: Seconds
    factor: float = Field(default=2.0, ge=1, description="each wait is so many times as long as the last")
    jitter: Share = Field(default=0.2, description="random share of a wait that is added or taken away, 0..1")

    @field_validator("max_s")
    @classmethod
    def _not_below_initial(cls, max_s: float, info: ValidationInfo) -> float:
        if max_s < info.data.get("initial_s", 0):
            raise ValueError(f"should be at least initial_s ({info.data['initial_s']:g}), got {max_s:g}")
        return max_s
