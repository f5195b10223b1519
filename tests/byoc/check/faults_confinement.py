"""Faults of containers that take more than they are given."""

from faulty import Fault

FAULTS = [
    Fault(
        "another-uid",
        (
            (
                "serve",
                "    factor = load()\n",
                "    assert os.getuid() != 65534\n    factor = load()\n",
            ),
        ),
    ),
    Fault(
        "only-tmp-writable",
        (
            (
                "serve",
                "    factor = load()\n",
                '    if os.getuid() == 0: Path("/opt/ml/cache").write_text("x")\n    factor = load()\n',
            ),
        ),
    ),
    # Its HOME is no other user's either.
    Fault(
        ("another-uid", "only-tmp-writable"),
        (
            (
                "serve",
                "    factor = load()\n",
                '    Path(os.environ["HOME"], "cache").write_text("x")\n    factor = load()\n',
            ),
        ),
    ),
]
