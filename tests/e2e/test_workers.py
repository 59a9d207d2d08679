"""
Several workers: clients are shared out among them, and whoever asks, reloads, counts or stops must not
notice that there is more than one.
"""

import contextlib
import json
import signal
import subprocess
import threading
import time

import pytest

from support.client import (
    CONTROL, PATIENCE, SOCKETMAP, TCP_TABLE, Client, answer, assert_all_well, assert_well, base_config,
    listener_status, locked_database, make_daemon, netstring, open_files, status, wait_until, wait_until_asked)
from support.daemon import program

WORKERS = 4
IDLE_SECONDS = 1  # whoever is silent for longer may have to make room


def config(options="", query_timeout="20s", workers=WORKERS):
    return f"workers = {workers}\n" + base_config(options, query_timeout)


@pytest.fixture
def daemon():
    with make_daemon(config()) as running:
        yield running


def threads(daemon):
    """The names of the daemon's threads."""
    names = subprocess.run(["ps", "-L", "-o", "comm=", "-p", str(daemon.process.pid)], capture_output=True,
                           text=True, check=True).stdout
    return names.split()


def reload(daemon, text=None):
    if text is not None:
        daemon.write_config(text)
    with Client(daemon, CONTROL) as client:
        return client.command(command="reload")


@contextlib.contextmanager
def clients_of(daemon, count, endpoint=SOCKETMAP):
    """So many clients, who stay."""
    wait_until(lambda: listener_status(daemon, endpoint)["connections"] == 0, "nobody is left")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(daemon, endpoint)) for _ in range(count)]
        wait_until(lambda: listener_status(daemon, endpoint)["connections"] == count, "all of them are in")
        yield clients


def ask_all(clients, map_name="echo"):
    """Each asks something of its own, all together."""
    for number, client in enumerate(clients):
        client.ask(map_name, *(f"{number}-{at}" for at in range(3)))
    for number, client in enumerate(clients):
        for at in range(3):
            assert client.reply() == f"OK {map_name}-{number}-{at}"


class Visitors(threading.Thread):
    """Clients that come, ask some questions, and leave or vanish, until they are told to stop."""

    def __init__(self, daemon, number, crowded):
        super().__init__()
        self.under_test, self.number, self.crowded = daemon, number, crowded
        self.asked, self.wrong, self.stopped, self.may_end = 0, [], False, False
        self.late = False
        self.start()

    def may_be_sent_away(self):
        """In a crowd, whoever has asked nothing for a while."""
        return self.crowded and self.late

    def run(self):
        while not self.stopped and not self.wrong:
            self.late = False
            try:
                with Client(self.under_test) as client:
                    self.visit(client)
            except (ConnectionError, FileNotFoundError) as error:
                if self.may_be_sent_away():
                    continue
                if not self.may_end:
                    self.wrong.append(error)
                return

    def visit(self, client):
        heard = None
        for _ in range(1 + self.asked % 5):
            self.late = heard is not None and time.monotonic() - heard > IDLE_SECONDS
            keys = [f"{self.number}-{self.asked + at}" for at in range(1 + self.asked % 7)]
            client.ask("echo", *keys).ask("slow", *keys)
            for map_name in ("echo", "slow"):
                for key in keys:
                    reply = client.reply()
                    if reply is None and (self.may_end or self.may_be_sent_away()):
                        return
                    heard = time.monotonic()
                    if reply != f"OK {map_name}-{key}":
                        self.wrong.append((map_name, key, reply))
            self.asked += len(keys)
        if self.asked % 3 == 0:
            client.ask("echo", "never read").reset()


@contextlib.contextmanager
def visitors(daemon, count=6, may_end=False, crowded=False):
    """Visitors while the block runs; none of them is told anything wrong."""
    some = [Visitors(daemon, number, crowded) for number in range(count)]
    try:
        yield some
    finally:
        for one in some:
            one.may_end = one.may_end or may_end
            one.stopped = True
        for one in some:
            one.join()
    for one in some:
        assert not one.wrong


# How many.

def test_as_many_as_configured(daemon):
    assert status(daemon)["workers"] == WORKERS
    assert [name for name in threads(daemon) if name.startswith("tabled-")] == ["tabled-1", "tabled-2", "tabled-3"]
    assert f"{WORKERS} workers" in daemon.log()


def test_one_needs_no_threads():
    with make_daemon(config(workers=1)) as daemon:
        assert_all_well(daemon)
        assert status(daemon)["workers"] == 1
        assert status(daemon)["clients"] == [1]
        assert not [name for name in threads(daemon) if name.startswith("tabled-")]


@pytest.mark.parametrize("processors, workers", [("0", 1), ("0,1", 2)])
def test_default_is_by_processors(processors, workers):
    """Those that tabled may use, not those that the machine has."""
    daemon = make_daemon(config(workers=0))
    try:
        subprocess.run(["taskset", "-V"], capture_output=True, check=True)
        allowed = subprocess.run(["taskset", "-c", processors, program("tabled"), "-c", daemon.config_path, "-t"],
                                 capture_output=True, check=False)
        if allowed.returncode != 0:
            pytest.skip(f"this machine has no processors {processors}")
        process = subprocess.Popen(["taskset", "-c", processors, program("tabled"), "-c", daemon.config_path],
                                   stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stderr:
                if "is ready" in line:
                    break
            assert f", {workers} workers" in line
            assert status(daemon)["workers"] == workers
        finally:
            process.terminate()
            process.communicate()
        assert process.returncode == 0
    finally:
        daemon.remove()


# Who serves whom.

@pytest.mark.parametrize("endpoint", [SOCKETMAP, TCP_TABLE], ids=["socketmap", "tcp_table"])
def test_clients_are_shared_out(daemon, endpoint):
    with clients_of(daemon, 4 * 25, endpoint):
        shares = status(daemon)["clients"]
        assert sum(shares) == 4 * 25 + 1
        # The operator who asks this is a client of worker 0.
        assert shares == [26, 25, 25, 25]


def test_share_is_made_even_again(daemon):
    """Those of two workers leave: who comes then goes there."""
    with clients_of(daemon, 4 * 10) as clients:
        ask_all(clients)
        for number, client in enumerate(clients):
            if number % 4 < 2:
                client.close()
        wait_until(lambda: listener_status(daemon)["connections"] == 20, "half of them have left")
        with contextlib.ExitStack() as stack:
            more = [stack.enter_context(Client(daemon)) for _ in range(20)]
            ask_all(more)
            assert status(daemon)["clients"] == [11, 10, 10, 10]


def test_each_listener_is_shared_out(daemon):
    """A crowd at one listener keeps no worker's door shut for those of another."""
    with clients_of(daemon, 8), clients_of(daemon, 8, TCP_TABLE):
        assert status(daemon)["clients"] == [5, 4, 4, 4]


def test_slow_worker_holds_up_only_its_own(daemon):
    """SQLite is asked in the worker: a long query there is nobody's business but its clients'."""
    text = config() + 'map long { source = mail  query = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1' \
                      ' FROM n WHERE x < 300000000) SELECT max(x) || \'%s\' FROM n" }\n'
    text = text.replace('"20s"', '"3s"')
    assert reload(daemon, text)["status"] == "ok"
    with clients_of(daemon, WORKERS) as clients:
        ask_all(clients)
        # The first has come to worker 0, which takes the clients: somebody else's is to be slow.
        clients[1].ask("long", "x")
        for _ in range(20):
            for client in (clients[0], clients[2], clients[3]):
                assert client.ask("echo", "x").reply() == "OK echo-x"
        assert clients[1].reply().startswith("TEMP ")


def test_many_come_and_go(daemon):
    with visitors(daemon) as some:
        wait_until(lambda: all(one.asked > 1000 for one in some) or any(one.wrong for one in some), "many questions")
    wait_until(lambda: status(daemon)["clients"] == [1, 0, 0, 0], "all have left")
    assert listener_status(daemon)["connections"] == 0
    assert_well(daemon)


# Counting.

def test_status_is_of_all(daemon):
    with clients_of(daemon, 3 * WORKERS) as clients:
        ask_all(clients)
        for client in clients:
            assert client.ask("fixed", "nobody").reply() == "NOTFOUND "
            assert client.send(b"7:nospace,").reply().startswith("PERM ")
        answer_of = {one["name"]: one for one in status(daemon)["maps"]}
        assert answer_of["echo"]["found"] == 9 * WORKERS
        assert answer_of["fixed"]["not found"] == 3 * WORKERS
        listener = listener_status(daemon)
        assert listener["connections"] == 3 * WORKERS
        assert listener["requests"] == 12 * WORKERS
        assert listener["refused"] == 3 * WORKERS
        assert listener["accepted"] >= 3 * WORKERS
        assert {one["name"] for one in status(daemon)["sources"]} == {"demo", "other", "mail"}


def test_status_has_the_worst_state(daemon):
    """One worker has met the lock, the others have not."""
    with clients_of(daemon, WORKERS) as clients:
        ask_all(clients)
        ask_all(clients, "slow")

        def state():
            return next(one for one in status(daemon)["sources"] if one["name"] == "mail")
        assert state()["state"] == "up" and "reason" not in state()
        with locked_database(daemon) as unlock:
            clients[-1].ask("slow", "x")
            wait_until(lambda: state()["state"] == "locked", "one worker meets the lock")
            assert "lock" in state()["reason"]
            unlock()
            assert clients[-1].reply() == "OK slow-x"
        wait_until(lambda: state()["state"] == "up", "it is unlocked")


def test_status_for_people(daemon):
    with clients_of(daemon, 2 * WORKERS):
        printed = subprocess.run([program("tabledctl"), "-s", str(daemon.path("control")), "status"],
                                 capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    assert "\n4 workers with 3 + 2 + 2 + 2 clients\n" in printed


# Room.

def test_max_connections_of_all():
    """It is for all workers together; whoever has been idle longest has to go, wherever he is."""
    with make_daemon(config("max_connections = 6")) as daemon, clients_of(daemon, 6) as clients:
        order = [clients[number] for number in (3, 0, 5, 1, 4, 2)]
        for _ in range(8):
            for client in order:
                assert client.ask("echo", "x").reply() == "OK echo-x"
                time.sleep(0.02)
            time.sleep(1.2)  # who has asked a moment ago is not sent away
            order.append(Client(daemon).ask("echo", "new"))
            clients.append(order[-1])
            assert order[-1].reply() == "OK echo-new"
            assert order.pop(0).rest() == b""
            assert listener_status(daemon)["connections"] == 6
        for client in clients[6:]:
            client.close()
        assert "max_connections is reached with 6 clients here" in daemon.log()


def test_waiting_client_is_let_in_when_any_leaves():
    """All are busy, in all workers; whoever leaves makes room for who is at the door."""
    inet, endpoint = "inet:127.0.0.1:@PORT:inet@", 'socketmap { listen = "%s"  max_connections = 4 }\n'
    with make_daemon(config() + endpoint % inet) as daemon, locked_database(daemon) as unlock:
        with clients_of(daemon, 4, inet) as clients:
            for number, client in enumerate(clients):
                client.ask("slow", number)
            wait_until_asked(daemon, 4, inet)
            with contextlib.ExitStack() as stack:
                new = [stack.enter_context(Client(daemon, inet)).ask("echo", "new") for _ in range(3)]
                daemon.wait_for_log("max_connections is reached with 4 clients")
                for leaver, entrant in zip((3, 1, 0), new):
                    clients[leaver].reset()
                    assert entrant.reply() == "OK echo-new"
                    entrant.ask("slow", "busy")
            unlock()
            assert clients[2].reply() == "OK slow-2"


def test_crowd_at_the_door():
    """Many more than there is room for, all busy with asking: each gets in, and gets its answers."""
    with make_daemon(config("max_connections = 8")) as daemon:
        with visitors(daemon, 24, crowded=True) as some:
            wait_until(lambda: all(one.asked > 100 for one in some) or any(one.wrong for one in some),
                       "everybody has been in")
        with Client(daemon, CONTROL) as operator:
            most = max(one["connections"] for one in operator.command(command="status")["listeners"])
        assert most <= 8
        wait_until(lambda: listener_status(daemon)["connections"] == 0, "all have left")
        assert_well(daemon)


# Reload.

def test_reload_is_everywhere_when_it_is_done(daemon):
    """Whoever asks after the answer to the reload, of any worker, has the new configuration."""
    with clients_of(daemon, 2 * WORKERS) as clients:
        for number in range(30):
            text = config().replace("SELECT 'echo-%s'", f"SELECT 'echo{number}-%s'")
            assert reload(daemon, text)["status"] == "ok"
            for client in clients:
                client.ask("echo", "x")
            for client in clients:
                assert client.reply() == f"OK echo{number}-x"


def test_listeners_come_and_go_in_all(daemon):
    """A new listener's clients are shared out; when it goes, all of them are hung up on."""
    listener = 'socketmap { listen = "unix:@DIR@/%s" }\n'
    for number in range(10):
        name = f"new{number}"
        assert reload(daemon, config() + listener % name)["status"] == "ok"
        with clients_of(daemon, 2 * WORKERS, f"unix:@DIR@/{name}") as clients:
            ask_all(clients)
            assert status(daemon)["clients"] == [3, 2, 2, 2]
            assert reload(daemon, config())["status"] == "ok"
            for client in clients:
                assert client.rest() == b""
        assert not daemon.path(name).exists()
    assert len(status(daemon)["listeners"]) == 3


def test_listener_goes_and_comes_back_while_it_is_asked(daemon):
    """The same address twice in all workers: the old ones' clients are answered, the new ones count anew."""
    text = config() + 'socketmap { listen = "unix:@DIR@/going"  max_connections = 4 }\n'
    assert reload(daemon, text)["status"] == "ok"
    with locked_database(daemon) as unlock, clients_of(daemon, 4, "unix:@DIR@/going") as old:
        for number, client in enumerate(old):
            client.ask("slow", number)
        wait_until_asked(daemon, 4, "unix:@DIR@/going")
        assert reload(daemon, config())["status"] == "ok"
        assert reload(daemon, text)["status"] == "ok"
        with clients_of(daemon, 4, "unix:@DIR@/going") as new:
            ask_all(new)
            unlock()
            for number, client in enumerate(old):
                assert client.reply() == f"OK slow-{number}"
                assert client.reply() is None


def test_number_of_workers_needs_a_restart(daemon):
    assert reload(daemon, config(workers=2))["status"] == "ok"
    assert daemon.log().count("workers = 2 needs a restart: 4 go on") == 1
    assert status(daemon)["workers"] == WORKERS
    assert_all_well(daemon)
    assert reload(daemon, config())["status"] == "ok"
    assert daemon.log().count("needs a restart") == 1


def test_reload_under_load(daemon):
    """Maps and listeners come and go, a file in four is wrong; clients come and go as well."""
    extra = 'socketmap { listen = "unix:@DIR@/extra%d" }\nmap extra%d { source = other  query = "SELECT \'%d-%%s\'" }\n'
    with visitors(daemon):
        for number in range(60):
            if number % 4 == 3:
                assert reload(daemon, config() + "nonsense\n")["status"] == "error"
                continue
            assert reload(daemon, config() + extra % (number, number, number))["status"] == "ok"
            for _ in range(WORKERS):
                assert answer(daemon, f"extra{number}", "x", f"unix:@DIR@/extra{number}") == f"OK {number}-x"
    assert reload(daemon, config())["status"] == "ok"
    assert_all_well(daemon)


def test_reloads_leave_nothing_behind(daemon):
    """Each worker closes the databases of its old engines, and the last one frees the configuration."""
    assert_all_well(daemon)
    wait_until(lambda: listener_status(daemon)["connections"] == 0, "nobody is left")
    files = open_files(daemon)
    for _ in range(50):
        assert reload(daemon)["status"] == "ok"
        assert_all_well(daemon)
    wait_until(lambda: open_files(daemon) <= files, "the old databases are closed")


# Stop.

def test_stop_answers_what_is_under_way(daemon):
    """Whatever worker has it, and whatever other worker is done."""
    with locked_database(daemon) as unlock, clients_of(daemon, 3 * WORKERS) as clients:
        for number, client in enumerate(clients[:-WORKERS + 1]):
            client.ask("slow", *(f"{number}-{at}" for at in range(300))).ask("echo", "last")
        wait_until_asked(daemon, 256 * (2 * WORKERS + 1))
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_log("stopping")
        for client in clients[-WORKERS + 1:]:
            assert client.rest() == b""
        unlock()
        for number, client in enumerate(clients[:-WORKERS + 1]):
            for at in range(300):
                assert client.reply() == f"OK slow-{number}-{at}"
            assert client.reply() == "OK echo-last"
            assert client.reply() is None
    assert daemon.process.wait(PATIENCE) == 0


def test_stop_does_not_wait_for_ever():
    with make_daemon(config(query_timeout="90s")) as daemon:
        with locked_database(daemon), clients_of(daemon, WORKERS) as clients:
            for number, client in enumerate(clients):
                client.ask("slow", number)
            wait_until_asked(daemon, WORKERS)
            daemon.signal(signal.SIGTERM)
            for client in clients:
                assert client.reply() is None
            assert daemon.process.wait(PATIENCE) == 0


def test_stop_under_load(daemon):
    """No answer is wrong or half; and it ends."""
    for round_ in range(10):
        with visitors(daemon, may_end=True) as some:
            wait_until(lambda: all(one.asked > 50 for one in some), "they are at work")
            for one in some:
                one.may_end = True
            if round_ % 2:
                daemon.reload()
            daemon.signal(signal.SIGTERM)
            assert daemon.process.wait(PATIENCE) == 0
        daemon.start()


def test_stop_reload_and_status_together(daemon):
    """Commands that go round all workers while these stop: each is answered, or its connection ends."""
    for _ in range(10):
        with visitors(daemon, may_end=True) as some, Client(daemon, CONTROL) as operator:
            commands = b'{"command": "reload"}\n{"command": "status"}\n' * 40
            operator.send(commands)
            assert json.loads(operator.line())["status"] == "ok"
            for one in some:
                one.may_end = True
            daemon.signal(signal.SIGTERM)
            for line in operator.rest().splitlines():
                told = json.loads(line)
                assert told["status"] == "ok" or told["text"] == "tabled is stopping"
            assert daemon.process.wait(PATIENCE) == 0
        daemon.start()


def test_requests_that_come_with_the_client(daemon):
    """What is in the socket when the client is handed over, and when the end is near, is answered."""
    for _ in range(10):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(daemon)).send(netstring(f"echo {number}"))
                       for number in range(3 * WORKERS)]
            daemon.signal(signal.SIGTERM)
            for number, client in enumerate(clients):
                # The last may still have stood at the door.
                reply = client.rest()
                assert reply in (netstring(f"OK echo-{number}"), b"")
            assert daemon.process.wait(PATIENCE) == 0
        daemon.start()
