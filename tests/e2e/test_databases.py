"""
The servers and the proxy that other tests rely on do what they are told: they end with their owner,
stop, freeze and follow each other, and the faults of the proxy are the faults that it names.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import pytest

from support import databases, keep
from support.databases import DatabaseError, FaultProxy, MariaDB, PgBouncer, PostgreSQL
from support.ports import free_port

COMMAND = pathlib.Path(databases.__file__).with_name("database")
ANSWER = b"x" * 1000
PATIENCE = 20   # seconds for what has to come
SILENCE = 1.0   # seconds in which nothing must come, and all must that comes


def skip_without(kind):
    reason = kind.why_not()
    if reason:
        pytest.skip(reason)


def column(server, sql):
    return server.execute(sql).split()


@pytest.mark.parametrize("kind", [PostgreSQL, MariaDB], ids=lambda kind: kind.kind)
def test_followers(kind):
    """Fail-over to the second server and back, without a row lost."""
    skip_without(kind)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(kind())
        first.execute("CREATE TABLE t (n integer PRIMARY KEY); INSERT INTO t VALUES (1);")
        second = first.make_standby() if kind is PostgreSQL else first.make_replica()
        stack.push(second)
        first.execute("INSERT INTO t VALUES (2)")
        second.wait_for_replay(first)
        assert column(second, "SELECT n FROM t ORDER BY n") == ["1", "2"]
        first.kill()
        second.promote()
        second.execute("INSERT INTO t VALUES (3)")
        first.follow(second)
        first.wait_for_replay(second)
        second.kill()
        first.promote()
        first.execute("INSERT INTO t VALUES (4)")
        assert column(first, "SELECT n FROM t ORDER BY n") == ["1", "2", "3", "4"]


@pytest.mark.parametrize("kind", [PostgreSQL, MariaDB], ids=lambda kind: kind.kind)
def test_stops_and_starts(kind):
    skip_without(kind)
    with kind() as server:
        check_pause(server)
        server.execute("CREATE TABLE t (n integer)")
        number = 0
        for end in (server.stop, lambda: server.stop("immediate"), server.kill):
            number += 1
            server.execute(f"INSERT INTO t VALUES ({number})")
            end()
            assert not server.pids()
            with pytest.raises(DatabaseError):
                server.execute("SELECT 1")
            server.start()
            assert column(server, "SELECT max(n) FROM t") == [str(number)]


def check_pause(server):
    server.pause()
    answers = []
    asker = threading.Thread(target=lambda: answers.append(server.execute("SELECT 1")))
    asker.start()
    asker.join(SILENCE)
    assert answers == []
    server.resume()
    asker.join(PATIENCE)
    assert answers == ["1\n"]


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_pooler(postgresql, mode):
    skip_without(PgBouncer)
    with PgBouncer(postgresql, pool_mode=mode) as pooler:
        assert pooler.execute("SELECT current_user") == f"{pooler.user}\n"
        assert f"|{mode}\n" in pooler.execute("SHOW POOLS", "pgbouncer")


def running():
    return {pid for pid, _, state in keep.processes() if state not in "ZX"}


@pytest.mark.parametrize("victim", ["owner", "keeper"])
@pytest.mark.parametrize("kind", [PostgreSQL, MariaDB], ids=lambda kind: kind.kind)
def test_ends_with_its_owner(kind, victim):
    """However the owner ends; and should the keeper be killed first, the server goes with it."""
    skip_without(kind)
    directory = pathlib.Path("/tmp") / f"tabled-owned-{os.getpid()}-{kind.kind}"
    with subprocess.Popen(["sleep", "600"]) as owner:
        try:
            subprocess.run([COMMAND, "start", kind.kind, directory, "--owner", str(owner.pid)], check=True,
                           stdout=subprocess.DEVNULL)
            server = databases.load(directory)
            pids = set(server.pids())
            assert pids
            os.kill(owner.pid if victim == "owner" else server.keeper_pid(), signal.SIGKILL)
            databases.wait_until(lambda: not pids & running(), lambda: f"{pids & running()} still run", PATIENCE)
        finally:
            owner.kill()
            subprocess.run([COMMAND, "remove", directory], check=True)
    assert not directory.exists()


class Echo:
    """Answers each byte with ANSWER, until the `with` block ends."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", f"""
import socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while self.request.recv(1):
                self.request.sendall(b"x" * {len(ANSWER)})
        except ConnectionError:
            pass
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.stdout.close()
        self.process.wait()


class Caller:
    """A connection through the proxy. ask() says what came of a question."""

    def __init__(self, proxy):
        self.socket = socket.create_connection((proxy.host, proxy.port), SILENCE)

    def ask(self):
        """"answered", or the bytes that came and then "closed", "reset" or "silent"."""
        count = 0
        try:
            self.socket.sendall(b"?")
            while count < len(ANSWER):
                data = self.socket.recv(len(ANSWER) - count)
                if not data:
                    return count, "closed"
                count += len(data)
        except (ConnectionResetError, BrokenPipeError):
            return count, "reset"
        except TimeoutError:
            return count, "silent"
        return "answered"


@pytest.fixture
def proxy():
    with Echo() as server, FaultProxy("127.0.0.1", server.port) as running:
        yield running


def ask_new(proxy):
    """A question by a new connection; or why there is none."""
    try:
        return Caller(proxy).ask()
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "reset"
    except TimeoutError:
        return "no connection"


GONE = {"close": "closed", "reset": "reset", "silent": "silent"}


@pytest.mark.parametrize("how", GONE)
def test_truncate(proxy, how):
    old = Caller(proxy)
    assert old.ask() == "answered"
    proxy.truncate(how)
    assert old.ask() == (len(ANSWER) // 2, GONE[how])
    assert ask_new(proxy) == (len(ANSWER) // 2, GONE[how])
    assert proxy.counts()["faults"] == 2
    proxy.pass_on()
    assert ask_new(proxy) == "answered"


@pytest.mark.parametrize("how", GONE)
def test_cut(proxy, how):
    old = Caller(proxy)
    proxy.cut(1500, how)
    assert old.ask() == "answered"
    assert old.ask() == (500, GONE[how])
    assert ask_new(proxy) == "answered"


def test_reset_and_close(proxy):
    for fault, result in ((proxy.reset, (0, "reset")), (proxy.close, (0, "closed"))):
        proxy.pass_on()
        old = Caller(proxy)
        assert old.ask() == "answered"
        fault()
        assert old.ask() == result
        assert ask_new(proxy) in ("reset", result, (0, "reset"))
    proxy.pass_on()
    assert ask_new(proxy) == "answered"


def test_refuse(proxy):
    old = Caller(proxy)
    proxy.refuse()
    assert ask_new(proxy) == "refused"
    assert old.ask() == "answered"
    proxy.pass_on()
    assert ask_new(proxy) == "answered"


@pytest.mark.parametrize("fault, new", [("silent", (0, "silent")), ("blackhole", "no connection")])
def test_silence(proxy, fault, new):
    old = Caller(proxy)
    assert old.ask() == "answered"
    getattr(proxy, fault)()
    assert old.ask() == (0, "silent")
    assert ask_new(proxy) == new
    proxy.pass_on()
    # The answer that was held back comes first; nothing was lost.
    old.socket.settimeout(PATIENCE)
    assert old.ask() == "answered"
    assert old.ask() == "answered"
    assert ask_new(proxy) == "answered"


def test_delay(proxy):
    old = Caller(proxy)
    proxy.delay(SILENCE)
    assert old.ask() == (0, "silent")  # it takes twice as long, there and back
    old.socket.settimeout(PATIENCE)
    assert old.ask() == "answered"
    assert proxy.counts()["faults"] == 0


def test_dead_server_is_reset():
    with FaultProxy("127.0.0.1", free_port()) as proxy:
        with pytest.raises(ConnectionResetError):
            with Caller(proxy).socket as connection:
                connection.settimeout(PATIENCE)
                connection.recv(1)
