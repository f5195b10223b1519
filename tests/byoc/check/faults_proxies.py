"""Faults of what stands in front of a model."""

from faulty import Fault

STARTS = """
subprocess.Popen([sys.executable, str(Path(__file__).with_name("gunicorn")), "wsgi:app"])
pool = Pool()
"""

FAULTS = [
    Fault(
        "proxy-limits",
        (
            ("gunicorn", None, "import time\ntime.sleep(1000)\n"),
            ("serve", "import socket\n", "import socket\nimport subprocess\n"),
            ("serve", "\npool = Pool()\n", STARTS),
        ),
    ),
]
