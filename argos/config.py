"""Configuration: from ``camera.yaml`` or bare sources to a validated ``Config``, with every fault at once.

Defaults are merged under each camera: maps merge, lists and values replace. Relative sources and weights start at the
configuration's folder when they exist there, otherwise at the current directory; outputs at the current directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from argos.config_camera import Camera, CameraDefaults
from argos.config_faults import (
    ConfigFaults,
    Fault,
    KeyPath,
    Mark,
    dotted,
    faults_of_validation,
    shown,
)
from argos.config_models import Config, ConfigFile, Settings
from argos.config_network import is_file
from argos.config_outputs import Output
from argos.config_overrides import apply_override
from argos.config_paths import with_backdrops_in, with_files_in, with_keys_in, with_source_in
from argos.config_report import config_digest
from argos.config_yaml import Document, parse_yaml
from argos.errors import ConfigError
from argos.sources.names import camera_name, redact

if TYPE_CHECKING:
    from argos.sources.options import SourceOptions

__all__ = [
    "Camera",
    "Config",
    "ConfigFaults",
    "config_digest",
    "config_from_sources",
    "load_config",
    "source_options",
]

_Model = TypeVar("_Model", bound=BaseModel)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read and validate a configuration.

    Args:
        path: the YAML file.
        overrides: ``KEY=VALUE`` with a dotted key (``cameras.door.rate.fps=5``) and a YAML value.

    Returns:
        The configuration, defaults merged into every camera.

    Raises:
        ConfigFaults: (a ``ConfigError``) every fault, one per line, sorted by position.
        ConfigError: the file cannot be read.
    """
    document = read_document(path, overrides)
    return build_config(document, path.parent, path.stem)


def config_from_sources(sources: Sequence[str], overrides: Sequence[str] = ()) -> Config:
    """The configuration of ``argos run SOURCE...``, without a file.

    One source is written as ``camera``, several as ``cameras``. Names come from the sources; equal ones get ``-2``,
    ``-3``. The same source may be given twice.

    Args:
        sources: URLs and paths.
        overrides: as for ``load_config``.

    Returns:
        The configuration.

    Raises:
        ConfigFaults: every fault, one per line.
    """
    entries: dict[str, Any] = {}
    for source in sources:
        stem = camera_name(source)
        names = [stem, *(f"{stem[:58]}-{n}" for n in range(2, len(sources) + 2))]
        entries[next(name for name in names if name not in entries)] = {"source": {"url": source}}
    if len(entries) == 1:
        ((name, entry),) = entries.items()
        document = Document({"version": 1, "camera": {"name": name, **entry}})
    else:
        document = Document({"version": 1, "cameras": entries})
    _mark_all(document, document.data, ())
    for n, override in enumerate(overrides):
        apply_override(document, override, n + 1)
    return build_config(document, None, "camera", same_source=True)


def _mark_all(document: Document, data: Any, path: KeyPath) -> None:
    """Say of everything in ``data`` that it was no override that wrote it."""
    document.keys[path] = document.values[path] = Mark(0, 0, 0, "")
    if isinstance(data, dict):
        for key, value in data.items():
            _mark_all(document, value, (*path, key))


def read_document(path: Path, overrides: Sequence[str] = (), remedy: str = "argos init writes one") -> Document:
    """The text of a configuration with its overrides, before validation.

    Args:
        path: of the file.
        overrides: ``KEY=VALUE`` of the command line.
        remedy: for a file that is missing or empty.

    Raises:
        ConfigError: the file cannot be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        hint = f" - {remedy}" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"{path}: cannot be read ({error.strerror}){hint}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; a configuration is a YAML file") from error
    document = parse_yaml(text, str(path), folder=path.parent)
    if document.data is None and document.faults:
        raise ConfigFaults(document.faults)
    if not isinstance(document.data, dict):
        found = "is empty" if document.data is None else f"should be a mapping (key: value), got {shown(document.data)}"
        mark = Mark(0, 1, 1, str(path))
        raise ConfigFaults([*document.faults, Fault(mark, "", f"{found} - {remedy}")])
    for n, override in enumerate(overrides):
        apply_override(document, override, n + 1)
    return document


def build_config(document: Document, folder: Path | None, stem: str, *, same_source: bool = False) -> Config:
    """Merge, validate and complete.

    Args:
        document: what was written; its ``data`` is a mapping.
        folder: where relative sources may start; None for sources of the command line.
        stem: default name of ``camera``.
        same_source: two cameras may have the same source.

    Returns:
        The configuration.

    Raises:
        ConfigFaults: every fault of the document and of its validation.
    """
    data: dict[str, Any] = document.data
    faults = list(document.faults)

    shared = {key: value for key, value in data.items() if key not in ("camera", "cameras", "defaults")}
    settings = validate_section(Settings, shared, document, [()], faults, known=ConfigFile)
    defaults = _normal(data.get("defaults"))
    validate_section(CameraDefaults, defaults, document, [("defaults",)], faults)

    cameras: dict[str, Camera] = {}
    for path, name, entry in _entries(document, stem, faults):
        merged = _merge(defaults, entry) if isinstance(defaults, dict) and isinstance(entry, dict) else entry
        if isinstance(merged, dict):
            merged = {**merged, "name": name}
        camera = validate_section(Camera, merged, document, [path, ("defaults",)], faults)
        if camera is not None:
            cameras[name] = with_source_in(camera, folder)
    if not same_source:
        _refuse_same_source(cameras, document, faults)
    if settings is not None:
        _refuse_same_output(settings, len(cameras), document, faults)
        _refuse_gather(settings, cameras, document, faults)
        _refuse_recording(settings, cameras, document, faults)

    faults = without_repeats(document, faults)
    if faults or settings is None:
        raise ConfigFaults(faults)
    engine = with_files_in(settings.engine, folder)
    return Config(
        version=1,
        cameras=cameras,
        engine=engine,
        publish=with_keys_in(settings.publish, folder),
        outputs=with_backdrops_in(settings.outputs, folder),
        http=settings.http,
        logging=settings.logging,
    )


def without_repeats(document: Document, faults: list[Fault]) -> list[Fault]:
    """Drop what validation says of a value that could not be read: its place is empty, and that was already named.

    Args:
        document: with its own faults.
        faults: those, and behind them those of the validation.
    """
    named = {fault.key for fault in document.faults}
    return document.faults + [fault for fault in faults[len(document.faults) :] if fault.key not in named]


def _entries(document: Document, stem: str, faults: list[Fault]) -> list[tuple[KeyPath, str, Any]]:
    """Where each camera is written, its name, and what is written."""
    data = document.data

    def fault(path: KeyPath, text: str) -> None:
        faults.append(Fault(_mark(document, path, key=True), dotted(path), text))

    if "camera" in data and "cameras" in data:
        later = max(("camera", "cameras"), key=lambda key: _mark(document, (key,), key=True))
        fault((later,), "camera and cameras cannot both be given: move the camera below cameras, or remove one")
    entries: list[tuple[KeyPath, str, Any]] = []
    if "camera" in data:
        entry = _normal(data["camera"])
        name = entry.get("name") if isinstance(entry, dict) else None
        if name is None:
            name = camera_name(stem)
        entries.append((("camera",), name, entry))
    cameras = data.get("cameras", {})
    if not isinstance(cameras, dict):
        fault(("cameras",), f"should be a mapping from names to cameras, got {shown(cameras)}")
        return entries
    for name, entry in cameras.items():
        path = ("cameras", name)
        entry = _normal(entry)
        if isinstance(entry, dict) and entry.get("name", name) != name:
            fault((*path, "name"), f"the key '{name}' is the camera's name; remove this one")
        entries.append((path, name, entry))
    if not entries:
        fault((), "no camera: write camera: {source: ...}, or cameras: with one or more names below")
    return entries


def _normal(entry: Any) -> Any:
    """A camera's mapping with ``source: URL`` written out; nothing is an empty mapping."""
    if entry is None:
        return {}
    if isinstance(entry, dict) and isinstance(entry.get("source"), str):
        return {**entry, "source": {"url": entry["source"]}}
    return entry


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` over ``below``: maps merge, lists and values replace; an empty section says nothing."""
    merged = dict(below)
    for key, value in above.items():
        under = below.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(under, value)
        elif not (isinstance(under, Mapping) and value is None):
            merged[key] = value
    return merged


def validate_section(
    model: type[_Model],
    data: Any,
    document: Document,
    prefixes: Sequence[KeyPath],
    faults: list[Fault],
    known: type[BaseModel] | None = None,
) -> _Model | None:
    """Validate ``data``; faults are placed below the first prefix that has their key."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for loc, text in faults_of_validation(error.errors(include_url=False), data, known or model):
            path = _written_at(document, loc, prefixes)
            if any(path[:n] in document.hidden for n in range(len(path) + 1)) and ", got " in text:
                text = text.rpartition(", got ")[0] + " (the value is not shown, it comes from a secret)"
            mark = _mark(document, path, key=text.startswith(("unknown key", "is required")) or loc == ("name",))
            faults.append(Fault(mark, redact(dotted(path)), text))
    return None


def _written_at(document: Document, loc: KeyPath, prefixes: Sequence[KeyPath]) -> KeyPath:
    """The path of ``loc`` below the prefix under which it was written; the first one when it was not."""
    if loc == ("name",) and prefixes[0][:1] == ("cameras",):
        return prefixes[0]
    if loc == ("source", "url") and (*prefixes[0], "source", "url") not in document.values:
        return (*prefixes[0], "source")  # written in short, or missing altogether
    return next(((*p, *loc) for p in prefixes if (*p, *loc) in document.values), (*prefixes[0], *loc))


def _mark(document: Document, path: KeyPath, *, key: bool = False) -> Mark:
    """Position of the key or value of ``path``, or of the nearest one around it."""
    if not key and path in document.values:
        return document.values[path]
    for end in range(len(path), -1, -1):
        for places in (document.keys, document.values):
            if path[:end] in places:
                return places[path[:end]]
    return Mark(0, 0, 0, "")


def _refuse_same_source(cameras: Mapping[str, Camera], document: Document, faults: list[Fault]) -> None:
    first: dict[str, str] = {}
    for name, camera in cameras.items():
        other = first.setdefault(camera.source.url, name)
        if other != name:
            path = _written_at(document, ("source", "url"), [("cameras", name), ("defaults",)])
            text = f"the same source as cameras.{other}: remove one of them"
            faults.append(Fault(_mark(document, path), dotted(path), text))


def _refuse_gather(settings: Settings, cameras: Mapping[str, Camera], document: Document, faults: list[Fault]) -> None:
    """A network that is a file as a whole, or is run in another precision, cannot be run on some of its blocks."""
    for name, camera in cameras.items():
        if camera.regions.mode != "gather":
            continue
        single = ("camera",) if "camera" in document.data else ("cameras", name)
        path = _written_at(document, ("regions", "mode"), [single, ("defaults",)])
        texts = [
            f"gather looks into the network, and engine.models.{role} is a file ({shown(model.network)}): "
            "set mode to pack, full or mask, or give the network as module:function"
            for role in camera.tasks
            if not isinstance(model := getattr(settings.engine.models, role), str) and is_file(model.network)
        ]
        if settings.engine.precision != "float32":
            texts.append(f"gather looks into the network, and engine.precision: {settings.engine.precision} runs it as "
                         "a whole: set mode to auto, pack, full or mask, or precision to float32")  # fmt: skip
        faults += [Fault(_mark(document, path), dotted(path), text) for text in texts]


def _refuse_same_output(settings: Settings, cameras: int, document: Document, faults: list[Fault]) -> None:
    paths: list[str] = []
    for n, output in enumerate(settings.outputs):
        text = ""
        if output.type == "webhook" or output.type == "mqtt":
            paths.append("")
            continue
        file = os.path.normpath(output.path)
        if file in paths:
            text = f"outputs.{paths.index(file)} writes the same file; give each its own"
        elif cameras > 1 and "%camera%" not in output.path:
            text = f"{cameras} cameras would write the same file; put %camera% into the path"
        paths.append(file)
        if text:
            path = ("outputs", n, "path")
            faults.append(Fault(_mark(document, path), dotted(path), text))


def _refuse_recording(
    settings: Settings, cameras: Mapping[str, Camera], document: Document, faults: list[Fault]
) -> None:
    text = recording_conflict(settings.outputs, cameras)
    if text:
        path = ("outputs", [output.type for output in settings.outputs].index("recording"), "type")
        faults.append(Fault(_mark(document, path), dotted(path), text))


def recording_conflict(outputs: Sequence[Output], cameras: Mapping[str, Camera]) -> str:
    """Why the packets of cameras cannot be kept as asked; empty where they can, or where nobody asks."""
    wanted = [output for output in outputs if output.type == "recording"]
    if not wanted:
        return ""
    if len(wanted) > 1:
        return f"two of type recording ({wanted[0].path}, {wanted[1].path}); keep one of them"
    for name, camera in cameras.items():
        if camera.privacy.is_on or camera.mask_areas:
            return (f"type recording keeps what the camera sends, and camera '{name}' is covered (privacy or "
                    "mask_areas); leave the recording out, or record an overlay, which is covered")  # fmt: skip
        if camera.source.isolate == "process":
            return f"the packets of camera '{name}' stay in its process; give it source.isolate: thread"
    return ""


def source_options(camera: Camera) -> SourceOptions:
    """The options of ``argos.sources.read`` that a camera asks for."""
    from argos.sources.options import Reconnect, SourceOptions

    source = camera.source
    return SourceOptions(
        transport=source.transport,
        open_timeout_s=source.open_timeout_s,
        stall_timeout_s=source.stall_timeout_s,
        reconnect=Reconnect(**source.reconnect.model_dump()),
        fps=camera.rate.fps,
        isolate=source.isolate,
        memory_mb=source.memory_mb,
    )
