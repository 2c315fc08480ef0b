"""Fixtures for all tests."""

from rtsp import rtsp_camera

__all__ = ["rtsp_camera"]
