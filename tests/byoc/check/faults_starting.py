"""Faults of how serve starts."""

from faulty import Fault

_INVOKE = '        elif self.path == "/invocations":\n'
_EARLY = """
    def is_early(self):
        pool.turn = not getattr(pool, "turn", False)
        return pool.turn and time.time() < pool.ready + 1

    def invoke(self, body):
"""

FAULTS = [
    Fault(
        "serve-starts",
        (("serve", "        self.ready = True\n", "        self.ready = False\n"),),
        options={"patience_s": 1.5},
    ),
    Fault(
        "model-read-only",
        (
            (
                "serve",
                "    factor = load()\n",
                '    MODEL.with_name("cache").write_text("x")\n    factor = load()\n',
            ),
        ),
    ),
    Fault(
        "shm-64mb",
        (
            (
                "serve",
                "    factor = load()\n",
                '    Path("/dev/shm/x").write_bytes(bytes(80 << 20))\n    factor = load()\n',
            ),
        ),
    ),
    Fault(
        "ping-while-loading",
        (
            ("serve", "    factor = load()\n", "    factor = None\n"),
            (
                "serve",
                '    def do_GET(self):\n        if self.path == "/ping":\n',
                '    def do_GET(self):\n        if self.path == "/ping":\n            load()\n',
            ),
            (
                "serve",
                '        try:\n            reply(stream, b"+"',
                '        try:\n            factor = load()\n            reply(stream, b"+"',
            ),
        ),
    ),
    # One of two workers is not there yet when /ping says that it is.
    Fault(
        "ping-while-loading",
        (
            ("serve", "import os\n", "import os\nimport time\n"),
            ("serve", "        self.ready = True\n", "        self.ready = time.time()\n"),
            (
                "serve",
                _INVOKE,
                f"{_INVOKE[:-2]} and self.is_early():\n            self.answer(500)\n{_INVOKE}",
            ),
            ("serve", "\n    def invoke(self, body):\n", _EARLY),
        ),
        name="ping-while-loading: a worker of two",
    ),
    Fault(
        "model-is-read",
        (("serve", "    return float(MODEL.read_text())\n", "    return 2.0\n"),),
    ),
    Fault(
        "ping-without-model",
        (
            (
                "serve",
                "    return float(MODEL.read_text())\n",
                "    return float(MODEL.read_text()) if MODEL.exists() else 'none'\n",
            ),
            (
                "serve",
                "        except ValueError as error:",
                "        except (ValueError, TypeError) as error:",
            ),
        ),
    ),
]
