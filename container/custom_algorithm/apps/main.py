"""Trains the model, keeps it in .temps/model, and uploads it to S3 as a model version.

    python main.py                                  train and keep
    python main.py --upload s3://bucket/prefix      ... and upload

`python s3_upload.py .temps/model s3://bucket/prefix` uploads what was kept without training again.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from s3_upload import say_where, upload_model  # first: through it a script finds byoc_serving

# isort: split
from byoc_serving.errors import AlgorithmError, ServingError
from byoc_serving.model_version import check_destination, describe_trained, write_manifest, write_schema

HERE = Path(__file__).resolve().parent
KEPT = HERE / ".temps" / "model"
MARGIN = 0.5  # of a measurement's range in the training data: how far beyond it one may lie


def train(
    model_dir: Path, channels: Mapping[str, Path], hyperparameters: Mapping[str, object]
) -> dict[str, object]:
    """Write the model into model_dir; return what its manifest is to say (docs/contracts.md).

    This script calls it, and so does the image's `train` on SageMaker with mode=train.

    Args:
        model_dir: an empty folder.
        channels: the input channels by name; `train` may hold *.csv, else the sample's own data are used.
        hyperparameters: `rounds` and `learning_rate`.

    Raises:
        AlgorithmError: a library is missing.
    """
    try:
        from breast_cancer import evaluate, fit, load_data
    except ModuleNotFoundError as error:
        raise AlgorithmError(f"{error}. Install it: pip install -r {HERE / 'requirements.txt'}") from error
    except OSError as error:  # LightGBM is there, and a library of the system that it loads is not
        remedy = "apt-get install libgomp1 (Debian, Ubuntu) or brew install libomp (macOS)"
        raise AlgorithmError(f"LightGBM cannot be loaded: {error}. Install it: {remedy}.") from error

    data = load_data(channels.get("train"))
    rounds = int(str(hyperparameters.get("rounds", 100)))
    learning_rate = float(str(hyperparameters.get("learning_rate", 0.1)))
    model = fit(data, rounds, learning_rate, show_progress)
    model.save_model(model_dir / "model.txt")
    write_schema(model_dir, data.rows, data.names, margin=MARGIN)
    return {
        "name": "breast-cancer",
        "metrics": evaluate(model, data),
        "content_types": ["text/csv", "application/json", "application/jsonlines", "application/x-npy"],
        "n_features": data.rows.shape[1],
        "allow_nan": False,
        "sample_rows": data.held_out_rows[:16],
    }


def show_progress(done: int, rounds: int, loss: float) -> None:
    """Say on stderr how far the training is: in one line of a terminal, else in ten."""
    text = f"round {done} of {rounds}, loss {loss:.4f}"
    if sys.stderr.isatty():
        print(f"\r{text}", end="\n" if done == rounds else "", file=sys.stderr, flush=True)
    elif done % max(1, rounds // 10) == 0 or done == rounds:
        print(text, file=sys.stderr, flush=True)


def train_and_keep() -> None:
    """Train, and replace what .temps/model holds by the new model and its manifest."""
    KEPT.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="training-", dir=KEPT.parent) as work:
        new, old = Path(work, "new"), Path(work, "old")
        new.mkdir()
        manifest = describe_trained(new, train(new, {}, {}))
        write_manifest(new, manifest)
        if KEPT.exists():
            KEPT.rename(old)
        new.rename(KEPT)
    metrics = [f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in manifest.metrics.items()]
    print(f"{', '.join(metrics) or 'trained'}; kept in {KEPT}")


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description="Train the model, keep it, upload it.")
    parser.add_argument("--upload", metavar="s3://BUCKET/PREFIX", help="where to upload it to")
    asked = parser.parse_args(arguments)
    try:
        if asked.upload:
            check_destination(asked.upload)  # a bad one is told before the training, not after
        train_and_keep()
        if asked.upload:
            say_where(upload_model(KEPT, asked.upload))
    except ServingError as error:
        print(f"main.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
