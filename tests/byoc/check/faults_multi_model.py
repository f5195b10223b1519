"""Faults of the API of multi-model endpoints; the program without them is in the folder multi."""

from pathlib import Path

from faulty import GOOD, Fault

_LABEL = "LABEL com.amazonaws.sagemaker.capabilities."
MULTI = (
    ("serve", None, Path(__file__).with_name("multi").joinpath("serve").read_text()),
    ("Dockerfile", None, (GOOD / "Dockerfile").read_text() + f"{_LABEL}multi-models=true\n"),
)


def _fault(rule, *edits, name=""):
    return Fault(rule, (*MULTI, *(("serve", old, new) for old, new in edits)), name, {"patience_s": 5.0})


FAULTS = [
    _fault(
        "multi-model-starts",
        (
            "            self.reply(dict)\n",
            '            self.reply(lambda: {} if models else found("any"))\n',
        ),
    ),
    _fault("multi-model-load", ("raise RefusedError(409,", "raise RefusedError(400,")),
    _fault("multi-model-list", ('{"modelName": name, "modelUrl"', '{"model_name": name, "model_url"')),
    _fault(
        "multi-model-invoke", ("    factor = found(name)[1]\n", "    factor = models.get(name, (0, 1))[1]\n")
    ),
    _fault("multi-model-unload", ("        del models[name]\n", "        pass\n")),
    _fault(
        "multi-model-bad",
        ("            raise RefusedError(400, f", "            os._exit(3)  # "),
        name="multi-model-bad: it dies",
    ),
    _fault(
        "multi-model-bad",
        ("            raise RefusedError(400, f", "            factor = None  # "),
        name="multi-model-bad: it is not loaded before it is called",
    ),
    _fault(
        "multi-model-many",
        ("raise RefusedError(507,", "raise RefusedError(500,"),
        name="multi-model-many: no memory",
    ),
    _fault(
        "multi-model-many",
        ("    with lock:\n        if name in models:\n", "    if True:\n        if name in models:\n"),
        (
            "            factor = float(",
            "            threading.Event().wait(0.3)\n            factor = float(",
        ),
        name="multi-model-many: twice at once",
    ),
]
