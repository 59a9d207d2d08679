"""
The change feed's SQL, on real databases: that tabledctl makes what schema/ says, what the triggers
write, whom they let write, what becomes of them, and that the scripts of --dry-run suit the
databases' own programs. What the daemon makes of the changes is told elsewhere.
"""

import contextlib
import re
import sqlite3
import subprocess

import pytest

from support import databases, postfix
from support.client import answer
from support.daemon import Daemon, program, sanitizer_environment
from support.databases import PASSWORD, DatabaseError, literal

SCHEMA = databases.ROOT / "schema"
ENGINES = ("sqlite", "pgsql", "mysql")
FILES = {"sqlite": "sqlite.sql", "pgsql": "postgresql.sql", "mysql": "mysql.sql"}
PATIENCE = 120  # seconds; never a promise of speed

# In all three, a name is quoted so.
QUOTES = {"sqlite": '"', "pgsql": '"', "mysql": "`"}


@pytest.fixture
def make(fresh_database, tmp_path):
    """A function: an empty database of a kind."""
    return lambda kind: fresh_database(kind, "feed_test", tmp_path)


def source(database, options=""):
    """The source mail, with the rights of an administrator."""
    if database.kind == "sqlite":
        return database.tabled_source(options)
    user = {"pgsql": "postgres", "mysql": "root"}[database.kind]
    place = f"{database.socket}:{database.port}" if database.kind == "pgsql" else str(database.socket)
    return f'{database.kind} mail {{ hosts = {{"{place}"}}  dbname = {database.dbname}  user = {user}  {options} }}\n'


def run(tmp_path, config, *arguments):
    path = tmp_path / "tabled.conf"
    path.write_text(config)
    done = subprocess.run([program("tabledctl"), "-c", path, "feed", *arguments], capture_output=True, text=True,
                          env=sanitizer_environment(), timeout=PATIENCE, check=False)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


def feed(tmp_path, config, *arguments):
    """What tabledctl feed prints, if all goes well."""
    done = run(tmp_path, config, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def maps(**queries):
    """Sections of maps by name. What is no query is a list of options."""
    def options(text):
        return text if text.startswith("query = ") else f'query = "{text}"'
    return "".join(f'map {name} {{ serves = ""  source = mail  {options(text)} }}\n' for name, text in queries.items())


def changes(database, behind=0):
    """The rows behind a number: [(table, column, value)], None for no value."""
    shown = {"sqlite": "'=' || key_value", "pgsql": "'=' || key_value",
             "mysql": "concat('=', CONVERT(key_value USING utf8mb4))"}[database.kind]
    text = database.execute(f"SELECT changed_table, key_column, coalesce({shown}, '-') FROM tabled_change "
                            f"WHERE id > {behind} ORDER BY id;")
    rows = (re.split(r"[|\t]", line, maxsplit=2) for line in text.split("\n")[:-1])
    return [(table, column, value[1:] if value[0] == "=" else None) for table, column, value in rows]


def last(database):
    return int(database.execute("SELECT coalesce(max(id), 0) FROM tabled_change;"))


def do(database, sql):
    """Runs statements that stand on one line."""
    database.execute(sql.replace("; ", ";\n"))


def in_order(rows):
    """A list of rows in which some have no value."""
    return sorted(rows, key=str)


def after(database, sql):
    """What a script of changes has written, in_order()."""
    before = last(database)
    do(database, sql)
    return in_order(changes(database, before))


def load(database):
    database.load_file(SCHEMA / FILES[database.kind])
    return database


# --- schema/ and tabledctl say the same

def statements(text):
    """The statements of a script, without comments, blanks and what only an installed feed needs."""
    found, statement, delimiter, in_body = [], "", ";", False
    for line in text.splitlines():
        line = re.sub(r"\s+", " ", re.sub(r"^--.*|\s--\s.*", "", line)).strip()
        if line.startswith("DELIMITER "):
            delimiter = line.split()[1]
            continue
        if line.startswith(("\\", ".bail", "SET NAMES")):
            continue
        in_body ^= line.count("$$") % 2 == 1
        statement = f"{statement} {line}".strip()
        whole = statement.endswith(delimiter) and not in_body
        if whole and delimiter == ";" and re.match(r"CREATE TRIGGER\b.* BEGIN\b", statement):
            whole = statement.endswith(" END;")
        if whole:
            found.append(statement[:-len(delimiter)])
            statement = ""
    assert not statement
    return [one for one in found if one]


@pytest.mark.parametrize("kind", ENGINES)
def test_the_schema_has_what_install_makes(make, tmp_path, kind):
    database = load(make(kind))
    text = (postfix.SHIPPED / "tabled.conf").read_text()
    config = re.sub(r"^sqlite mail .*\n", lambda _: source(database), text, count=1, flags=re.MULTILINE)
    done = run(tmp_path, config, "install", "--dry-run", "mail")
    assert done.returncode == 0, done.stderr
    only_there = re.compile(r"(BEGIN|COMMIT|GRANT|DROP|DELETE FROM tabled_feed|DO .*DROP TRIGGER)")
    made = [one for one in statements(done.stdout) if not only_there.match(one)]
    assert len(made) > 30
    text = (SCHEMA / FILES[kind]).read_text()
    theirs = [one for one in statements(text[text.index("-- The change feed:"):]) if not only_there.match(one)]
    assert theirs == made
    # And it is in order as it was loaded.
    assert "not covered" not in feed(tmp_path, config, "status", "mail")


# --- What triggers write

SAMPLE = "INSERT INTO domain (domain) VALUES ('a.example'), ('b.example');\n"


@pytest.mark.parametrize("kind", ENGINES)
def test_what_triggers_write(make, kind):
    database = load(make(kind))
    assert after(database, SAMPLE) == [("domain", "domain", "a.example"), ("domain", "domain", "b.example")]
    one = [("alias", "address", "x@a.example"), ("alias", "localpart", "x")]
    assert after(database, "INSERT INTO alias (address, goto) VALUES ('x@a.example', 'y@z');") == one
    # Another column has changed, or none has: answers may.
    assert after(database, "UPDATE alias SET active = 0;") == one
    assert after(database, "UPDATE alias SET active = 0;") in (one, [])  # MariaDB sees that nothing changes
    # The key itself: both values of what differs.
    assert after(database, "UPDATE alias SET address = 'x@b.example';") == [
        ("alias", "address", "x@a.example"), ("alias", "address", "x@b.example"), ("alias", "localpart", "x")]
    assert after(database, "DELETE FROM alias WHERE address = 'x@b.example';") == [
        ("alias", "address", "x@b.example"), ("alias", "localpart", "x")]
    assert after(database, "DELETE FROM alias;") == []
    assert after(database, "INSERT INTO alias (address, goto) VALUES ('@a.example', 'y@z');") == [
        ("alias", "address", "@a.example"), ("alias", "localpart", "")]
    # All of several rows.
    assert len(after(database, "UPDATE domain SET active = 0;")) == 2
    assert after(database, "INSERT INTO sender_login (sender, login) SELECT 'x@y', username FROM mailbox;") == []


# No blank at the end: MariaDB pads a CHAR, and here the value is compared as it was written.
AWKWARD = ["it's", 'a "b" `c`', "100%", "_", "\\", "back\\slash\\", "grün", "gru\u0308n", "🙂", "Grün", "a b", " a", "NULL", "0",
           "x" * 2000, "ü" * 1000]


@pytest.mark.parametrize("kind", ENGINES)
def test_values_are_kept_as_they_are(make, kind, tmp_path):
    """Whatever the collation and the character set of the column."""
    database = make(kind)
    options = {"mysql": "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "sqlite": "COLLATE NOCASE", "pgsql": ""}[kind]
    database.execute(f"CREATE TABLE t (k VARCHAR(2000) {options}, v INTEGER);")
    feed(tmp_path, source(database) + maps(m="SELECT v FROM t WHERE k = '%s'"), "install", "mail")
    for value in AWKWARD:
        assert after(database, f"INSERT INTO t (k) VALUES ({literal(kind, value)});") == [("t", "k", value)]
    # Only the case, or an accent, changes: to the collation nothing does.
    before = last(database)
    do(database, "DELETE FROM t; INSERT INTO t VALUES ('Müller', 1); UPDATE t SET k = 'muller';")
    assert sorted(changes(database, before)[-2:]) == [("t", "k", "Müller"), ("t", "k", "muller")]


def test_other_character_sets(mariadb, tmp_path):
    """The value is what tabled sends: UTF-8."""
    database = mariadb.fresh_database("feed_test")
    database.execute("CREATE TABLE t (k VARCHAR(20) CHARACTER SET latin1, v INTEGER); "
                     "CREATE TABLE u (k VARCHAR(20) CHARACTER SET ucs2, v INTEGER);")
    feed(tmp_path, source(database) + maps(m="SELECT v FROM t WHERE k = '%s'", n="SELECT v FROM u WHERE k = '%s'"),
         "install", "mail")
    assert after(database, "INSERT INTO t (k) VALUES ('grün'); INSERT INTO u (k) VALUES ('Ωmega');") == [
        ("t", "k", "grün"), ("u", "k", "Ωmega")]


@pytest.mark.parametrize("kind", ENGINES)
def test_no_value(make, kind, tmp_path):
    """NULL, and what is longer than a key can be, stand for everything."""
    database = make(kind)
    text = "MEDIUMTEXT" if kind == "mysql" else "TEXT"
    database.execute(f"CREATE TABLE t (k {text}, v INTEGER);")
    feed(tmp_path, source(database) + maps(m="SELECT v FROM t WHERE k = '%s'"), "install", "mail")
    assert after(database, "INSERT INTO t (v) VALUES (1);") == in_order([("t", "k", None)])
    assert after(database, f"UPDATE t SET k = '{'x' * 10000}';") == in_order([("t", "k", "x" * 10000), ("t", "k", None)])
    assert after(database, f"UPDATE t SET k = '{'x' * 10001}';") == in_order([("t", "k", "x" * 10000), ("t", "k", None)])
    # Bytes count, not characters.
    assert after(database, f"UPDATE t SET k = '{'ü' * 5000}';") == in_order([("t", "k", None), ("t", "k", "ü" * 5000)])
    assert after(database, f"UPDATE t SET k = '{'ü' * 5001}';") == in_order([("t", "k", None), ("t", "k", "ü" * 5000)])


@pytest.mark.parametrize("kind", ENGINES)
def test_columns_that_are_no_text(make, kind, tmp_path):
    """1, 01 and 1.0 are one number, but three keys: each change concerns everything."""
    database = make(kind)
    do(database, "CREATE TABLE t (n INTEGER, k VARCHAR(20), v INTEGER); CREATE TABLE u (n INTEGER, v INTEGER);")
    config = source(database) + maps(a="SELECT v FROM t WHERE n = '%s'", b="SELECT v FROM t WHERE k = '%s'",
                                     c="SELECT v FROM u WHERE n = '%s'")
    feed(tmp_path, config, "install", "mail")
    assert after(database, "INSERT INTO t VALUES (1, 'one', 1);") == [("t", "", None), ("t", "k", "one")]
    assert after(database, "INSERT INTO u VALUES (1, 1);") == [("u", "", None)]
    assert after(database, "UPDATE u SET n = 2; DELETE FROM u;") == [("u", "", None)] * 2
    status = feed(tmp_path, config, "status", "mail")
    assert "table t: (every change concerns all), k\n" in status
    assert "map a: covered: t.n = key (each change of the table concerns all)\n" in status
    assert "map b: covered: t.k = key\n" in status
    # So it is with a query that came later, until the triggers tell of its column.
    config += maps(d="SELECT n FROM t WHERE v = '%s'", e="SELECT v FROM w WHERE n = '%s'")
    status = run(tmp_path, config, "status", "mail")
    assert status.returncode == 1
    assert "map d: covered: t.v = key (each change of the table concerns all)\n" in status.stdout
    assert "map e: not covered: no trigger tells of w.n = key\n" in status.stdout


def test_a_blob_in_sqlite(make, tmp_path):
    """No key equals it, and it must not be refused."""
    database = make("sqlite")
    database.execute("CREATE TABLE t (k TEXT, v INTEGER);")
    feed(tmp_path, source(database) + maps(m="SELECT v FROM t WHERE k = '%s'"), "install", "mail")
    assert after(database, "INSERT INTO t VALUES (x'00ff', 1), (5, 2);") == [("t", "k", "5"), ("t", "k", None)]


def test_a_collation_that_is_not_deterministic(postgresql, tmp_path):
    database = postgresql.fresh_database("feed_test")
    database.execute("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false); "
                     "CREATE TABLE t (k text COLLATE loose, v integer);")
    feed(tmp_path, source(database) + maps(m="SELECT v FROM t WHERE k = '%s'"), "install", "mail")
    assert after(database, "INSERT INTO t VALUES ('josé', 1);") == [("t", "", None)]


# --- Who may write

RIGHTS = {"pgsql": "CREATE ROLE feed_writer; GRANT ALL ON alias TO feed_writer; GRANT SELECT ON domain TO feed_writer;",
          "mysql": "CREATE OR REPLACE USER feed_writer@localhost IDENTIFIED BY 'w'; "
                   "GRANT SELECT, INSERT, UPDATE, DELETE ON feed_test.alias TO feed_writer@localhost;"}


def test_writers_need_no_rights_postgresql(postgresql):
    database = load(postgresql.fresh_database("feed_test"))
    database.execute(SAMPLE)
    database.execute(RIGHTS["pgsql"])
    try:
        # A table by that name of his own takes nothing away.
        assert after(database, "SET ROLE feed_writer; CREATE TEMPORARY TABLE tabled_change (id integer); "
                               "INSERT INTO alias (address, goto) VALUES ('x@a.example', 'y@z'); UPDATE alias SET active = 0; "
                               "DELETE FROM alias; TRUNCATE alias;") == in_order([("alias", "address", "x@a.example"), ("alias", "localpart", "x")] * 3 + [("alias", "address", None)])
        with pytest.raises(DatabaseError, match="permission denied"):
            database.execute("SET ROLE feed_writer; INSERT INTO tabled_change (changed_table, key_column) VALUES ('a', 'b')")
        # Nor does the function write for anybody but a trigger.
        assert after(database, "SET ROLE feed_writer; SELECT tabled_note('alias', 'address', 'x')") == []
    finally:
        database.execute("DROP OWNED BY feed_writer; DROP ROLE feed_writer")


def test_writers_need_no_rights_mariadb(mariadb):
    database = load(mariadb.fresh_database("feed_test"))
    database.execute(SAMPLE)
    database.execute(RIGHTS["mysql"])
    before = last(database)
    done = subprocess.run(
        ["mariadb", "--no-defaults", f"--socket={database.socket}", "--user=feed_writer", "--password=w", "feed_test"],
        input="INSERT INTO alias (address, goto) VALUES ('x@a.example', 'y@z'); UPDATE alias SET active = 0; DELETE FROM alias; "
              "SELECT * FROM tabled_change;", capture_output=True, text=True, check=False)
    assert "tabled_change" in done.stderr and "denied" in done.stderr
    assert changes(database, before) == [("alias", "address", "x@a.example"), ("alias", "localpart", "x")] * 3


# --- Changes that fire no trigger of their own

LOGIN = SAMPLE + """INSERT INTO mailbox (username) VALUES ('x@a.example'), ('y@a.example');
INSERT INTO sender_login (sender, login) VALUES ('s@a.example', 'x@a.example');
"""


@pytest.mark.parametrize("kind", ENGINES)
def test_cascades(make, kind):
    database = load(make(kind))
    database.execute(LOGIN)
    child = ("sender_login", "sender", None if kind == "mysql" else "s@a.example")
    renamed = after(database, "UPDATE mailbox SET username = 'z@a.example' WHERE username = 'x@a.example';")
    assert child in renamed and ("mailbox", "username", "x@a.example") in renamed
    assert child not in after(database, "UPDATE mailbox SET active = 0;")
    assert child in after(database, "DELETE FROM mailbox WHERE username = 'z@a.example';")


def test_cascades_of_cascades(mariadb, tmp_path):
    """A parent that no query reads is watched for its grandchildren; so is a table that refers to itself."""
    database = mariadb.fresh_database("feed_test")
    database.execute("""
        CREATE TABLE g (id INTEGER PRIMARY KEY);
        CREATE TABLE p (id INTEGER PRIMARY KEY, g INTEGER, FOREIGN KEY (g) REFERENCES g (id) ON DELETE CASCADE);
        CREATE TABLE c (k VARCHAR(20), p INTEGER, FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL);
        CREATE TABLE s (k VARCHAR(20) PRIMARY KEY, up VARCHAR(20), FOREIGN KEY (up) REFERENCES s (k) ON DELETE CASCADE);
        CREATE TABLE quiet (id INTEGER PRIMARY KEY);
        CREATE TABLE r (k VARCHAR(20), q INTEGER, FOREIGN KEY (q) REFERENCES quiet (id) ON DELETE RESTRICT);
        INSERT INTO g VALUES (1); INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES ('k', 1);
        INSERT INTO s VALUES ('a', NULL), ('b', 'a');""")
    config = source(database) + maps(c="SELECT k FROM c WHERE k = '%s'", s="SELECT k FROM s WHERE k = '%s'",
                                     r="SELECT k FROM r WHERE k = '%s'")
    feed(tmp_path, config, "install", "mail")
    assert ("c", "k", None) in after(database, "DELETE FROM g;")
    assert after(database, "DELETE FROM s WHERE k = 'a';") == [("s", "k", "a"), ("s", "k", None)]
    assert database.execute("SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = 'feed_test' "
                            "AND event_object_table = 'quiet'").strip() == "0"


def test_truncate_and_replication(postgresql):
    database = load(postgresql.fresh_database("feed_test"))
    database.execute(LOGIN)
    assert after(database, "TRUNCATE mailbox CASCADE;") == [
        ("mailbox", "localpart", None), ("sender_login", "sender", None)]
    assert after(database, "SET session_replication_role = replica; INSERT INTO domain (domain) VALUES ('r.example');") == [
        ("domain", "domain", "r.example")]
    heard = database.execute("LISTEN tabled; BEGIN; INSERT INTO domain (domain) VALUES ('l.example'), ('m.example'); COMMIT; "
                             "SELECT 1;")
    assert heard.count('Asynchronous notification "tabled"') == 1


def test_partitions(postgresql, tmp_path):
    database = postgresql.fresh_database("feed_test")
    database.execute("CREATE TABLE t (k text, v integer) PARTITION BY LIST (v); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); "
                     "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);")
    config = source(database) + maps(m="SELECT v FROM t WHERE k = '%s'")
    for _ in range(2):
        feed(tmp_path, config, "install", "mail")
    assert after(database, "INSERT INTO t VALUES ('a', 1); INSERT INTO t2 VALUES ('b', 2); UPDATE t SET v = 2 WHERE k = 'a';") \
        == [("t", "k", "a"), ("t", "k", "a"), ("t", "k", "a"), ("t", "k", "b")]
    assert "map m: covered" in feed(tmp_path, config, "status", "mail")
    feed(tmp_path, config, "remove", "mail")
    assert database.execute("SELECT count(*) FROM pg_trigger").strip() == "0"


def test_tables_that_others_inherit_from(postgresql, tmp_path):
    database = postgresql.fresh_database("feed_test")
    database.execute("CREATE TABLE t (k text, v integer); CREATE TABLE child () INHERITS (t);")
    done = run(tmp_path, source(database) + maps(m="SELECT v FROM t WHERE k = '%s'"), "install", "mail")
    assert done.returncode == 2 and "inherit from it" in done.stderr
    assert database.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'tabled%'").strip() == "0"


# --- Transactions

class Session:
    """A client program that is told one thing after the other."""

    def __init__(self, database):
        directory = database.socket
        command = {"pgsql": ["psql", "-X", "-q", "-A", "-t", "-h", directory, "-p", database.port, "-U", "postgres"],
                   "mysql": ["mariadb", "--no-defaults", "-N", "-B", "-n", f"--socket={database.socket}", "--user=root"]}
        self.client = subprocess.Popen([*map(str, command[database.kind]), database.dbname], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(self, sql):
        self.client.stdin.write(sql + ";\nSELECT 'told';\n")
        self.client.stdin.flush()
        while self.client.stdout.readline() != "told\n":
            assert self.client.poll() is None, "the client has ended"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stdin.close()
        self.client.wait()
        self.client.stdout.close()


@pytest.mark.parametrize("kind", ["pgsql", "mysql"])
def test_numbers_come_out_of_order(make, kind):
    """What engine/sequence.c is for."""
    database = load(make(kind))
    before = last(database)
    with Session(database) as early, Session(database) as late, Session(database) as undone:
        early.tell("BEGIN; INSERT INTO domain (domain) VALUES ('early.example')")
        undone.tell("BEGIN; INSERT INTO domain (domain) VALUES ('undone.example')")
        late.tell("BEGIN; INSERT INTO domain (domain) VALUES ('late.example')")
        late.tell("COMMIT")
        assert changes(database, before) == [("domain", "domain", "late.example")]
        reached = last(database)
        undone.tell("ROLLBACK")
        early.tell("COMMIT")
    assert changes(database, reached) == []
    assert changes(database, before) == [("domain", "domain", "early.example"), ("domain", "domain", "late.example")]
    # The number of what was undone stays free.
    numbers = [int(line) for line in database.execute(f"SELECT id FROM tabled_change WHERE id > {before} ORDER BY id").split()]
    assert numbers[1] == numbers[0] + 2 == reached


def test_sqlite_keeps_the_last_changes(make):
    """It trims by itself, and numbers are never used again."""
    database = load(make("sqlite"))
    database.load_rows("domain", ("domain",), ((f"d{n}.example",) for n in range(25000)))
    first, count = map(int, database.execute("SELECT min(id), count(*) FROM tabled_change;").split("|"))
    assert 10000 <= count <= 11000 and last(database) == first + count - 1
    reached = last(database)
    do(database, "DELETE FROM tabled_change; INSERT INTO domain (domain) VALUES ('x.example');")
    assert last(database) == reached + 1


# --- install, status and remove

def own_tables(kind):
    quote = QUOTES[kind]
    return (f"CREATE TABLE {quote}Mixed Case{quote} ({quote}The Key{quote} VARCHAR(50), v VARCHAR(50));\n"
            "CREATE TABLE plain (k VARCHAR(50), d VARCHAR(50), v VARCHAR(50));\n"
            "CREATE TABLE other (k VARCHAR(50), v VARCHAR(50));\n"
            "CREATE VIEW seen AS SELECT * FROM plain;\n")


def own_maps(kind):
    quote = "`" if kind == "mysql" else "[" if kind == "sqlite" else '\\"'
    close = "]" if kind == "sqlite" else quote
    return maps(
        mixed=f"SELECT v FROM {quote}Mixed Case{close} WHERE {quote}The Key{close} = '%s'",
        plain="SELECT v FROM plain WHERE k = '%u' AND d = '%d'",
        joined="SELECT p.v FROM plain p JOIN other o ON o.k = p.k WHERE p.d = '%d' AND o.v > 'x'",
        function="SELECT get_value(v) FROM plain WHERE k = '%s'",
        told='query = "SELECT get_value(v) FROM plain WHERE k = \'%s\'"  feed_tables = {plain}',
        seen="SELECT v FROM seen WHERE k = '%s'",
        typo="SELECT v FROM plain WHERE kk = '%s'",
        nothing="SELECT 'OK'")


def expected_status(kind):
    mixed = "mixed case.the key" if kind == "sqlite" else "Mixed Case.the key" if kind == "mysql" else "Mixed Case.The Key"
    return f"""map mixed: covered: {mixed} = key
map plain: covered: plain.k = user
map joined: covered: plain.d = domain, any row of other
map function: not covered: it calls get_value()
map told: covered: any row of plain
map seen: not covered: no trigger tells of seen.k = key
map nothing: covered: its answer never changes
"""


def pipe(database, text):
    """Feeds a script to the program that people use."""
    command = {"sqlite": ["sqlite3", getattr(database, "path", "")],
               "pgsql": ["psql", "-X", "-q", "-h", getattr(database, "socket", ""), "-p", getattr(database, "port", ""),
                         "-U", "postgres", "-d", getattr(database, "dbname", "")],
               "mysql": ["mariadb", "--no-defaults", "--default-character-set=latin1",
                         f"--socket={getattr(database, 'socket', '')}", "--user=root", getattr(database, "dbname", "")]}
    done = subprocess.run([*map(str, command[database.kind])], input=text, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "NOTICE" not in line]
    assert (done.returncode, complaints) == (0, [])


def everything_of_ours(database):
    """What there is by a name that begins with tabled_, of any kind."""
    return database.execute({
        "sqlite": "SELECT name FROM sqlite_master WHERE name LIKE 'tabled%' ORDER BY name;",
        "pgsql": "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'tabled%' UNION ALL SELECT proname FROM pg_proc "
                 "WHERE proname LIKE 'tabled%' UNION ALL SELECT relname FROM pg_class WHERE relname LIKE 'tabled%' ORDER BY 1;",
        "mysql": f"SELECT trigger_name AS n FROM information_schema.triggers WHERE trigger_schema = 'feed_test' "
                 f"UNION ALL SELECT table_name FROM information_schema.tables WHERE table_schema = 'feed_test' "
                 f"AND table_name LIKE 'tabled%' UNION ALL SELECT routine_name FROM information_schema.routines "
                 f"WHERE routine_schema = 'feed_test' ORDER BY n;"}[database.kind])


@pytest.mark.parametrize("way", ["directly", "piped"])
@pytest.mark.parametrize("kind", ENGINES)
def test_install_for_any_tables(make, tmp_path, kind, way):
    database = make(kind)
    database.execute(own_tables(kind))
    config = source(database) + own_maps(kind)
    without_typo = re.sub(r"map typo .*\n", "", config)
    assert everything_of_ours(database) == ""

    def carry_out(text, verb):
        done = run(tmp_path, text, verb, *(["--dry-run"] if way == "piped" else []), "mail")
        assert done.returncode == 0, done.stderr
        if way == "piped":
            pipe(database, done.stdout)
        else:
            assert done.stdout == ""
        return done.stderr

    # A query that names no column of the table has it left out, and the rest is made.
    assert "plain is left out" in carry_out(config, "install")
    told = carry_out(without_typo, "install")
    assert told.count("\n") == 1 and "seen is left out" in told
    made = everything_of_ours(database)
    quote = QUOTES[kind]
    assert after(database, f"INSERT INTO {quote}Mixed Case{quote} VALUES ('a', 'b'); INSERT INTO plain VALUES ('k', 'd', 'v'); "
                           "UPDATE other SET v = 'x'; INSERT INTO other VALUES ('k', 'v');") == in_order([
        ("Mixed Case" if kind != "sqlite" else "mixed case", "The Key" if kind == "pgsql" else "the key", "a"),
        ("plain", "d", "d"), ("plain", "k", "k"), ("other", "", None)])
    status = run(tmp_path, without_typo, "status", "mail")
    assert status.returncode == 1 and status.stderr == ""
    assert "".join(line + "\n" for line in status.stdout.splitlines() if line.startswith("map ")) == expected_status(kind)
    # Once more makes the same, and says that everything may have changed.
    before = last(database)
    carry_out(without_typo, "install")
    assert everything_of_ours(database) == made
    assert [value for _, _, value in changes(database, before)] == [None] * 3
    # With fewer maps, the triggers of the others go.
    carry_out(source(database) + maps(one="SELECT v FROM other WHERE k = '%s'"), "install")
    assert "plain" not in everything_of_ours(database) and "other" in everything_of_ours(database)
    assert after(database, "DELETE FROM plain; DELETE FROM other;") == [("other", "k", "k")]
    carry_out(without_typo, "remove")
    assert everything_of_ours(database) == ""
    carry_out(without_typo, "remove")
    database.execute("INSERT INTO plain VALUES ('k', 'd', 'v');")


ANEW = "DROP TABLE other; CREATE TABLE other (k VARCHAR(50), v VARCHAR(50));"
RENAMED = "ALTER TABLE other RENAME TO old; CREATE TABLE other (k VARCHAR(50), v VARCHAR(50));"
LOST = [(kind, sql) for kind in ENGINES for sql in (ANEW, RENAMED)] + [
    ("sqlite", "DROP TRIGGER tabled_update_other;"),
    ("mysql", "DROP TRIGGER tabled_update_other;"),
    ("pgsql", "DROP TRIGGER tabled_other ON other;"),
    ("pgsql", "ALTER TABLE other DISABLE TRIGGER ALL;"),
]


@pytest.mark.parametrize("kind, sql", LOST)
def test_triggers_that_are_gone(make, tmp_path, kind, sql):
    """A table that has lost its triggers is not taken for one that never changes."""
    database = make(kind)
    database.execute(own_tables(kind))
    config = source(database) + maps(one="SELECT v FROM other WHERE k = '%s'", two="SELECT v FROM plain WHERE k = '%s'")
    feed(tmp_path, config, "install", "mail")
    do(database, sql)
    done = run(tmp_path, config, "status", "mail")
    assert done.returncode == 1
    assert "map one: not covered: no trigger tells of other.k = key" in done.stdout
    assert "map two: covered" in done.stdout
    feed(tmp_path, config, "install", "mail")
    assert after(database, "INSERT INTO other VALUES ('k', 'v');") == [("other", "k", "k")]


@pytest.mark.parametrize("kind", ENGINES)
def test_what_is_not_kept_is_not_watched(make, tmp_path, kind):
    """But a table that another map keeps answers of is."""
    database = make(kind)
    database.execute(own_tables(kind))
    query = "SELECT v FROM {} WHERE k = '%s'"
    never = 'query = "' + query + '" cache = no'
    config = source(database) + maps(never=never.format("other"), never_too=never.format("plain"), kept=query.format("plain"))
    feed(tmp_path, config, "install", "mail")
    assert after(database, "INSERT INTO other VALUES ('k', 'v');") == []
    shown = feed(tmp_path, config, "status", "mail")
    assert "map never: needs no cover: cache = no\n" in shown and "map never_too: needs no cover: cache = no\n" in shown
    assert "map kept: covered: plain.k = key\n" in shown and "table other" not in shown


def test_schemas(postgresql, mariadb, tmp_path):
    """A table that is named with its schema is one by that name."""
    database = postgresql.fresh_database("feed_test")
    database.execute('CREATE SCHEMA one; CREATE SCHEMA "Two"; CREATE TABLE one.t (k text, v text); '
                     'CREATE TABLE "Two".t (k text, v text); CREATE TABLE t (k text, v text);')
    config = source(database) + maps(a="SELECT v FROM one.t WHERE k = '%s'", b='SELECT v FROM \\"Two\\".t WHERE k = \'%s\'',
                                     c="SELECT v FROM t WHERE k = '%s'", d="SELECT v FROM public.t WHERE k = '%s'")
    feed(tmp_path, config, "install", "mail")
    assert after(database, "INSERT INTO one.t VALUES ('a', '')") == [("one.t", "k", "a")]
    assert after(database, 'INSERT INTO "Two".t VALUES (\'b\', \'\')') == [("Two.t", "k", "b")]
    assert after(database, "INSERT INTO t VALUES ('c', '')") == [("public.t", "k", "c"), ("t", "k", "c")]
    assert feed(tmp_path, config, "status", "mail").count(" covered: ") == 4
    database.execute("DROP TABLE one.t")
    assert "map a: not covered" in run(tmp_path, config, "status", "mail").stdout

    database = mariadb.fresh_database("feed_test")
    database.execute("CREATE TABLE t (k VARCHAR(20), v INTEGER)")
    config = source(database) + maps(a="SELECT v FROM feed_test.t WHERE k = '%s'", b="SELECT user FROM mysql.user WHERE user = '%s'")
    done = run(tmp_path, config, "install", "mail")
    assert done.returncode == 0 and "mysql.user is left out" in done.stderr
    assert after(database, "INSERT INTO t VALUES ('a', 1)") == [("feed_test.t", "k", "a")]
    assert "map a: covered" in run(tmp_path, config, "status", "mail").stdout


@pytest.mark.parametrize("kind", ["pgsql", "mysql"])
def test_without_rights(make, tmp_path, kind):
    """Whoever may only read can show the script, and see the status."""
    database = make(kind)
    database.execute("CREATE TABLE t (k VARCHAR(20), v VARCHAR(20));")
    admin = source(database) + maps(m="SELECT v FROM t WHERE k = '%s'")
    if kind == "pgsql":
        database.execute("CREATE ROLE feed_reader LOGIN PASSWORD 'r'; GRANT SELECT ON t TO feed_reader;")
        reader = admin.replace("user = postgres", 'user = feed_reader  password = "r"')
    else:
        database.execute("CREATE OR REPLACE USER feed_reader@localhost IDENTIFIED BY 'r'; "
                         "GRANT SELECT ON feed_test.* TO feed_reader@localhost;")
        reader = admin.replace("user = root", 'user = feed_reader  password = "r"')
    try:
        done = run(tmp_path, reader, "install", "mail")
        assert done.returncode == 2 and "denied" in done.stderr and "--dry-run" in done.stderr
        assert everything_of_ours(database) == ""
        pipe(database, feed(tmp_path, reader, "install", "--dry-run", "mail"))
        assert "map m: covered: t.k = key" in feed(tmp_path, reader, "status", "mail")
        pipe(database, feed(tmp_path, reader, "remove", "--dry-run", "mail"))
        assert everything_of_ours(database) == ""
    finally:
        database.execute("DROP OWNED BY feed_reader; DROP ROLE feed_reader" if kind == "pgsql"
                         else "DROP USER feed_reader@localhost")


def test_the_first_host_that_can_write(postgresql, tmp_path):
    database = postgresql.fresh_database("feed_test")
    database.execute("CREATE TABLE t (k text, v text)")
    config = (f'pgsql mail {{ hosts = {{"127.0.0.1:1", "{database.host}:{database.port}"}}  dbname = feed_test  '
              f'user = {database.user}  password = "{PASSWORD}" }}\n')
    done = run(tmp_path, config + maps(m="SELECT v FROM t WHERE k = '%s'"), "status", "mail")
    assert done.returncode == 1 and "has no feed" in done.stdout
    done = run(tmp_path, config.replace(f'"{database.host}:{database.port}"', '"127.0.0.1:2"'), "status", "mail")
    assert done.returncode == 2 and "127.0.0.1:2" in done.stderr


@pytest.mark.parametrize("arguments, complaint", [
    ((), "feed install"), (("install",), "feed install"), (("status", "--dry-run", "mail"), "feed install"),
    (("make", "mail"), "feed install"), (("install", "mail", "more"), "feed install"), (("install", "--dry", "mail"), "feed install"),
    (("install", "gone"), 'no source "gone"'), (("status", "demo"), "memory has no triggers"),
    (("install", "mail"), "no map with this source reads a table"), (("install", "away"), "No such file")])
def test_what_is_wrong(tmp_path, arguments, complaint):
    with contextlib.closing(sqlite3.connect(tmp_path / "mail.db")) as database:
        database.execute("CREATE TABLE u (v TEXT)")
    config = (f'sqlite mail {{ path = "{tmp_path}/mail.db" }}\nsqlite away {{ path = "{tmp_path}/away.db" }}\nmemory demo {{ }}\n'
              + maps(m="SELECT v FROM t WHERE k = '%s'"))
    done = run(tmp_path, config, *arguments)
    assert done.returncode == 2 and complaint in done.stderr


def test_a_locked_file(tmp_path):
    """Somebody else's transaction is waited for."""
    path = tmp_path / "mail.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (k TEXT, v TEXT)")
        writer.execute("BEGIN IMMEDIATE")
        config = tmp_path / "tabled.conf"
        config.write_text(f'sqlite mail {{ path = "{path}" }}\n' + maps(m="SELECT v FROM t WHERE k = '%s'"))
        started = subprocess.Popen([program("tabledctl"), "-c", config, "feed", "install", "mail"], stderr=subprocess.PIPE,
                                   env=sanitizer_environment(), text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            started.wait(1)
        writer.execute("COMMIT")
        assert started.communicate(timeout=PATIENCE)[1] == "" and started.returncode == 0
        assert writer.execute("SELECT count(*) FROM tabled_feed").fetchone() == (1,)


# --- What the daemon asks

def c_strings(text):
    """The strings of a piece of C, put together."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))


def asked():
    """The templates of engine/feed_sql.h and feed_ask.c: {name: text}."""
    header = (databases.ROOT / "tabled/engine/feed_sql.h").read_text()
    found = {name: c_strings(body) for name, body in re.findall(r"#define (FEED_ASK_\w+)((?:[^\n]*\\\n)*[^\n]*)", header)}
    body = (databases.ROOT / "tabled/engine/feed_ask.c").read_text()
    oldest = c_strings(re.search(r"#define OLDEST((?:[^\n]*\\\n)*[^\n]*)", body)[1])
    for name in ("feed_ask_tables", "feed_ask_old"):
        function = re.search(rf"\*{name}\(.*?\n}}", body, re.DOTALL)[0]
        returns = [c_strings(part.replace("OLDEST", f'"{oldest}"')) for part in re.findall(r"return (.*?);", function, re.DOTALL)]
        found |= dict(zip((f"{name} pgsql", f"{name} mysql", f"{name} sqlite"), returns))
    return found


@pytest.mark.parametrize("kind", ENGINES)
def test_what_the_daemon_asks(make, kind):
    """As templates of maps, by each driver."""
    database = load(make(kind))
    texts = asked()
    queries = {"new": texts["FEED_ASK_NEW"], "gap": texts["FEED_ASK_GAP"], "ends": texts["FEED_ASK_ENDS"],
               "old_tables": texts["FEED_ASK_OLD_TABLES"], "tables": texts[f"feed_ask_tables {kind}"]}
    if kind != "sqlite":
        queries["old"] = texts[f"feed_ask_old {kind}"]
    quoted = {name: text.replace('"', '\\"') for name, text in queries.items()}
    # With two hosts it has no feed, which would trim what is said to be old here.
    place = re.sub(r'hosts = \{(".*?")\}', r"hosts = {\1, \1}", source(database))
    config = place + maps(**quoted) + 'socketmap { listen = "unix:@DIR@/socketmap" }\n'
    database.execute(SAMPLE)
    reached = last(database)
    columns = 1 if kind == "sqlite" else 4  # Postfix's own client of SQLite takes one
    with Daemon(config) as daemon:
        def rows(name, key):
            text = answer(daemon, name, key)
            return text.removeprefix("OK ").split(",") if text.startswith("OK ") else text

        assert rows("new", str(reached - 2)) == ([str(reached - 1), "domain", "domain", "a.example", str(reached), "domain",
                                                  "domain", "b.example"] if columns == 4 else [str(reached - 1), str(reached)])
        assert rows("new", str(reached)) == "NOTFOUND "
        assert rows("new", str(2**63 - 1)) == "NOTFOUND "
        assert rows("gap", f"{reached}@{2**63 - 1}")[0] == str(reached)
        assert rows("gap", f"{reached - 1}@{reached - 1}")[0] == str(reached - 1)
        assert rows("ends", "x")[0] == str(reached)
        assert "mailbox" in rows("tables", "x") and "localpart" in rows("tables", "x") or kind == "sqlite"
        assert "mailbox" in rows("old_tables", "x")
        if kind == "sqlite":
            return
        # Nothing is an hour old.
        assert rows("old", "x") == "NOTFOUND "
        ago = {"pgsql": "now() - interval '2 hours'", "mysql": "CURRENT_TIMESTAMP - INTERVAL 2 HOUR"}[kind]
        database.execute(f"UPDATE tabled_change SET changed_at = {ago} WHERE id <= 5;")
        assert rows("old", "x") == ["5"]
        database.execute(f"UPDATE tabled_change SET changed_at = {ago};")
        assert rows("old", "x") == [str(reached - 1)], "the last row stays"
        database.execute(f"DELETE FROM tabled_change WHERE id <= {reached - 1};")
        assert rows("ends", "x")[:2] == [str(reached), str(reached)]
