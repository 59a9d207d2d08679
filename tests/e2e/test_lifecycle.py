"""
What operators do, at a bad moment: start, stop and reload while clients ask. No answer may be wrong
or lost, and a configuration that can't be had whole is not had at all.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from support.client import (
    CONTROL, CONTROL_LISTENER, LEAN, LISTENERS, SLOW, SOCKETMAP, SOURCES, TCP_TABLE, Client, answer,
    assert_all_well, assert_well, base_config, listener_status, locked_database, make_daemon, memory, netstring,
    open_files, status, wait_until, wait_until_asked, wait_until_locked)
from support.daemon import SOURCE, DaemonError, endpoint_connect, program, sanitizer_environment

PATIENCE = 30  # seconds; never a promise of speed


@pytest.fixture
def daemon():
    with make_daemon(base_config()) as running:
        yield running


def run_tabled(daemon):
    """Starts another tabled with the daemon's file, for a start that has to fail."""
    return subprocess.run([program("tabled"), "-c", daemon.config_path], capture_output=True, text=True,
                          env={**sanitizer_environment(), **LEAN}, timeout=PATIENCE, check=False)


def reload(daemon, config=None):
    """Reloads by the control socket and returns the answer."""
    if config is not None:
        daemon.write_config(config)
    with Client(daemon, CONTROL) as client:
        return client.command(command="reload")


# Stop.

def test_stop_answers_what_is_under_way(daemon):
    """Each client's requests came before the signal; none of them can be answered yet."""
    with locked_database(daemon) as unlock, Client(daemon) as one, Client(daemon) as many:
        one.ask("slow", "one")
        # More than may be under way at a time: some of them have not even been looked at.
        many.ask("slow", *range(600)).ask("echo", "last")
        wait_until_locked(daemon)
        wait_until_asked(daemon, 1 + 256)
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_log("stopping")
        assert not daemon.path("socketmap").exists()
        unlock()
        assert one.reply() == "OK slow-one"
        assert one.reply() is None
        for number in range(600):
            assert many.reply() == f"OK slow-{number}"
        assert many.reply() == "OK echo-last"
        assert many.reply() is None
    assert daemon.process.wait(PATIENCE) == 0


def test_stop_while_the_lock_stays():
    with make_daemon(base_config(query_timeout="1s")) as daemon:
        with locked_database(daemon), Client(daemon) as client, Client(daemon, CONTROL) as operator:
            client.ask("slow", 1, 2)
            operator.send(b'{"command": "get", "map": "slow", "key": "3"}\n')
            wait_until_locked(daemon)
            daemon.signal(signal.SIGTERM)
            assert client.reply().startswith("TEMP ")
            assert client.reply().startswith("TEMP ")
            assert client.reply() is None
            assert json.loads(operator.line())["status"] == "try later"
            assert operator.line() is None
            assert daemon.process.wait(PATIENCE) == 0


def test_stop_does_not_wait_for_ever():
    """A lock that stays longer than anybody would wait for a daemon to stop."""
    with make_daemon(base_config(query_timeout="90s")) as daemon:
        with locked_database(daemon), Client(daemon) as client:
            client.ask("slow", 1)
            wait_until_locked(daemon)
            daemon.signal(signal.SIGTERM)
            assert client.reply() is None
            assert daemon.process.wait(PATIENCE) == 0
        daemon.wait_for_log("closing: 1 clients that are still busy are disconnected")


def test_stop_with_requests_in_the_socket(daemon):
    """A request that was sent before the signal is answered, or its connection fails: no silence."""
    for _ in range(20):
        with Client(daemon) as old, Client(daemon) as new:
            assert old.ask("echo", "before").reply() == "OK echo-before"
            old.ask("echo", 1)
            new.ask("echo", 2)
            daemon.signal(signal.SIGTERM)
            assert old.reply() == "OK echo-1"
            assert old.reply() is None
            assert new.reply() == "OK echo-2"
            assert new.reply() is None
            assert daemon.process.wait(PATIENCE) == 0
        daemon.start()


def test_stop_with_idle_clients(daemon):
    """They are hung up on at once; none of them has to do anything for it."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(daemon, endpoint))
                   for endpoint in (SOCKETMAP, TCP_TABLE, CONTROL) for _ in range(50)]
        for client in clients[:50]:
            assert client.ask("echo", "x").reply() == "OK echo-x"
        clients[1].send(b"27:half a requ")
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(PATIENCE) == 0
        for client in clients:
            assert client.rest() == b""


def is_gone_after_signals(daemon):
    """The moment to hit is the last, when the process lets go of its signal handlers."""
    for _ in range(500):
        daemon.signal(signal.SIGTERM)
    return daemon.process.poll() is not None


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_storm_of_signals(daemon, busy):
    """SIGTERM again and again, with SIGHUP and SIGINT in between, until the process is gone."""
    for _ in range(5):
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(Client(daemon))
            assert client.ask("echo", "x").reply() == "OK echo-x"
            if busy:
                unlock = stack.enter_context(locked_database(daemon))
                client.ask("slow", "x")
                wait_until_locked(daemon)
            for number in range(2000):
                if number == 1000 and busy:
                    unlock()
                daemon.signal((signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)[number % 4])
            assert client.reply() == ("OK slow-x" if busy else None)
            wait_until(lambda: is_gone_after_signals(daemon), "the end")
            assert daemon.process.returncode == 0
        daemon.start()


def test_reload_while_stopping(daemon):
    """It must not open again what is being closed."""
    with locked_database(daemon) as unlock, Client(daemon) as client, Client(daemon, CONTROL) as operator:
        client.ask("slow", "x")
        # The second command waits behind 300 that wait for the lock: more than are taken at a time.
        operator.send(b'{"command": "get", "map": "slow", "key": "x"}\n' * 300 + b'{"command": "reload"}\n')
        wait_until_locked(daemon)
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_log("stopping")
        for _ in range(10):
            daemon.reload()
        time.sleep(0.1)
        assert not daemon.path("socketmap").exists()
        unlock()
        assert client.reply() == "OK slow-x"
        for _ in range(300):
            assert json.loads(operator.line())["text"] == "slow-x"
        assert json.loads(operator.line()) == {"status": "error", "text": "tabled is stopping"}
        assert daemon.process.wait(PATIENCE) == 0
    assert "reloaded" not in daemon.log().split("stopping")[1]


# Reload.

class Asker(threading.Thread):
    """Asks one question after the other, each with an answer of its own, until it is told to stop."""

    def __init__(self, daemon, number):
        super().__init__()
        self.daemon_under_test, self.number = daemon, number
        self.asked, self.wrong, self.stopped = 0, [], False
        self.start()

    def run(self):
        with Client(self.daemon_under_test) as client:
            while not self.stopped and not self.wrong:
                keys = [f"{self.number}-{self.asked + at}" for at in range(1 + self.asked % 7)]
                client.ask("echo", *keys).ask("slow", *keys)
                for map_name in ("echo", "slow"):
                    for key in keys:
                        reply = client.reply()
                        if reply != f"OK {map_name}-{key}":
                            self.wrong.append((map_name, key, reply))
                self.asked += len(keys)


EXTRA = 'socketmap { listen = "unix:@DIR@/extra%d" }\nmap extra%d { source = other  query = "SELECT \'extra%d\'" }\n'


def test_reload_under_load(daemon):
    """Listeners and maps come and go, a file in three is bad; eight clients never notice."""
    askers = [Asker(daemon, number) for number in range(8)]
    try:
        for number in range(120):
            text = base_config() + EXTRA.replace("%d", str(number)) + EXTRA.replace("%d", str(number + 1))
            if number % 3 == 2:
                daemon.write_config(text + "socketmap { listn = 1 }\n")
            else:
                daemon.write_config(text)
            if number % 2:
                reloaded = subprocess.run(
                    [program("tabledctl"), "-s", str(daemon.path("control")), "reload"], capture_output=True,
                    text=True, env={**sanitizer_environment(), **LEAN}, timeout=PATIENCE, check=False)
                assert reloaded.returncode == (2 if number % 3 == 2 else 0), reloaded
            else:
                done = daemon.log().count("reloaded")
                daemon.reload()
                wait_until(lambda: daemon.log().count("reloaded") > done, "a reload")
            if number % 3 != 2:
                assert answer(daemon, f"extra{number}", "x", f"unix:@DIR@/extra{number}") == f"OK extra{number}"
                assert not daemon.path(f"extra{number - 1}").exists()
    finally:
        for asker in askers:
            asker.stopped = True
        for asker in askers:
            asker.join()
    for asker in askers:
        assert not asker.wrong
        assert asker.asked > 100
    assert daemon.log().count("not reloaded") == 40


def test_reloads_leave_nothing_behind(daemon):
    assert reload(daemon)["status"] == "ok"
    assert_all_well(daemon)
    wait_until(lambda: listener_status(daemon)["connections"] == 0, "none is left")
    files, before = open_files(daemon), memory(daemon)
    for _ in range(300):
        daemon.reload()
        assert reload(daemon)["status"] == "ok"
        assert_well(daemon)
    wait_until(lambda: open_files(daemon) <= files, "the old databases are closed")
    assert memory(daemon) - before < 8 << 20


def test_map_goes_while_it_is_asked(daemon):
    with locked_database(daemon) as unlock, Client(daemon) as client, Client(daemon, CONTROL) as operator:
        client.ask("slow", "before", "before")
        wait_until_asked(daemon, 2)
        operator.send(b'{"command": "get", "map": "slow", "key": "operator", "explain": true}\n')
        wait_until_locked(daemon)
        assert reload(daemon, base_config().replace(SLOW, "").replace("sqlite mail {", "sqlite mail2 {"))["status"] == "ok"
        client.ask("slow", "after").ask("echo", "after")
        unlock()
        assert client.reply() == "OK slow-before"
        assert client.reply() == "OK slow-before"
        assert client.reply().startswith('PERM there is no map "slow"')
        assert client.reply() == "OK echo-after"
        assert json.loads(operator.line())["text"] == "slow-operator"


def test_many_reloads_while_locked(daemon):
    """Each configuration keeps its own lookups until they are answered."""
    patient = base_config(query_timeout="90s")
    assert reload(daemon, patient)["status"] == "ok"
    with locked_database(daemon) as unlock, Client(daemon) as client:
        for number in range(50):
            client.ask("slow", number)
            wait_until_asked(daemon, number + 1)
            query = f"SELECT 'slow{number}-%s' FROM one"
            assert reload(daemon, patient.replace("SELECT 'slow-%s' FROM one", query))["status"] == "ok"
        client.ask("slow", "last")
        unlock()
        assert client.reply() == "OK slow-0"
        for number in range(1, 50):
            assert client.reply() == f"OK slow{number - 1}-{number}"
        assert client.reply() == "OK slow49-last"


def test_listener_goes_while_it_is_asked(daemon):
    listener = 'socketmap { listen = "unix:@DIR@/going" }\n'
    assert reload(daemon, base_config() + listener)["status"] == "ok"
    with locked_database(daemon) as unlock, Client(daemon, "unix:@DIR@/going") as client:
        with Client(daemon, "unix:@DIR@/going") as idle:
            client.ask("slow", "x")
            wait_until_locked(daemon)
            assert reload(daemon, base_config())["status"] == "ok"
            assert idle.rest() == b""
        assert not daemon.path("going").exists()
        # The same name again, while clients of the old one are still there.
        assert reload(daemon, base_config() + listener)["status"] == "ok"
        assert answer(daemon, "echo", "new", "unix:@DIR@/going") == "OK echo-new"
        unlock()
        assert client.reply() == "OK slow-x"
        assert client.reply() is None
    assert answer(daemon, "echo", "new", "unix:@DIR@/going") == "OK echo-new"


def test_reload_removes_the_control_listener_it_came_by(daemon):
    """The answer still comes, and so do those to the commands that were sent with it."""
    daemon.write_config(base_config().replace(CONTROL_LISTENER % "", ""))
    with Client(daemon, CONTROL) as client:
        client.send(b'{"command": "reload"}\n' + b'{"command": "get", "map": "echo", "key": "x"}\n' * 3)
        assert json.loads(client.line())["status"] == "ok"
        for _ in range(3):
            assert json.loads(client.line())["text"] == "echo-x"
        assert client.line() is None
    assert not daemon.path("control").exists()
    assert_well(daemon)


def test_reload_by_pipelined_commands(daemon):
    with locked_database(daemon) as unlock, Client(daemon, CONTROL) as client:
        commands = b'{"command": "reload"}\n{"command": "get", "map": "slow", "key": "x"}\n{"command": "status"}\n'
        client.send(commands * 150)
        wait_until_locked(daemon)
        unlock()
        for _ in range(150):
            assert json.loads(client.line()) == {"status": "ok"}
            assert json.loads(client.line()) == {"status": "found", "text": "slow-x"}
            assert json.loads(client.line())["status"] == "ok"


def test_bad_file_keeps_the_old(daemon):
    for bad in ("", "map x { }", "nonsense", "socketmap { listen = 5 }", base_config() + 'map fixed { source = "gone"'):
        before = daemon.log().count("not reloaded")
        answered = reload(daemon, bad + "\nnonsense\n")
        assert answered["status"] == "error"
        assert str(daemon.config_path) in answered["text"]
        daemon.reload()
        wait_until(lambda: daemon.log().count("not reloaded") == before + 2, "the reload by a signal")
        assert_well(daemon)
    daemon.config_path.unlink()
    assert reload(daemon)["status"] == "error"
    assert_well(daemon)


def test_bad_file_in_another_encoding(daemon):
    """Its error quotes it, and comes as JSON all the same."""
    daemon.config_path.write_bytes(base_config().encode() + b'map x { source = "gr\xfc\xdfe" query = "x \'%s\'" }\n')
    with Client(daemon, CONTROL) as client:
        answered = client.command(command="reload")
    assert answered["status"] == "error"
    assert_well(daemon)


def test_listener_that_can_not_change(daemon):
    """What is wrong with one listener keeps the whole file from being used."""
    more = 'map more { source = other  query = "SELECT \'%s\'" }\n'
    for changed in (base_config().replace("tcp_table {", "socketmap {").replace("map = fixed", ""),
                    base_config('mode = "0600"')):
        assert reload(daemon, changed + more)["status"] == "error"
        assert answer(daemon, "more", "x").startswith("PERM ")
        assert_well(daemon)


def test_options_of_a_listener_change(daemon):
    """They hold for the clients that are there already."""
    with Client(daemon) as client:
        assert client.ask("echo", "x").reply() == "OK echo-x"
        assert reload(daemon, base_config('idle_timeout = "1s"'))["status"] == "ok"
        assert client.rest() == b""
    with Client(daemon, TCP_TABLE) as client:
        assert client.send(b"get x@example.com\n").line() == "500 not found"
        assert reload(daemon, base_config().replace("map = fixed", "map = echo"))["status"] == "ok"
        assert client.send(b"get x@example.com\n").line() == "200 echo-x@example.com"


# Sockets.

def test_second_daemon_on_the_same_sockets(daemon):
    second = run_tabled(daemon)
    assert second.returncode == 1
    assert "another process listens there" in second.stderr
    assert f"{daemon.config_path}:" in second.stderr
    assert_well(daemon)


def is_up(daemon):
    try:
        return status(daemon)["pid"] > 0
    except (ConnectionRefusedError, FileNotFoundError):
        return False


def test_two_daemons_start_at_once():
    """One of them gets the sockets, the other gives up; nobody is left without a file."""
    daemon = make_daemon(base_config())
    environment = {**sanitizer_environment(), **LEAN}
    try:
        for _ in range(50):
            both = [subprocess.Popen([program("tabled"), "-c", daemon.config_path], stderr=subprocess.DEVNULL,
                                     env=environment) for _ in range(2)]
            try:
                wait_until(lambda: any(one.poll() is not None for one in both), "one gives up")
                loser = next(one for one in both if one.poll() is not None)
                winner = next(one for one in both if one is not loser)
                assert loser.returncode == 1
                # The loser gives up at the first socket; the winner may still be opening the others.
                wait_until(lambda: is_up(daemon), "the other one answers")
                assert status(daemon)["pid"] == winner.pid
                assert_well(daemon)
                winner.terminate()
                assert winner.wait(PATIENCE) == 0
            finally:
                for one in both:
                    if one.poll() is None:
                        one.kill()
                        one.wait()
            for name in ("socketmap", "tcp_table", "control"):  # what a crash would leave
                with socket.socket(socket.AF_UNIX) as stale:
                    stale.bind(str(daemon.path(name)))
    finally:
        daemon.remove()


def test_stale_sockets(daemon):
    daemon.kill()
    assert daemon.path("socketmap").exists()
    with pytest.raises(ConnectionRefusedError):
        Client(daemon)
    daemon.start()
    assert_well(daemon)


def assert_refused(name, put_there, reason):
    """A tabled that is to listen at `name` does not start, and leaves nothing behind."""
    daemon = make_daemon(base_config())
    try:
        with put_there(str(daemon.path(name))):
            refused = run_tabled(daemon)
            assert refused.returncode == 1, refused.stderr
            assert reason in refused.stderr
            assert daemon.path(name).exists()
        left = {path.name for path in daemon.directory.iterdir()}
        assert left <= {"tabled.conf", "mail.db", "other.db", name}
    finally:
        daemon.remove()


@contextlib.contextmanager
def plain_file(path):
    with open(path, "x", encoding="ascii") as file:
        file.write("precious\n")
    yield
    with open(path, encoding="ascii") as file:
        assert file.read() == "precious\n"


@contextlib.contextmanager
def link_to_file(path):
    os.symlink("mail.db", path)
    yield
    assert os.readlink(path) == "mail.db"


@contextlib.contextmanager
def datagram_socket(path):
    """In use, though nobody can connect to it as tabled's clients do. /dev/log is one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        yield
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"still here", path)
        assert receiver.recv(100) == b"still here"


@contextlib.contextmanager
def busy_socket(path):
    """Somebody listens, and has as many waiting as he wants."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(0)
        for _ in range(2):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(path)
        yield


@pytest.mark.parametrize("name", ["socketmap", "control"])
@pytest.mark.parametrize("put_there, reason", [
    (plain_file, "is no socket"), (link_to_file, "is no socket"), (datagram_socket, "Protocol wrong type for socket"),
    (busy_socket, "another process listens there"),
], ids=["file", "link", "datagram", "busy"])
def test_something_else_is_there(name, put_there, reason):
    assert_refused(name, put_there, reason)


INET = 'socketmap { listen = "inet:127.0.0.1:@PORT:taken@" }\n'


@contextlib.contextmanager
def taken_port(daemon):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", daemon.port("taken")))
        taken.listen()
        yield


def test_port_in_use_at_start():
    """The sockets that were opened before it are closed, and their files removed."""
    daemon = make_daemon(base_config() + INET)
    try:
        with taken_port(daemon):
            refused = run_tabled(daemon)
        assert refused.returncode == 1
        assert "Address already in use" in refused.stderr
        assert {path.name for path in daemon.directory.iterdir()} == {"tabled.conf", "mail.db", "other.db"}
        daemon.start()
        assert_well(daemon)
        daemon.stop()
    finally:
        daemon.kill()
        daemon.remove()


def test_port_in_use_at_reload(daemon):
    """Nothing of the new configuration is applied: no map, no listener, no option."""
    before = '\nsocketmap { listen = "unix:@DIR@/new" }\nmap more { source = other  query = "SELECT \'%s\'" }\n'
    after = '\nsocketmap { listen = "unix:@DIR@/never" }\n'
    without_tcp_table = base_config('idle_timeout = "1s"').replace("tcp_table {", "control {").replace("map = fixed", "")
    changed = before + without_tcp_table.replace("/tcp_table", "/tcp_table2") + INET + after
    assert_all_well(daemon)
    wait_until(lambda: listener_status(daemon)["connections"] == 0, "none is left")
    files = open_files(daemon)
    with taken_port(daemon), Client(daemon, TCP_TABLE) as client:
        answered = reload(daemon, changed)
        assert answered["status"] == "error"
        assert "Address already in use" in answered["text"]
        assert client.send(b"get alice@example.com\n").line() == "200 bob@example.com"
        assert answer(daemon, "more", "x").startswith("PERM ")
        for name in ("new", "never", "tcp_table2"):
            assert not daemon.path(name).exists()
        time.sleep(2.2)  # the idle_timeout of the file that was refused, and the daemon's look around
        assert client.send(b"get alice@example.com\n").line() == "200 bob@example.com"
    wait_until(lambda: open_files(daemon) <= files, "what was opened half-way is closed")
    assert reload(daemon)["status"] == "ok"
    assert answer(daemon, "more", "x", "unix:@DIR@/new") == "OK x"


def test_owner_group_and_mode():
    if os.geteuid() != 0:
        pytest.skip("only root may give a socket to another owner")
    options = 'owner = "daemon"  group = "%d"  mode = "0620"' % os.stat("/").st_gid
    with make_daemon(base_config(options)) as daemon:
        file = daemon.path("socketmap").stat()
        assert stat.S_IMODE(file.st_mode) == 0o620
        assert file.st_uid != 0
        assert_well(daemon)


def test_rights_of_the_service():
    """What systemd leaves to root is enough to give sockets away and to become another user."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, and setpriv of util-linux")
    unit = (SOURCE / "contrib" / "tabled.service").read_text(encoding="utf-8")
    rights = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE).group(1).split()
    bounding = ",".join(["-all", *("+" + right.removeprefix("CAP_").lower() for right in rights)])
    config = 'user = nobody\n' + base_config('owner = "daemon"  mode = "0620"')
    daemon = make_daemon(config)
    daemon.under = ["setpriv", f"--bounding-set={bounding}"]
    shutil.chown(daemon.directory, "nobody")
    with daemon:
        file = daemon.path("socketmap").stat()
        assert stat.S_IMODE(file.st_mode) == 0o620
        assert file.st_uid != 0
        assert daemon.path("control").stat().st_uid == file.st_uid
        assert_well(daemon)
        # Later it is that user, who can open sockets of his own where he may write.
        assert reload(daemon, config + 'socketmap { listen = "unix:@DIR@/later"  mode = "0606" }\n')["status"] == "ok"
        assert stat.S_IMODE(daemon.path("later").stat().st_mode) == 0o606
        assert answer(daemon, "echo", "x", "unix:@DIR@/later") == "OK echo-x"
