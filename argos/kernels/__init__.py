"""Numba kernels: arrays and numbers in, arrays out, no checks inside."""

from argos.kernels.compiled_files import forgive

forgive()  # before the first kernel is defined
