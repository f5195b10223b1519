"""Faults of how train runs and ends."""

from faulty import Fault

_WRITES = '    (ML / "model/model.txt").write_text(str(factor))\n'
_REPORTS = '    failure.write_text(f"{type(error).__name__}: {error}"[:1024])\n'
_DEEP = """
def deep(level):
    return deep(level - 1) if level % 2 else deeper(level)


def deeper(level):
    return deep(level - 1) if level else train()


"""
_ALONE = """
    if len(__import__("socket").if_nameindex()) == 1:
        sys.exit(3)
"""
# Of a shorter run it is not known whether it would have installed a handler yet.
_LONG = {"hyperparameters": {"seconds": "3.5"}}

FAULTS = [
    Fault("train-completes", (("train", _WRITES, f"{_WRITES}    sys.exit(3)\n"),)),
    Fault("train-model-left", (("train", _WRITES, ""),)),
    Fault(
        "train-model-links",
        (("train", _WRITES, f'{_WRITES}    (ML / "model/latest").symlink_to("model.txt")\n'),),
    ),
    Fault(
        "train-hyperparameters",
        (
            (
                "train",
                "    try:\n        return json.loads(value)\n    except ValueError:\n        return value\n",
                '    if value == "True":\n        raise ValueError(value)\n    return value\n',
            ),
        ),
        name="train-hyperparameters: Python's notation",
        options={"hyperparameters": {"verbose": "true"}},
    ),
    Fault(
        "train-hyperparameters",
        (
            (
                "train",
                "    try:\n        return json.loads(value)\n    except ValueError:\n        return value\n",
                "    if value.startswith('\"'):\n        raise ValueError(value)\n    return value\n",
            ),
        ),
        name="train-hyperparameters: text in quotes",
        options={"hyperparameters": {"loss": "squared"}},
    ),
    Fault(
        "train-config-missing",
        (
            ("train", " if file.exists() else {}", ""),
            (
                "train",
                "    failure = ML",
                '    if "model" not in str(error):\n        raise\n    failure = ML',
            ),
        ),
    ),
    Fault("train-error-status", (("train", "    sys.exit(1)\n", "    sys.exit(0)\n"),)),
    Fault("train-failure-file", (("train", _REPORTS, ""),), name="train-failure-file: none"),
    Fault(
        "train-failure-file",
        (
            ("train", "import json\n", "import json\nimport traceback\n"),
            ("train", _REPORTS, "    failure.write_text(traceback.format_exc())\n"),
            ("train", "    train()\nexcept", "    deep(40)\nexcept"),
            (
                "train",
                "def stop(",
                f"{_DEEP}def stop(",
            ),
        ),
        name="train-failure-file: the cause comes late",
    ),
    Fault(
        "train-sigterm",
        (("train", "signal.signal(signal.SIGTERM, stop)\n", ""),),
        name="train-sigterm: no handler",
        options=_LONG,
    ),
    Fault(
        "train-isolated",
        (
            (
                "train",
                "    given = hyperparameters()\n",
                f"    given = hyperparameters()\n{_ALONE}",
            ),
        ),
    ),
]
