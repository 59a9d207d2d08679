"""
Clients for tests of the daemon: connections that speak socketmap, tcp_table, control or dict, and a
configuration with one listener of each but the last. What is not the test's subject is said here once.

    with make_daemon(base_config()) as daemon, Client(daemon) as client:
        assert client.ask("echo", "hello").reply() == "OK echo-hello"

    with DictClient(daemon, "demo") as client:
        assert client.lookup("priv/quota/storage", "alice") == "12"
"""

import contextlib
import json
import os
import re
import socket
import sqlite3
import struct
import threading
import time

from support.daemon import Daemon
from support.slowness import slowness

PATIENCE = 30 * slowness()  # seconds; never a promise of speed
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
DICT = "unix:@DIR@/dict"


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


TAB_ESCAPES = {"\0": "\x010", "\x01": "\x011", "\t": "\x01t", "\r": "\x01r", "\n": "\x01n"}
TAB_LETTERS = {escape[1]: byte for byte, escape in TAB_ESCAPES.items()}


def tab_escape(text):
    """Dovecot's escaping of a field."""
    return "".join(TAB_ESCAPES.get(byte, byte) for byte in text)


def tab_decode(text):
    return re.sub("\x01(.?)", lambda match: TAB_LETTERS.get(match[1], match[1]), text, flags=re.DOTALL)


def tab_split(text):
    return [tab_decode(field) for field in text.split("\t")]


class DictError(Exception):
    """The server has answered that it failed. `unsure`: a commit that may have been carried out."""

    def __init__(self, text, unsure=False):
        super().__init__(text)
        self.unsure = unsure


class DictCommand:
    """A command that has replies. `times` are those of the last one, in seconds since 1970."""

    def __init__(self, is_iteration):
        self.is_iteration = is_iteration
        self.number = None
        self.replies = []  # lists of fields, decoded
        self.finished = False
        self.times = None


class DictClient(Client):
    """
    A client of the dict protocol, as Dovecot's are: replies may overtake each other. Methods that
    begin with `send_` return a DictCommand, for many at a time; the others wait for the replies.

        with DictClient(daemon, "demo") as client:
            transaction = client.begin("alice")
            client.set(transaction, "priv/quota/storage", 12)
            assert client.commit(transaction)
    """

    def __init__(self, daemon, dictionary, major=3, minor=2, user="", endpoint=DICT):
        super().__init__(daemon, endpoint)
        self.major = major
        self.has_times = major >= 4 or minor >= 1
        self.pending = []
        self.transaction = 0
        self.say(f"H{major}", minor, 0, user, dictionary)

    def say(self, first, *fields):
        """Sends a line; its first field begins with the command's letter."""
        line = "\t".join(tab_escape(str(field)) for field in (first, *fields))
        return self.send(line.encode() + b"\n")

    def user_field(self, user):
        """In major 2 the user is said once, in the hello."""
        return [] if self.major == 2 else [user]

    def send_command(self, first, *fields):
        command = DictCommand(first.startswith("I"))
        self.pending.append(command)
        self.say(first, *fields)
        return command

    def send_lookup(self, key, user=""):
        return self.send_command(f"L{key}", *self.user_field(user))

    def send_iterate(self, path, user="", flags=0, max_rows=0):
        return self.send_command(f"I{flags}", max_rows, path, *self.user_field(user))

    def send_commit(self, transaction, asynchronous=False):
        return self.send_command(f"{'D' if asynchronous else 'C'}{transaction}")

    def receive(self):
        """Takes one line from the server. Fails when the connection ends, since a reply is missing."""
        line = self.line()
        assert line is not None, "the connection ended before a reply"
        if line.startswith("*"):
            next(one for one in self.pending if one.number is None).number = int(line[1:])
            return
        command, fields = self.pending[0], tab_split(line)
        if fields[0].startswith("+"):
            command = next(one for one in self.pending if one.number == int(fields[0][1:]))
            del fields[0]
        self.take_reply(command, fields)

    def take_reply(self, command, fields):
        # A row has its key and its values, and no times.
        is_row = fields[0].startswith("O") and command.is_iteration
        if not is_row:
            if self.has_times:
                began, began_part, ended, ended_part = (int(field) for field in fields[-4:])
                command.times = began + began_part / 1e6, ended + ended_part / 1e6
                del fields[-4:]
            command.finished = True
            self.pending.remove(command)
        command.replies.append(fields)

    def wait(self, command):
        """The replies to the command, all of them."""
        while not command.finished:
            self.receive()
        return command.replies

    def lookup(self, key, user=""):
        """The value; a list if there are several; None if there is none."""
        return self.lookup_result(self.send_lookup(key, user))

    def lookup_result(self, command):
        (reply,), = self.wait(command)
        if reply.startswith("F"):
            raise DictError(reply[1:])
        if reply.startswith("M"):
            return tab_split(reply[1:])
        assert reply == "N" or reply.startswith("O"), reply
        return None if reply == "N" else reply[1:]

    def iterate(self, path, user="", flags=0, max_rows=0):
        """The rows, each a key and a list of values."""
        return self.iterate_result(self.send_iterate(path, user, flags, max_rows))

    def iterate_result(self, command):
        *rows, last = self.wait(command)
        if last[0].startswith("F"):
            raise DictError(last[0][1:])
        assert last == [""], last
        assert all(len(row) > 1 for row in rows), rows
        return [(key[1:], values) for key, *values in rows]

    def begin(self, user="", expire=0):
        """The number of a new transaction."""
        self.transaction += 1
        fields = self.user_field(user) + ([expire] if self.major >= 4 else [])
        self.say(f"B{self.transaction}", *fields)
        return self.transaction

    def set(self, transaction, key, value):
        self.say(f"S{transaction}", key, value)

    def unset(self, transaction, key):
        self.say(f"U{transaction}", key)

    def inc(self, transaction, key, difference):
        self.say(f"A{transaction}", key, difference)

    def rollback(self, transaction):
        self.say(f"R{transaction}")

    def commit(self, transaction, asynchronous=False):
        """Whether every row was there that was to be incremented."""
        return self.commit_result(self.send_commit(transaction, asynchronous), transaction)

    def commit_result(self, command, transaction):
        fields, = self.wait(command)
        letter, number = fields[0].removeprefix("A")[:1], fields[0].removeprefix("A")[1:]
        assert number == str(transaction) and letter in ("O", "N", "F", "W"), fields
        if letter in ("F", "W"):
            raise DictError(fields[1], unsure=letter == "W")
        return letter == "O"


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
