"""Threads whose operations of torch take so many CPU threads each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import torch


def workers(name: str, count: int, threads: int) -> ThreadPoolExecutor:
    """Start ``count`` threads; each runs the operations of torch on ``threads`` CPU threads, all others as before."""
    before = torch.get_num_threads()

    def begin() -> None:
        torch.get_num_threads()  # a thread takes over the number of the last one that set it when it first asks
        torch.set_num_threads(threads)

    pool = ThreadPoolExecutor(count, name, initializer=begin)
    for future in [pool.submit(time.sleep, 0.01) for _ in range(count)]:  # starts them all
        future.result()
    torch.set_num_threads(before)  # which threads to come begin with
    return pool
