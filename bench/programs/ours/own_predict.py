"""The model's own predict of all rows, on all cores, in a process that does nothing else.

    own_predict.py SUBJECT

For each line that comes in, one goes out: the seconds that predict took.
"""

import sys
import time
from pathlib import Path

import lightgbm as lgb
import numpy as np


def main(subject: str) -> None:
    """Answer until the input ends."""
    model = lgb.Booster(model_file=Path(subject, "model", "model.txt"))
    rows = np.load(Path(subject, "rows.npy"))
    model.predict(rows)
    for _ in sys.stdin:
        began = time.perf_counter()
        model.predict(rows)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
