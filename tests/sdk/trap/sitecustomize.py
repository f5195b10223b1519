"""The fence of the user's programs: Python imports this first, and no socket then leaves this machine.

What tries is refused, and noted in the file that ESCAPES names: telemetry hides what it is refused.
"""

import ipaddress
import os
import sys

_CALLS = {
    "socket.connect": lambda _socket, address: address,
    "socket.sendto": lambda _socket, address: address,
    "socket.getaddrinfo": lambda host, *_: (host,),
    "socket.gethostbyname": lambda host: (host,),
}


def stop_what_leaves(event, arguments):
    """Refuse a call that looks up or reaches another host than this one."""
    if event not in _CALLS:
        return
    address = _CALLS[event](*arguments)
    if isinstance(address, tuple) and not _is_here(address[0]):
        with open(os.environ["ESCAPES"], "a", encoding="utf-8") as escapes:  # noqa: PTH123 - as early as can be
            escapes.write(f"{event} {address[0]} {sys.argv}\n")
        raise OSError(f"{event}: {address[0]} is another host")


def _is_here(host):
    host = host.decode() if isinstance(host, bytes) else host
    if host in {None, "", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


sys.addaudithook(stop_what_leaves)
