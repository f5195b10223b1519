"""Saves the model as MLflow's documentation shows it, for `mlflow models serve`.

prepare.py WORK SUBJECT
"""

import sys
from pathlib import Path

import lightgbm as lgb
import mlflow.lightgbm


def main(work: str, subject: str, *_: str) -> None:
    """Write WORK/model."""
    booster = lgb.Booster(model_file=Path(subject, "model", "model.txt"))
    mlflow.lightgbm.save_model(booster, str(Path(work, "model")))


if __name__ == "__main__":
    main(*sys.argv[1:])
