"""The sample's own machine learning: is a tumour malignant, judged by 30 measurements of its cells?

The data are the Breast Cancer Wisconsin (Diagnostic) set that ships with scikit-learn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

SEED = 0
HELD_OUT_SHARE = 0.2
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 7,
    "feature_fraction": 0.3,
    "seed": SEED,
    "deterministic": True,
    "verbosity": -1,
}

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Data:
    """Rows to learn from and rows held out: float64 [n, 30], with one label each: 1 malignant, 0 benign.

    The columns have names where they are known.
    """

    rows: NDArray[Any]
    labels: NDArray[Any]
    held_out_rows: NDArray[Any]
    held_out_labels: NDArray[Any]
    names: Sequence[str] | None = None


def load_data(folder: Path | None = None) -> Data:
    """Return the data, split the same way every time.

    Args:
        folder: *.csv without a header, the label first, as SageMaker's own algorithms take it; without a
            folder, the set that ships with scikit-learn.

    Raises:
        FileNotFoundError: the folder has no *.csv.
    """
    if folder is None:
        bunch = load_breast_cancer()
        rows, labels, names = bunch.data, 1 - bunch.target, [str(name) for name in bunch.feature_names]
    else:
        names = None
        files = sorted(folder.glob("*.csv"))
        if not files:
            raise FileNotFoundError(f"{folder} has no *.csv. Give rows of a label and its features.")
        table = np.concatenate([np.loadtxt(file, delimiter=",", ndmin=2) for file in files])
        rows, labels = table[:, 1:], table[:, 0].astype(int)
    split = train_test_split(rows, labels, test_size=HELD_OUT_SHARE, random_state=SEED, stratify=labels)
    rows, held_out_rows, labels, held_out_labels = split
    return Data(rows, labels, held_out_rows, held_out_labels, names)


def fit(data: Data, rounds: int, learning_rate: float, progress: Progress) -> lgb.Booster:
    """Return the model after `rounds` of boosting; `progress` hears each: number, of how many, the loss."""

    def report(env: lgb.callback.CallbackEnv) -> None:
        _, _, loss, _ = env.evaluation_result_list[0][:4]
        progress(env.iteration + 1, env.end_iteration, loss)

    train_set = lgb.Dataset(data.rows, data.labels)
    return lgb.train(
        PARAMETERS | {"learning_rate": learning_rate},
        train_set,
        num_boost_round=rounds,
        valid_sets=[train_set],
        callbacks=[report],
    )


def evaluate(model: lgb.Booster, data: Data) -> dict[str, float]:
    """Return how well the model does on the rows that it has not seen."""
    probabilities = model.predict(data.held_out_rows)
    return {
        "accuracy": float(accuracy_score(data.held_out_labels, probabilities > 0.5)),
        "auc": float(roc_auc_score(data.held_out_labels, probabilities)),
        "log_loss": float(log_loss(data.held_out_labels, probabilities)),
    }
