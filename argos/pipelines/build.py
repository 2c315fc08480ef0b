"""From a validated configuration to the parts of a pipeline: plain functions, nothing is looked up by name later."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from argos.config import Camera, Config
from argos.config_outputs import Output, VirtualCameraOutput
from argos.engines.dense import auto_scale, network_size
from argos.engines.deployed import Precision
from argos.engines.segmenter import Semantic
from argos.engines.weights import Card, load_network
from argos.errors import DeviceError, PublishError, UsageError, WeightsError
from argos.networks.qunet import QUNet
from argos.packing.limits import InstanceLimits, semantic_limits
from argos.pipelines.backend import (
    Program,
    by_program,
    fastest_program,
    is_any_deployed,
    open_networks,
    programs,
    version_of,
)
from argos.pipelines.calibration import calibration_of
from argos.pipelines.cost_file import known_costs
from argos.pipelines.deep import InstancesGiven, SemanticGiven, instances_of, semantic_of
from argos.pipelines.follow import track_settings
from argos.pipelines.moments import moments_of
from argos.pipelines.outputs import (
    CameraPicture,
    ContactSheet,
    EventLines,
    OutputFile,
    OverlayVideo,
    ResultLines,
    file_at,
)
from argos.pipelines.people import AnyInstances, People
from argos.pipelines.senders import event_filter, sender_of
from argos.pipelines.views import Canvas, View
from argos.pipelines.warm import compile_kernels
from argos.propose.qunet import USUAL_SHAPE, QUNetProposer
from argos.publishing.virtual_camera import VirtualCamera
from argos.sources.names import file_path, is_live

log = logging.getLogger(__name__)


def device_of(asked: str) -> str:
    """The device to run on; ``auto`` is the first GPU where there is one.

    Raises:
        DeviceError: a GPU is asked for and there is none.
    """
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda"):
        wanted = int(asked.partition(":")[2] or 0)
        if wanted >= torch.cuda.device_count():
            raise DeviceError(f"engine.device: {asked} is not available here; choose auto or cpu")
    return asked


def in_flight(config: Config) -> int:
    """Frames that are analysed at once; one after the other on a GPU, which is kept busy by one, and where each needs
    what the one before it left."""
    if device_of(config.engine.device) != "cpu" or config.engine.sparse == "previous":
        return 1
    asked = config.engine.in_flight
    return min(2, torch.get_num_threads()) if asked is None else asked


def people_of_config(
    config: Config, own_semantic: SemanticGiven | None = None, own_instances: InstancesGiven | None = None
) -> tuple[People, dict[str, Card]]:
    """Load the networks that the cameras need.

    Args:
        config: validated configuration.
        own_semantic, own_instances: given from Python, in place of the models that the configuration names.

    Returns:
        The line, and the cards of its models by role.

    Raises:
        WeightsError: a model is missing, damaged or made for something else.
        UsageError: a network cannot be run as a camera asks for, or its packages are missing.
        DeviceError: the device is not available.
        SourceError: the pictures of ``engine.calibration`` cannot be read.
    """
    device = device_of(config.engine.device)
    models, packing, cameras = config.engine.models, config.engine.packing, list(config.cameras.values())
    network, card = load_network(models.proposal, device, "proposal")
    if not isinstance(network, QUNet):
        raise WeightsError(f"{models.proposal}: engine.models.proposal should be a QU-Net, got {card.network}")
    cards = {"proposal": card}
    proposer = QUNetProposer(network, threshold=card.thresholds["threshold"], device=device)
    semantic: Semantic | None = None
    instances: AnyInstances | None = None
    if any("semantic" in camera.tasks for camera in cameras):
        semantic, cards["semantic"] = semantic_of(models.semantic, own_semantic, packing.canvas, device)
    if any("instances" in camera.tasks for camera in cameras):
        instances, card = instances_of(models.instances, own_instances, packing.canvas, device)
        cards["instances"] = card
        score_threshold, nms = least_strict(cameras, card)
        instances = replace(instances, score_threshold=score_threshold, nms=nms)
    precision = config.engine.precision
    calibration = calibration_of(config.engine.calibration) if precision == "int8" else None
    compile_kernels()
    tasks = {tuple(sorted(camera.tasks)) for camera in cameras}
    known = {
        program: known_costs(tasks, cards, device, engine_settings(config, program))
        for program in programs(config.engine.backend, precision, device)
    }

    def line(program: Program) -> People:
        masks = by_program(program, semantic, device, precision, calibration)
        one_by_one = by_program(program, instances, device, precision, calibration)
        _refuse_precision_of_nothing(precision, masks, one_by_one)
        few = program != "onnxruntime"  # the others prepare themselves for each shape
        canvas = Canvas(packing.canvas, packing.max_canvases, packing.gutter, few)
        people = People(proposer, masks, one_by_one, canvas, known[program], config.engine.sparse)
        open_networks(tasks, people.semantic, people.instances, people.joint, packing.canvas)
        return people

    program = fastest_program(known, tasks, packing.canvas)
    log.debug("deep networks by %s", program)
    try:
        people = line(program)
    except (UsageError, WeightsError) as error:
        if "torch" not in known or program == "torch":
            raise
        log.warning("%s; auto takes torch", error)
        people = line("torch")
    ready_in_place(people, cameras, cards)
    return people, cards


def _refuse_precision_of_nothing(precision: Precision, *segmenters: Any) -> None:
    """Say so when all networks are the user's own, which run as they are."""
    if precision != "float32" and not is_any_deployed(*segmenters):
        own = "engine.precision: {} is for the networks of ARGOS, and those of engine.models are all your own: {}"
        files = "name their 8-bit .onnx files there (argos export NAME --int8 writes one) and remove engine.precision"
        raise UsageError(own.format(precision, files if precision == "int8" else "remove engine.precision"))


def ready_in_place(people: People, cameras: Sequence[Camera], cards: Mapping[str, Card]) -> None:
    """Build and run what cameras of mode ``gather`` need, and those of ``auto`` for which it was measured; ``masked``
    where a network cannot be run exactly.

    Args:
        people: the line.
        cameras: that it is for.
        cards: of its models by role.

    Raises:
        UsageError: a network cannot be run on active blocks; told at once, not at the first frame.
    """
    size = network_size(USUAL_SHAPE, auto_scale(USUAL_SHAPE, people.largest), people.largest)
    gathered, auto = (
        {tuple(sorted(camera.tasks)) for camera in cameras if camera.regions.mode == mode}
        for mode in ("gather", "auto")
    )
    if people.in_place.semantics == "exact":
        refused = people.in_place.refused(sorted(gathered | (auto if people.gathers else set())), size)
        if refused is not None:
            task, error = refused
            name = " and ".join(cards[role].name for role in ("semantic", "instances") if task in (role, "joint"))
            log.warning("engine.sparse: exact is not for %s (%s); masked is taken", name, error)
            people.in_place.take("masked")
    known = people.planner.known
    offered = {tasks for tasks in auto if tasks in known and known[tasks].gather is not None}
    people.in_place.warm(gathered | offered, size)


def least_strict(cameras: Sequence[Camera], card: Card) -> tuple[float, float]:
    """Lowest score and highest IoU that any camera wants: they share canvases, so the network keeps it for all.

    Args:
        cameras: at least one of them has the task ``instances``.
        card: of the network.
    """
    limits = {camera.name: instance_limits(camera, card) for camera in cameras if "instances" in camera.tasks}
    tracks = [track_settings(camera, limits.get(camera.name)) for camera in cameras]
    scores = [limit.score_threshold for limit in limits.values()]
    low = [track.low_score for track in tracks if track is not None]
    return min(scores + low), max(limit.nms for limit in limits.values())


def engine_settings(config: Config, program: Program) -> dict[str, Any]:
    """The settings under which ``argos tune`` measures, beside the models, the device and the threads themselves.

    Scale and canvas are none of them: what was measured holds for any number of pixels; nor are the pictures that
    calibrate, which change no time.

    Args:
        config: validated.
        program: that runs the deep networks; its version is among the settings.
    """
    others = {"models", "device", "threads", "in_flight", "scale", "packing", "calibration"}
    found = config.engine.model_dump(mode="json", exclude=others)
    return {**found, "backend": f"{program} {version_of(program)}"}


def instance_limits(camera: Camera, card: Card) -> InstanceLimits:
    """Limits of a camera, the score threshold from the model's card where the configuration leaves it open."""
    chosen = camera.instances
    threshold = card.thresholds["score_threshold"] if chosen.score_threshold is None else chosen.score_threshold
    nms = card.thresholds["nms"] if chosen.nms is None else chosen.nms
    return InstanceLimits(threshold, nms, chosen.max_people)


def view_of(camera: Camera, config: Config, cards: dict[str, Card]) -> View:
    """How the frames of a camera are analysed."""
    regions = camera.regions
    semantic = instances = None
    if "semantic" in camera.tasks:
        thresholds = dict(cards["semantic"].thresholds)
        if camera.privacy.people != "none":
            thresholds.pop("patch_threshold", None)  # who is to be covered is covered in doubt
        semantic = semantic_limits(thresholds | camera.semantic.model_dump(exclude_none=True))
    if "instances" in camera.tasks:
        instances = instance_limits(camera, cards["instances"])
    return View(
        mode=regions.mode,
        proposal_threshold=cards["proposal"].thresholds["threshold"]
        if regions.threshold is None
        else regions.threshold,
        dilation=regions.dilation,
        min_area=regions.min_area,
        margin=regions.margin,
        memory=regions.memory,
        semantic=semantic,
        instances=instances,
        scale=None if config.engine.scale == "auto" else config.engine.scale,
    )


def output_files(config: Config) -> dict[str, list[OutputFile]]:
    """The files of each camera; a path without ``%camera%`` serves the only camera.

    Raises:
        PublishError: a file to write is one of the sources.
    """
    sources = {Path(file_path(camera.source.url)).resolve(): name for name, camera in config.cameras.items()}
    files = {
        name: [_output_file(output, camera, sources) for output in config.outputs]
        for name, camera in config.cameras.items()
    }
    return {name: [file for file in of_camera if file is not None] for name, of_camera in files.items()}


def _output_file(output: Output, camera: Camera, sources: Mapping[Path, str]) -> OutputFile | None:
    """An output of a camera, on none of the files that are sources; None for a recording, which takes packets."""
    if output.type == "recording":
        return None
    if output.type == "webhook" or output.type == "mqtt":
        return OutputFile(None, sender_of(output, camera))
    path = Path(output.path.replace("%camera%", camera.name))
    if path.resolve() in sources:
        raise PublishError(
            f"{path}: is the source of camera '{sources[path.resolve()]}'; write to another path under outputs"
        )
    anew = not is_live(camera.source.url)  # a file is analysed anew; a camera goes on where it stopped
    match output.type:
        case "jsonl":
            return file_at(path, partial(ResultLines, anew=anew))
        case "events":
            return file_at(path, partial(EventLines, anew=anew, passed=event_filter(output)))
        case "overlay":
            return file_at(path, partial(OverlayVideo, style=output.style, backdrop=_picture(output.backdrop)))
        case "contact_sheet":
            return file_at(path, ContactSheet)
        case "moments":
            return OutputFile(path, moments_of(output, path))
        case "virtual_camera":
            return OutputFile(None, partial(_virtual_camera, output))


def _virtual_camera(output: VirtualCameraOutput) -> CameraPicture:
    return CameraPicture(VirtualCamera(output.path), output.style, _picture(output.backdrop))


def _picture(path: str | None) -> NDArray[np.uint8] | None:
    """The picture behind people, ``(h, w, 3)`` uint8 RGB; None without a path.

    Raises:
        PublishError: it cannot be read.
    """
    if path is None:
        return None
    found = cv2.imread(path, cv2.IMREAD_COLOR)
    if found is None:
        raise PublishError(f"{path}: cannot be read as a picture; backdrop should name a JPEG or PNG file")
    return np.ascontiguousarray(found[:, :, ::-1], np.uint8)
