"""The keys below ``http:`` of ``camera.yaml``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_serializer, field_validator

from argos.config_faults import shown
from argos.config_values import Section
from argos.web.address import LEAST_TOKEN, check_reach, check_token, ip_address, parse_address


class LivePictures(Section):
    """Pictures of the live page; encoded only while somebody looks."""

    quality: int = Field(default=75, ge=1, le=100, description="JPEG quality, 1..100")
    max_fps: float = Field(default=15.0, gt=0, description="at most this many per second and camera")
    width: int = Field(default=1280, ge=64, description="wider frames are reduced to this width, pixels")


def _host_name(host: str) -> str:
    """A name as it is compared: in small letters."""
    if ip_address(host) is None and not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", host):
        raise ValueError(
            "should be a name as browsers send it, without a port and without a dot at its end, as in cams.home, "
            f"got {shown(host)}"
        )
    return host.lower()


class Http(Section):
    """Live page, status, health and metrics over HTTP."""

    token: str | None = Field(
        default=None,
        repr=False,
        description=f"secret of {LEAST_TOKEN} letters or more that every request has to bring, as bearer token or as "
        "?token=; needed where other machines reach bind; keep it out of the file: ${ARGOS_TOKEN:-}",
    )
    bind: str | None = Field(
        default=None, description="HOST:PORT, as in 127.0.0.1:8080; port 0 is chosen by the system; null: off"
    )
    hosts: Annotated[tuple[Annotated[str, AfterValidator(_host_name)], ...], Field(strict=False)] = Field(
        default=(),
        description="names under which browsers may ask for the page, besides IP addresses and localhost; "
        "others are refused (DNS rebinding)",
    )
    pictures: LivePictures = Field(default=LivePictures(), description="pictures of the live page")

    @field_validator("token", mode="before")  # before, because pydantic's own words would show the value
    @classmethod
    def _strong(cls, token: object) -> str | None:
        if token is None or token == "":
            return None
        if not isinstance(token, str):
            raise ValueError("should be text; put it in quotes")
        check_token(token)
        return token

    @field_validator("bind")
    @classmethod
    def _guarded(cls, bind: str | None, info: ValidationInfo) -> str | None:
        if bind is not None:
            address = parse_address(bind)
            if "token" in info.data:  # a faulty token is a fault of its own
                check_reach(address, info.data["token"] or "")
        return bind

    @field_serializer("token")
    def _masked(self, token: str | None) -> str | None:
        return None if token is None else "*" * LEAST_TOKEN
