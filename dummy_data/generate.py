"""Writes the sample requests beside this file: rows that the model has not learnt from, and their labels."""

import csv
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
APPS = HERE.parent / "container" / "custom_algorithm" / "apps"
FEW = 6


def generate(folder: Path) -> None:
    """Write all held-out rows as CSV, a few of them in the other formats, and all labels."""
    from breast_cancer import load_data

    data = load_data()
    rows = data.held_out_rows.tolist()
    with (folder / "breast_cancer.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    (folder / "breast_cancer.json").write_text(json.dumps({"instances": rows[:FEW]}) + "\n")
    (folder / "breast_cancer.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:FEW]))
    np.save(folder / "breast_cancer.npy", data.held_out_rows[:FEW])
    diagnoses = ["malignant" if label else "benign" for label in data.held_out_labels]
    (folder / "labels.csv").write_text("".join(f"{diagnosis}\n" for diagnosis in diagnoses))


if __name__ == "__main__":
    sys.path.insert(0, str(APPS))
    generate(HERE)
