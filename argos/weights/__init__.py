"""Shipped weights: ``NAME.safetensors`` and its card ``NAME.json``."""
