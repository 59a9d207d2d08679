"""
Clients that behave badly, and operators that do things at a bad moment: whoever else is connected
must not notice, no answer may be wrong or lost, and memory stays bounded.
"""

import contextlib
import json
import os
import random
import resource
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import threading
import time

import pytest

from support.daemon import Daemon, DaemonError, has_ipv6, program, sanitizer_environment

PATIENCE = 30  # seconds; never a promise of speed
MEGABYTE = 1 << 20

# AddressSanitizer keeps what was freed: little of it, since memory is measured here.
LEAN = {"ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=1:" + os.environ.get("ASAN_OPTIONS", "")}

SOURCES = """
memory demo { rows = { "aliases alice@example.com bob@example.com" } }
sqlite mail { path = "@DIR@/mail.db"  query_timeout = "%s" }
map fixed { source = demo  query = "aliases '%%s'" }
map echo { source = mail  query = "SELECT 'echo-%%s'" }
map sized { source = mail  query = "SELECT printf('%%%%.*c', '%%s', 'x')" }
"""
# Reads a table, and so waits for the lock.
SLOW = """
map slow { source = mail  query = "SELECT 'slow-%s' FROM one" }
"""
LISTENERS = """
socketmap { listen = "unix:@DIR@/socketmap"  %s }
tcp_table { listen = "unix:@DIR@/tcp_table"  map = fixed  %s }
control { listen = "unix:@DIR@/control"  %s }
"""
SOCKETMAP = "unix:@DIR@/socketmap"
TCP_TABLE = "unix:@DIR@/tcp_table"
CONTROL = "unix:@DIR@/control"


def base_config(options="", query_timeout="20s"):
    return SOURCES % query_timeout + SLOW + LISTENERS % (options, options, options)


def make_daemon(config):
    """A daemon that is not started yet, with the database that its `mail` reads."""
    daemon = Daemon(config, environment=LEAN)
    with sqlite3.connect(daemon.path("mail.db")) as database:
        database.execute("CREATE TABLE one (n INTEGER)")
        database.execute("INSERT INTO one VALUES (1)")
    database.close()
    return daemon


@pytest.fixture
def daemon():
    with make_daemon(base_config()) as running:
        yield running


@contextlib.contextmanager
def locked_database(daemon):
    """Somebody else writes to it; yields what ends that."""
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
        self.socket.sendall(b"".join(netstring(f"{map_name} {key}") for key in keys))
        return self

    def say(self, text):
        self.socket.sendall(text.encode() + b"\n")
        return self

    def reply(self):
        """The next netstring; None at the end of the connection."""
        length = b""
        while not length.endswith(b":"):
            byte = self.input.read(1)
            if not byte:
                assert not length, "the connection ended inside a reply"
                return None
            length += byte
        payload = self.input.read(int(length[:-1]) + 1)
        assert payload.endswith(b",")
        return payload[:-1].decode()

    def line(self):
        """The next line; None at the end of the connection."""
        line = self.input.readline()
        assert not line or line.endswith(b"\n"), "the connection ended inside a reply"
        return line[:-1].decode() if line else None

    def command(self, **command):
        return json.loads(self.say(json.dumps(command)).line())

    def is_closed(self):
        """Waits for the end of the connection, or a reset; False if a reply comes instead."""
        try:
            return self.input.read(1) == b""
        except ConnectionResetError:
            return True

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.input.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"this did not come: {what}"
        time.sleep(0.01)


def answer(daemon, map_name="fixed", key="alice@example.com", endpoint=SOCKETMAP):
    """What a new client is told."""
    with Client(daemon, endpoint) as client:
        return client.ask(map_name, key).reply()


def is_well(daemon):
    assert answer(daemon) == "OK bob@example.com"
    assert answer(daemon, "echo", "well") == "OK echo-well"


def status(daemon):
    with Client(daemon, CONTROL) as client:
        return client.command(command="status")


def requests_seen(daemon, address):
    return sum(listener["requests"] for listener in status(daemon)["listeners"]
               if listener["address"] == daemon.expand(address))


def reload(daemon, config=None):
    """Reloads by the control socket and returns the answer."""
    if config is not None:
        daemon.write_config(config)
    with Client(daemon, CONTROL) as client:
        return client.command(command="reload")


def memory(daemon):
    """Bytes of memory that the daemon has in use."""
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def open_files(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


class Flood:
    """Sends all of `data` from a thread of its own, as fast as the daemon takes it."""

    def __init__(self, client, data):
        self.client, self.data, self.sent = client, memoryview(data), 0
        self.thread = threading.Thread(target=self._send)
        self.thread.start()

    def _send(self):
        try:
            while self.sent < len(self.data):
                self.sent += self.client.socket.send(self.data[self.sent:self.sent + 65536])
        except OSError:
            pass  # hung up on: the test sees it at its end of the connection

    def wait_until_stuck(self):
        """Returns when the daemon has taken nothing for a while."""
        seen = -1
        while seen != self.sent:
            seen = self.sent
            time.sleep(0.5)

    def join(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


# Memory.

def test_client_that_pipelines_and_reads_late(daemon):
    keys = [f"k{number}" for number in range(100_000)]
    is_well(daemon)
    before = memory(daemon)
    with Client(daemon) as client:
        flood = Flood(client, b"".join(netstring(f"echo {key}") for key in keys))
        flood.wait_until_stuck()
        assert flood.sent < len(flood.data), "the daemon has taken all: the test tests nothing"
        is_well(daemon)
        assert memory(daemon) - before < 6 * MEGABYTE
        for key in keys:
            assert client.reply() == f"OK echo-{key}"
        flood.join()
        assert client.ask("echo", "last").reply() == "OK echo-last"


def test_clients_that_never_read():
    """Each of them asks for 90 MB in all, of which it gets none."""
    with make_daemon(base_config('request_timeout = "1s"')) as daemon, contextlib.ExitStack() as stack:
        is_well(daemon)
        before = memory(daemon)
        clients = [stack.enter_context(Client(daemon)) for _ in range(8)]
        floods = [Flood(client, netstring("sized 90000") * 1000) for client in clients]
        daemon.wait_for_log("does not read its replies")
        assert memory(daemon) - before < 16 * MEGABYTE
        is_well(daemon)
        for flood in floods:
            flood.join()
        wait_until(lambda: status(daemon)["listeners"][0]["connections"] == 0, "all are disconnected")
        assert memory(daemon) - before < 16 * MEGABYTE


def test_replies_that_wait_for_their_turn(daemon):
    """A locked database holds the first reply up, and so all the big ones behind it."""
    is_well(daemon)
    before = memory(daemon)
    with locked_database(daemon) as unlock, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(daemon)) for _ in range(4)]
        sized = SOURCES.replace("SELECT printf", "SELECT printf")  # the same file, for the memory map
        assert sized
        for client in clients:
            client.ask("slow", "first")
        wait_until(lambda: status(daemon)["sources"][-1]["state"] == "locked", "the lock is felt")
        unlock()
    assert before
