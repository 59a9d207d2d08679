"""
A day on which everything happens to the database file. A key that is there is never answered "not
found", the log says once what is wrong, and once it is mended nobody has to restart anything.
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from support.client import SOCKETMAP, Client
from support.daemon import Daemon

PATIENCE = 30  # seconds; never a promise of speed
HERE = "OK bob@example.com"
GONE = "NOTFOUND"

# Without a cache, whose old answers would hide what is to be seen here: see test_cache.py for that.
CONFIG = """
cache { size = 0 }
%s
sqlite mail { path = "@DIR@/db/mail.db"  query_timeout = "%s" }
memory other { rows = { "fixed key value" } }
map alias { source = mail  query = "SELECT goto FROM alias WHERE address = '%%s'" }
map domain { source = mail  query = "SELECT domain FROM domain WHERE domain = '%%s'" }
map fixed { source = other  query = "fixed '%%s'" }
socketmap { listen = "unix:@DIR@/socketmap"  mode = "0666" }
control { listen = "unix:@DIR@/control"  mode = "0666" }
"""


def make_database(path, journal="DELETE", goto="bob@example.com", more=0):
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute(f"PRAGMA journal_mode={journal}").fetchone()[0].upper() == journal
        database.execute("CREATE TABLE alias (address TEXT PRIMARY KEY, goto TEXT)")
        database.execute("CREATE TABLE domain (domain TEXT PRIMARY KEY)")
        database.execute("INSERT INTO alias VALUES ('alice@example.com', ?)", (goto,))
        database.executemany("INSERT INTO alias VALUES (?, 'x')",
                             ((f"filler{number}@example.com",) for number in range(more)))
        database.execute("INSERT INTO domain VALUES ('example.com')")
        database.commit()


class Mail:
    """A daemon, its database and a client."""

    def __init__(self, query_timeout="300ms", extra="", database=True, **options):
        self.daemon = Daemon(CONFIG % (extra, query_timeout))
        self.database = self.daemon.path("db/mail.db")
        self.database.parent.mkdir()
        self.daemon.directory.chmod(0o755)
        if database:
            make_database(self.database, **options)
        self.client = None

    def __enter__(self):
        self.daemon.__enter__()
        self.client = Client(self.daemon)
        return self

    def __exit__(self, *why):
        self.client.socket.close()
        self.daemon.__exit__(*why)

    def ask(self, key="alice@example.com", table="alias"):
        """The reply, without the blank behind NOTFOUND."""
        return self.client.ask(table, key).reply().strip()

    def status(self):
        with Client(self.daemon, "unix:@DIR@/control") as control:
            sources = control.command(command="status")["sources"]
        return next(source for source in sources if source["name"] == "mail")

    def lines(self):
        """The log's lines about the database; that there is no feed is none of them."""
        return [line for line in self.daemon.log().splitlines() if "source=mail" in line and " feed=off" not in line]

    def assert_away(self, kind="TEMP", reason=""):
        """The database cannot be asked now, and that is what clients are told."""
        for key in ("alice@example.com", "nobody@example.com"):
            reply = self.ask(key)
            assert reply.startswith(kind), reply
            assert reason in reply
        assert self.ask("key", "fixed") == "OK value"

    def assert_here(self, reply=HERE):
        """It answers again, be it after a moment."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.ask()
            if answer == reply:
                break
            assert answer.startswith(("TEMP", "PERM")), answer
            assert time.monotonic() < deadline, answer
            time.sleep(0.02)
        assert self.ask("nobody@example.com") == GONE

    def assert_few_lines(self, most=2):
        assert 1 <= len(self.lines()) <= most, self.lines()


@pytest.fixture
def mail():
    with Mail() as running:
        running.assert_here()
        yield running


# The file itself.

def test_missing_at_start():
    with Mail(database=False) as mail:
        for _ in range(20):
            mail.assert_away(reason="No such file")
        mail.assert_few_lines(1)
        assert "state=down" in mail.lines()[0] and "mail.db" in mail.lines()[0]
        assert mail.status()["state"] == "down"
        assert not mail.database.exists(), "it must not be made"
        make_database(mail.database)
        mail.assert_here()
        mail.assert_few_lines(2)
        assert mail.status()["state"] == "up"


def test_removed(mail):
    away = mail.database.with_suffix(".away")
    mail.database.rename(away)
    for _ in range(20):
        mail.assert_away(reason="No such file")
    assert not mail.database.exists()
    mail.assert_few_lines(1)
    away.rename(mail.database)
    mail.assert_here()
    mail.assert_few_lines(2)


def test_directory_removed(mail):
    away = mail.database.parent.with_name("away")
    mail.database.parent.rename(away)
    mail.assert_away(reason="No such file")
    away.rename(mail.database.parent)
    mail.assert_here()
    mail.assert_few_lines(2)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_replaced(mail, journal):
    """As backups are restored, and as some programs write: nobody is to notice."""
    for number in range(10):
        fresh = mail.database.with_suffix(".new")
        make_database(fresh, journal=journal, goto=f"{number}@example.com")
        fresh.replace(mail.database)
        assert mail.ask() == f"OK {number}@example.com"
        assert mail.ask("nobody@example.com") == GONE
    assert not mail.lines()


def test_symlink_turned(mail):
    for name in ("one", "two"):
        make_database(mail.database.with_name(name), goto=f"{name}@example.com")
    mail.database.unlink()
    for name in ("one", "two", "one"):
        mail.database.unlink(missing_ok=True)
        mail.database.symlink_to(name)
        mail.assert_here(f"OK {name}@example.com")


def test_a_directory_in_its_place(mail):
    copy = mail.database.with_suffix(".copy")
    mail.database.rename(copy)
    mail.database.mkdir()
    mail.assert_away()
    mail.assert_few_lines(1)
    mail.database.rmdir()
    copy.rename(mail.database)
    mail.assert_here()


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"x" * 5000, os.urandom(8192)],
                         ids=["empty", "header", "letters", "noise"])
@pytest.mark.parametrize("how", ["written over", "in place from the start"])
def test_garbage(content, how):
    with Mail() as mail:
        good = mail.database.read_bytes()
        if how == "written over":
            mail.assert_here()
        mail.database.write_bytes(content)
        for _ in range(10):
            for key in ("alice@example.com", "nobody@example.com"):
                assert mail.ask(key).startswith(("TEMP", "PERM"))
        assert mail.ask("key", "fixed") == "OK value"
        mail.assert_few_lines(6)
        mail.database.write_bytes(good)
        mail.assert_here()


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_truncated(part, journal):
    """What is lost is not known; what can still be read may be answered."""
    with Mail(more=20000, journal=journal) as mail:
        mail.assert_here()
        good = mail.database.read_bytes()
        os.truncate(mail.database, int(len(good) * part) // 4096 * 4096)
        unsure = 0
        for number in range(0, 20000, 97):
            reply = mail.ask(f"filler{number}@example.com")
            assert reply == "OK x" or reply.startswith(("TEMP", "PERM")), reply
            unsure += reply != "OK x"
        assert unsure
        mail.assert_few_lines(12)
        mail.database.with_suffix(".good").write_bytes(good)
        mail.database.with_suffix(".good").replace(mail.database)
        mail.assert_here()
        assert mail.ask("filler19999@example.com") == "OK x"


def test_one_bad_page():
    """A part that cannot be read costs the others nothing, and is never taken for empty."""
    with Mail(more=20000) as mail:
        mail.assert_here()
        good = mail.database.read_bytes()
        pages = len(good) // 4096
        damaged = bytearray(good)
        for page in range(4, pages, 7):
            damaged[page * 4096:(page + 1) * 4096] = b"\xff" + os.urandom(4095)  # no page begins so
        mail.database.with_suffix(".bad").write_bytes(damaged)
        mail.database.with_suffix(".bad").replace(mail.database)
        replies = [mail.ask(f"filler{number}@example.com") for number in range(0, 20000, 97)]
        assert all(reply == "OK x" or reply.startswith(("TEMP", "PERM")) for reply in replies)
        assert any(reply != "OK x" for reply in replies)
        assert mail.ask("example.com", "domain").startswith(("OK", "TEMP"))
        mail.database.with_suffix(".good").write_bytes(good)
        mail.database.with_suffix(".good").replace(mail.database)
        mail.assert_here()


# Permissions. Root may read everything, so the daemon becomes somebody else.

as_nobody = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start tabled as another user")


@as_nobody
def test_becomes_another_user():
    with Mail(extra='user = "nobody"') as mail:
        mail.assert_here()  # its sockets are there before it has become somebody else
        status = pathlib.Path(f"/proc/{mail.daemon.process.pid}/status").read_text()
        nobody = pwd.getpwnam("nobody")
        assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in status
        assert f"Gid:\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}\t{nobody.pw_gid}" in status
        assert "\nGroups:\t0 " not in status and "CapEff:\t0000000000000000" in status
        mail.assert_here()


@as_nobody
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_not_readable(journal):
    mail = Mail(extra='user = "nobody"', journal=journal)
    mail.database.parent.chmod(0o777)
    mail.database.chmod(0o600)
    with mail:
        for _ in range(10):
            mail.assert_away(reason="mail.db")
        mail.assert_few_lines(1)
        assert "the user of tabled" in mail.lines()[0]
        mail.database.chmod(0o644)
        mail.assert_here()
        mail.assert_few_lines(2)


@as_nobody
def test_directory_closed():
    with Mail(extra='user = "nobody"') as mail:
        mail.assert_here()
        mail.database.parent.chmod(0o700)
        mail.assert_away(reason="Permission denied")
        mail.database.parent.chmod(0o755)
        mail.assert_here()
        mail.assert_few_lines(2)


@as_nobody
def test_read_only_directory():
    """Neither the file nor its directory can be written by the daemon's user: it need not."""
    with Mail(extra='user = "nobody"') as mail:
        mail.database.chmod(0o444)
        mail.database.parent.chmod(0o555)
        mail.assert_here()
        with contextlib.closing(sqlite3.connect(mail.database)) as database:
            database.execute("UPDATE alias SET goto = 'new@example.com'")
            database.commit()
        mail.assert_here("OK new@example.com")
        assert not mail.lines()


@as_nobody
def test_read_only_directory_with_wal():
    """
    With a writer there, its -shm file can be read. Without one SQLite needs to make that file:
    then the answer is an error that says what to do, and not an old row.
    """
    with Mail(extra='user = "nobody"', journal="WAL") as mail:
        mail.database.parent.chmod(0o555)
        with contextlib.closing(sqlite3.connect(mail.database)) as writer:
            writer.execute("UPDATE alias SET goto = 'new@example.com'")
            writer.commit()
            for suffix in ("-wal", "-shm"):
                pathlib.Path(f"{mail.database}{suffix}").chmod(0o644)
            mail.assert_here("OK new@example.com")
            writer.execute("UPDATE alias SET goto = 'newer@example.com'")
            writer.commit()
            mail.assert_here("OK newer@example.com")
        for _ in range(10):
            reply = mail.ask()
            assert reply == "OK newer@example.com" or reply.startswith("TEMP"), reply
        mail.database.parent.chmod(0o777)
        mail.assert_here("OK newer@example.com")


# Locks.

@contextlib.contextmanager
def locked(path):
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        yield lock
    finally:
        lock.close()


def test_locked_for_a_moment():
    with Mail(query_timeout="20s") as mail:
        mail.assert_here()
        other = Client(mail.daemon)
        with locked(mail.database) as lock:
            mail.client.ask("alias", "alice@example.com")
            # Who asks another source is not kept waiting.
            for _ in range(200):
                assert other.ask("fixed", "key").reply() == "OK value"
            mail.client.socket.settimeout(0.05)
            with pytest.raises(TimeoutError):
                mail.client.socket.recv(1)
            mail.client.socket.settimeout(PATIENCE)
            lock.execute("UPDATE alias SET goto = 'new@example.com'")
            lock.execute("COMMIT")
        mail.client.input = mail.client.socket.makefile("rb")
        assert mail.client.reply() == "OK new@example.com"
        other.socket.close()


def test_locked_too_long():
    with Mail(query_timeout="200ms") as mail:
        mail.assert_here()
        with locked(mail.database):
            for _ in range(3):
                mail.assert_away(reason="locked")
            assert mail.status()["state"] == "locked"
        mail.assert_here()
        mail.assert_few_lines(2)
        assert "state=locked" in mail.lines()[0] and "state=up" in mail.lines()[-1]


def test_locked_at_start():
    mail = Mail(query_timeout="20s")
    with locked(mail.database) as lock, mail:
        mail.client.ask("alias", "alice@example.com")
        lock.rollback()
        assert mail.client.reply() == HERE


WRITER = """
import sqlite3, sys
path, journal, kind = sys.argv[1:]
database = sqlite3.connect(path, timeout=60, isolation_level=None)
database.execute("PRAGMA journal_mode=" + journal)
database.execute("PRAGMA synchronous=OFF")
number = 0
while True:
    number += 1
    database.execute("BEGIN IMMEDIATE")
    # Always a row, and both of one transaction: never none, never of two.
    database.execute("DELETE FROM alias WHERE address = 'alice@example.com'")
    database.execute("INSERT INTO alias VALUES ('alice@example.com', ?)", (f"{number}@example.com",))
    database.execute("UPDATE alias SET goto = ? WHERE address LIKE 'filler1%'", (str(number),))
    database.execute("COMMIT")
    if kind == "vacuum" and number % 50 == 0:
        database.execute("VACUUM")
    print(number, flush=True)
"""


@contextlib.contextmanager
def writer(path, journal, kind="rows"):
    """Somebody who writes all the time; yields how often he has."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), journal, kind],
                               stdout=subprocess.PIPE, text=True)
    written = []

    def count():
        for line in process.stdout:
            written.append(int(line))

    reader = threading.Thread(target=count)
    reader.start()
    try:
        yield written
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


@pytest.mark.parametrize("kind", ["rows", "vacuum"])
@pytest.mark.parametrize("journal", ["DELETE", "TRUNCATE", "PERSIST", "WAL"])
def test_somebody_writes(journal, kind):
    """Under load, in every kind of journal: late answers at worst, never wrong ones."""
    replies = {"right": 0, "late": 0}
    wrong = []

    def load():
        with Client(mail.daemon) as client:
            last = 0
            while not done.is_set():
                client.ask("alias", *["alice@example.com"] * 20)
                for reply in [client.reply() for _ in range(20)]:
                    number = reply.removeprefix("OK ").partition("@")[0]
                    if reply.startswith("TEMP"):
                        replies["late"] += 1
                    elif reply == HERE or (number.isdigit() and int(number) >= last):
                        replies["right"] += 1
                        last = int(number) if number.isdigit() else last
                    else:
                        wrong.append(reply)

    with Mail(query_timeout="20s", more=200) as mail:
        done = threading.Event()
        threads = [threading.Thread(target=load) for _ in range(4)]
        with writer(mail.database, journal, kind) as written:
            deadline = time.monotonic() + PATIENCE
            while not written:
                assert time.monotonic() < deadline, "the writer does not write"
                time.sleep(0.01)
            for thread in threads:
                thread.start()
            start = len(written)
            while len(written) < start + 2000 and time.monotonic() < deadline and not wrong:
                time.sleep(0.01)
            done.set()
            for thread in threads:
                thread.join()
            assert not wrong
            assert len(written) > start + 20, "the daemon must leave the writer room"
        assert replies["right"] > 100
        assert replies["late"] < replies["right"] / 10, replies
        assert len(mail.lines()) <= 4, mail.lines()


def test_writer_dies(mail):
    """Its journal is left beside the file: then only a writer can tell what is right."""
    with contextlib.closing(sqlite3.connect(mail.database)) as database:
        page_size = database.execute("PRAGMA page_size").fetchone()[0]
    code = ("import sqlite3, sys, os\n"
            "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "database.execute('PRAGMA cache_size=1')\n"
            "database.execute('PRAGMA cache_spill=1')\n"
            "database.execute('BEGIN EXCLUSIVE')\n"
            "database.execute('DELETE FROM alias')\n"
            "database.executemany('INSERT INTO alias VALUES (?, ?)',"
            " ((str(n), 'y' * 500) for n in range(5000)))\n"
            "os._exit(9)\n")
    assert page_size and subprocess.run([sys.executable, "-c", code, mail.database],
                                        check=False).returncode == 9
    assert pathlib.Path(f"{mail.database}-journal").stat().st_size > 0
    for _ in range(5):
        mail.assert_away()
    mail.assert_few_lines(2)
    with contextlib.closing(sqlite3.connect(mail.database)) as database:
        database.execute("SELECT count(*) FROM alias").fetchone()  # rolls back
    mail.assert_here()


# The schema.

def test_table_missing_at_start():
    mail = Mail(database=False)
    with contextlib.closing(sqlite3.connect(mail.database)) as database:
        database.execute("CREATE TABLE domain (domain TEXT)")
        database.execute("INSERT INTO domain VALUES ('example.com')")
        database.commit()
    with mail:
        for _ in range(20):
            mail.assert_away("PERM", "no such table: alias")
        assert mail.ask("example.com", "domain") == "OK example.com"
        mail.assert_few_lines(1)
        assert "map=alias" in mail.lines()[0]
        with contextlib.closing(sqlite3.connect(mail.database)) as database:
            database.execute("CREATE TABLE alias (address TEXT, goto TEXT)")
            database.execute("INSERT INTO alias VALUES ('alice@example.com', 'bob@example.com')")
            database.commit()
        mail.assert_here()


def change(mail, *statements):
    with contextlib.closing(sqlite3.connect(mail.database)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_schema_changes(journal):
    with Mail(journal=journal) as mail:
        mail.assert_here()
        change(mail, "ALTER TABLE alias ADD COLUMN active INTEGER DEFAULT 1")
        mail.assert_here()
        change(mail, "CREATE INDEX goto ON alias (goto)", "ANALYZE")
        mail.assert_here()
        assert not mail.lines()
        change(mail, "ALTER TABLE alias RENAME TO away")
        for _ in range(20):
            for key in ("alice@example.com", "nobody@example.com"):
                assert mail.ask(key).startswith(("TEMP", "PERM"))
        assert mail.ask("example.com", "domain") == "OK example.com"
        mail.assert_few_lines(6)
        change(mail, "ALTER TABLE away RENAME TO alias")
        mail.assert_here()
        change(mail, "ALTER TABLE alias RENAME COLUMN goto TO destination")
        assert mail.ask().startswith(("TEMP", "PERM"))
        change(mail, "ALTER TABLE alias RENAME COLUMN destination TO goto")
        mail.assert_here()
        change(mail, "DROP TABLE alias")
        assert mail.ask().startswith(("TEMP", "PERM"))
        change(mail, "CREATE TABLE alias (address TEXT, goto TEXT)",
               "INSERT INTO alias VALUES ('alice@example.com', 'bob@example.com')")
        mail.assert_here()


def test_view_instead_of_table(mail):
    change(mail, "ALTER TABLE alias RENAME TO real",
           "CREATE VIEW alias AS SELECT address, goto FROM real")
    mail.assert_here()


# Queries.

def test_query_that_takes_too_long():
    """It is ended at its deadline; before and after it the others are answered."""
    slow = ("map slow { source = mail  query = \"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT "
            "x + 1 FROM n) SELECT max(x) FROM n WHERE '%s' <> ''\" }")
    with Mail(query_timeout="200ms", extra=slow) as mail:
        mail.assert_here()
        assert mail.ask("x", "slow").startswith("TEMP")
        mail.assert_here()
        assert mail.ask("key", "fixed") == "OK value"
        mail.assert_few_lines(2)
        assert any("query_timeout" in line for line in mail.lines())


def test_query_that_brings_too_much():
    big = "map big { source = mail  query = \"SELECT printf('%%.*c', 5000000, 'x') WHERE '%s' <> ''\" }"
    with Mail(query_timeout="20s", extra=big) as mail:
        assert mail.ask("x", "big").startswith("PERM")
        mail.assert_here()


def test_copy_over_the_file_while_asked(mail):
    """Not how one should do it, but how it is done."""
    fresh = mail.database.with_suffix(".new")
    make_database(fresh, goto="new@example.com")
    shutil.copyfile(fresh, mail.database)
    mail.assert_here("OK new@example.com")
