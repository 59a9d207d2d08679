"""
The change feed end to end: the shipped maps and schema on real databases, changed in all ways that
databases know, while servers stop, hang and lose their connections. What tabled has kept must be what
the database says, a moment after a change at the latest; what did not change is still kept.

Each shipped map NAME has a twin NAME_now, which keeps nothing: so its answer is the truth.
"""

import contextlib
import os
import random
import re
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from support import databases, postfix
from support.client import CONTROL, SOCKETMAP, Client
from support.daemon import Daemon, program
from support.databases import PASSWORD, DatabaseError, MariaDB, PgBouncer, PostgreSQL, find_program

SCHEMA = databases.ROOT / "schema"
FILES = {"sqlite": "sqlite.sql", "pgsql": "postgresql.sql", "mysql": "mysql.sql"}
ENGINES = ("sqlite", "pgsql", "mysql")
SERVERS = ("pgsql", "mysql")
KINDS = {"pgsql": PostgreSQL, "mysql": MariaDB}

BOUND = 5      # seconds until a change has to be seen; far more than the feed says
PATIENCE = 60  # seconds; never a promise of speed

ROWS = """
INSERT INTO domain (domain) VALUES ('a.example'), ('b.example');
INSERT INTO alias (address, goto) VALUES ('one@a.example', '1@x'), ('two@a.example', '2@x'), ('one@b.example', 'b@x'),
    ('@b.example', 'rest@x');
INSERT INTO mailbox (username) VALUES ('box@a.example'), ('one@a.example');
INSERT INTO alias_domain (alias_domain, target_domain) VALUES ('also.example', 'a.example'), ('twin.example', 'b.example');
INSERT INTO sender_login (sender, login) VALUES ('s@a.example', 'box@a.example');
INSERT INTO transport (destination, transport) VALUES ('a.example', 'smtp:one'), ('b.example', 'smtp:two');
INSERT INTO relay_domain (domain) VALUES ('relay.example');
INSERT INTO sender_bcc (address, goto) VALUES ('one@a.example', 'copy@x');
INSERT INTO recipient_bcc (address, goto) VALUES ('one@a.example', 'copy@x');
INSERT INTO client_access (client, action) VALUES ('192.0.2.1', 'REJECT');
INSERT INTO sender_access (sender, action) VALUES ('bad@a.example', 'REJECT');
"""


# --- tabled

def map_sections():
    """The shipped maps: {name: the text between the braces}."""
    text = re.sub(r"^\s*#.*\n", "", (postfix.SHIPPED / "tabled.conf").read_text(), flags=re.MULTILINE)
    found = {}
    for match in re.finditer(r"^map (\w+) \{", text, re.MULTILINE):
        depth, at = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        found[match.group(1)] = text[match.end():at - 1]
    return found


def shipped_maps():
    """Each of them twice."""
    sections = map_sections()
    lines = []
    for name, body in sections.items():
        lines.append(f"map {name} {{{body}}}")
        now = re.sub(r"maps = \{(.*?)\}", lambda match: "maps = {%s}" % re.sub(r"(\w+)", r"\1_now", match.group(1)), body)
        serves = "" if "serves" in body else f"serves = {name}" if name in POSTFIX_NAMES else 'serves = ""'
        lines.append(f"map {name}_now {{ {serves} cache = no {now}}}")
    return "\n".join(lines)


POSTFIX_NAMES = {"virtual_mailbox_domains", "virtual_alias_domains", "relay_domains", "virtual_mailbox_maps",
                 "virtual_alias_maps", "transport_maps", "sender_bcc_maps", "recipient_bcc_maps", "smtpd_sender_login_maps"}


def config(source, maps=None, options=""):
    return (f'{options}\n{source}\n{shipped_maps() if maps is None else maps}\n'
            f'socketmap {{ listen = "{SOCKETMAP}" }}\ncontrol {{ listen = "{CONTROL}" }}\n')


class Mail:
    """A daemon and somebody who asks it."""

    def __init__(self, stack, source, maps=None, options="", healthy=True):
        self.daemon = stack.enter_context(Daemon(config(source, maps, options)))
        self.clients = [stack.enter_context(Client(self.daemon)) for _ in range(4)]
        self.control = stack.enter_context(Client(self.daemon, CONTROL))
        self.next = 0
        if healthy:
            self.wait_for_state("healthy")

    def feed(self):
        return self.control.command(command="status")["sources"][0]["feed"]

    def wait_for_all(self):
        """Until the feed has read all that is committed by now."""
        committed = time.monotonic()

        def has_read():
            asked = time.monotonic()
            return asked - self.feed()["age"] / 1000 > committed

        wait(has_read, lambda: f"{self.feed()}\n{self.daemon.log()}", PATIENCE)

    def wait_for_state(self, state):
        wait(lambda: self.feed()["state"] == state, lambda: f"{self.feed()}, not {state}:\n{self.daemon.log()}", PATIENCE)

    def get(self, map_name, key):
        """The answer, by one client after the other, and so by one worker after the other."""
        self.next = (self.next + 1) % len(self.clients)
        return self.clients[self.next].ask(map_name, key).reply()

    def truth(self, map_name, key):
        return self.get(f"{map_name}_now", key)

    def is_kept(self, map_name, key):
        """Whether each form of it that counts comes from the cache."""
        found = self.control.command(command="get", map=map_name, key=key, explain=True)
        return all("kept for" in step["outcome"] or "not asked" in step["outcome"] for step in found["steps"])

    def is_old(self, map_name, key):
        """Whether it is given for want of a better one."""
        found = self.control.command(command="get", map=map_name, key=key, explain=True)
        return any("old, but" in step["outcome"] for step in found["steps"])

    def know(self, map_name, key):
        """Asks until it is kept."""
        wait(lambda: [self.get(map_name, key)] and self.is_kept(map_name, key), lambda: f"{map_name} {key} is not kept")
        return self.get(map_name, key)

    def sees(self, map_name, key, answer):
        """Waits for an answer, and returns how long that took."""
        began = time.monotonic()
        wait(lambda: self.get(map_name, key) == answer,
             lambda: f"{map_name} {key}: {self.get(map_name, key)}, not {answer}; {self.feed()}\n{self.daemon.log()}", BOUND)
        return time.monotonic() - began

    def is_right(self, questions):
        """Compares everything with the truth, as soon as that may be asked for."""
        for map_name, key in questions:
            wait(lambda m=map_name, k=key: self.get(m, k) == self.truth(m, k),
                 lambda m=map_name, k=key: f"{m} {k}: {self.get(m, k)}, but {self.truth(m, k)} is true; {self.feed()}\n"
                                           f"{self.daemon.log()}", PATIENCE)


def wait(condition, what, seconds=BOUND):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.002)


# --- Databases

@pytest.fixture
def make(fresh_database, tmp_path):
    """A function: a database of a kind with the schema and some rows."""
    def make_one(kind):
        database = fresh_database(kind, "feed_live", tmp_path)
        return filled(database)
    return make_one


def filled(database):
    database.load_file(SCHEMA / FILES[database.kind])
    database.execute(ROWS)
    return database


@contextlib.contextmanager
def own_server(kind, **options):
    """A server that may be stopped."""
    reason = KINDS[kind].why_not()
    if reason:
        pytest.skip(reason)
    with KINDS[kind](**options) as server:
        yield filled(server)


class Session:
    """Somebody who changes rows, by transactions that stay open as long as he likes."""

    def __init__(self, database):
        self.database = database
        self.file = self.client = None
        if database.kind == "sqlite":
            self.file = sqlite3.connect(database.path, isolation_level=None, timeout=PATIENCE, check_same_thread=False)
            self.file.execute("PRAGMA foreign_keys = ON")
        else:
            self.client = subprocess.Popen(list(map(str, self._command())), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL, text=True)

    def _command(self):
        server = self.database
        if server.kind == "pgsql":
            return (find_program("psql"), "-X", "-q", "-A", "-t", "-h", server.socket, "-p", server.port, "-U", "postgres",
                    server.dbname)
        return (find_program("mariadb"), "--no-defaults", "--batch", "--unbuffered", "--force", "--skip-column-names",
                f"--socket={server.socket}", "--user=root", server.dbname)

    def run(self, sql):
        """Returns when it is done. What a server refuses is left out."""
        if self.file:
            self.file.execute(sql)
            return
        # In a transaction that has failed PostgreSQL selects nothing any more.
        done = "\\echo done" if self.database.kind == "pgsql" else "SELECT 'done';"
        self.client.stdin.write(f"{sql};\n{done}\n")
        self.client.stdin.flush()
        while self.client.stdout.readline() != "done\n":
            assert self.client.poll() is None, sql

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.file:
            self.file.close()
        else:
            self.client.stdin.close()
            self.client.stdout.close()
            self.client.wait(PATIENCE)


# --- Changes of all kinds

UPSERT = {"sqlite": "ON CONFLICT DO UPDATE SET active = 0", "pgsql": "ON CONFLICT (address, goto) DO UPDATE SET active = 0",
          "mysql": "ON DUPLICATE KEY UPDATE active = 0"}
NONE = "NOTFOUND "

# What is asked, how it changes, what is then answered, and what stays.
CHANGES = [
    ("alias", "one@a.example", "UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example';", "OK n@x", ("alias", "two@a.example")),
    ("alias", "new@a.example", "INSERT INTO alias (address, goto) VALUES ('new@a.example', 'n@x');", "OK n@x",
     ("alias", "two@a.example")),
    ("alias", "one@a.example", "DELETE FROM alias WHERE address = 'one@a.example';", NONE, ("alias", "two@a.example")),
    ("alias", "one@a.example", "UPDATE alias SET active = 0 WHERE address = 'one@a.example';", NONE, ("alias", "two@a.example")),
    ("alias", "uno@a.example", "UPDATE alias SET address = 'uno@a.example' WHERE address = 'one@a.example';", "OK 1@x",
     ("alias", "two@a.example")),
    ("alias", "one@a.example", "UPDATE alias SET address = 'uno@a.example' WHERE address = 'one@a.example';", NONE,
     ("alias", "two@a.example")),
    ("virtual_alias_maps", "one+ext@a.example", "UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example';", "OK n+ext@x",
     ("virtual_alias_maps", "two@a.example")),
    ("virtual_alias_maps", "one@also.example", "UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example';", "OK n@x",
     ("virtual_alias_maps", "two@a.example")),
    ("virtual_alias_maps", "any@twin.example", "UPDATE alias SET goto = 'n@x' WHERE address = '@b.example';", "OK n@x",
     ("alias", "two@a.example")),
    ("virtual_alias_maps", "one@also.example",
     "UPDATE alias_domain SET target_domain = 'b.example' WHERE alias_domain = 'also.example';", "OK b@x", ("alias", "two@a.example")),
    ("virtual_alias_maps", "box@also.example", "DELETE FROM sender_login;\nDELETE FROM mailbox WHERE username = 'box@a.example';",
     NONE, ("alias", "two@a.example")),
    ("virtual_mailbox_domains", "c.example", "INSERT INTO domain (domain) VALUES ('c.example');", "OK c.example",
     ("virtual_mailbox_domains", "a.example")),
    ("virtual_alias_domains", "also.example", "UPDATE alias_domain SET active = 0 WHERE alias_domain = 'also.example';", NONE,
     ("virtual_alias_domains", "twin.example")),
    ("virtual_mailbox_maps", "new@a.example", "INSERT INTO mailbox (username) VALUES ('new@a.example');", "OK new@a.example",
     ("virtual_mailbox_maps", "one@a.example")),
    ("relay_domains", "sub.relay.example", "DELETE FROM relay_domain;", NONE, ("alias", "two@a.example")),
    ("transport_maps", "x@a.example", "UPDATE transport SET transport = 'lmtp:n' WHERE destination = 'a.example';", "OK lmtp:n",
     ("transport_maps", "x@b.example")),
    ("sender_bcc_maps", "one@a.example", "UPDATE sender_bcc SET goto = 'n@x';", "OK n@x", ("recipient_bcc_maps", "one@a.example")),
    ("recipient_bcc_maps", "one@a.example", "UPDATE recipient_bcc SET goto = 'n@x';", "OK n@x", ("sender_bcc_maps", "one@a.example")),
    ("client_access", "192.0.2.1", "UPDATE client_access SET action = 'OK';", "OK OK", ("alias", "two@a.example")),
    ("sender_access", "bad@a.example", "UPDATE sender_access SET action = 'OK';", "OK OK", ("alias", "two@a.example")),
    # Foreign keys change and delete the rows of a child.
    ("smtpd_sender_login_maps", "s@a.example", "UPDATE mailbox SET username = 'case@a.example' WHERE username = 'box@a.example';",
     "OK case@a.example", ("alias", "two@a.example")),
    ("smtpd_sender_login_maps", "s@a.example", "DELETE FROM mailbox WHERE username = 'box@a.example';", NONE,
     ("alias", "two@a.example")),
]


def particular_changes(kind):
    """What each database has a word of its own for."""
    insert = "INSERT INTO alias (address, goto) VALUES ('one@a.example', '1@x')"
    yield "alias", "one@a.example", f"{insert} {UPSERT[kind]};", NONE, ("alias", "two@a.example")
    if kind != "pgsql":
        yield ("alias", "one@a.example", "REPLACE INTO alias (address, goto, active) VALUES ('one@a.example', '1@x', 0);", NONE,
               ("alias", "two@a.example"))
    if kind == "pgsql":
        yield "alias", "one@a.example", "TRUNCATE alias;", NONE, ("transport_maps", "x@b.example")
        yield "alias", "new@a.example", "COPY alias (address, goto) FROM STDIN;\nnew@a.example\tn@x\n\\.\n", "OK n@x", (
            "alias", "two@a.example")
        yield ("alias", "one@a.example", "SET session_replication_role = replica; DELETE FROM alias WHERE address LIKE 'one@%';",
               NONE, ("alias", "two@a.example"))


@pytest.mark.parametrize("kind", ENGINES)
def test_changes_are_seen(make, kind, record_property):
    database = make(kind)
    restore = "".join(f"DELETE FROM {table};\n" for table in (
        "sender_login", "alias", "mailbox", "alias_domain", "domain", "transport", "relay_domain", "sender_bcc", "recipient_bcc",
        "client_access", "sender_access"))
    times = []
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source())
        for map_name, key, sql, answer, stays in [*CHANGES, *particular_changes(kind)]:
            database.execute(restore + ROWS)
            wait(lambda: mail.get("alias", "one@a.example") == "OK 1@x", lambda: "the rows are back")
            mail.wait_for_all()
            mail.know(map_name, key)
            mail.know(*stays)
            before = mail.get(*stays)
            database.execute(sql)
            times.append(mail.sees(map_name, key, answer))
            assert (mail.truth(map_name, key), mail.get(*stays)) == (answer, before), sql
            assert mail.is_kept(*stays), sql
    record_property("figures", f"feed, {kind}: a change is seen after {max(times) * 1000:.0f} ms at most, "
                               f"{sum(times) / len(times) * 1000:.0f} ms on average")


@pytest.mark.parametrize("kind", ENGINES)
def test_a_rollback_changes_nothing(make, kind):
    database = make(kind)
    with contextlib.ExitStack() as stack:
        mail, session = Mail(stack, database.tabled_source()), stack.enter_context(Session(database))
        mail.know("alias", "one@a.example")
        session.run("BEGIN")
        session.run("UPDATE alias SET goto = 'lost@x' WHERE address = 'one@a.example'")
        assert mail.get("alias", "one@a.example") == "OK 1@x"
        session.run("ROLLBACK")
        session.run("UPDATE transport SET transport = 'new'")
        mail.sees("transport_maps", "a.example", "OK new")
        assert mail.is_kept("alias", "one@a.example") and mail.get("alias", "one@a.example") == "OK 1@x"


@pytest.mark.parametrize("kind", SERVERS)
def test_commits_in_another_order_than_their_numbers(make, kind, record_property):
    database = make(kind)
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source())
        early, late = stack.enter_context(Session(database)), stack.enter_context(Session(database))
        mail.know("alias", "one@a.example")
        mail.know("alias", "two@a.example")
        mail.know("alias", "one@b.example")
        early.run("BEGIN")
        early.run("UPDATE alias SET goto = 'early@x' WHERE address = 'one@a.example'")
        late.run("UPDATE alias SET goto = 'late@x' WHERE address = 'two@a.example'")
        mail.sees("alias", "two@a.example", "OK late@x")
        assert mail.feed()["gaps"] > 0
        time.sleep(1)
        assert mail.is_kept("alias", "one@a.example")
        early.run("COMMIT")
        took = mail.sees("alias", "one@a.example", "OK early@x")
        assert mail.is_kept("alias", "one@b.example")
    record_property("figures", f"feed, {kind}: a late commit is seen after {took * 1000:.0f} ms")


@pytest.mark.parametrize("kind", ENGINES)
def test_many_changes_at_once(make, kind, record_property):
    """More than are read at once, and more than SQLite's triggers keep; on servers also behind a later commit."""
    database = make(kind)
    count = 30000
    database.load_rows("alias", ("address", "goto"), ((f"many{n}@a.example", "old@x") for n in range(count)))
    keys = [f"many{n}@a.example" for n in range(0, count, 61)]
    took = []
    with contextlib.ExitStack() as stack:
        mail, session = Mail(stack, database.tabled_source()), stack.enter_context(Session(database))
        for goto in ("new@x", "newer@x"):
            for key in keys:
                mail.get("alias", key)
            mail.know("alias", keys[0])
            session.run("BEGIN")
            session.run(f"UPDATE alias SET goto = '{goto}' WHERE address LIKE 'many%'")
            if goto == "newer@x" and kind != "sqlite":
                database.execute("UPDATE transport SET transport = 'new'")
                mail.sees("transport_maps", "a.example", "OK new")
            session.run("COMMIT")
            began = time.monotonic()
            for key in keys:
                mail.sees("alias", key, f"OK {goto}")
            took.append(time.monotonic() - began)
        mail.wait_for_state("healthy")
        mail.know("alias", keys[0])
    record_property("figures", f"feed, {kind}: {count} changes are seen after {max(took) * 1000:.0f} ms")


ODD = {"blanks": "two  three@a.example", "quoted": '"john doe"@a.example', "accent": "grün@a.example",
       "decomposed": "gru\u0308n@a.example", "emoji": "🙂@a.example", "percent": "a%b_c@a.example", "apostrophe": "o'hara@a.example",
       "backslash": "a\\b@a.example", "long": f"{'x' * 500}@a.example", "dollar": "$1@a.example"}


@pytest.mark.parametrize("kind", ENGINES)
def test_odd_keys(make, kind):
    database = make(kind)
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source())
        for key in ODD.values():
            if kind == "mysql" and len(key) > 255:
                continue
            value = databases.literal(kind, key)
            assert mail.know("alias", key) == NONE
            database.execute(f"INSERT INTO alias (address, goto) VALUES ({value}, 'odd@x');")
            mail.sees("alias", key, "OK odd@x")
            mail.know("alias", key)
            database.execute(f"DELETE FROM alias WHERE address = {value};")
            mail.sees("alias", key, NONE)


# --- Loose tables: what a database may call equal, or the same table

def installed(stack, database, maps, tmp_path):
    """A daemon with these maps, once tabledctl has made the triggers."""
    path = tmp_path / "install.conf"
    place, user = {"pgsql": (f"{database.socket}:{database.port}", "postgres"), "mysql": (database.socket, "root")}[database.kind]
    admin = f'{database.kind} mail {{ hosts = {{"{place}"}}  dbname = {database.dbname}  user = {user} }}\n'
    path.write_text(admin + maps)
    done = subprocess.run([program("tabledctl"), "-c", path, "feed", "install", "mail"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Mail(stack, database.tabled_source(), maps=maps)


def test_tables_whose_names_differ_by_case(make):
    """PostgreSQL: a trigger on one of them says nothing of the other."""
    database = make("pgsql")
    database.execute('CREATE TABLE "Alias" (address text, goto text); INSERT INTO "Alias" VALUES (\'k\', \'one\');')
    query = "SELECT goto FROM \\\"Alias\\\" WHERE address = '%s'"
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source(), maps=f'map m {{ source = mail serves = "" query = "{query}" }}')
        mail.get("m", "k")
        database.execute("UPDATE \"Alias\" SET goto = 'two'")
        mail.sees("m", "k", "OK two")
        database.execute("UPDATE \"Alias\" SET goto = 'three'")
        mail.sees("m", "k", "OK three")


def test_tables_in_two_schemas(make, tmp_path):
    """PostgreSQL: the one that the query means, by its name or by the search_path."""
    database = make("pgsql")
    database.execute("""CREATE SCHEMA other;
        GRANT USAGE ON SCHEMA other TO tabled;
        CREATE TABLE other.alias (address text, goto text); GRANT SELECT ON other.alias TO tabled;
        INSERT INTO other.alias VALUES ('one@a.example', 'other1@x');""")
    maps = ('map far { source = mail serves = "" query = "SELECT goto FROM other.alias WHERE address = \'%s\'" }\n'
            'map near { source = mail serves = "" query = "SELECT goto FROM alias WHERE address = \'%s\'" }\n')
    with contextlib.ExitStack() as stack:
        mail = installed(stack, database, maps, tmp_path)
        assert (mail.know("far", "one@a.example"), mail.know("near", "one@a.example")) == ("OK other1@x", "OK 1@x")
        database.execute("UPDATE other.alias SET goto = 'other2@x'")
        mail.sees("far", "one@a.example", "OK other2@x")
        assert mail.is_kept("near", "one@a.example")
        mail.know("far", "one@a.example")
        database.execute("UPDATE alias SET goto = 'n@x'")
        mail.sees("near", "one@a.example", "OK n@x")
        assert mail.is_kept("far", "one@a.example")
        # From now on the query means the other table, whose triggers know it by its whole name only.
        database.execute("ALTER ROLE tabled IN DATABASE feed_live SET search_path = other, public;"
                         "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tabled'")
        mail.sees("near", "one@a.example", "OK other2@x")
        database.execute("UPDATE other.alias SET goto = 'other3@x'")
        mail.sees("near", "one@a.example", "OK other3@x")
        database.execute("ALTER ROLE tabled IN DATABASE feed_live RESET search_path")


def test_a_table_that_others_come_to_inherit_from(make):
    """PostgreSQL: their rows are in its answers, but they have no triggers."""
    database = make("pgsql")
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source())
        mail.know("sender_access", "new@a.example")
        database.execute("CREATE TABLE more () INHERITS (sender_access)")
        time.sleep(BOUND)
        mail.get("sender_access", "new@a.example")
        database.execute("INSERT INTO more (sender, action) VALUES ('new@a.example', 'OK')")
        mail.sees("sender_access", "new@a.example", "OK OK")


COLLATIONS = ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_lithuanian_ci", "utf8mb4_roman_ci", "utf8mb4_bin"]


@pytest.mark.parametrize("collation", COLLATIONS)
def test_what_a_collation_calls_equal(make, tmp_path, collation):
    database = make("mysql")
    database.execute(f"CREATE TABLE t (k varchar(100) CHARACTER SET utf8mb4 COLLATE {collation}, v varchar(100));")
    keys = ["mike", "myke", "MIKE", "mike ", "juva", "iuua", "chose", "cose", "straße", "strasse", "müller", "muller"]
    maps = 'map m { source = mail serves = "" fold = no query = "SELECT v FROM t WHERE k = \'%s\' ORDER BY v DESC LIMIT 1" }\n' + \
           'map m_now { source = mail serves = "" fold = no cache = no query = "SELECT v FROM t WHERE k = \'%s\' ORDER BY v DESC LIMIT 1" }'
    with contextlib.ExitStack() as stack:
        mail = installed(stack, database, maps, tmp_path)
        for number, key in enumerate(keys):
            for other in keys:
                mail.get("m", other)
            database.execute(f"INSERT INTO t VALUES ('{key}', 'v{number:02}')")
            mail.is_right([("m", other) for other in keys])


# --- Databases that stumble

EVERYTHING = [("alias", key) for key in ("one@a.example", "two@a.example", "one@b.example", "no@a.example")] + [
    ("virtual_alias_maps", key) for key in ("one+x@also.example", "any@twin.example", "no@a.example", "box@a.example")] + [
    ("virtual_mailbox_maps", key) for key in ("box@a.example", "no@a.example")] + [
    ("transport_maps", key) for key in ("x@a.example", "x@c.example")] + [("smtpd_sender_login_maps", "s@a.example")]


def change_something(database, number):
    database.execute(f"""
UPDATE alias SET goto = 'n{number}@x' WHERE address = 'one@a.example';
UPDATE transport SET transport = 't{number}';
INSERT INTO mailbox (username) VALUES ('no{number}@a.example');
DELETE FROM alias WHERE address = 'no@a.example';
INSERT INTO alias (address, goto) VALUES ('no@a.example', 'n{number}@x');
""")


def while_away(mail):
    """What was found is given; what would reject a recipient is not."""
    wait(lambda: mail.get("virtual_mailbox_maps", "nobody@a.example").startswith("TEMP "),
         lambda: mail.get("virtual_mailbox_maps", "nobody@a.example"), PATIENCE)
    wait(lambda: mail.is_old("alias", "two@a.example"), lambda: "it counts as fresh", PATIENCE)
    assert mail.get("alias", "two@a.example") == "OK 2@x"
    assert mail.get("virtual_mailbox_maps", "box@a.example") == "OK box@a.example"


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_is_away(kind):
    """Restarted, killed, stopped by a signal: in the end nothing old stays."""
    with own_server(kind) as database, contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source('query_timeout = "2s"'))
        for number, away in enumerate(("restart", "kill", "pause", "restart", "kill")):
            for question in EVERYTHING:
                mail.get(*question)
            mail.know("alias", "two@a.example")
            mail.know("virtual_mailbox_maps", "box@a.example")
            if away == "pause":
                database.pause()
                while_away(mail)
                database.resume()
            else:
                database.stop() if away == "restart" else database.kill()
                while_away(mail)
                database.start()
            change_something(database, number)
            mail.is_right(EVERYTHING)
            mail.wait_for_state("healthy")
            mail.know("alias", "two@a.example")
            change_something(database, f"{number}b")
            mail.sees("alias", "one@a.example", f"OK n{number}b@x")
            mail.is_right(EVERYTHING)


KILL = {"pgsql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tabled'",
        "mysql": "SELECT concat('KILL ', id, ';') FROM information_schema.processlist WHERE user = 'tabled'"}


def kill_connections(database):
    output = database.execute(KILL[database.kind])
    if database.kind == "mysql":
        for statement in output.splitlines():
            with contextlib.suppress(DatabaseError):  # it has ended by itself
                database.execute(statement)


@pytest.mark.parametrize("kind", SERVERS)
def test_connections_are_killed_again_and_again(make, kind):
    database = make(kind)
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source())
        for number in range(15):
            for question in EVERYTHING:
                mail.get(*question)
            change_something(database, number)
            kill_connections(database)
            mail.sees("alias", "one@a.example", f"OK n{number}@x")
            mail.is_right(EVERYTHING)
        mail.wait_for_state("healthy")


def test_only_the_feed_has_trouble(make):
    """PostgreSQL: the source itself is well, so nobody is given an old answer in place of asking."""
    database = make("pgsql")
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source('query_timeout = "1s"'))
        session = stack.enter_context(Session(database))
        for number in range(3):
            mail.know("alias", "one@a.example")
            session.run("BEGIN")
            session.run("LOCK TABLE tabled_change IN ACCESS EXCLUSIVE MODE")
            mail.wait_for_state("broken")
            time.sleep(2)
            # Without the trigger, since that would wait for the lock.
            database.execute(f"""BEGIN; ALTER TABLE alias DISABLE TRIGGER tabled_alias; UPDATE alias SET goto = 'n{number}@x';
                             ALTER TABLE alias ENABLE ALWAYS TRIGGER tabled_alias; COMMIT;""")
            assert mail.get("alias", "one@a.example") == f"OK n{number}@x"
            session.run("COMMIT")
            mail.wait_for_state("healthy")
            mail.is_right(EVERYTHING)


def test_a_standby_is_promoted_that_lacks_the_last_commits():
    """PostgreSQL: what only the old primary knew is not kept."""
    with own_server("pgsql") as first, contextlib.ExitStack() as stack:
        second = first.make_standby()
        stack.push(second)
        second.wait_for_replay(first)
        second.stop()
        source = (f'pgsql mail {{ hosts = {{"{first.host}:{first.port}", "{second.host}:{second.port}"}}  role = primary '
                  f'dbname = {first.dbname}  user = {first.user}  password = "{PASSWORD}" }}\n')
        mail = Mail(stack, source)
        for number in range(5):
            change_something(first, number)
        mail.sees("alias", "one@a.example", "OK n4@x")
        for question in EVERYTHING:
            mail.know(*question)
        first.kill()
        second.start()
        second.promote()
        mail.wait_for_state("healthy")
        mail.is_right(EVERYTHING)
        assert mail.get("alias", "one@a.example") == "OK 1@x"
        for number in range(6):
            change_something(second, f"s{number}")
            mail.sees("alias", "one@a.example", f"OK ns{number}@x")
        mail.is_right(EVERYTHING)


def test_a_crash_loses_a_commit_that_was_seen():
    """PostgreSQL: without synchronous_commit, and while others, whose changes have higher numbers, are kept."""
    with own_server("pgsql") as database, contextlib.ExitStack() as stack:
        database.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        database.execute("SELECT pg_reload_conf()")
        mail, session = Mail(stack, database.tabled_source()), stack.enter_context(Session(database))
        process = int(database.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'tabled' LIMIT 1"))
        mail.know("alias", "one@a.example")
        session.run("SET synchronous_commit = off")
        session.run("BEGIN")
        session.run("UPDATE alias SET goto = 'lost@x' WHERE address = 'one@a.example'")
        database.execute("UPDATE alias SET goto = 'stays@x' WHERE address = 'two@a.example'")
        mail.sees("alias", "two@a.example", "OK stays@x")
        session.run("COMMIT")
        mail.sees("alias", "one@a.example", "OK lost@x")
        mail.know("alias", "one@a.example")
        os.kill(process, signal.SIGKILL)
        # The server begins to recover when it sees that he is gone.
        wait(lambda: not os.path.exists(f"/proc/{process}"), lambda: "he stays", PATIENCE)
        wait(database.is_ready, lambda: "it does not come back", PATIENCE)
        assert database.execute("SELECT goto FROM alias WHERE address IN ('one@a.example', 'two@a.example') ORDER BY address") == (
            "1@x\nstays@x\n")
        mail.sees("alias", "one@a.example", "OK 1@x")
        mail.is_right(EVERYTHING)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_standby_alone(kind):
    """A replica of the mail server's own: it tells of changes as they arrive, and nothing is written to it."""
    with own_server(kind) as first, contextlib.ExitStack() as stack:
        second = first.make_standby() if kind == "pgsql" else first.make_replica()
        stack.push(second)
        first.execute("UPDATE tabled_change SET changed_at = '2020-01-01'")
        second.wait_for_replay(first)
        if kind == "mysql":  # read_only does not bind him
            second.execute("SET sql_log_bin = 0; GRANT ALL ON *.* TO tabled@'127.0.0.1'")
        mail = Mail(stack, second.tabled_source())
        for number in range(5):
            mail.know("alias", "one@a.example")
            mail.know("alias", "two@a.example")
            change_something(first, number)
            mail.sees("alias", "one@a.example", f"OK n{number}@x")
            assert mail.is_kept("alias", "two@a.example")
        second.wait_for_replay(first)
        counts = [server.execute("SELECT count(*) FROM tabled_change") for server in (first, second)]
        assert counts[0] == counts[1]
        assert "a connection was lost" not in mail.daemon.log()


def test_a_primary_is_made_a_replica():
    """MariaDB: by hand, so that no connection ends; nor is anything copied to it from then on."""
    with own_server("mysql") as first, contextlib.ExitStack() as stack:
        second = first.make_replica()
        stack.push(second)
        source = (f'mysql mail {{ hosts = {{"{first.host}:{first.port}", "{second.host}:{second.port}"}}  role = primary '
                  f'dbname = {first.dbname}  user = {first.user}  password = "{PASSWORD}" }}\n')
        mail = Mail(stack, source)
        for question in EVERYTHING:
            mail.know(*question)
        first.execute("SET GLOBAL read_only = 1")
        second.wait_for_replay(first)
        second.promote()
        for number in range(6):
            change_something(second, number)
            mail.sees("alias", "one@a.example", f"OK n{number}@x")
        mail.wait_for_state("healthy")
        mail.is_right(EVERYTHING)


@pytest.mark.parametrize("kind", SERVERS)
def test_rights_are_missing(make, kind):
    """One clear line in the log; and lookups are answered by asking."""
    database = make(kind)
    if kind == "pgsql":
        database.execute("REVOKE ALL ON tabled_change FROM tabled")
    else:
        database.execute("REVOKE ALL ON feed_live.* FROM tabled@localhost, tabled@'127.0.0.1';"
                         "GRANT SELECT ON feed_live.tabled_feed_live TO tabled@'127.0.0.1';"
                         + "".join(f"GRANT SELECT ON feed_live.{table} TO tabled@'127.0.0.1';" for table in (
                             "alias", "alias_domain", "domain", "mailbox", "transport", "relay_domain", "sender_login", "sender_bcc",
                             "recipient_bcc", "client_access", "sender_access")))
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source(), healthy=False)
        mail.wait_for_state("broken")
        for number in range(20):
            database.execute(f"UPDATE alias SET goto = 'n{number}@x' WHERE address = 'one@a.example'")
            assert mail.get("alias", "one@a.example") == f"OK n{number}@x"
        lines = [line for line in mail.daemon.log().splitlines() if "feed=" in line]
        assert len(lines) == 1 and "tabled_change" in lines[0] and "denied" in lines[0], lines


# --- Other ways to a database

def test_through_pgbouncer(record_property):
    """In transaction mode nobody can listen: it takes as long as the interval."""
    if PgBouncer.why_not():
        pytest.skip(PgBouncer.why_not())
    with own_server("pgsql") as database, PgBouncer(database) as pooler, contextlib.ExitStack() as stack:
        source = (f'pgsql mail {{ hosts = {{"{pooler.host}:{pooler.port}"}}  dbname = {database.dbname}  user = {pooler.user}  '
                  f'password = "{PASSWORD}" }}\n')
        mail = Mail(stack, source)
        times = []
        for number in range(20):
            mail.know("alias", "one@a.example")
            mail.know("alias", "two@a.example")
            database.execute(f"UPDATE alias SET goto = 'n{number}@x' WHERE address = 'one@a.example'")
            times.append(mail.sees("alias", "one@a.example", f"OK n{number}@x"))
            assert mail.is_kept("alias", "two@a.example")
        # The server behind it is another one than before, though nobody's connection was lost.
        database.restart("immediate")
        change_something(database, "after")
        mail.is_right(EVERYTHING)
    record_property("figures", f"feed, pgsql behind PgBouncer: a change is seen after {max(times) * 1000:.0f} ms at most")


@pytest.mark.parametrize("kind", ENGINES)
def test_two_daemons(make, kind):
    database = make(kind)
    with contextlib.ExitStack() as stack:
        mails = [Mail(stack, database.tabled_source(), options=f"workers = {number}") for number in (1, 2)]
        for number in range(30):
            for mail in mails:
                mail.get("alias", "one@a.example")
                mail.get("alias", "two@a.example")
            change_something(database, number)
            for mail in mails:
                mail.sees("alias", "one@a.example", f"OK n{number}@x")
                assert mail.is_kept("alias", "two@a.example")
        for mail in mails:
            mail.is_right(EVERYTHING)


# --- Chance

KEYS = [f"key{number}@a.example" for number in range(15)]
SECOND_NAMES = ["also.example", "twin.example"]
QUESTIONS = [("alias", key) for key in KEYS] + [("virtual_mailbox_maps", key) for key in KEYS[:5]] + [
    ("virtual_alias_maps", f"key{number}+x@{domain}") for number in range(8) for domain in SECOND_NAMES] + [
    ("virtual_alias_domains", domain) for domain in SECOND_NAMES]
SECONDS = 12


def statements(chance, number):
    """A transaction's worth."""
    for _ in range(chance.randint(1, 3)):
        key, other = chance.choice(KEYS), chance.choice(KEYS)
        yield chance.choice([
            f"DELETE FROM alias WHERE address = '{key}'",
            f"INSERT INTO alias (address, goto) VALUES ('{key}', 'w{number}-{chance.random()}@x')",
            f"UPDATE alias SET goto = 'u{number}-{chance.random()}@x' WHERE address = '{key}'",
            f"UPDATE alias SET active = 1 - active WHERE address = '{key}'",
            f"UPDATE alias SET address = '{other}' WHERE address = '{key}'",
            f"INSERT INTO mailbox (username) VALUES ('{key}')",
            f"DELETE FROM mailbox WHERE username = '{key}'",
            f"UPDATE alias_domain SET active = 1 - active WHERE alias_domain = '{chance.choice(SECOND_NAMES)}'",
            f"UPDATE alias_domain SET target_domain = '{chance.choice('ab')}.example' "
            f"WHERE alias_domain = '{chance.choice(SECOND_NAMES)}'",
            f"UPDATE alias SET goto = 'rest{chance.random()}@x' WHERE address = '@b.example'",
        ])


def write_at_random(database, number, seconds, seed):
    """What collides with another writer is left out: who reads is told nothing of it."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    with Session(database) as session:
        while time.monotonic() < end:
            with contextlib.suppress(sqlite3.Error):
                session.run("BEGIN IMMEDIATE" if database.kind == "sqlite" else "BEGIN")
                for statement in statements(chance, number):
                    with contextlib.suppress(sqlite3.Error):
                        session.run(statement)
                    if chance.random() < 0.3 and database.kind != "sqlite":
                        time.sleep(chance.random() * 0.4)
                session.run(chance.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))
            if database.kind == "sqlite" and session.file.in_transaction:
                session.run("ROLLBACK")
            time.sleep(chance.random() * 0.03)


def same(one, other):
    """Results of several rows come in no order."""
    return sorted(one.removeprefix("OK ").split(",")) == sorted(other.removeprefix("OK ").split(","))


@pytest.mark.parametrize("kind, pragma", [(kind, "") for kind in ENGINES] + [("sqlite", "PRAGMA journal_mode = WAL;")])
def test_the_same_as_without_a_cache(make, kind, pragma, record_property):
    """Whatever differs from the database's answer has to be right a moment later."""
    database = make(kind)
    database.execute(pragma)
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    counts = {"lookups": 0, "late": 0}
    longest = 0
    with contextlib.ExitStack() as stack:
        mail = Mail(stack, database.tabled_source(), options="workers = 2")
        threads = [threading.Thread(target=write_at_random, args=(database, number, SECONDS, seed + number)) for number in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            question = chance.choice(QUESTIONS)
            counts["lookups"] += 1
            if same(mail.get(*question), mail.truth(*question)):
                continue
            counts["late"] += 1
            began = time.monotonic()
            wait(lambda q=question: same(mail.get(*q), mail.truth(*q)), lambda q=question: f"seed {seed}, {q}: {mail.feed()}")
            longest = max(longest, time.monotonic() - began)
        for thread in threads:
            thread.join()
        time.sleep(BOUND / 2)
        for question in QUESTIONS:
            assert same(mail.get(*question), mail.truth(*question)), f"seed {seed}, {question}, {mail.feed()}"
            assert mail.is_kept(*question), f"seed {seed}, {question}, {mail.feed()}"
    record_property("figures", f"feed, {kind}{pragma and ' with WAL'}: {counts['lookups']} lookups beside changes, {counts['late']} late, "
                               f"for {longest * 1000:.0f} ms at most")
