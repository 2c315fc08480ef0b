"""A network on a GPU as one recorded graph: its many small kernels start without a processor's help."""

from __future__ import annotations

import copy
import threading

import torch
from torch import Tensor, nn

MOST_SHAPES = 8
"""Graphs that are held, one for each shape of input; cameras of more shapes than this record again in turn."""


_RECORDS = threading.Lock()
"""Held by who records: a process records one graph at a time."""


class GraphedNetwork:
    """A network replayed on a GPU; a copy of it as it is now.

    The first run of a shape records it, which takes as long as some plain runs. Runs in several threads take turns.

    Args:
        network: in evaluation mode on a GPU; its ``forward`` neither waits for the GPU nor branches on values.

    Reference:
        CUDA Graphs, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = copy.deepcopy(network)  # a graph holds the places of its weights, which may move otherwise
        self._recorded: dict[tuple[int, ...], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}
        self._turn = threading.Lock()

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        """Run it on an image of its device; the result is the caller's own."""
        with self._turn, torch.cuda.device(image.device):
            shape = tuple(image.shape)
            if shape not in self._recorded:
                while len(self._recorded) >= MOST_SHAPES:
                    del self._recorded[next(iter(self._recorded))]
                with _RECORDS:
                    self._recorded[shape] = self._record(image)
            graph, given, out = self._recorded[shape]
            given.copy_(image)
            graph.replay()
            return out.clone()

    def _record(self, image: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        """The graph, where it reads its image, and where it leaves its result."""
        given, stream = image.clone(), torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries prepare themselves, which cannot be recorded
            for _ in range(3):
                self._network(given)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # other threads go on using the GPU meanwhile
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            out: Tensor = self._network(given)
        return graph, given, out
