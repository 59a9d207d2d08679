"""
Everything that can happen to a transaction: its database ends, hangs, is cut off or says no; tabled
ends; its client goes. Whatever happens, the tables hold all or nothing of it, what was answered "done"
is there, what was answered "failed" is not, and nothing is done twice: see support/ledger.py.
"""

import contextlib
import itertools
import os
import random
import threading
import time

import pytest

from support import ledger as ledgers
from support.client import (CONTROL_LISTENER, DICT, LEAN, MEGABYTE, DictClient, DictError, listener_status, memory,
                            wait_until)
from support.daemon import Daemon
from support.databases import DatabaseError, FaultProxy, MariaDB, PgBouncer, PostgreSQL, Sqlite
from support.holders import row_lock
from support.ledger import EndOfConnection, Ledger, PatientClient, Writers, write
from support.slowness import slowness

QUERY_SECONDS = 2
AMPLE_SECONDS = 20  # where nobody is to fail for being late: a disk, or this machine, may stand still for a while
ALIVE_SECONDS = 1   # so long after its last answer a connection is used without another look
READS_AFTER_WRITES = 10000
SERVERS = {"pgsql": PostgreSQL, "mysql": MariaDB}


class Site:
    """A database and the ledger of what is written to it."""

    def __init__(self, database):
        self.database, self.kind = database, database.kind
        self.ledger = Ledger(database)

    def source(self, where, seconds):
        """The section of the configuration; `where` is the server, or a proxy before it."""
        options = f'query_timeout = "{seconds}s"'
        if self.kind == "sqlite":
            return self.database.tabled_source(options)
        where = where or self.database
        return (f'{self.kind} mail {{ hosts = {{"{where.host}:{where.port}"}}  dbname = {self.database.dbname}  '
                f'user = {self.database.user}  password = "{self.database.password}"  connect_timeout = "1s"  '
                f'{options} }}\n')

    def config(self, where=None, workers=4, seconds=QUERY_SECONDS):
        return f"workers = {workers}\n" + self.source(where, seconds) + ledgers.DICTIONARY


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
        used = time.monotonic()
        time.sleep(pause)
        proxy.cut(0, "silent")
        idle = time.monotonic() - used
        seen = write(client, site.ledger, kind, chance)
        if kind != "t" or idle > ALIVE_SECONDS:
            assert seen == "F", site.ledger.why
        elif idle < ALIVE_SECONDS / 2:  # between the two nobody can tell
            assert seen == "W", site.ledger.why
        proxy.pass_on()
        proxy.reset()
        proxy.pass_on()
        assert write(client, site.ledger, kind, chance) == "O", site.ledger.why


@servers_only
def test_killed_in_the_middle(site):
    """A part of it is done when it meets a lock, and then the server is gone: nothing is left of it."""
    with Daemon(site.config(workers=1)) as daemon, DictClient(daemon, "demo") as client:
        with row_lock(site.database, "twin", "r0"):
            killer = threading.Timer(QUERY_SECONDS / 4, site.database.kill)
            killer.start()
            assert write(client, site.ledger, "p", AlwaysFirst()) == "F", site.ledger.why
            killer.join()
        site.database.start()
        eventually_works(lambda: client.lookup("shared/tally/r1"))
        eventually_works(lambda: client_sets(client))
        assert write(client, site.ledger, "p", AlwaysFirst()) == "O", site.ledger.why
    site.database.execute("DELETE FROM entry WHERE name = 'again'")


@servers_only
def test_frozen(site):
    """It hangs, and goes on later, with what it had in its hands."""
    with Daemon(site.config()) as daemon, Writers(daemon, site.ledger, kinds="pkt") as writers:
        for _ in range(3):
            writers.wait_for("O")
            site.database.pause()
            time.sleep(QUERY_SECONDS + 0.5)
            site.database.resume()
        writers.wait_for("O")


@pytest.mark.parametrize("any_site", ["pgsql"], indirect=True)
def test_pooler(site):
    """In transaction mode; it and the server behind it are killed."""
    if PgBouncer.why_not():
        pytest.skip(PgBouncer.why_not())
    with PgBouncer(site.database) as pooler, Daemon(site.config(pooler)) as daemon, \
            Writers(daemon, site.ledger, kinds="pkt") as writers:
        writers.wait_for("O")
        pooler.kill()
        time.sleep(0.3)
        pooler.start()
        writers.wait_for("O")
        site.database.restart("immediate")
        writers.wait_for("O")


# An administrator ends queries and connections.

def end_some(server, what):
    """All of the queries, or of the connections, that tabled has just now."""
    if server.kind == "pgsql":
        server.execute(f"SELECT pg_{'cancel' if what == 'queries' else 'terminate'}_backend(pid) "
                       f"FROM pg_stat_activity WHERE usename = '{server.user}'", server.own_database)
        return
    ids = server.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{server.user}'",
                         server.own_database).split()
    word = "QUERY" if what == "queries" else "CONNECTION"
    for one in ids:
        with contextlib.suppress(DatabaseError):  # it may have gone by itself
            server.execute(f"KILL {word} {one}", server.own_database)


@servers_only
@pytest.mark.parametrize("what", ["queries", "connections"])
def test_ended_by_an_administrator(site, what):
    with Daemon(site.config()) as daemon, Writers(daemon, site.ledger, kinds="pkt", pause=0) as writers:
        writers.wait_for("O")
        for _ in range(30):
            end_some(site.database, what)
        writers.wait_for("O")


# Connections end, at each step.

def quoted(what, site):
    """As it is sent: names of tables are in quotes."""
    quote = "`" if site.kind == "mysql" else '"'
    verb, _, table = what.rpartition(" ")
    return f"{verb} {quote}{table}{quote}" if verb else what


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
        proxy.at(quoted(what, site), when, how, every=7)
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
    daemon = Daemon(site.config(seconds=AMPLE_SECONDS))
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
    with Daemon(site.config(seconds=AMPLE_SECONDS)) as daemon:
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
    with Daemon(site.config(seconds=AMPLE_SECONDS)) as daemon, \
            Writers(daemon, site.ledger, count=16, kinds="k", pause=0) as writers:
        writers.wait_for("O", 200)
    assert not set(site.ledger.counts()) - set("OFX"), site.ledger.why


# Others hold locks.

@pytest.mark.parametrize("kind", "pt")
def test_locked_for_a_while(site, kind):
    """Whoever writes waits, and then it is done."""
    chance = random.Random(1)
    with Daemon(site.config(workers=1, seconds=AMPLE_SECONDS)) as daemon, DictClient(daemon, "demo") as client:
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
    with Daemon(site.config(workers=1, seconds=QUERY_SECONDS + 1)) as daemon, DictClient(daemon, "demo") as client:
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
    with Daemon(site.config(workers=workers, seconds=AMPLE_SECONDS)) as daemon, contextlib.ExitStack() as stack:
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
    whenever one is purged. They may see a value before its commit is answered, but never an older one
    afterwards.
    """
    count = int(READS_AFTER_WRITES / slowness() / (10 if site.kind == "sqlite" else 1))
    ending, wrong, answered = threading.Event(), [], [-1] * 3

    def ask_on(daemon, number):
        with DictClient(daemon, "demo") as client:
            while not ending.is_set():
                least = answered[number]
                value = int(client.lookup(f"shared/entry/seen{number}") or -1)
                if value < least:
                    wrong.append(f"{value} after {least} was set")

    def write_on(daemon, number):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(DictClient(daemon, "demo")) for _ in range(5)]
            for n in range(count // 3):
                client, other = random.sample(clients, 2)
                commit = send_set(client, f"shared/entry/seen{number}", n)
                if not client.commit_result(*commit):
                    wrong.append(f"{n} was not set")
                answered[number] = n
                value = other.lookup(f"shared/entry/seen{number}")
                if value != str(n):
                    wrong.append(f"{value} after {n} was set")

    def run_checked(function, *arguments):
        try:
            function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            wrong.append(repr(error))

    with Daemon(site.config(workers=workers, seconds=AMPLE_SECONDS)) as daemon:
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


# Iterations.

BULK_ROWS = 20000
BULK_PATH = "shared/bulk/"


@pytest.fixture(scope="module")
def bulk(any_site):
    """A list of many pages."""
    any_site.database.execute("CREATE TABLE bulk (name VARCHAR(60) PRIMARY KEY, value VARCHAR(250) NOT NULL);")
    any_site.database.load_rows("bulk", ("name", "value"), ((f"n{n:06d}", "v" * 200) for n in range(BULK_ROWS)))
    return [f"{BULK_PATH}n{n:06d}" for n in range(BULK_ROWS)]


class Reader(DictClient):
    """Takes the rows of one iteration at his own pace."""

    def __init__(self, daemon, max_rows=0):
        super().__init__(daemon, "demo")
        self.iteration = self.send_iterate(BULK_PATH, flags=0, max_rows=max_rows)

    def take(self, count):
        while len(self.iteration.replies) < count and not self.iteration.finished:
            self.receive()
        return self

    def keys(self):
        return [key for key, _ in self.iterate_result(self.iteration)]


def assert_right_or_failed(reader, bulk):
    """Never a short list that ends well. Returns whether it was complete."""
    try:
        assert reader.keys() == bulk
    except DictError:
        rows = [reply[0][1:] for reply in reader.iteration.replies[:-1]]
        assert rows == bulk[:len(rows)]
        return False
    return True


@pytest.mark.parametrize("max_rows", [1, 999, 1000, 1001, 5000, BULK_ROWS, BULK_ROWS + 1])
def test_iterate_limits(site, bulk, max_rows):
    with Daemon(site.config()) as daemon, Reader(daemon, max_rows) as reader:
        assert reader.keys() == bulk[:max_rows]


@servers_only
def test_iterate_while_killed(site, bulk):
    with Daemon(site.config()) as daemon:
        for count in (1, 1000, 4000):
            with Reader(daemon) as reader:
                reader.take(count)
                site.database.kill()
                try:
                    assert not assert_right_or_failed(reader, bulk)
                finally:
                    site.database.start()
        with Reader(daemon) as reader:
            eventually_works(lambda: daemon_lookup(daemon))
            assert daemon_list(daemon) == bulk


@servers_only
@pytest.mark.parametrize("how", ["close", "reset"])
def test_iterate_while_cut(site, bulk, how):
    """A page that is lost in its middle is asked for again as a whole."""
    with proxy_to(site) as proxy, Daemon(site.config(proxy)) as daemon:
        for count in (1, 500, 3000, 9000):
            with Reader(daemon) as reader:
                reader.take(count)
                proxy.truncate(how)
                reader.take(count + 5000)
                proxy.pass_on()
                assert_right_or_failed(reader, bulk)
        eventually_works(lambda: daemon_lookup(daemon))
        assert daemon_list(daemon) == bulk


def daemon_lookup(daemon):
    with DictClient(daemon, "demo") as client:
        return client.lookup("shared/bulk/n000001")


def daemon_list(daemon):
    with Reader(daemon) as reader:
        return reader.keys()


def eventually_works(function):
    """Until it raises no error of the server's any more."""
    def works():
        try:
            function()
        except DictError:
            return False
        return True
    wait_until(works, "an answer")


def test_iterate_slow_clients(site, bulk):
    """They take nothing of what they have asked for: that takes little memory, and holds up nobody."""
    with Daemon(site.config(workers=2, seconds=AMPLE_SECONDS), environment=LEAN) as daemon, contextlib.ExitStack() as stack:
        daemon_list(daemon)
        before = memory(daemon)
        readers = [stack.enter_context(Reader(daemon)) for _ in range(40)]
        for reader in readers:
            reader.take(1)
        with DictClient(daemon, "demo") as client:
            for _ in range(20):
                assert write(client, site.ledger, "p", random.Random(1)) == "O", site.ledger.why
            assert client.lookup("shared/bulk/n000001")
        # A page, what is on its way, and what a sanitizer adds; all of it would be 4.5 MB for each.
        assert memory(daemon) - before < len(readers) * 1.5 * MEGABYTE
        for reader in readers[:3]:
            assert reader.keys() == bulk
        for reader in readers[3:20]:
            reader.reset()
        assert daemon_list(daemon) == bulk
        # The others go with the test, in the middle of it.


# Reloads and the end.

def test_reload_in_the_middle(site, bulk):
    """What is under way ends as it began; what comes then is a matter of the new configuration."""
    config = site.config()
    with Daemon(config) as daemon, contextlib.ExitStack() as stack:
        reader = stack.enter_context(Reader(daemon)).take(10)
        begun, changed = (stack.enter_context(DictClient(daemon, "demo")) for _ in range(2))
        transaction = begun.begin()
        begun.set(transaction, "shared/entry/never", "1")
        begun.lookup("shared/entry/x")
        reload_with(daemon, config.replace("dictionary demo", "dictionary other"))
        assert reader.keys() == bulk
        assert changed.send_lookup("shared/entry/x") and changed.line() is None
        begun.say(f"C{transaction}")
        assert begun.line() is None
        with DictClient(daemon, "other") as client:
            assert client.lookup("shared/entry/never") is None
    assert not site.ledger.entries()


def reload_with(daemon, config):
    seen = len(daemon.log())
    daemon.write_config(config)
    daemon.reload()
    daemon.wait_for_log("reloaded", skip=seen)


def test_reload_under_load(site):
    config = site.config(seconds=AMPLE_SECONDS)
    with Daemon(config) as daemon, Writers(daemon, site.ledger) as writers:
        for n in range(10):
            daemon.write_config(config.replace('"1h"', f'"{n + 1}h"'))
            daemon.reload()
            writers.wait_for("O", 20)
    assert not set(site.ledger.counts()) - {"O"}, site.ledger.why


@servers_only
def test_purge_across_reload(site):
    """
    What is committed by the configuration of before is purged for the new one as well, which has looked
    at the same row meanwhile, by another key.
    """
    config = site.config(workers=2, seconds=AMPLE_SECONDS)
    more = ('dictionary demo {\n    key "shared/both/$name" { source = mail  table = ticket  fields = {"name = $name"}  '
            'value_field = {"amount", "name"}  ttl = "1h" }')
    with Daemon(config) as daemon, DictClient(daemon, "demo") as client, row_lock(site.database, *next_row(site, "t")) as end:
        name = site.ledger.name("t")
        site.ledger.note(name, "O")
        transaction = client.begin()
        client.inc(transaction, f"shared/ticket/{name}", 1)
        commit = client.send_commit(transaction)
        time.sleep(0.2)
        reload_with(daemon, config.replace("dictionary demo {", more))
        with DictClient(daemon, "demo") as other:
            assert other.lookup(f"shared/both/{name}") == ["0", name]
            end()
            assert client.commit_result(commit, transaction)
            assert other.lookup(f"shared/both/{name}") == ["1", name]


@pytest.mark.parametrize("kind", "pt")
def test_stopped_while_committing(site, kind):
    """Whoever waits for a commit gets his answer before the end."""
    daemon = Daemon(site.config(seconds=AMPLE_SECONDS))
    try:
        daemon.start()
        with DictClient(daemon, "demo") as client:
            assert write(client, site.ledger, kind, AlwaysFirst()) == "O", site.ledger.why
            with row_lock(site.database, *next_row(site, kind)) as end:
                waker = threading.Timer(QUERY_SECONDS, end)
                stopper = threading.Timer(QUERY_SECONDS / 2, daemon.stop)
                waker.start()
                stopper.start()
                assert write(client, site.ledger, kind, AlwaysFirst()) == "O", site.ledger.why
                assert client.line() is None
                waker.join()
                stopper.join()
    finally:
        daemon.kill()
        daemon.remove()


@pytest.mark.parametrize("keys", [["tally/r0"], ["twin/r0", "tally/r0"]], ids=["one", "two"])
def test_stopped_while_locked(site, keys):
    """The lock is not given back. tabled ends all the same: with an answer, and nothing is done."""
    daemon = Daemon(site.config())
    try:
        daemon.start()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(DictClient(daemon, "demo")) for _ in range(8)]
            for client in clients:
                assert write(client, site.ledger, "t", AlwaysFirst()) == "O", site.ledger.why
            with row_lock(site.database, "tally", "r0"):
                sent = [(client, *send_increments(client, keys)) for client in clients]
                daemon.stop()
                for client, command, transaction in sent:
                    with pytest.raises(DictError):
                        client.commit_result(command, transaction)
    finally:
        daemon.kill()
        daemon.remove()


def send_increments(client, keys):
    transaction = client.begin()
    for key in keys:
        client.inc(transaction, f"shared/{key}", 1)
    return client.send_commit(transaction), transaction


# The database says no.

def refuse_writes(server, is_on):
    """As for maintenance: whoever is there, or comes, may only read."""
    if server.kind == "pgsql":
        server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if is_on else 'off'};",
                       server.own_database)
        server.execute("SELECT pg_reload_conf();", server.own_database)
        # Those who are there have been told before anybody new comes.
        wait_until(lambda: server.execute("SHOW default_transaction_read_only", server.own_database).strip() ==
                   ("on" if is_on else "off"), "the server has read its configuration")
    else:
        server.execute(f"SET GLOBAL read_only = {int(is_on)}", server.own_database)


@servers_only
@pytest.mark.parametrize("kind", "pt")
def test_writes_refused(site, kind):
    """F with the server's reason, also on a connection that has written a moment ago; lookups go on."""
    chance = random.Random(1)
    with Daemon(site.config(workers=1)) as daemon, DictClient(daemon, "demo") as client:
        assert write(client, site.ledger, kind, chance) == "O", site.ledger.why
        for _ in range(2):
            refuse_writes(site.database, True)
            try:
                # On a connection that is fresh again, and again.
                for _ in range(3):
                    assert write(client, site.ledger, kind, chance) == "F", site.ledger.why
                assert client.lookup("shared/tally/r0") is not None
            finally:
                refuse_writes(site.database, False)
            eventually_works(lambda: client_sets(client))
            assert write(client, site.ledger, kind, chance) == "O", site.ledger.why
    assert any("read-only" in why or "read_only" in why for why in site.ledger.why), site.ledger.why
    site.database.execute("DELETE FROM entry WHERE name = 'again'")


def client_sets(client):
    commit = send_set(client, "shared/entry/again", 1)
    return client.commit_result(*commit)


@servers_only
@pytest.mark.parametrize("kind", "pt")
def test_no_right_to_write(site, kind):
    chance = random.Random(1)
    server = site.database
    who = server.user if site.kind == "pgsql" else f"{server.user}@'{server.host}'"
    if site.kind == "pgsql":
        server.execute(f"REVOKE UPDATE ON ticket, tally FROM {who}")
    else:
        server.execute(f"REVOKE ALL ON {server.dbname}.* FROM {who}; GRANT SELECT ON {server.dbname}.* TO {who};")
    try:
        with Daemon(site.config(workers=1)) as daemon, DictClient(daemon, "demo") as client:
            for _ in range(3):
                assert write(client, site.ledger, kind, chance) == "F", site.ledger.why
                assert client.lookup("shared/tally/r0") == "0"
    finally:
        server.execute(f"GRANT ALL ON {'TABLE ticket, tally' if site.kind == 'pgsql' else server.dbname + '.*'} TO {who}")
    assert all("denied" in why for why in site.ledger.why), site.ledger.why


def test_sqlite_may_not_be_written_to():
    """F with what would be right; lookups go on, and so do writes once it may."""
    if os.geteuid():
        pytest.skip("only root can start tabled as somebody who may not write")
    daemon = Daemon("")
    daemon.directory.chmod(0o755)
    daemon.path("db").mkdir()
    site = Site(Sqlite(daemon.path("db") / "mail.db"))
    daemon.write_config('user = "nobody"\n' + site.config(workers=1))
    with daemon, DictClient(daemon, "demo") as client:
        for kind in "ptp":
            assert write(client, site.ledger, kind, random.Random(1)) == "F"
            assert client.lookup("shared/tally/r0") == "0"
        assert all("needs to write" in why for why in site.ledger.why), site.ledger.why
        daemon.path("db").chmod(0o777)
        (daemon.path("db") / "mail.db").chmod(0o666)
        eventually_works(lambda: client_sets(client))
        assert write(client, site.ledger, "p", random.Random(1)) == "O"
        site.database.execute("DELETE FROM entry WHERE name = 'again'")
        site.ledger.check()


def test_row_missing(site):
    """An increment that meets no row undoes what came before it."""
    with Daemon(site.config(workers=1)) as daemon, DictClient(daemon, "demo") as client:
        for keys in (["tally/r0", "twin/none"], ["twin/none", "tally/r0"], ["tally/none"]):
            name = site.ledger.name("p")
            transaction = client.begin()
            client.set(transaction, f"shared/entry/{name}", "r0")
            for key in keys:
                client.inc(transaction, f"shared/{key}", 1)
            assert not client.commit(transaction)
            site.ledger.note(name, "F")


@pytest.mark.parametrize("any_site", ["pgsql"], indirect=True)
def test_constraint_that_is_checked_at_commit(site):
    """COMMIT itself fails: F, for a transaction and for a statement that commits itself."""
    site.database.execute("ALTER TABLE entry ADD CONSTRAINT once UNIQUE (value) DEFERRABLE INITIALLY DEFERRED;")
    try:
        with Daemon(site.config(workers=1)) as daemon, DictClient(daemon, "demo") as client:
            commit = send_set(client, "shared/entry/one", "same")
            assert client.commit_result(*commit)
            for other in ([], [("shared/entry/third", "another")], []):
                transaction = client.begin()
                client.set(transaction, "shared/entry/two", "same")
                for key, value in other:
                    client.set(transaction, key, value)
                with pytest.raises(DictError, match="duplicate key") as error:
                    client.commit(transaction)
                assert not error.value.unsure
                assert site.ledger.entries() == {"one": "same"}
    finally:
        site.database.execute("ALTER TABLE entry DROP CONSTRAINT once; DELETE FROM entry;")


# Many at random.

COMING_SECONDS = 20


def test_many_come_and_go(site):
    """200 clients that open, ask, write, list a little, and leave as it pleases them."""
    ending, errors = threading.Event(), []

    def live(daemon, number):
        chance = random.Random(number)
        while not ending.is_set():
            try:
                visit(daemon, site, chance)
            except (EndOfConnection, ConnectionError):
                pass
            except Exception as error:  # pylint: disable=broad-except
                errors.append(repr(error))
                return

    # Patience: a file has one writer at a time, and the disk may have others to serve.
    with Daemon(site.config(seconds=AMPLE_SECONDS) + CONTROL_LISTENER % "", environment=LEAN) as daemon:
        threads = [threading.Thread(target=live, args=(daemon, n)) for n in range(200)]
        for thread in threads:
            thread.start()
        time.sleep(COMING_SECONDS / slowness())
        ending.set()
        for thread in threads:
            thread.join()
        with DictClient(daemon, "demo") as client:
            assert write(client, site.ledger, "p", random.Random(1)) == "O", site.ledger.why
        wait_until(lambda: not listener_status(daemon, DICT)["connections"], "all have gone")
    assert not errors, errors[:3]
    assert not set(site.ledger.counts()) - {"O", "X"}, site.ledger.why


def visit(daemon, site, chance):
    """One connection of one client."""
    with contextlib.closing(PatientClient(daemon, "demo")) as client:
        for _ in range(chance.randrange(1, 8)):
            do = chance.random()
            if do < 0.4:
                write(client, site.ledger, chance.choice("pt"), chance)
            elif do < 0.7:
                client.lookup(f"shared/tally/r{chance.randrange(6)}")
            elif do < 0.9:
                client.send_iterate("shared/ticket/", max_rows=chance.randrange(1, 2000))
                client.receive()
            else:
                transaction = client.begin()
                client.set(transaction, "shared/entry/never", "1")
            time.sleep(chance.random() / 10)
        if chance.random() < 0.5:
            client.reset()
