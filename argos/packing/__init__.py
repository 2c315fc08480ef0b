"""Rectangles of frames on canvases of one size, and results back to the frames."""
