"""Runs servers of one model against each other: what `make bench` measures, and how it tells of it."""
