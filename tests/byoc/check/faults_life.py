"""Faults of the life of serve: its ports, its memory, its end."""

from faulty import Fault

PING = '            self.answer(200 if pool.ready else 503)\n        elif self.path == "/exec'

FAULTS = [
    Fault(
        "ping-frozen",
        (("serve", PING, PING.replace("ready", 'ready and pool.ask(b"")')),),
    ),
    Fault("bind-to-port", (("serve", 'int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))', "8080"),)),
    Fault(
        "bidirectional-stream",
        (
            (
                "Dockerfile",
                "LABEL ",
                "LABEL com.amazonaws.sagemaker.capabilities.bidirectional-streaming=true\nLABEL ",
            ),
        ),
    ),
    Fault("listens-on-all", (("serve", '("0.0.0.0", PORT)', '("127.0.0.1", PORT)'),)),
    Fault(
        "memory-growth",
        (
            ("serve", "\npool = Pool()\n", "\nhoard = []\npool = Pool()\n"),
            (
                "serve",
                "            said = pool.ask(body).decode()\n",
                '            said = pool.ask(body).decode()\n            hoard.append(b"x" * 40_000)\n',
            ),
        ),
    ),
    Fault(
        ("sigterm-idle", "sigterm-loses-nothing"),
        (("serve", "signal.signal(signal.SIGTERM, stop)\n", ""),),
    ),
    # Its end waits for no call, and comes when calls would have been answered long ago.
    Fault(
        "sigterm-loses-nothing",
        (
            ("serve", "    daemon_threads = False", "    daemon_threads = True"),
            ("serve", "poll_interval=0.02", "poll_interval=1.0"),
        ),
    ),
    Fault(
        "crash-ends-container",
        (
            (
                "serve",
                '    os.wait()\n    print("a worker died", flush=True)\n    os._exit(1)\n',
                '    os.wait()\n    print("a worker died", flush=True)\n    os._exit(0)\n',
            ),
        ),
        name="crash-ends-container-with-status-0",
    ),
    Fault(
        "crash-ends-container",
        (("serve", "threading.Thread(target=watch, daemon=True).start()\n", ""),),
        name="crash-leaves-container-half-dead",
    ),
]
