"""The documents' experiments re-run here: trainings, runs of shipped models, and the page of their results."""
