"""Several processes that train one network, each on its own batches: ``torchrun --nproc-per-node 2 -m argos train``."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

LONGEST_EVALUATION = timedelta(hours=12)
"""The others wait for the first process meanwhile; by default they would give up after 10 minutes, or 30 on CPUs."""


def part_of() -> tuple[int, int]:
    """Number of this process and how many there are; joins them when ``torchrun`` has started it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 0, 1
    if not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=LONGEST_EVALUATION)
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return dist.get_rank(), dist.get_world_size()


def average_gradients(network: nn.Module) -> None:
    """Replace the gradients of every process by their mean; a parameter without one counts as 0."""
    if not dist.is_initialized():
        return
    for parameter in network.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


def all_of(value: bool) -> bool:
    """Whether it holds in every process."""
    if not dist.is_initialized():
        return value
    said = torch.tensor(float(value), device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(said, dist.ReduceOp.MIN)
    return bool(said)


def share(network: nn.Module) -> None:
    """Give every process the parameters and running statistics of the first one."""
    if dist.is_initialized():
        for value in network.state_dict().values():
            dist.broadcast(value, 0)


def agree(value: float) -> float:
    """What the first process says; clocks and figures of the others differ, and who stops alone lets the rest hang."""
    if not dist.is_initialized():
        return value
    said = torch.tensor(value, dtype=torch.float64, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.broadcast(said, 0)
    return float(said)
