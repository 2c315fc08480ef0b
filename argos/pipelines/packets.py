"""What keeps the packets of the cameras; and recording alone, without a network."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from argos.config import Config, recording_conflict, source_options
from argos.config_outputs import RecordingOutput
from argos.errors import ArgosError, ConfigError
from argos.pipelines.feeds import JOIN_S, log_change
from argos.recording.recorder import PacketRecorder
from argos.sources.names import is_live
from argos.sources.options import SourceState
from argos.sources.read import read

_RARELY_FPS = 0.01
"""Pictures are decoded, so that a frozen camera is noticed, but hardly any is turned into a frame."""

_POLL_S = 0.1


def recorders(config: Config, cameras: Collection[str] | None = None) -> dict[str, PacketRecorder]:
    """What keeps the packets of each camera, or of ``cameras`` alone; empty where no recording is asked for.

    Raises:
        ConfigError: two recordings, or one of a camera whose pictures are covered: packets show what was there.
        PublishError: a folder cannot be written to.
    """
    output = recording_of(config)
    if output is None:
        return {}
    kept: dict[str, PacketRecorder] = {}
    try:
        for name, camera in config.cameras.items():
            if cameras is None or name in cameras:
                path, waits = output.path.replace("%camera%", name), not is_live(camera.source.url)
                kept[name] = PacketRecorder(
                    path, name, segment_s=output.segment_s, quota_mb=output.quota_mb, waits=waits
                )
    except ArgosError:
        for recorder in kept.values():
            recorder.close()
        raise
    return kept


def recording_of(config: Config) -> RecordingOutput | None:
    """The recording that is asked for.

    Raises:
        ConfigError: see ``recording_conflict``; ``argos record`` adds one to a configuration that was checked.
    """
    if conflict := recording_conflict(config.outputs, config.cameras):
        raise ConfigError(f"outputs: {conflict}")
    return next((output for output in config.outputs if output.type == "recording"), None)


def record_packets(
    config: Config, duration_s: float | None, stop: threading.Event, *, fail_fast: bool
) -> tuple[list[Path], list[ArgosError]]:
    """Record until every source has ended, the time is over, or ``stop`` is set.

    Args:
        config: with an output of type ``recording``.
        duration_s: how long; None for ever.
        stop: ends the recording; a camera that does not answer then is not waited for.
        fail_fast: a live camera that cannot be reached ends its recording.

    Returns:
        The folders of those that gave something, and what went wrong, camera by camera.

    Raises:
        PublishError: a folder cannot be written to.
    """
    faults, kept = list[ArgosError](), recorders(config)

    def work(name: str) -> None:
        camera = config.cameras[name]
        options = replace(source_options(camera), fps=_RARELY_FPS)
        told: SourceState | None = None

        def tell(state: SourceState) -> None:
            nonlocal told
            if is_live(camera.source.url) and not fail_fast:
                log_change(name, state, told)
            told = state

        try:
            for _ in read(
                camera.source.url, name, options, stop=stop, on_state=tell, tap=kept[name], fail_fast=fail_fast
            ):
                pass
        except ArgosError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(name,), name=f"argos-record-{name}", daemon=True) for name in kept]
    timer = threading.Timer(duration_s or 0.0, stop.set)
    timer.daemon = True
    try:
        for thread in threads:
            thread.start()
        if duration_s is not None:
            timer.start()
        while not stop.is_set() and any(thread.is_alive() for thread in threads):
            time.sleep(_POLL_S)  # stop.wait holds its lock for moments: a signal that set it then would wait for ever
    finally:
        stop.set()
        timer.cancel()
    end_s = time.monotonic() + JOIN_S
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    for recorder in kept.values():
        try:
            recorder.close()
        except ArgosError as fault:
            if fault not in faults:
                faults.append(fault)
    return [recorder.folder for recorder in kept.values() if recorder.has_segments], faults
