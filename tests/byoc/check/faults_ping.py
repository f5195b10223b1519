"""Faults of connections and of /ping."""

from faulty import Fault

_QUEUE = "    request_queue_size = 128\n"
_INVOKE = '        elif self.path == "/invocations":\n'
_POST_PING = '        body = self.read_body()\n        if self.path == "/ping":\n            self.answer(200'
_GET_PING = '    def do_GET(self):\n        if self.path == "/ping":\n'

FAULTS = [
    # Deaf for a moment whenever more than a few connections are open.
    Fault(
        ("connects-in-time", "ping-busy", "concurrent-calls"),
        (
            (
                "serve",
                _QUEUE,
                _QUEUE
                + "\n    def process_request(self, *connection):\n"
                + "        super().process_request(*connection)\n"
                + "        if threading.active_count() > 9:\n"
                + "            self.socket.shutdown(socket.SHUT_RD)\n"
                + "            threading.Event().wait(0.4)\n"
                + "            self.socket.listen(128)\n",
            ),
        ),
    ),
    Fault(
        "ping-cold",
        (
            (
                "serve",
                _GET_PING,
                _GET_PING
                + '            if pool.ready and not hasattr(pool, "asked"):\n'
                + "                pool.asked = True\n"
                + "                threading.Event().wait(2.5)\n",
            ),
        ),
    ),
    # As many as a rule sends without pause, and as nobody else does, are too many.
    Fault(
        "ping-warm",
        (
            ("serve", "import os\n", "import os\nimport time\n"),
            (
                "serve",
                _GET_PING,
                _GET_PING
                + '            pool.pings = [*getattr(pool, "pings", []), time.time()]\n'
                + "            pool.pings = [at for at in pool.pings if at > time.time() - 3]\n"
                + "            if len(pool.pings) > 15:\n"
                + "                return self.answer(429)\n",
            ),
        ),
    ),
    Fault("ping-post", (("serve", _POST_PING, _POST_PING.replace("200", "405")),)),
    # It answers when nobody has called for a moment.
    Fault(
        "ping-busy",
        (
            ("serve", "import os\n", "import os\nimport time\n"),
            (
                "serve",
                _GET_PING,
                _GET_PING
                + '            while time.time() < getattr(pool, "called", 0) + 0.5:\n'
                + "                time.sleep(0.05)\n",
            ),
            ("serve", _INVOKE, f"{_INVOKE}            pool.called = time.time()\n"),
        ),
    ),
]
