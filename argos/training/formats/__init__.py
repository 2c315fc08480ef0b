"""Annotated photos in the formats of others, one file each; ``read_photos`` tells them apart."""

from __future__ import annotations
