"""The HTTP side: live page, status, health and metrics, in a thread of its own beside the pipeline."""
