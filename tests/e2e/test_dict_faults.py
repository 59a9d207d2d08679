"""
Everything that can happen to a transaction: its database ends, hangs, is cut off or says no; tabled
ends; its client goes. Whatever happens, the tables hold all or nothing of it, what was answered "done"
is there, what was answered "failed" is not, and nothing is done twice: see support/ledger.py.
"""

import contextlib
import itertools
import random
import threading
import time

import pytest

from support import ledger as ledgers
from support.client import DictClient
from support.daemon import Daemon
from support.databases import FaultProxy, MariaDB, PostgreSQL, Sqlite
from support.holders import row_lock
from support.ledger import Ledger, Writers, write

QUERY_SECONDS = 2
READS_AFTER_WRITES = 10000
SERVERS = {"pgsql": PostgreSQL, "mysql": MariaDB}


class Site:
    """A database and the ledger of what is written to it."""

    def __init__(self, database):
        self.database, self.kind = database, database.kind
        self.ledger = Ledger(database)

    def source(self, where=None, options=""):
        """The section of the configuration; `where` is the server, or a proxy before it."""
        options = f'query_timeout = "{QUERY_SECONDS}s"  {options}'
        if self.kind == "sqlite":
            return self.database.tabled_source(options)
        where = where or self.database
        return (f'{self.kind} mail {{ hosts = {{"{where.host}:{where.port}"}}  dbname = {self.database.dbname}  '
                f'user = {self.database.user}  password = "{self.database.password}"  connect_timeout = "1s"  '
                f'{options} }}\n')

    def config(self, where=None, options="", workers=4):
        return f"workers = {workers}\n" + self.source(where, options) + ledgers.DICTIONARY


@pytest.fixture(scope="module", params=[*SERVERS, "sqlite"])
def any_site(request, tmp_path_factory):
    if request.param == "sqlite":
        yield Site(Sqlite(tmp_path_factory.mktemp("sqlite") / "mail.db"))
        return
    reason = SERVERS[request.param].why_not()
    if reason:
        pytest.skip(reason)
    # Deadlocks are provoked: to wait a second for each would only take time.
    settings = {"deadlock_timeout": "50ms"} if request.param == "pgsql" else None
    with SERVERS[request.param](settings=settings) as server:
        yield Site(server)


@pytest.fixture
def site(any_site, request, record_property):
    """The same with empty tables; in the end they have to agree with what clients were told."""
    any_site.ledger.clear()
    yield any_site
    if any_site.kind != "sqlite" and not any_site.database.is_running():
        any_site.database.start()
    if any_site.ledger.told:
        record_property("figures", f"{request.node.name}: {any_site.ledger.figures()}")
    any_site.ledger.check()


def servers_only(test):
    return pytest.mark.parametrize("any_site", SERVERS, indirect=True)(test)


@contextlib.contextmanager
def proxy_to(site):
    with FaultProxy(site.database.host, site.database.port) as proxy:
        yield proxy


# The server ends.

@servers_only
def test_killed(site):
    with Daemon(site.config()) as daemon, Writers(daemon, site.ledger) as writers:
        for _ in range(2):
            writers.wait_for("O")
            site.database.kill()
            writers.wait_for("F", 5)
            site.database.start()
        writers.wait_for("O")


@servers_only
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restarted(site, mode):
    with Daemon(site.config()) as daemon, Writers(daemon, site.ledger) as writers:
        for _ in range(3):
            writers.wait_for("O")
            site.database.restart(mode)
        writers.wait_for("O")


@servers_only
@pytest.mark.parametrize("kind", "pt")
def test_restarted_while_nobody_writes(site, kind):
    """Calmly: connections that have become stale are no reason to fail."""
    with Daemon(site.config(workers=1)) as daemon, \
            contextlib.ExitStack() as stack:
        clients = [stack.enter_context(DictClient(daemon, "demo")) for _ in range(8)]
        chance = random.Random(1)
        for _ in range(3):
            for client in clients:
                assert write(client, site.ledger, kind, chance) == "O", site.ledger.why
            site.database.restart()
    assert not set(site.ledger.counts()) - {"O"}


@servers_only
@pytest.mark.parametrize("kind", "pt")
@pytest.mark.parametrize("pause", [0, 1.2])
def test_connections_lost_in_silence(site, kind, pause):
    """A firewall has forgotten them: they seem to live. One that was in use just now is W at worst."""
    with proxy_to(site) as proxy, Daemon(site.config(proxy, workers=1)) as daemon, \
            DictClient(daemon, "demo") as client:
        chance = random.Random(1)
        assert write(client, site.ledger, kind, chance) == "O", site.ledger.why
        time.sleep(pause)
        proxy.cut(0, "silent")
        expected = "W" if kind == "t" and not pause else "F"
        assert write(client, site.ledger, kind, chance) == expected, site.ledger.why
        proxy.pass_on()
        proxy.reset()
        proxy.pass_on()
        assert write(client, site.ledger, kind, chance) == "O", site.ledger.why


# Connections end, at each step.

@servers_only
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("when", ["request", "reply"])
@pytest.mark.parametrize("what", ["BEGIN", "UPDATE tally", "INSERT INTO entry", "COMMIT", "UPDATE ticket"])
def test_cut_at(site, what, when, how):
    """
    Before COMMIT nothing is lost: it is done once more, elsewhere. At COMMIT, and with a statement that
    commits itself, nobody knows. How often each has happened is in the figures.
    """
    with proxy_to(site) as proxy, Daemon(site.config(proxy)) as daemon, Writers(daemon, site.ledger) as writers:
        writers.wait_for("O")
        proxy.at(what, when, how, every=7)
        if what in ("COMMIT", "UPDATE ticket"):
            writers.wait_for("W", 20)
        else:
            writers.wait_for("O", 300)
        proxy.pass_on()
        writers.wait_for("O")
        assert proxy.counts()["faults"] >= 5
    if what not in ("COMMIT", "UPDATE ticket"):
        assert not site.ledger.counts()["W"], site.ledger.why


@servers_only
@pytest.mark.parametrize("fault", ["close", "reset", "truncate", "silent"])
def test_network(site, fault):
    with proxy_to(site) as proxy, Daemon(site.config(proxy)) as daemon, Writers(daemon, site.ledger) as writers:
        for pause in (0.05, 0.05, 0.3, QUERY_SECONDS + 0.5 if fault == "silent" else 0.3):
            writers.wait_for("O")
            getattr(proxy, fault)()
            time.sleep(pause)
            proxy.pass_on()
        for count in (3, 20, 100) if fault == "truncate" else ():
            proxy.cut(count, "reset")
            time.sleep(0.3)
            proxy.pass_on()
        writers.wait_for("O")


# tabled ends.

def test_daemon_killed(site):
    """At random moments under load."""
    daemon = Daemon(site.config())
    chance = random.Random(3)
    try:
        daemon.start()
        with Writers(daemon, site.ledger) as writers:
            for _ in range(6):
                writers.wait_for("O", 20)
                time.sleep(chance.random() / 10)
                daemon.kill()
                daemon.start()
            writers.wait_for("O")
        daemon.stop()
    finally:
        daemon.kill()
        daemon.remove()


def test_daemon_stopped(site):
    """In good order: whoever is answered is answered right, the others are hung up on."""
    daemon = Daemon(site.config())
    try:
        for _ in range(3):
            daemon.start()
            with Writers(daemon, site.ledger, kinds="pkt", pause=0) as writers:
                writers.wait_for("O", 30)
                daemon.stop()
                writers.ending.set()
        assert not site.ledger.counts()["W"], site.ledger.why
    finally:
        daemon.kill()
        daemon.remove()


# The client goes.

def test_clients_gone(site):
    """In the middle of a transaction, of a line, and while it is being committed."""
    chance = random.Random(4)
    with Daemon(site.config()) as daemon:
        for n in range(150):
            client = DictClient(daemon, "demo")
            name = site.ledger.name("p")
            site.ledger.note(name, "X")
            transaction = client.begin()
            ledgers.add_pair(client, transaction, name, False, chance)
            if n % 3 == 0:
                client.send_commit(transaction)
            elif n % 3 == 1:
                client.send(f"C{transaction}".encode())  # and no newline
                site.ledger.note(name, "F")
            else:
                site.ledger.note(name, "F")
            (client.reset if chance.random() < 0.5 else client.close)()
        with DictClient(daemon, "demo") as client:
            assert write(client, site.ledger, "p", chance) == "O"


# Many write the same rows.

def test_deadlocks(site):
    """Two rows in either order: who is chosen to lose is tried again, or told so. Sums are exact."""
    with Daemon(site.config()) as daemon, \
            Writers(daemon, site.ledger, count=16, kinds="k", pause=0) as writers:
        writers.wait_for("O", 200)
    assert not set(site.ledger.counts()) - set("OFX"), site.ledger.why


# Others hold locks.

@pytest.mark.parametrize("kind", "pt")
def test_locked_for_a_while(site, kind):
    """Whoever writes waits, and then it is done."""
    chance = random.Random(1)
    with Daemon(site.config(workers=1)) as daemon, DictClient(daemon, "demo") as client:
        assert write(client, site.ledger, kind, chance) == "O", site.ledger.why
        row = next_row(site, kind)
        with row_lock(site.database, *row) as end:
            waker = threading.Timer(QUERY_SECONDS / 4, end)
            waker.start()
            assert write(client, site.ledger, kind, AlwaysFirst()) == "O", site.ledger.why
            waker.join()


@pytest.mark.parametrize("kind", "pt")
def test_locked_for_too_long(site, kind):
    """It is F, since nothing of it has happened, and nothing does when the lock is gone."""
    chance = random.Random(1)
    with Daemon(site.config(workers=1)) as daemon, DictClient(daemon, "demo") as client:
        for _ in range(3):
            assert write(client, site.ledger, kind, chance) == "O", site.ledger.why
            with row_lock(site.database, *next_row(site, kind)):
                assert write(client, site.ledger, kind, AlwaysFirst()) == "F", site.ledger.why
        assert write(client, site.ledger, kind, chance) == "O", site.ledger.why
        time.sleep(0.3)


class AlwaysFirst:
    """In place of chance."""

    @staticmethod
    def sample(population, count):
        return list(population)[:count]


def next_row(site, kind):
    """That which the next transaction of a kind meets."""
    if kind == "p":
        return "tally", "r0"
    return "ticket", f"t{site.ledger.next_number() % ledgers.TICKETS}"


# What is answered has been done: whoever asks then, of whatever worker, sees it.

def send_set(client, key, value):
    """A transaction that sets one value. Nothing is waited for."""
    transaction = client.begin()
    client.set(transaction, key, value)
    return client.send_commit(transaction), transaction


@pytest.mark.parametrize("workers", [1, 4])
def test_order_of_one_client(site, workers):
    """He sends all of it at once; what he asks for has seen all that he has set before, if not more."""
    with Daemon(site.config(workers=workers)) as daemon, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(DictClient(daemon, "demo")) for _ in range(6)]
        sent = []
        for n, (at, client) in itertools.product(range(50), enumerate(clients)):
            key = f"shared/entry/order{at}"
            sent.append((n, client, *send_set(client, key, n), client.send_lookup(key)))
        for n, client, commit, transaction, lookup in sent:
            assert client.commit_result(commit, transaction)
            assert n <= int(client.lookup_result(lookup)) < 50
        for at, client in enumerate(clients):
            assert client.lookup(f"shared/entry/order{at}") == "49"
    site.database.execute("DELETE FROM entry")


@pytest.mark.parametrize("workers", [1, 4])
def test_read_after_write(site, workers):
    """
    Values are cached for an hour, and others ask for them all the time: so answers are on their way
    whenever one is purged.
    """
    count = READS_AFTER_WRITES // (10 if site.kind == "sqlite" else 1)
    ending, wrong = threading.Event(), []

    def ask_on(daemon, number):
        with DictClient(daemon, "demo") as client:
            seen = -1
            while not ending.is_set():
                value = int(client.lookup(f"shared/entry/seen{number % 3}") or -1)
                if value < seen:
                    wrong.append(f"{value} came after {seen}")
                seen = value

    def write_on(daemon, number):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(DictClient(daemon, "demo")) for _ in range(5)]
            for n in range(count // 3):
                client, other = random.sample(clients, 2)
                commit = send_set(client, f"shared/entry/seen{number}", n)
                if not client.commit_result(*commit):
                    wrong.append(f"{n} was not set")
                value = other.lookup(f"shared/entry/seen{number}")
                if value != str(n):
                    wrong.append(f"{value} after {n} was set")

    def run_checked(function, *arguments):
        try:
            function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            wrong.append(repr(error))

    with Daemon(site.config(workers=workers)) as daemon:
        askers = [threading.Thread(target=run_checked, args=(ask_on, daemon, n)) for n in range(3)]
        writers = [threading.Thread(target=run_checked, args=(write_on, daemon, n)) for n in range(3)]
        for thread in (*askers, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        ending.set()
        for thread in askers:
            thread.join()
    assert not wrong, (len(wrong), wrong[:5])
    assert sorted(site.ledger.entries().values()) == [str(count // 3 - 1)] * 3
    site.database.execute("DELETE FROM entry")
