"""Pairing rows with columns so that the sum of their scores is highest."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _columns_of_rows(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of each row in the cheapest assignment of all rows; ``cost`` has no more rows than columns."""
    rows, columns = cost.shape
    u, v = np.zeros(rows), np.zeros(columns)
    row_of, column_of = np.full(columns, -1), np.full(rows, -1)
    for start in range(rows):
        shortest, before = np.full(columns, np.inf), np.full(columns, -1)
        row_seen, column_seen = np.zeros(rows, np.bool_), np.zeros(columns, np.bool_)
        reached, row, free = 0.0, start, -1
        while free < 0:
            row_seen[row] = True
            nearest, lowest = -1, np.inf
            for j in range(columns):
                if column_seen[j]:
                    continue
                length = reached + cost[row, j] - u[row] - v[j]
                if length < shortest[j]:
                    shortest[j], before[j] = length, row
                # of equal columns a free one ends the search at once
                if shortest[j] < lowest or (shortest[j] == lowest and row_of[j] < 0 <= row_of[nearest]):
                    nearest, lowest = j, shortest[j]
            reached = lowest
            column_seen[nearest] = True
            row = row_of[nearest]
            if row < 0:
                free = nearest
        u[start] += reached
        for i in range(rows):
            if row_seen[i] and i != start:
                u[i] += reached - shortest[column_of[i]]
        for j in range(columns):
            if column_seen[j]:
                v[j] += shortest[j] - reached
        column = free
        while True:
            row = before[column]
            row_of[column] = row
            column, column_of[row] = column_of[row], column
            if row == start:
                break
    return column_of


@njit(cache=True, nogil=True)
def assign(scores: NDArray[np.float64], least: float) -> NDArray[np.int64]:
    """Pair rows with columns, each at most once, so that the sum of the scores of all pairs is highest.

    Args:
        scores: ``(N, M)`` float64, 0 or more.
        least: pairs with a lower score are never made, however many others that would allow; more than 0.

    Returns:
        ``(K, 2)`` int64, ``(row, column)`` by row.

    Reference:
        Crouse, On implementing 2D rectangular assignment algorithms, IEEE TAES 52(4), 2016: shortest augmenting paths.
    """
    rows, columns = scores.shape
    turned = rows > columns
    cost = np.zeros((min(rows, columns), max(rows, columns)))
    for i in range(rows):
        for j in range(columns):
            if scores[i, j] >= least:
                cost[(j, i) if turned else (i, j)] = -scores[i, j]
    chosen = _columns_of_rows(cost)
    column_of = np.full(rows, -1)
    for i in range(len(chosen)):
        if turned:
            column_of[chosen[i]] = i
        else:
            column_of[i] = chosen[i]
    pairs = np.empty((len(chosen), 2), np.int64)
    count = 0
    for i in range(rows):
        if column_of[i] >= 0 and scores[i, column_of[i]] >= least:
            pairs[count, 0], pairs[count, 1] = i, column_of[i]  # a row at once compiles two seconds longer
            count += 1
    return pairs[:count]
