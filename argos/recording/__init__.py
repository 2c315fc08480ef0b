"""Keeping what a camera sent and what was found in it, and telling two runs over it apart."""
