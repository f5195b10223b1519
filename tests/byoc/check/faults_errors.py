"""Faults of how callers' mistakes are answered."""

from faulty import Fault

_UNREADABLE = (
    '        except ValueError as error:\n            reply(stream, b"-" + str(error)[:100].encode())\n'
)

FAULTS = [
    Fault("empty-body", (("serve", 'self.answer(400, "the body is empty")', 'self.answer(500, "no body")'),)),
    Fault("wrong-type", (("serve", "self.answer(415,", "self.answer(500,"),)),
    Fault("garbage", (("serve", 'if said[0] == "+" else 400', 'if said[0] == "+" else 500'),)),
    Fault(
        "errors-without-traceback",
        (
            ("serve", "import threading\n", "import threading\nimport traceback\n"),
            ("serve", "str(error)[:100].encode()", "traceback.format_exc().encode()"),
        ),
    ),
    # The one that could not read a body ends, and another takes its place.
    Fault(
        "worker-survives",
        (
            ("serve", _UNREADABLE, f"{_UNREADABLE}            if os.fork():\n                os._exit(3)\n"),
            (
                "serve",
                "pool = Pool()\n",
                "ctypes.CDLL(None).prctl(36, 1)  # orphans are its own\npool = Pool()\n",
            ),
            ("serve", "import json\n", "import ctypes\nimport json\n"),
            ("serve", "    os.wait()\n", "    while os.wait()[1] == 3 << 8:\n        pass\n"),
        ),
    ),
    Fault(
        ("garbage", "worker-survives"),
        (("serve", _UNREADABLE, "        except FloatingPointError:\n            pass\n"),),
    ),
    Fault(
        "unknown-path",
        (
            (
                "serve",
                "            self.invoke(body)\n        else:\n            self.answer(404)\n",
                "            self.invoke(body)\n        else:\n            self.answer(200)\n",
            ),
        ),
    ),
]
