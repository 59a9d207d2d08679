"""
Everyday administration by tabledctl, on each of the three databases: the tables made and brought up to
date; domains, mailboxes and aliases; all rows moved to another database and compared. No daemon runs.
"""

import json
import re
import subprocess

import pytest

from e2e.test_schema import FILES, SCHEMA, columns, keys
from support import databases
from support.daemon import program, sanitizer_environment
from support.databases import insertion

ENGINES = ("sqlite", "pgsql", "mysql")
FIRST = databases.ROOT / "tests" / "support" / "schema_1"
PATIENCE = 240  # seconds; never a promise of speed


def source(database, name="mail", options=""):
    """A source with the rights of an administrator."""
    if database.kind == "sqlite":
        return f'sqlite {name} {{ path = "{database.path}"  {options} }}\n'
    user = {"pgsql": "postgres", "mysql": "root"}[database.kind]
    place = f"{database.socket}:{database.port}" if database.kind == "pgsql" else str(database.socket)
    return f'{database.kind} {name} {{ hosts = {{"{place}"}}  dbname = {database.dbname}  user = {user}  {options} }}\n'


class Ctl:
    """tabledctl with a configuration of its own."""

    def __init__(self, path, config):
        self.path = path
        path.write_text(config)

    def run(self, *arguments, text=""):
        done = subprocess.run([program("tabledctl"), "-c", self.path, *arguments], input=text, capture_output=True,
                              text=True, env=sanitizer_environment(), timeout=PATIENCE, check=False)
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        return done

    def __call__(self, *arguments, text=""):
        """What it prints, if all goes well."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json"))

    def fails(self, *arguments, text="", status=2):
        """What it says, if it ends with that status."""
        done = self.run(*arguments, text=text)
        assert (done.returncode, done.stdout) == (status, ""), done.stdout + done.stderr
        return done.stderr


@pytest.fixture
def make(fresh_database, tmp_path):
    """A function: an empty database of a kind, and a Ctl for it."""
    def make(kind, name="admin_test"):
        database = fresh_database(kind, name, tmp_path)
        return database, Ctl(tmp_path / f"{name}.conf", source(database))
    return make


# --- schema

def triggers(database):
    return database.execute({
        "sqlite": "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name;",
        "pgsql": "SELECT tgname, pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname;",
        "mysql": "SELECT trigger_name, action_statement FROM information_schema.triggers "
                 "WHERE trigger_schema = database() ORDER BY trigger_name;"}[database.kind])


def feed_tables(database):
    return database.execute("SELECT changed_table, key_column FROM tabled_feed ORDER BY changed_table, key_column;")


def shape(database):
    """All that the files of schema/ make."""
    return (columns(database.kind, database), keys(database.kind, database), re.sub(r"\s+", " ", triggers(database)),
            feed_tables(database))


def indexes(database):
    return database.execute({
        "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name;",
        "pgsql": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname;",
        "mysql": "SELECT table_name, index_name, column_name FROM information_schema.statistics "
                 "WHERE table_schema = database() ORDER BY 1, 2, seq_in_index;"}[database.kind])


@pytest.mark.parametrize("kind", ENGINES)
def test_init(make, kind):
    database, ctl = make(kind)
    loaded, _ = make(kind, "admin_loaded")
    loaded.load_file(SCHEMA / FILES[kind])
    status = ctl.run("schema", "status")
    if kind == "sqlite":
        assert (status.returncode, status.stderr[-10:]) == (2, " is empty\n")
    else:
        assert (status.returncode, "has no tables" in status.stdout) == (1, True)
    assert ctl("schema", "init", "mail") == "source mail has the tables of version 2\n"
    assert shape(database) == shape(loaded)
    assert indexes(database) == indexes(loaded)
    database.load_file(SCHEMA / "sample.sql")
    # Once more does no harm.
    done = ctl.run("schema", "init", "mail")
    assert (done.returncode, done.stdout) == (0, "") and "nothing to do" in done.stderr
    assert ctl("schema", "status", "mail") == "source mail has the tables of version 2, of 2\n"
    assert database.execute("SELECT count(*) FROM mailbox;") == "3\n"
    assert "nothing to do" in ctl.run("schema", "upgrade").stderr


def test_init_makes_the_file(tmp_path):
    ctl = Ctl(tmp_path / "c", f'sqlite mail {{ path = "{tmp_path}/new.db" }}\n')
    assert "No such file" in ctl.fails("schema", "status")
    ctl("schema", "init")
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o640
    ctl("schema", "status")


@pytest.mark.parametrize("kind", ENGINES)
def test_tables_of_others_are_left_alone(make, kind):
    database, ctl = make(kind)
    database.execute("CREATE TABLE mailbox (username VARCHAR(20), domain VARCHAR(20));")
    for verb in ("init", "upgrade"):
        assert "tabledctl has not made: mailbox" in ctl.fails("schema", verb)
    status = ctl.run("schema", "status")
    assert status.returncode == 1 and "other tables by the same names: mailbox" in status.stdout
    assert len(columns(kind, database)) == 2


@pytest.mark.parametrize("kind", ENGINES)
def test_what_was_lost_is_named(make, kind):
    database, ctl = make(kind)
    ctl("schema", "init")
    database.execute("DROP TABLE sieve_script;\nALTER TABLE domain DROP COLUMN description;")
    status = ctl.run("schema", "status")
    assert status.returncode == 1
    assert "missing: domain.description, table sieve_script\n" in status.stdout
    assert "has lost something" in ctl.fails("schema", "init")
    database.execute("INSERT INTO schema_version (version) VALUES (3);")
    assert "of version 3, this tabledctl knows those up to 2" in ctl.fails("schema", "upgrade")


FIRST_ROWS = ("SELECT domain, active FROM domain ORDER BY domain;\nSELECT username, active, localpart, domain FROM mailbox "
              "ORDER BY username;\nSELECT address, goto, active, localpart, domain FROM alias ORDER BY address, goto;\n"
              "SELECT * FROM alias_domain ORDER BY 1;\nSELECT * FROM sender_login ORDER BY 1, 2;\n"
              "SELECT * FROM client_access;\nSELECT * FROM transport;\nSELECT * FROM relay_domain;\n")


def first(database):
    """Tables of version 1, with rows."""
    database.load_file(FIRST / FILES[database.kind])
    database.load_file(FIRST / "sample.sql")
    return database.execute(FIRST_ROWS)


@pytest.mark.parametrize("kind", ENGINES)
def test_upgrade(make, kind):
    database, ctl = make(kind)
    rows = first(database)
    status = ctl.run("schema", "status")
    assert status.returncode == 1
    assert "has the tables of version 1, of 2" in status.stdout and "upgrade leads to version 2" in status.stdout
    assert "mailbox.password" in status.stdout and "table quota" in status.stdout
    assert "schema upgrade brings them to 2" in ctl.fails("schema", "init")
    assert ctl("schema", "upgrade", "mail") == "source mail has the tables of version 2\n"
    assert database.execute(FIRST_ROWS) == rows
    assert database.execute("SELECT version FROM schema_version ORDER BY version;") == "1\n2\n"
    # All of what was relayed for is taken, as before.
    assert database.execute("SELECT address FROM relay_recipient;") == "@branch.example\n"
    fresh, other = make(kind, "admin_fresh")
    other("schema", "init")
    assert shape(database) == shape(fresh)
    assert indexes(database) == indexes(fresh)
    assert "nothing to do" in ctl.run("schema", "upgrade").stderr
    # Keys hold still.
    with pytest.raises(databases.DatabaseError):
        database.execute("INSERT INTO mailbox (username) VALUES ('x@nowhere.example');")
    with pytest.raises(databases.DatabaseError):
        database.execute(insertion(kind, "mailbox", {"username": "x@example.com", "nopassword": 1}))
    before = database.execute("SELECT count(*) FROM tabled_change;")
    database.execute("UPDATE mailbox SET name = 'x' WHERE username = 'bob@example.com';")
    assert database.execute("SELECT count(*) FROM tabled_change;") != before


@pytest.mark.parametrize("kind", ["sqlite", "pgsql"])
def test_upgrade_is_one_transaction(make, kind):
    """What is in the way at its end undoes all of it."""
    database, ctl = make(kind)
    rows = first(database)
    before = shape(database)
    database.execute("CREATE TABLE sieve_script (x INTEGER);")
    assert "nothing was changed" in ctl.fails("schema", "upgrade")
    database.execute("DROP TABLE sieve_script;")
    assert shape(database) == before
    assert database.execute(FIRST_ROWS) == rows
    ctl("schema", "upgrade")


@pytest.mark.parametrize("verb", ["init", "upgrade"])
def test_mariadb_goes_on_where_it_was_interrupted(make, verb):
    """There no transaction holds what makes tables. So it is done once more from the start."""
    database, ctl = make("mysql")
    fresh, other = make("mysql", "admin_fresh")
    other("schema", "init")
    rows = first(database) if verb == "upgrade" else ""
    script = ctl("schema", verb, "--dry-run")
    parts = re.split(r"(?<=;\n)(?=[A-Z])", script[:script.index("DELIMITER")])
    assert len(parts) > 20
    for count in (3, 4, 6, len(parts) // 2, len(parts) - 2):
        # At the very beginning a database has nothing of what would be told apart.
        database.execute("".join(parts[:count]))
        assert ctl.run("schema", "status").returncode == 1
        if count > len(parts) // 2:
            break
    ctl("schema", verb)
    assert shape(database) == shape(fresh)
    assert indexes(database) == indexes(fresh)
    if verb == "upgrade":
        assert database.execute(FIRST_ROWS) == rows


@pytest.mark.parametrize("kind", ENGINES)
def test_dry_run_is_for_the_databases_own_program(make, kind):
    database, ctl = make(kind)
    fresh, other = make(kind, "admin_fresh")
    if kind == "sqlite":
        database.execute("PRAGMA user_version = 1;")
    script = ctl("schema", "init", "--dry-run")
    assert columns(kind, database) == {}
    if kind == "sqlite":
        subprocess.run(["sqlite3", database.path], input=script, text=True, check=True, timeout=PATIENCE)
    else:
        database.execute(script)
    other("schema", "init")
    assert shape(database) == shape(fresh)
    ctl("schema", "status")


@pytest.mark.parametrize("arguments, reason", [
    (("schema",), "schema init|upgrade"),
    (("schema", "drop"), "schema init|upgrade"),
    (("schema", "init", "mail", "more"), "schema init|upgrade"),
    (("schema", "init", "gone"), 'there is no source "gone"'),
    (("schema", "init", "--force"), "there is no option --force here. These are known: --dry-run"),
    (("schema", "init", "--dry-run=yes"), "--dry-run takes no value"),
    (("schema", "status", "memory"), "memory has no tables of its own"),
    (("schema", "status"), "there are several sources: say which by --source"),
])
def test_schema_arguments(tmp_path, arguments, reason):
    ctl = Ctl(tmp_path / "c", f'sqlite mail {{ path = "{tmp_path}/new.db" }}\nmemory memory {{ rows = {{ "a b c" }} }}\n')
    assert reason in ctl.fails(*arguments)
