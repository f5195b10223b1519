"""Faults of what serverless endpoints ask for."""

from faulty import Fault

# By tests/byoc/check/test_rules_serverless.py: no test takes gigabytes.
BY_HAND = {"serverless-memory", "serverless-image"}

FAULTS = [
    Fault(
        "serverless-start",
        (("serve", "        self.ready = True\n", "        self.ready = False\n"),),
        options={"patience_s": 1.5},
    ),
    Fault(
        "serverless-4mb",
        (
            (
                "serve",
                "            said = pool.ask(body).decode()\n",
                '            said = pool.ask(body).decode() + "0" * (5 << 20)\n',
            ),
        ),
    ),
]
