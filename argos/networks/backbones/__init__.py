"""Feature extractors that networks of several papers build on."""
