"""Faults of what serve writes to its log."""

from faulty import Fault

READY = '        print("ready", flush=True)\n'

FAULTS = [
    Fault("logs-on-stdout", (("serve", READY, ""),)),
    Fault(
        "logs-on-stdout",
        (
            (
                "serve",
                "pool = Pool()\n",
                'log = open(os.environ["TMPDIR"] + "/serve.log", "w", 1)\npool = Pool()\n',
            ),
            (
                "serve",
                "    def log_message(self, form, *words):\n        pass\n",
                "    def log_message(self, form, *words):\n        print(form % words, file=log)\n",
            ),
        ),
        name="logs-of-calls-to-a-file",
    ),
    Fault("logs-no-secrets", (("serve", READY, '        print("ready", dict(os.environ), flush=True)\n'),)),
]
