"""
Everything that can happen to a database server while mail is served. Many clients ask all the time for
keys that exist, keys that don't, and keys that do harm. Whatever happens, a key that exists is never
"not found", no answer is another key's, every request gets its reply, and once the fault is over
everything is answered right again, without a reload.

Each case adds a line with its figures to the end of pytest's output. What is never allowed, a fault or
not, is in support/load.py. Cases that say `calmly` go further: nobody is even told to come again.
"""

import contextlib
import itertools
import os
import signal
import subprocess
import threading
import time

import pytest

from support import databases
from support.daemon import Daemon
from support.databases import FaultProxy, MariaDB, PgBouncer, PostgreSQL, alias_address, alias_goto, quoted, wait_until
from support.load import Load
from support.slowness import slowness

QUERY_SECONDS = 2
AMPLE_SECONDS = 6  # where nobody is to be late, however busy this machine is
PATIENCE = (QUERY_SECONDS + 5) * slowness()  # for one reply; never a promise of speed
STOP_SECONDS = 15 * slowness()
GONE_SECONDS = 15 * slowness()  # for a cancelled query to leave the server; it would run for much longer
LOG_LINES_MOST = 80

ROWS = 2000
LISTS = 60
MEMBERS = 40
MAX_CONNECTIONS = 30
POISON = [f"poison{n}@bulk.example" for n in range(20)]
SLEEPERS = [f"sleep{n}@bulk.example" for n in range(3)]

SCHEMA = databases.ROOT / "schema"

# Without a cache, whose old answers would hide what is to be seen here: see test_cache.py for that.
CONFIG = """
cache { size = 0 }
%(source)s
map alias { source = db  query = "SELECT goto FROM alias WHERE address = '%%s' AND active = 1" }
map virtual_alias_maps { source = db  query = "SELECT goto FROM alias WHERE address = '%%s' AND active = 1" }
map keys { source = db  query = "SELECT address, goto FROM alias WHERE address IN (:keys) AND active = 1" }
map members { source = db  query = "SELECT goto FROM alias WHERE address = '%%s' AND active = 1 ORDER BY goto" }
map alone { source = db  query = "SELECT substring(goto FROM 1 FOR 200) FROM alias WHERE address = '%%s'" }
map all { source = db  query = "SELECT * FROM plain WHERE address = '%%s'" }
map poison { source = db  query = "%(poison)s" }
map invalid { source = db  query = "%(invalid)s" }
map sleep { source = db  query = "%(sleep)s" }
map slow { source = db  query = "%(slow)s" }
socketmap { listen = "unix:@DIR@/socketmap" }
"""


# Questions, as (kind, request, right reply).

def number_goto(list_number, member):
    return f"member{member:03d}-of-list{list_number:03d}@elsewhere.example"


def usual_questions():
    for n in range(0, ROWS, 3):
        yield "known", f"alias {alias_address(n)}", f"OK {alias_goto(n)}"
        yield "known", f"keys {alias_address(n + 1)}", f"OK {alias_goto(n + 1)}"
        yield "known", f"alone {alias_address(n)}", f"OK {alias_goto(n)}"
        tagged, goto = alias_address(n).replace("@", "+tag@"), alias_goto(n).replace("@", "+tag@")
        yield "tagged", f"virtual_alias_maps {tagged}", f"OK {goto}"
    for n in range(LISTS):
        members = ",".join(number_goto(n, member) for member in range(MEMBERS))
        yield "lists", f"members list{n:03d}@bulk.example", f"OK {members}"
    for name in ("alias", "keys", "alone", "members", "virtual_alias_maps"):
        for n in range(200):
            yield "unknown", f"{name} nobody{n:03d}@bulk.example", "NOTFOUND "
            yield "unknown", f"{name} user{n:06d}@nowhere.example", "NOTFOUND "


USUAL_WEIGHTS = {"known": 50, "tagged": 15, "lists": 10, "unknown": 15}


# The servers.

class Site:
    """A server and one that follows it, with the same rows, and how their SQL differs."""

    def __init__(self, primary):
        self.primary = primary
        self.standby = None
        primary.load_file(SCHEMA / self.schema)
        primary.load_mail(ROWS)
        primary.load_rows("alias", ("address", "goto"), self._special_rows())
        primary.execute(self.more)

    @staticmethod
    def _special_rows():
        for n, member in itertools.product(range(LISTS), range(MEMBERS)):
            yield f"list{n:03d}@bulk.example", number_goto(n, member)
        # In the middle of an answer, so that a part of it might be taken for the whole.
        for address, member in itertools.product(POISON, range(MEMBERS)):
            yield address, f"{'poison' if member == MEMBERS // 2 else 'member'}{member:03d}@elsewhere.example"
        for address in SLEEPERS:
            yield address, "nobody@elsewhere.example"

    @property
    def servers(self):
        return self.primary, self.standby

    def source(self, hosts, **options):
        """The section of the configuration; hosts are servers or proxies."""
        settings = {"dbname": self.primary.dbname, "user": self.primary.user, "password": self.primary.password,
                    "order": "first", "query_timeout": f"{QUERY_SECONDS}s", "connect_timeout": "1s"} | options
        listed = ", ".join(f'"{host.host}:{host.port}"' for host in hosts)
        words = "  ".join(f'{name} = "{value}"' for name, value in settings.items() if value is not None)
        return f"{self.driver} db {{ hosts = {{{listed}}}  {words} }}"

    def config(self, hosts=None, **options):
        return CONFIG % {"source": self.source(hosts or [self.primary], **options), "poison": self.poison,
                         "invalid": self.invalid, "sleep": self.sleep, "slow": self.slow}

    def count(self, server, sql):
        return int(server.execute(sql, server.own_database))


class PostgreSQLSite(Site):
    driver, schema = "pgsql", "postgresql.sql"
    more = f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {databases.USER};"
    poison = ("SELECT CASE WHEN goto LIKE 'poison%%' THEN (1 / (length(goto) - length(goto)))::text ELSE goto END "
              "FROM alias WHERE address = '%s'")
    invalid = ("SELECT goto FROM alias WHERE address = '%s' "
               "AND CASE WHEN goto LIKE 'poison%%' THEN goto::integer ELSE 1 END = 1")
    sleep = "SELECT CASE WHEN address LIKE 'sleep%%' THEN goto || pg_sleep(60) ELSE goto END FROM alias WHERE address = '%s'"
    slow = "SELECT substring(goto FROM 1 FOR 200) || pg_sleep(0.05) FROM alias WHERE address = '%s'"

    @staticmethod
    def start():
        return PostgreSQL(max_connections=MAX_CONNECTIONS)

    def follow(self):
        self.standby = self.primary.make_standby()

    def sleepers(self, server):
        return self.count(server, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                                  "AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()")

    def connections(self, server):
        """How many the user of the lookups has."""
        return self.count(server, f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{databases.USER}'")

    @staticmethod
    def disconnect(server):
        """Ends all connections of that user, as an administrator would."""
        server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{databases.USER}'",
                       server.own_database)

    @staticmethod
    def cancel_queries(server):
        """Ends the queries of that user, and not the connections."""
        server.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' "
                       f"AND usename = '{databases.USER}'", server.own_database)

    @staticmethod
    def hold_lock(server, seconds):
        """Keeps everybody from the table for a while."""
        server.execute(f"BEGIN; LOCK TABLE alias; SELECT pg_sleep({seconds}); COMMIT;")

    @staticmethod
    def set_idle_limit(server, is_on):
        """The server closes connections that are idle for a second, or does not."""
        server.execute(f"ALTER ROLE {databases.USER} SET idle_session_timeout = '{int(is_on)}s'", server.own_database)

    @staticmethod
    def set_password(server, password):
        server.execute(f"ALTER ROLE {databases.USER} PASSWORD {quoted(password)}", server.own_database)

    @staticmethod
    def swap_table(server):
        """Puts a copy in the table's place, at once."""
        server.execute("CREATE TABLE fresh (LIKE alias INCLUDING ALL); GRANT SELECT ON fresh TO PUBLIC;"
                       "INSERT INTO fresh (address, goto, active) SELECT address, goto, active FROM alias;"
                       "BEGIN; ALTER TABLE alias RENAME TO old; ALTER TABLE fresh RENAME TO alias; COMMIT; DROP TABLE old;")

    @staticmethod
    def rename_table(server, name, other):
        server.execute(f"ALTER TABLE {name} RENAME TO {other}")

    @staticmethod
    def alter_type(server, kind):
        server.execute(f"ALTER TABLE plain ALTER COLUMN goto TYPE {kind}")

    @staticmethod
    def occupant(server):
        """A command that takes a connection, says so, and keeps it."""
        return (["psql", "-X", "-q", "-A", "-t", "-h", server.host, "-p", str(server.port), "-U", server.user,
                 "-c", "SELECT 'in'", "-c", "SELECT pg_sleep(600)", server.dbname], {"PGPASSWORD": server.password})


class MariaDBSite(Site):
    driver, schema = "mysql", "mysql.sql"
    more = """
CREATE TABLE two (n INT); INSERT INTO two VALUES (1), (2);
DELIMITER //
CREATE FUNCTION checked (goto VARCHAR(1000)) RETURNS VARCHAR(1000) DETERMINISTIC NO SQL
BEGIN
    IF goto LIKE 'poison%' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poison'; END IF;
    RETURN goto;
END//
DELIMITER ;
"""
    poison = "SELECT checked(goto) FROM alias WHERE address = '%s'"
    invalid = "SELECT goto FROM alias WHERE address = '%s' AND 1 = (SELECT n FROM two WHERE n = 1 OR alias.goto LIKE 'poison%%')"
    sleep = "SELECT IF(address LIKE 'sleep%%', CONCAT(goto, SLEEP(60)), goto) FROM alias WHERE address = '%s'"
    slow = "SELECT CONCAT(SUBSTRING(goto FROM 1 FOR 200), LEFT(SLEEP(0.05), 0)) FROM alias WHERE address = '%s'"

    @staticmethod
    def start():
        return MariaDB(max_connections=MAX_CONNECTIONS)

    def follow(self):
        self.standby = self.primary.make_replica()

    def sleepers(self, server):
        return self.count(server, "SELECT count(*) FROM information_schema.processlist WHERE command <> 'Sleep' "
                                  "AND info LIKE '%SLEEP(%' AND id <> connection_id()")

    def connections(self, server):
        return self.count(server, f"SELECT count(*) FROM information_schema.processlist WHERE user = '{databases.USER}'")

    @staticmethod
    def _kill(server, what, condition="true"):
        """One by one: KILL USER holds up the whole server for seconds, if connections come meanwhile."""
        ids = server.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{databases.USER}' "
                             f"AND {condition}", server.own_database).split()
        for one in ids:
            with contextlib.suppress(databases.DatabaseError):  # it may have gone by itself
                server.execute(f"KILL {what} {one}", server.own_database)

    def disconnect(self, server):
        self._kill(server, "CONNECTION")

    def cancel_queries(self, server):
        self._kill(server, "QUERY", "command = 'Query'")

    @staticmethod
    def hold_lock(server, seconds):
        server.execute(f"LOCK TABLES alias WRITE; SELECT SLEEP({seconds}); UNLOCK TABLES;")

    @staticmethod
    def set_idle_limit(server, is_on):
        server.execute(f"SET GLOBAL wait_timeout = {1 if is_on else 28800}", server.own_database)

    @staticmethod
    def set_password(server, password):
        server.execute("".join(f"SET PASSWORD FOR {databases.USER}@'{host}' = PASSWORD({quoted(password)});"
                               for host in ("localhost", server.host)), server.own_database)

    @staticmethod
    def swap_table(server):
        server.execute("CREATE TABLE fresh LIKE alias;"
                       "INSERT INTO fresh (address, goto, active) SELECT address, goto, active FROM alias;"
                       "RENAME TABLE alias TO old, fresh TO alias; DROP TABLE old;")

    @staticmethod
    def rename_table(server, name, other):
        server.execute(f"RENAME TABLE {name} TO {other}")

    @staticmethod
    def alter_type(server, kind):
        server.execute(f"ALTER TABLE plain MODIFY goto {kind}")

    @staticmethod
    def occupant(server):
        return (["mariadb", "--no-defaults", "--unbuffered", "--skip-column-names", f"--host={server.host}",
                 f"--port={server.port}", f"--user={server.user}", f"--password={server.password}",
                 "-e", "SELECT 'in'; SELECT SLEEP(600)", server.dbname], {})


SITES = {"pgsql": (PostgreSQLSite, PostgreSQL), "mysql": (MariaDBSite, MariaDB)}


@pytest.fixture(scope="module", params=SITES)
def site(request):
    kind, server = SITES[request.param]
    reason = server.why_not()
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        made = kind(stack.enter_context(kind.start()))
        made.follow()
        stack.push(made.standby)
        made.standby.wait_for_replay(made.primary)
        yield made


# One case.

class Trial:
    """A daemon under load."""

    def __init__(self, name, daemon, load):
        self.name, self.daemon, self.load = name, daemon, load

    def trouble(self):
        return self.load.trouble()

    def watch(self, seconds):
        self.load.watch(seconds)


@pytest.fixture
def trial(request, site, record_property):
    """
    Makes the test's Trial, and keeps its figures for the summary. Both servers run afterwards, so that
    a test that fails in the middle of a fault fails alone.
    """
    @contextlib.contextmanager
    def make(config=None, questions=(), weights=None, special=(), **options):
        daemon = Daemon(config or site.config())
        load = Load(daemon.path("socketmap"), [*usual_questions(), *questions], {**USUAL_WEIGHTS, **(weights or {})},
                    patience=PATIENCE, **options)
        run = Trial(request.node.name, daemon, load)
        with daemon, load:
            try:
                run.watch(0.15)
                yield run
                # A question that was lost is one that is never answered.
                load.end()
                load.wait_for_replies()
                kinds = load.check()["kinds"]
                assert all(seen["right"] for seen in kinds.values()), kinds
                assert daemon.log().count("\n") <= LOG_LINES_MOST
            finally:
                record_property("figures", f"{run.name}: {load.figures(special)}")
    yield make
    for server in site.servers:
        if not server.is_running():
            server.start()


def eventually(condition, what, seconds=30):
    wait_until(condition, lambda: f"this did not come: {what}", seconds)


def ample(site):
    """The configuration of calm cases that are not about the deadline."""
    return site.config(query_timeout=f"{AMPLE_SECONDS}s")


# The server ends, or hangs.

def test_killed(site, trial):
    with trial() as run:
        for _ in range(2):
            with run.trouble():
                site.primary.kill()
                run.watch(0.4)
                site.primary.start()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restarted(site, trial, mode):
    with trial() as run:
        with run.trouble():
            site.primary.stop(mode)
            run.watch(0.4)
            site.primary.start()


def test_frozen(site, trial):
    """For longer than a lookup may take: its deadline has to do."""
    with trial() as run:
        with run.trouble():
            site.primary.pause()
            try:
                run.watch(QUERY_SECONDS + 1)
            finally:
                site.primary.resume()


def test_frozen_for_a_moment(site, trial):
    """Calmly: that is what deadlines and retries are for."""
    with trial(ample(site)) as run:
        for seconds in (0.1, 0.3):
            site.primary.pause()
            try:
                run.watch(seconds)
            finally:
                site.primary.resume()
            run.watch(1)


def test_disconnected(site, trial):
    """Calmly: whatever was lost with its connection is asked again."""
    with trial(ample(site)) as run:
        for _ in range(5):
            site.disconnect(site.primary)
            run.watch(0.4)


def test_idle_connections_closed(site, trial):
    """Calmly: what is asked just when the server hangs up is asked again."""
    site.set_idle_limit(site.primary, True)
    try:
        with trial(clients=8, pause=1.0) as run:
            run.watch(3)
    finally:
        site.set_idle_limit(site.primary, False)


def test_queries_cancelled(site, trial):
    questions = [("slow", f"slow {alias_address(n)}", f"OK {alias_goto(n)}") for n in range(ROWS)]
    with trial(questions=questions, weights={"slow": 20}) as run:
        with run.trouble():
            for _ in range(10):
                site.cancel_queries(site.primary)
                run.watch(0.1)


# The network.

def misbehave(run, proxy, seconds, fault, *arguments):
    with run.trouble():
        fault(*arguments)
        run.watch(seconds)
        proxy.pass_on()


def shut(proxy):
    """As a server that has ended."""
    proxy.close()
    proxy.refuse()


NETWORK_FAULTS = {"closes": FaultProxy.close, "resets": FaultProxy.reset, "is shut": shut, "is silent": FaultProxy.silent,
                  "is a black hole": FaultProxy.blackhole}


@pytest.mark.parametrize("fault", NETWORK_FAULTS)
def test_network(site, trial, fault):
    with FaultProxy(site.primary.host, site.primary.port) as proxy, trial(site.config([proxy])) as run:
        seconds = QUERY_SECONDS + 0.7 if NETWORK_FAULTS[fault] in (FaultProxy.silent, FaultProxy.blackhole) else 0.5
        for pause in (0.1, seconds):
            misbehave(run, proxy, pause, NETWORK_FAULTS[fault], proxy)


@pytest.mark.parametrize("seconds", [0.02, 0.2, 0.7])
def test_network_slow(site, trial, seconds):
    with FaultProxy(site.primary.host, site.primary.port) as proxy, trial(site.config([proxy])) as run:
        misbehave(run, proxy, 1.5, proxy.delay, seconds)


@pytest.mark.parametrize("how", ["close", "reset", "silent"])
def test_network_truncates(site, trial, how):
    """In the middle of answers, some of which are long; at once, and after some more bytes."""
    with FaultProxy(site.primary.host, site.primary.port) as proxy, trial(site.config([proxy])) as run:
        for _ in range(2):
            misbehave(run, proxy, 0.1, proxy.truncate, how)
        for count in (7, 60, 500, 3000, 20000):
            misbehave(run, proxy, 0.1, proxy.cut, count, how)
        if how == "silent":
            misbehave(run, proxy, QUERY_SECONDS + 0.7, proxy.truncate, how)
        assert proxy.counts()["faults"] > 10


# Fail-over.

@contextlib.contextmanager
def primary_away(site, how):
    """The primary is gone; afterwards it is back."""
    if how == "killed":
        site.primary.kill()
    else:
        site.primary.pause()
    try:
        yield
    finally:
        if how == "killed":
            site.primary.start()
        else:
            site.primary.resume()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_fail_over_and_back(site, trial, how):
    """Calmly: there is a host that answers, and time enough."""
    with trial(site.config([site.primary, site.standby], query_timeout=f"{2 * QUERY_SECONDS}s")) as run:
        assert site.connections(site.primary) and not site.connections(site.standby)
        with primary_away(site, how):
            run.watch(2 * QUERY_SECONDS + 0.5 if how == "frozen" else 1)
            assert site.connections(site.standby)
        eventually(lambda: site.connections(site.primary) and not site.connections(site.standby),
                   "all connections are the primary's again")
        run.watch(0.5)


def test_fail_over_of_the_network(site, trial):
    """Calmly, too: the primary lives, but its packets get lost."""
    with FaultProxy(site.primary.host, site.primary.port) as proxy, \
            trial(site.config([proxy, site.standby], query_timeout=f"{2 * QUERY_SECONDS}s")) as run:
        for fault in (proxy.reset, proxy.truncate, proxy.blackhole):
            fault()
            run.watch(QUERY_SECONDS)
            proxy.pass_on()
            eventually(lambda: site.connections(site.primary) and not site.connections(site.standby),
                       "all connections are the primary's again")
            run.watch(0.1)


def test_both_away(site, trial):
    with trial(site.config([site.primary, site.standby])) as run:
        with run.trouble():
            site.standby.pause()
            try:
                with primary_away(site, "killed"):
                    run.watch(QUERY_SECONDS)
            finally:
                site.standby.resume()


def test_promoted(site, trial):
    """The primary is gone for good, and the other takes over: whoever wants a primary goes there."""
    with trial(site.config([site.primary, site.standby], role="primary")) as run:
        assert not site.connections(site.standby)
        with run.trouble():
            site.primary.kill()
            run.watch(0.3)
            # Whoever looks for a primary there is there for a moment.
            eventually(lambda: not site.connections(site.standby), "nobody stays at the standby", 5)
            site.standby.promote()
        assert site.connections(site.standby)
    site.primary.start()
    site.standby.follow(site.primary)
    site.standby.wait_for_replay(site.primary)


# Limits.

class Occupants:
    """Others, who take all the connections that the server has."""

    def __init__(self, site):
        self.site, self.running = site, []

    def start(self):
        """One more; False if there was no room for it."""
        command, environment = self.site.occupant(self.site.primary)
        one = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               env={**os.environ, **environment})
        self.running.append(one)
        return one.stdout.readline().strip() == b"in"

    def end(self):
        for one in self.running:
            one.kill()
            one.stdout.close()
            one.wait()
        self.running = []
        self.site.disconnect(self.site.primary)

    def __enter__(self):
        self.site.disconnect(self.site.primary)
        refused = 0
        while refused < 3:  # of those who came before, some may be about to leave
            refused = 0 if self.start() else refused + 1
            time.sleep(0.1 * bool(refused))
        return self

    def __exit__(self, *_):
        self.end()


def test_connections_taken_by_others(site, trial):
    """When tabled starts, the server is full."""
    with Occupants(site) as occupants, trial(in_trouble=True) as run:
        eventually(lambda: run.load.count("known", "later"), "a try later")
        run.watch(0.5)
        assert not run.load.count("known")
        with run.trouble():
            occupants.end()


def test_connections_taken_by_tabled(site, trial):
    """Calmly: its pool is too large for the server, and slow queries make it grow."""
    questions = [("slow", f"slow {alias_address(n)}", f"OK {alias_goto(n)}") for n in range(ROWS)]
    config = site.config(pool=MAX_CONNECTIONS * 2)
    with trial(config, questions=questions, weights={"slow": 900}) as run:
        eventually(lambda: run.load.check() and site.connections(site.primary) >= MAX_CONNECTIONS - 6, "the pool grows")
        run.watch(2)


# Changes that an administrator makes.

def test_password_changed(site, trial, tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{site.primary.password}\n")
    new = "another 'secret', and longer"
    try:
        with trial(site.config(password=None, password_file=file)) as run:
            with run.trouble():
                site.set_password(site.primary, new)
                site.disconnect(site.primary)
                run.watch(0.5)
                file.write_text(f"{new}\n")
            assert new not in run.daemon.log() and site.primary.password not in run.daemon.log()
    finally:
        site.set_password(site.primary, site.primary.password)


def test_table_renamed(site, trial):
    with trial(allowed=("TEMP", "PERM")) as run:
        for _ in range(2):
            with run.trouble():
                site.rename_table(site.primary, "alias", "away")
                try:
                    run.watch(0.4)
                finally:
                    site.rename_table(site.primary, "away", "alias")


def test_table_locked(site, trial):
    """Calmly as long as there is time, and not for longer."""
    def lock(seconds):
        holder = threading.Thread(target=site.hold_lock, args=(site.primary, seconds))
        holder.start()
        run.watch(seconds)
        holder.join()

    with trial() as run:
        lock(0.3)
        run.watch(0.5)
        with run.trouble():
            lock(QUERY_SECONDS + 0.5)


def test_table_replaced(site, trial):
    """Calmly: at each moment there is one."""
    with trial(ample(site)) as run:
        for _ in range(3):
            site.swap_table(site.primary)
            run.watch(0.3)


@pytest.fixture
def plain_table(site):
    site.primary.execute("CREATE TABLE plain (address VARCHAR(100) PRIMARY KEY, goto VARCHAR(100));"
                         "INSERT INTO plain SELECT address, min(goto) FROM alias GROUP BY address;")
    if site.driver == "pgsql":
        site.primary.execute("GRANT SELECT ON plain TO PUBLIC")
    yield
    site.primary.execute("DROP TABLE plain")


def test_columns_changed(site, trial, plain_table):
    """Calmly: a column more, another type, a column less; and the map says SELECT *."""
    questions = [("star", f"all {alias_address(n)}", f"OK {alias_address(n)},{alias_goto(n)}") for n in range(ROWS)]
    questions += [("no star", f"all nobody{n}@bulk.example", "NOTFOUND ") for n in range(100)]
    with trial(ample(site), questions=questions, weights={"star": 100, "no star": 20}) as run:
        for _ in range(2):
            site.primary.execute("ALTER TABLE plain ADD COLUMN more INTEGER")
            run.watch(0.3)
            site.alter_type(site.primary, "TEXT")
            run.watch(0.3)
            site.alter_type(site.primary, "VARCHAR(120)")
            run.watch(0.3)
            site.primary.execute("ALTER TABLE plain DROP COLUMN more")
            run.watch(0.3)


# Keys that do harm.

def test_poison_keys(site, trial):
    """Calmly: one question in ten is an error of its key alone, and nobody else's."""
    questions = [("poison", f"{name} {address}", "PERM …") for name in ("poison", "invalid") for address in POISON]
    questions += [("beside", f"{name} {alias_address(n)}", f"OK {alias_goto(n)}")
                  for name in ("poison", "invalid") for n in range(ROWS)]
    questions += [("none", f"{name} nobody{n}@bulk.example", "NOTFOUND ") for name in ("poison", "invalid")
                  for n in range(100)]
    with trial(ample(site), questions=questions, weights={"poison": 20, "beside": 70, "none": 20}, special=["poison"]) as run:
        run.watch(3)


def test_sleeping_keys(site, trial):
    """Calmly: some keys take a minute. They get their "try later", and their queries end on the server."""
    questions = [("sleepers", f"sleep {address}", "TEMP …") for address in SLEEPERS]
    questions += [("beside", f"sleep {alias_address(n)}", f"OK {alias_goto(n)}") for n in range(ROWS)]
    questions += [("none", f"sleep nobody{n}@bulk.example", "NOTFOUND ") for n in range(100)]
    # Each worker has to find out for itself what sleeps: one of them is watched here.
    with trial("workers = 1\n" + site.config(query_timeout=f"{2 * QUERY_SECONDS}s"), questions=questions,
               weights={"sleepers": 20, "beside": 70, "none": 20}, special=["sleepers"]) as run:
        eventually(lambda: run.load.check() and site.sleepers(site.primary), "a query sleeps")
        run.watch(3 * QUERY_SECONDS)
        run.load.leave_out("sleepers")
        eventually(lambda: run.load.check() and not site.sleepers(site.primary), "no query sleeps any more", GONE_SECONDS)


# PgBouncer.

@pytest.fixture(scope="module")
def pooler(site):
    if PgBouncer.why_not():
        pytest.skip(PgBouncer.why_not())
    with PgBouncer(site.primary) as server:
        yield server


@pytest.mark.parametrize("site", ["pgsql"], indirect=True)
def test_pooler(site, trial, pooler):
    """In transaction mode, killed and restarted; and the server behind it."""
    with trial(site.config([pooler])) as run:
        run.watch(1)
        with run.trouble():
            pooler.kill()
            run.watch(0.4)
            pooler.start()
        with run.trouble():
            pooler.restart()
        with run.trouble():
            site.primary.restart("immediate")


# The daemon's own life.

def test_reloaded(site, trial):
    """Calmly."""
    with trial(ample(site)) as run:
        for _ in range(10):
            run.daemon.reload()
            run.watch(0.15)


def test_restarted_while_reloading(site, trial):
    with trial() as run:
        with run.trouble():
            for step in (site.primary.kill, site.primary.start, site.primary.stop, site.primary.start):
                for _ in range(3):
                    run.daemon.reload()
                    run.watch(0.1)
                step()
                run.daemon.reload()


def test_started_before_the_server(site, trial):
    site.primary.stop()
    with trial(in_trouble=True) as run:
        eventually(lambda: run.load.count("known", "later"), "a try later")
        run.watch(0.5)
        assert not run.load.count("known")
        with run.trouble():
            site.primary.start()


@pytest.mark.parametrize("state", ["answers", "hangs", "has ended", "is unreachable"])
def test_daemon_stopped(site, trial, state):
    """It answers what it was asked, and goes, whatever the server does."""
    with FaultProxy(site.primary.host, site.primary.port) as proxy, trial(site.config([proxy])) as run:
        eventually(lambda: all(seen["right"] for seen in run.load.check()["kinds"].values()), "an answer of each kind")
        if state != "answers":
            run.load.begin_trouble()
            {"hangs": FaultProxy.silent, "has ended": shut, "is unreachable": FaultProxy.blackhole}[state](proxy)
            run.watch(0.7)
        run.load.end()
        started = time.monotonic()
        run.daemon.signal(signal.SIGTERM)
        assert run.daemon.process.wait(STOP_SECONDS) == 0
        run.name += f" ({time.monotonic() - started:.1f} s after SIGTERM)"
        run.load.wait_for_replies()
