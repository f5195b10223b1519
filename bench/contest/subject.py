"""The model that every server serves, and the rows that it is asked for: the same ones on every machine.

Run as a program with a folder to write into, since LightGBM's threads shall not stay in the harness.
"""

import sys
from pathlib import Path

import numpy as np

FEATURES = 30
ROWS = 10_000
TREES = 100
LEAVES = 31
SEED = 20


def main(folder: Path) -> None:
    """Write model/model.txt, rows.npy [10000, 30] and predictions.npy [10000], by the model's own predict."""
    import lightgbm as lgb

    random = np.random.default_rng(SEED)
    known = random.normal(size=(20_000, FEATURES))
    labels = (known[:, 0] + known[:, 1] * known[:, 2] + random.normal(size=len(known)) > 0).astype(int)
    settings = {
        "objective": "binary",
        "num_leaves": LEAVES,
        "deterministic": True,
        "seed": SEED,
        "verbose": -1,
        "num_threads": 1,
    }
    booster = lgb.train(settings, lgb.Dataset(known, labels), num_boost_round=TREES)
    model = folder / "model"
    model.mkdir(parents=True)
    booster.save_model(model / "model.txt")
    rows = random.normal(size=(ROWS, FEATURES))
    np.save(folder / "rows.npy", rows)
    np.save(folder / "predictions.npy", booster.predict(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
