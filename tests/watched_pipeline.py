"""A pipeline of live cameras that is iterated in a thread, and what a subscriber receives of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from main_job import until

from argos.config import Config
from argos.pipelines.api import Pipeline
from argos.publishing.subscriber import Subscriber
from argos.types import Result

SCENE = "fake://people?n=2&seed={seed}&size=160x96&fps=10&realtime=1"
ZONE = "{all: {polygon: [[0, 0], [1, 0], [1, 1], [0, 1]], anchor: center, enter_frames: 1}}"


def written(folder: Path, models: dict[str, Path], port: int, **cameras: str) -> Path:
    """A configuration of cameras; of each what stands behind its source."""
    lines = ["version: 1", "cameras:"]
    for seed, (name, more) in enumerate(cameras.items()):
        lines.append(f"  {name}: {{source: '{SCENE.format(seed=seed)}', instances: {{max_people: 3}}{more}}}")
    lines.append(
        f"engine: {{scale: 0.5, models: {{proposal: {models['proposal']}, instances: {models['instances']}}}}}"
    )
    lines.append(f"publish: {{bind: 'tcp://127.0.0.1:{port}'}}")
    lines.append("outputs: [{type: jsonl, path: 'out/%camera%.jsonl'}]")
    path = folder / "camera.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


class Messages:
    """What a subscriber has received so far."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.all: list[object] = []
        self._thread = threading.Thread(target=self._work, args=(subscriber,), daemon=True)  # none that fails hangs
        self._thread.start()

    def _work(self, subscriber: Subscriber) -> None:
        for message in subscriber:
            self.all.append(message)

    def of(self, kind: type, camera: str | None = None) -> list:
        return [m for m in list(self.all) if isinstance(m, kind) and camera in (None, getattr(m, "camera", None))]

    def join(self) -> None:
        self._thread.join()


@contextmanager
def running(config: Config, port: int) -> Iterator[tuple[Pipeline, Messages]]:
    """A pipeline that is iterated in a thread, and a subscriber to all of it."""
    subscriber = Subscriber(
        f"tcp://127.0.0.1:{port}", kinds=("hello", "status", "result", "event", "notice"), queue=5000
    )
    messages, faults = Messages(subscriber), []
    last: dict[str, int] = {}

    def work() -> None:
        try:
            for result in pipeline:
                last[result.camera] = result.seq
        except Exception as error:  # told below
            faults.append(error)

    with Pipeline(config) as pipeline:
        until(lambda: subscriber.connected)
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield pipeline, messages
        finally:
            pipeline.stop()
            thread.join()
    until(lambda: all(any(r.seq == seq for r in messages.of(Result, name)) for name, seq in last.items()))
    missed = subscriber.missed, subscriber.discarded, subscriber.malformed
    subscriber.close()
    messages.join()
    assert (faults, missed) == ([], (0, 0, 0))


def more(messages: Messages, camera: str, count: int, which: Callable[[Result], bool] = lambda _: True) -> None:
    """Wait for more results of a camera."""
    target = sum(map(which, messages.of(Result, camera))) + count
    until(lambda: sum(map(which, messages.of(Result, camera))) >= target)
