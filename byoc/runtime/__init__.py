"""Runs container programs (`train`, `serve`), as processes or in Docker, each with an /opt/ml of its own."""
