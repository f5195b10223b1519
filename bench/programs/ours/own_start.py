"""The least that a start takes: verify the model's files, import the user's code, load the model, say so.

own_start.py APPS MODEL
"""

import hashlib
import json
import sys
from pathlib import Path


def main(apps: str, model_dir: str) -> None:
    """Do it once."""
    sys.path.insert(0, apps)
    for told in json.loads(Path(model_dir, "manifest.json").read_bytes())["files"]:
        with Path(model_dir, told["path"]).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != told["sha256"]:
                sys.exit(f"{told['path']} is not what the manifest says")
    import inference

    inference.model_fn(model_dir)
    print("loaded", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
