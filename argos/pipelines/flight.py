"""Frames in flight: while the networks run on one, the next is proposed, packed and sent to them.

A step is a generator. What it knows of scenes and costs it reads and writes between its jobs, always in the thread that
goes through it; a job is a run of the networks, which needs none of that and may go on in another thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

from argos.engines.workers import workers

Found = TypeVar("Found")
Cargo = TypeVar("Cargo")


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What a step waits for.

    Attributes:
        run: called once, in any thread.
        alone: never at the same time as another such job, and after those asked for before.
    """

    run: Callable[[], Any]
    alone: bool = False


Steps = Generator[Job, Any, Found]
"""A step that is sent what its jobs give, and gives ``Found`` in the end."""


def finished(steps: Steps[Found]) -> Found:
    """Go through a step at once, its jobs in this thread."""
    flight: Flight[Found, None] = Flight(1, 1, landed=lambda: None)
    flight.begin(steps, None)
    return flight.finish()[1]


class _Item(Generic[Found, Cargo]):
    """One step on its way: ``future`` is its present job; without one it is over, and ``end`` gives or raises."""

    def __init__(self, steps: Steps[Found], cargo: Cargo) -> None:
        self.steps, self.cargo = steps, cargo
        self.future: Future[Any] | None = None
        self.end: Callable[[], Found]


class Flight(Generic[Found, Cargo]):
    """Steps in flight, finished in the order they began; used by one thread.

    A step that has the machine to itself gets all threads. Beside others each gets its share: small convolutions gain
    little from threads of their own, and two runs side by side wait for nobody.

    Args:
        most: steps at once; with 1 their jobs run in the thread that begins them.
        threads: of torch, to be shared.
        landed: called, in any thread, when a job ends.
    """

    def __init__(self, most: int, threads: int, landed: Callable[[], None]) -> None:
        self.most, self._landed = most, landed
        self._items: deque[_Item[Found, Cargo]] = deque()
        self._alone = self._beside = None
        self._closed, self._closing = False, threading.Lock()
        if most > 1:
            self._beside = workers("argos-beside", most, max(1, threads // most))
            self._alone = workers("argos-alone", 1, threads)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Whether one has to be finished before the next begins."""
        return len(self._items) >= self.most

    @property
    def has_landed(self) -> bool:
        """Whether the oldest can go on without waiting."""
        return bool(self._items) and (self._items[0].future is None or self._items[0].future.done())

    def begin(self, steps: Steps[Found], cargo: Cargo) -> None:
        """Go through a step up to its first job, and let that begin; ``cargo`` comes back with what is found."""
        item: _Item[Found, Cargo] = _Item(steps, cargo)
        self._go_on(item, lambda: next(steps))
        self._items.append(item)

    def finish(self) -> tuple[Cargo, Found]:
        """Go through the rest of the oldest step.

        Raises:
            CancelledError: the flight was closed meanwhile.
            Exception: whatever the step does not catch.
        """
        item = self._items.popleft()
        while item.future is not None:
            error = item.future.exception()
            if error is None:
                self._go_on(item, partial(item.steps.send, item.future.result()))
            else:  # the step may know what to do about it
                self._go_on(item, partial(item.steps.throw, error))
        return item.cargo, item.end()

    def _go_on(self, item: _Item[Found, Cargo], resume: Callable[[], Job]) -> None:
        """Go through a step up to its next job, or its end."""
        item.future = None
        try:
            job = resume()
        except StopIteration as stop:
            found: Found = stop.value
            item.end = lambda: found
        except Exception as error:  # raised when its turn comes, after the results of earlier steps
            item.end = partial(_raise, error)
        else:
            item.future = self._submitted(item, job)

    def _submitted(self, item: _Item[Found, Cargo], job: Job) -> Future[Any]:
        future: Future[Any]
        if self._alone is None or self._beside is None:
            future = Future()
            try:
                future.set_result(job.run())
            except Exception as error:
                future.set_exception(error)
            return future
        with self._closing:
            if self._closed:
                raise CancelledError
            # what is in flight decides, not what happens to run: a file gives the same every time
            beside = any(other is not item for other in self._items)
            future = (self._beside if beside and not job.alone else self._alone).submit(job.run)
        future.add_done_callback(lambda future: self._landed())
        return future

    def close(self) -> None:
        """Wait for the jobs that run, and run no other; from any thread, any number of times."""
        with self._closing:
            self._closed = True
        for pool in (self._alone, self._beside):
            if pool is not None:
                pool.shutdown(cancel_futures=True)


def _raise(error: Exception) -> NoReturn:
    raise error
