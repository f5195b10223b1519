"""Reads a page of metrics as strictly as Prometheus' text format 0.0.4 is described, for the tests."""

import re

SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)')


def scraped(text):
    """Return {(name, labels): value}; fail where the page breaks a rule of the format."""
    assert text.endswith("\n")
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types
            types[name] = kind
        elif not line.startswith("# HELP "):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            assert (name, labels) not in samples
            family = next(n for n in (name, re.sub("_(bucket|sum|count)$", "", name)) if n in types)
            assert family == list(types)[-1], "the lines of a metric stand together"
            samples[name, labels] = float(value)
    for name, kind in types.items():
        if kind == "histogram":
            counts = [value for (n, _), value in samples.items() if n == f"{name}_bucket"]
            assert counts == sorted(counts)
            assert counts[-1] == samples[f"{name}_count", None]
    return samples
