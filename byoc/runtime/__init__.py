"""Runs container programs (`train`, `serve`) as processes, each with an /opt/ml of its own."""
