"""Faults of what serve writes to its log."""

from faulty import Fault

READY = '        print("ready", flush=True)\n'

FAULTS = [
    Fault("logs-on-stdout", (("serve", READY, ""),)),
    Fault(
        "logs-on-stdout",
        (("serve", READY, '        self.log = Path(os.environ["TMPDIR"], "serve.log").open("w")\n'),),
        name="logs-to-a-file",
    ),
    Fault("logs-no-secrets", (("serve", READY, '        print("ready", dict(os.environ), flush=True)\n'),)),
]
