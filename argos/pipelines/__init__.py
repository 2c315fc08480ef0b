"""The straight lines: the only place where the stages meet."""
