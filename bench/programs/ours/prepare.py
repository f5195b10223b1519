"""Puts together what the image would hold: the project's program, a user's apps/, and a model version.

prepare.py WORK SUBJECT [INFERENCE_SCRIPT]
"""

import shutil
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SAMPLE = 16  # rows; batching is only for models that predict at least 8 of them alone as together


def main(work: str, subject: str, image: str, script: str) -> None:
    """Write WORK/program and WORK/ml/model."""
    program, model = Path(work, "program"), Path(work, "ml", "model")
    shutil.copytree(image, program, ignore=shutil.ignore_patterns("apps", "__pycache__"))
    (program / "apps").mkdir()
    shutil.copy(HERE / script, program / "apps" / "inference.py")
    shutil.copytree(Path(subject, "model"), model)
    sys.path.insert(0, str(program))
    from byoc_serving.model_version import describe, write_manifest

    rows = np.load(Path(subject, "rows.npy"), mmap_mode="r")[:SAMPLE]
    columns = rows.shape[1]
    manifest = describe(model, name="bench", n_features=columns, sample_rows=rows, libraries=["lightgbm"])
    write_manifest(model, manifest)


if __name__ == "__main__":
    main(*sys.argv[1:])
