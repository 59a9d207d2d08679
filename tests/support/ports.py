"""
TCP ports for the tests' servers, which nobody else takes: not a client, since they are below those that
the kernel gives to clients (one that tries again and again to reach a dead server could else meet its
own port, and keep the server from coming back), and no other process of tests, since each has a range
of its own as long as it lives. So a port stays free for its server while that is stopped, or not yet
started.
"""

import contextlib
import functools
import itertools
import random
import socket

FIRST, LAST = 20000, 32000
RANGE = 750


@functools.cache
def _take_range():
    """
    What keeps a range ours as long as this process lives, a name that only one process of this network can
    have, also in a chroot; and its ports in turn, without an end.
    """
    for first in range(FIRST, LAST, RANGE):
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0tabled-tests-ports-{first}")
        except OSError:
            holder.close()
            continue
        begin = random.randrange(RANGE)
        return holder, itertools.cycle(first + (begin + at) % RANGE for at in range(RANGE))
    raise RuntimeError("other tests have taken all ports")


def has_ipv6():
    """Whether this machine has the IPv6 loopback address."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def free_port():
    """A port that nobody uses now, and that this process does not give out again before it has had all of its range."""
    _, ports = _take_range()
    for port in itertools.islice(ports, RANGE):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise RuntimeError("all ports of this process are in use")
