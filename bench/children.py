"""Whether a parent and its children are better than one model: accuracy, time and memory, on real data.

Run it by `make bench-children`, or `python bench/children.py [--document FILE]`, which puts what it prints
between the marks of a document. The data are scikit-learn's handwritten digits, half of them held out; every
arrangement is a model version that goes through the whole of /invocations, without HTTP, in a process of its
own, with one thread.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "container" / "custom_algorithm"), str(ROOT)]

import lightgbm as lgb  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

from bench.contest.document import with_report, write  # noqa: E402
from byoc_serving.calls import Request, Response  # noqa: E402
from byoc_serving.invocation import Invocations  # noqa: E402
from byoc_serving.memory import Memory  # noqa: E402
from byoc_serving.settings import MEGABYTE, Settings  # noqa: E402

# Trains nothing: each folder has the model and the classes that its answers stand for.
SCRIPT = """
import json
from pathlib import Path

import lightgbm as lgb
import numpy as np


def model_fn(model_dir):
    classes = np.array(json.loads(Path(model_dir, "classes.json").read_text()))
    return lgb.Booster(model_file=str(Path(model_dir, "model.txt"))), classes


def predict_fn(data, model):
    booster, classes = model
    return classes[np.argmax(booster.predict(data, num_threads=1), axis=1)]
"""
FAMILIES = (2, 4)
ROUNDS, REPEATS = 40, 150
Table = NDArray[np.float64]
Labels = NDArray[np.int64]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure and tell; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", type=Path, help="put the table between the marks of this file")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.measure:
        print(json.dumps(measured(asked.measure)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        told = table(compared(Path(folder)))
    print(told)
    if asked.document:
        write(asked.document, with_report(asked.document.read_text(), told))
    return 0


def digits() -> tuple[Table, Labels, Table, Labels]:
    """Return the rows and labels to train with, then those held out: every second one."""
    data, labels = load_digits(return_X_y=True)
    return data[::2], labels[::2], data[1::2], labels[1::2]


def compared(folder: Path) -> Mapping[str, Mapping[str, float]]:
    """Return what was measured of one model, and of parents with several children."""
    rows, labels, _, _ = digits()
    (folder / "apps").mkdir()
    (folder / "apps" / "inference.py").write_text(SCRIPT)
    train(folder / "one" / "model", rows, labels)
    names = {"one model": folder / "one"}
    for children in FAMILIES:
        name = f"a parent and {children} children"
        names[name] = folder / str(children)
        train_family(names[name] / "model", rows, labels, children)
    return {name: _measured_alone(place) for name, place in names.items()}


def train(folder: Path, rows: Table, labels: Labels) -> None:
    """Write a model that tells the labels apart."""
    classes = np.unique(labels)
    shape = {
        "objective": "multiclass",
        "num_class": max(2, len(classes)),
        "num_leaves": 15,
        "min_data_in_leaf": 5,
    }
    steady = {"num_threads": 1, "deterministic": True, "force_col_wise": True, "seed": 0, "verbosity": -1}
    data = lgb.Dataset(rows, np.searchsorted(classes, labels), params={"verbosity": -1})
    folder.mkdir(parents=True)
    lgb.train(shape | steady, data, ROUNDS).save_model(folder / "model.txt")
    (folder / "classes.json").write_text(json.dumps(classes.tolist()))


def train_family(folder: Path, rows: Table, labels: Labels, children: int) -> None:
    """Write a parent that tells groups of like digits apart, and for each group a child."""
    classes = np.unique(labels)
    means = np.array([rows[labels == one].mean(axis=0) for one in classes])
    group_of = KMeans(children, n_init=10, random_state=0).fit_predict(means)
    groups = group_of[np.searchsorted(classes, labels)]
    train(folder / "parent", rows, groups)
    listed = []
    for group in range(children):
        train(folder / f"child-{group}", rows[groups == group], labels[groups == group])
        listed.append({"name": f"group {group}", "path": f"child-{group}"})
    routes = {"format": "byoc-routes/1", "parent": "parent", "children": listed}
    (folder / "routes.json").write_text(json.dumps(routes))


def measured(place: Path) -> dict[str, float]:
    """Measure one arrangement in this process."""
    _, _, rows, labels = digits()
    settings = Settings(base_dir=place, apps_dir=place.parent / "apps")
    invocations = Invocations(settings, note=lambda _call: None)
    memory = Memory(None)
    memory.begin()
    invocations.load()
    ask(invocations, rows[:1])
    memory.give_back()
    first = memory.used
    answers = np.array(ask(invocations, rows))
    memory.give_back()
    every = memory.used
    child_of = children_of(place / "model")
    return {
        "accuracy": float(np.mean(answers == labels)),
        "right_child": float(np.mean(child_of[answers] == child_of[labels])),
        "one_row_ms": _fastest_ms(lambda at: ask(invocations, rows[at % len(rows)][None]), REPEATS),
        "all_rows_ms": _fastest_ms(lambda _at: ask(invocations, rows), REPEATS // 15),
        "first_mb": first / MEGABYTE,
        "every_mb": every / MEGABYTE,
    }


def children_of(folder: Path) -> Labels:
    """Return the number of the child that each digit belongs to: all to one, where there is one model."""
    children = np.zeros(10, dtype=np.int64)
    for file in folder.glob("child-*/classes.json"):
        children[json.loads(file.read_text())] = int(file.parent.name.removeprefix("child-"))
    return children


def ask(invocations: Invocations, rows: Table) -> Any:  # noqa: ANN401 - parsed JSON
    """Return the answer to rows that are sent as JSON."""
    body = json.dumps(rows.tolist()).encode()
    response: Response = invocations.respond(Request(body, "application/json", None, {}, "bench"))
    if response.status != 200 or not isinstance(response.body, bytes):
        raise RuntimeError(f"answered {response.status}: {response.body!r}")
    return json.loads(response.body)


def table(results: Mapping[str, Mapping[str, float]]) -> str:
    """Return the results as Markdown."""
    rows = len(digits()[3])
    heads = ["arrangement", "accuracy", "right child", "1 row, ms", f"{rows} rows, ms"]
    heads += ["MB after 1 row", f"MB after {rows} rows"]
    forms = {"accuracy": ".4f", "right_child": ".4f", "one_row_ms": ".2f", "all_rows_ms": ".1f"}
    forms |= {"first_mb": ".1f", "every_mb": ".1f"}
    lines = [_line(heads), _line(["---"] * len(heads))]
    lines += [
        _line([name, *(f"{r[key]:{form}}" for key, form in forms.items())]) for name, r in results.items()
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _measured_alone(place: Path) -> Mapping[str, float]:
    command = [sys.executable, __file__, "--measure", str(place)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(told.splitlines()[-1])
    return result


def _fastest_ms(act: Callable[[int], object], repeats: int) -> float:
    """Return the shortest of several times: what else the machine does only makes them longer."""
    times = []
    for at in range(repeats):
        began = time.perf_counter()
        act(at)
        times.append((time.perf_counter() - began) * 1000)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
