"""The HTTP server of a pipeline, from its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from argos.config import Config
from argos.config_scene import LineSection, ZoneSection
from argos.errors import UsageError
from argos.pipelines.build import device_of
from argos.pipelines.outputs import Outputs
from argos.publishing.publisher import Publisher
from argos.types import Status

if TYPE_CHECKING:
    from argos.web.server import WebServer


def shapes_of(config: Config) -> dict[str, dict[str, Any]]:
    """Zones and lines of every camera as the page draws them, corners as shares of the frame; ``more`` is the rest."""
    return {
        name: {
            "zones": {zone: {"polygon": section.corners, "more": _rest(section)} for zone, section in zones.items()},
            "lines": {line: {"points": section.ends, "more": _rest(section)} for line, section in lines.items()},
        }
        for name, zones, lines in ((name, camera.zones, camera.lines) for name, camera in config.cameras.items())
    }


def _rest(section: ZoneSection | LineSection) -> dict[str, Any]:
    """What a configuration says of a zone or a line, but where it is."""
    where = {"polygon", "points", "units", "reference"}
    return section.model_dump(mode="json", exclude=where, exclude_unset=True)


def open_web(
    config: Config,
    run: str,
    models: Mapping[str, str],
    status: Callable[[str], Status],
    publisher: Publisher | None,
    outputs: Outputs | None = None,
) -> WebServer:
    """Bind and start the server; ``config.http.bind`` is given.

    Raises:
        UsageError: its libraries are not installed.
        PublishError: it cannot be bound.
    """
    try:
        from argos.web.metrics import Published
        from argos.web.server import WebServer
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("aiohttp", "prometheus_client"):
            raise
        raise UsageError(f"http.bind needs {error.name}: pip install 'argos-vision[web]'") from error

    def published() -> Published:
        tallies = [] if outputs is None else outputs.tallies
        if publisher is None:
            return Published(outputs=tallies)
        return Published(dict(publisher.sent), dict(publisher.sent_bytes), tallies, publisher.spools())

    http = config.http
    assert http.bind is not None
    return WebServer(
        http.bind,
        run=run,
        cameras=list(config.cameras),
        models=models,
        status=status,
        token=http.token or "",
        hosts=http.hosts,
        shapes=shapes_of(config),
        published=published,
        device=device_of(config.engine.device),
        quality=http.pictures.quality,
        max_fps=http.pictures.max_fps,
        width=http.pictures.width,
    )
