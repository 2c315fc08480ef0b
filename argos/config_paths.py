"""Where files named in a configuration are found."""

from __future__ import annotations

import glob
import importlib.util
from pathlib import Path
from typing import Any

from argos.config_camera import Camera
from argos.config_models import Config, Engine, Models, Publish
from argos.config_network import OwnInstancesModel, OwnSemanticModel, is_file
from argos.config_outputs import Output
from argos.sources.names import file_path, kind_of


def is_path(url: str) -> bool:
    """Whether a source is a file, a directory or a glob, not a URL or a device."""
    return kind_of(url) in ("video", "images", "recording") and not url.lower().startswith(("http:", "https:"))


def _exists(name: str) -> bool:
    path = file_path(name)
    return Path(path).exists() or next(glob.iglob(path, recursive=True), None) is not None


def in_folder(name: str, folder: Path | None) -> str:
    """``name`` as a path from ``folder`` when it exists there."""
    if folder is None or Path(file_path(name)).is_absolute() or not _exists(str(folder / name)):
        return name
    return str(folder / name)


def with_source_in(camera: Camera, folder: Path | None) -> Camera:
    """The camera with its file or directory found from ``folder``."""
    url = camera.source.url
    if not is_path(url) or in_folder(url, folder) == url:
        return camera
    return camera.model_copy(update={"source": camera.source.model_copy(update={"url": in_folder(url, folder)})})


def with_keys_in(publish: Publish, folder: Path | None) -> Publish:
    """The section with its keys found from ``folder``."""
    if publish.curve is None:
        return publish
    found = {key: in_folder(name, folder) for key, name in publish.curve}
    return publish.model_copy(update={"curve": publish.curve.model_copy(update=found)})


def with_backdrops_in(outputs: tuple[Output, ...], folder: Path | None) -> tuple[Output, ...]:
    """The outputs with their pictures found from ``folder``."""
    return tuple(
        output.model_copy(update={"backdrop": in_folder(output.backdrop, folder)})
        if (output.type == "overlay" or output.type == "virtual_camera") and output.backdrop is not None
        else output
        for output in outputs
    )


def with_models_in(models: Models, folder: Path | None) -> Models:
    """The section with its files found from ``folder``."""
    found: dict[str, str | OwnSemanticModel | OwnInstancesModel] = {}
    for role, model in models:
        if model is None:
            continue
        if isinstance(model, str):
            found[role] = in_folder(model, folder) if model.endswith(".safetensors") else model  # or a shipped one
            continue
        place, colon, function = model.network.rpartition(":")
        file = place.endswith(".py")
        network = f"{in_folder(place, folder)}{colon}{function}" if file else in_folder(model.network, folder)
        weights = None if model.weights is None else in_folder(model.weights, folder)
        found[role] = model.model_copy(update={"network": network, "weights": weights})
    return models.model_copy(update=found)


def with_files_in(engine: Engine, folder: Path | None) -> Engine:
    """The section with its models and the pictures that calibrate found from ``folder``."""
    found: dict[str, Any] = {"models": with_models_in(engine.models, folder)}
    if engine.calibration is not None and is_path(engine.calibration):
        found["calibration"] = in_folder(engine.calibration, folder)
    return engine.model_copy(update=found)


def _missing_networks(models: Models) -> list[str]:
    """Files of the user's own networks that do not exist now, and packages that are not installed."""
    missing = []
    for role, model in models:
        if model is None or isinstance(model, str):
            continue
        key, place = f"engine.models.{role}", model.network.rpartition(":")[0]
        files = {"network": model.network if is_file(model.network) else place if place.endswith(".py") else None}
        for name, file in {**files, "weights": model.weights}.items():
            if file is not None and not Path(file).is_file():
                missing.append(f"{key}.{name}: {file} does not exist now")
        package = "onnxruntime" if model.network.lower().endswith(".onnx") else place.partition(".")[0]
        if package.isidentifier() and importlib.util.find_spec(package) is None:
            remedy = "pip install onnxruntime" if package == "onnxruntime" else "install it"
            missing.append(f"{key}.network: the package {package} is not installed: {remedy}")
    return missing


def config_warnings(config: Config) -> list[str]:
    """What is no error but will not work as things are: files that do not exist now."""
    keys = [] if config.publish.curve is None else list(config.publish.curve)
    pictures = config.engine.calibration
    missing = pictures is not None and is_path(pictures) and not _exists(pictures)
    return [
        f"camera '{name}': {camera.source.url} does not exist now"
        for name, camera in config.cameras.items()
        if is_path(camera.source.url) and not _exists(camera.source.url)
    ] + [
        *(f"publish.curve.{key}: {name} does not exist now" for key, name in keys if not _exists(name)),
        *_missing_networks(config.engine.models),
        *([f"engine.calibration: {pictures} does not exist now"] if missing else []),
    ]
