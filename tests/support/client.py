"""
Clients for tests of the daemon: connections that speak socketmap, tcp_table or control, and a
configuration with one listener of each. What is not the test's subject is said here once.

    with make_daemon(base_config()) as daemon, Client(daemon) as client:
        assert client.ask("echo", "hello").reply() == "OK echo-hello"
"""

import contextlib
import json
import os
import socket
import sqlite3
import struct
import threading
import time

from support.daemon import Daemon

PATIENCE = 30  # seconds; never a promise of speed
MEGABYTE = 1 << 20

# AddressSanitizer keeps what was freed: little of it, so that memory can be measured.
LEAN = {"ASAN_OPTIONS": ":".join(filter(None, [
    os.environ.get("ASAN_OPTIONS"), "detect_leaks=1", "quarantine_size_mb=1"]))}

SOURCES = """
memory demo { rows = { "aliases alice@example.com bob@example.com" } }
sqlite other { path = "@DIR@/other.db" }
sqlite mail { path = "@DIR@/mail.db"  query_timeout = "%s" }
map fixed { source = demo  query = "aliases '%%s'" }
map echo { source = other  query = "SELECT 'echo-%%s'" }
map sized { source = other  query = "SELECT printf('%%%%.*c', '%%s', 'x')" }
"""
# Reads a table of the database that tests lock.
SLOW = """
map slow { source = mail  query = "SELECT 'slow-%s' FROM one" }
"""
LISTENERS = """
socketmap { listen = "unix:@DIR@/socketmap"  %s }
tcp_table { listen = "unix:@DIR@/tcp_table"  map = fixed  %s }
"""
CONTROL_LISTENER = """
control { listen = "unix:@DIR@/control"  %s }
"""
SOCKETMAP = "unix:@DIR@/socketmap"
TCP_TABLE = "unix:@DIR@/tcp_table"
CONTROL = "unix:@DIR@/control"


def base_config(options="", query_timeout="20s"):
    """Listeners of each protocol with these options, and maps of all speeds."""
    return SOURCES % query_timeout + SLOW + LISTENERS % (options, options) + CONTROL_LISTENER % options


def make_daemon(config):
    """A daemon that is not started yet, with the databases that its sources read."""
    daemon = Daemon(config, environment=LEAN)
    for name in ("mail.db", "other.db"):
        with sqlite3.connect(daemon.path(name)) as database:
            database.execute("CREATE TABLE one AS SELECT 1 AS n")
        database.close()
    return daemon


@contextlib.contextmanager
def locked_database(daemon):
    """Somebody else writes to mail.db; yields what ends that early."""
    lock = sqlite3.connect(daemon.path("mail.db"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        yield lock.rollback
    finally:
        lock.close()


def netstring(text):
    data = text.encode()
    return b"%d:%s," % (len(data), data)


class Client:
    """A connection to a listener, and the replies that come over it."""

    def __init__(self, daemon, endpoint=SOCKETMAP):
        self.socket = daemon.connect(endpoint, PATIENCE)
        self.input = self.socket.makefile("rb")

    def ask(self, map_name, *keys):
        """Sends socketmap requests in one go."""
        return self.send(b"".join(netstring(f"{map_name} {key}") for key in keys))

    def send(self, data):
        self.socket.sendall(data)
        return self

    def reply(self):
        """The next netstring; None at the end of the connection."""
        length = b""
        while not length.endswith(b":"):
            try:
                byte = self.input.read(1)
            except ConnectionResetError:
                byte = b""
            if not byte:
                assert not length, "the connection ended inside a reply"
                return None
            length += byte
        payload = self.input.read(int(length[:-1]) + 1)
        assert payload.endswith(b","), "the connection ended inside a reply"
        return payload[:-1].decode()

    def line(self):
        """The next line; None at the end of the connection."""
        line = self.input.readline()
        assert not line or line.endswith(b"\n"), "the connection ended inside a reply"
        return line[:-1].decode() if line else None

    def command(self, **command):
        """The answer to a command of the control socket."""
        return json.loads(self.send(json.dumps(command).encode() + b"\n").line())

    def rest(self):
        """All that comes until the daemon closes the connection, if only by a reset."""
        data = b""
        while True:
            try:
                more = self.input.read1(65536)
            except ConnectionResetError:
                return data
            if not more:
                return data
            data += more

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        """Closes as a crashed machine would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.input.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Flood:
    """Sends all of `data` from a thread of its own, as fast as the daemon takes it."""

    def __init__(self, client, data):
        self.client, self.data, self.sent = client, memoryview(data), 0
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self):
        with contextlib.suppress(OSError):  # hung up on: what is read at the other end shows it
            while self.sent < len(self.data):
                self.sent += self.client.socket.send(self.data[self.sent:self.sent + 65536])

    def wait_until_stuck(self):
        """Returns when the daemon has taken nothing for a while."""
        seen = -1
        while seen != self.sent:
            seen = self.sent
            time.sleep(0.3)
        assert seen < len(self.data), "the daemon has taken all of it"

    def join(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"this did not come: {what}"
        time.sleep(0.01)


def answer(daemon, map_name, key, endpoint=SOCKETMAP):
    """What a new client is told."""
    with Client(daemon, endpoint) as client:
        return client.ask(map_name, key).reply()


def assert_well(daemon):
    """A new client gets its answers."""
    assert answer(daemon, "fixed", "alice@example.com") == "OK bob@example.com"
    assert answer(daemon, "echo", "well") == "OK echo-well"


def assert_all_well(daemon):
    """The same of every worker, so that each has opened its databases."""
    with contextlib.ExitStack() as stack:
        # More than there are workers: clients of before may still be counted.
        clients = [stack.enter_context(Client(daemon)) for _ in range(3 * status(daemon)["workers"])]
        for client in clients:
            assert client.ask("fixed", "alice@example.com").reply() == "OK bob@example.com"
            assert client.ask("echo", "well").reply() == "OK echo-well"


def status(daemon):
    """What `tabledctl status` reads."""
    with Client(daemon, CONTROL) as client:
        return client.command(command="status")


def listener_status(daemon, endpoint=SOCKETMAP):
    return next(one for one in status(daemon)["listeners"] if one["address"] == daemon.expand(endpoint))


def wait_until_locked(daemon):
    """Returns when a lookup has met the lock of mail.db."""
    def is_locked():
        return any(one["name"] == "mail" and one["state"] == "locked" for one in status(daemon)["sources"])
    wait_until(is_locked, "a lookup meets the lock")


def wait_until_asked(daemon, count, endpoint=SOCKETMAP):
    """Returns when the listener has taken so many requests since the start."""
    wait_until(lambda: listener_status(daemon, endpoint)["requests"] >= count, f"{count} requests")


def memory(daemon):
    """Bytes of memory that the daemon has in use."""
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
