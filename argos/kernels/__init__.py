"""Numba kernels: arrays and numbers in, arrays out, no checks inside."""
