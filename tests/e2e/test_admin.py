"""
Everyday administration by tabledctl, on each of the three databases: the tables made and brought up to
date; domains, mailboxes and aliases; all rows moved to another database and compared. No daemon runs.
"""

import json
import os
import pty
import re
import subprocess

import pytest

from e2e.test_schema import BACKSLASH, FILES, MORE, SCHEMA, columns, keys
from support import databases, postfix
from support.daemon import program, sanitizer_environment
from support.databases import insertion

ENGINES = ("sqlite", "pgsql", "mysql")
# The files of schema/ as they were in version 1.
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

def checks(text):
    """The conditions that stand in the words of CREATE TABLE, and what columns are made of."""
    found = []
    for start in re.finditer(r"\b(CHECK|GENERATED ALWAYS AS) *\(", text):
        end, depth = start.end(), 1
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        found.append(re.sub(r"\s+", " ", text[start.start():end]))
    return sorted(found)


def details(database):
    """Types, defaults and conditions of all columns, but not their order."""
    if database.kind == "sqlite":
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name;").split()
        words = {table: checks(database.execute(f"SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{table}';"))
                 for table in tables}
        return words, database.execute("SELECT t.name, c.name, c.type, c.\"notnull\", c.dflt_value FROM sqlite_schema AS t "
                                       "JOIN pragma_table_xinfo(t.name) AS c WHERE t.type = 'table' ORDER BY 1, 2;")
    if database.kind == "pgsql":
        return database.execute(
            "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, "
            "is_identity, generation_expression FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2;\n"
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2;")
    return database.execute(
        "SELECT table_name, column_name, column_type, is_nullable, column_default, extra, collation_name, "
        "generation_expression FROM information_schema.columns WHERE table_schema = database() ORDER BY 1, 2;\n"
        "SELECT table_name, check_clause FROM information_schema.check_constraints "
        "WHERE constraint_schema = database() ORDER BY 1, 2;\n"
        "SELECT table_name, referenced_table_name, update_rule, delete_rule FROM "
        "information_schema.referential_constraints WHERE constraint_schema = database() ORDER BY 1, 2;")


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
    # That is why an upgrade may write once more what the files of schema/ say.
    assert details(database) == details(fresh)
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


# --- domain, mailbox, alias

@pytest.fixture(scope="module", params=ENGINES)
def served(request, fresh_database, tmp_path_factory):
    """A database with our tables, for tests that keep to domains of their own; and its Ctl."""
    directory = tmp_path_factory.mktemp("admin")
    database = fresh_database(request.param, "admin_served", directory)
    ctl = Ctl(directory / "tabled.conf", source(database))
    ctl("schema", "init")
    ctl.directory, ctl.database = directory, database
    return ctl


def test_domain(served):
    served("domain", "add", "One.Example", "--transport", "smtp:[192.0.2.1]", "--description=it's \"one\" \\ ü")
    served("domain", "add", "backup.example", "--backup-mx", "yes")
    assert served.json("domain", "show", "ONE.example") == {
        "domain": "one.example", "active": True, "backup_mx": False, "transport": "smtp:[192.0.2.1]",
        "description": "it's \"one\" \\ ü", "mailboxes": 0, "aliases": 0}
    served("domain", "change", "one.example", "--active", "no", "--transport", "")
    shown = served.json("domain", "show", "one.example")
    assert (shown["active"], shown["transport"]) == (False, None)
    listed = {row["domain"]: row for row in served.json("domain", "list")}
    assert listed["backup.example"]["backup_mx"] and "transport" not in listed["one.example"]
    assert "one.example\tno\tno\t0\t0\n" in served("domain", "list")
    served("domain", "delete", "one.example")
    assert served.fails("domain", "show", "one.example", status=1) == "tabledctl: there is no domain one.example\n"
    for verb in (("change", "one.example", "--active", "yes"), ("delete", "one.example")):
        assert "there is no domain one.example" in served.fails("domain", *verb, status=1)


@pytest.mark.parametrize("name", ["", ".", "a..b", "a.", ".a", "a b", "a@b", "a,b", "a\tb", "*", "x" * 256, "é" * 250 + ".abcdef"])
def test_no_domains(served, name):
    served.fails("domain", "add", "--", name)


def test_a_domain_is_of_one_class(served):
    served("domain", "add", "class.example")
    served.database.execute("INSERT INTO alias_domain (alias_domain, target_domain) VALUES ('also.example', 'class.example');\n"
                            "INSERT INTO relay_domain (domain) VALUES ('relay.example');")
    assert "there is a domain class.example already" in served.fails("domain", "add", "Class.Example")
    assert "another name of class.example" in served.fails("domain", "add", "also.example")
    assert "relayed for" in served.fails("domain", "add", "relay.example")
    assert "another name of class.example" in served.fails("mailbox", "add", "x@also.example", "--no-password")
    assert "another name of class.example" in served.fails("alias", "add", "x@also.example", "a@elsewhere.example")
    assert "1 alias domains: --force deletes them" in served.fails("domain", "delete", "class.example")
    assert "with it 1 alias domains" in served("domain", "delete", "class.example", "--force")


def test_mailbox(served):
    served("domain", "add", "box.example")
    served("mailbox", "add", "Alice@BOX.example", "--quota", "1.5G", "--name", "Alice", "--imap", "no", "--uid", "1000",
           text="s3cret\n")
    shown = served.json("mailbox", "show", "alice@box.example")
    assert shown == {
        "mailbox": "alice@box.example", "active": True, "name": "Alice", "quota": 3 << 29, "used": None, "messages": None,
        "password": "{CRYPT}", "imap": False, "pop3": True, "smtp": True, "sieve": True, "allow_nets": None, "home": None,
        "uid": 1000, "gid": None, "mail": None, "host": None}
    assert "quota: 1536M\n" in served("mailbox", "show", "alice@box.example")
    assert served("mailbox", "list", "box.example") == "alice@box.example\tyes\tAlice\t1536M\t-\n"
    assert "there is a mailbox alice@box.example already" in served.fails("mailbox", "add", "alice@Box.example", "--no-password")
    served("mailbox", "change", "ALICE@box.example", "--quota", "none", "--imap", "yes", "--uid", "", "--no-password")
    shown = served.json("mailbox", "show", "alice@box.example")
    assert [shown[name] for name in ("quota", "imap", "uid", "password")] == [0, True, None, None]
    served.database.execute("INSERT INTO quota (username, bytes, messages) VALUES ('alice@box.example', 2048, 3);")
    assert served.json("mailbox", "show", "alice@box.example")["used"] == 2048
    assert "box.example has 1 mailboxes: --force deletes them, too" in served.fails("domain", "delete", "box.example")
    served("mailbox", "delete", "Alice@box.example")
    assert "there is no mailbox" in served.fails("mailbox", "delete", "alice@box.example", status=1)
    assert served.database.execute("SELECT count(*) FROM quota;") == "0\n"
    served("domain", "delete", "box.example")


@pytest.mark.parametrize("arguments, reason", [
    (("add", "x@nowhere.example"), "nowhere.example is none of our domains: tabledctl domain add nowhere.example"),
    (("add", "x"), '"x" is no address'),
    (("add", "@x.example"), "is no address"),
    (("add", "a b@x.example"), "wants quotes"),
    (("add", "x@x..example"), "is no domain"),
    (("add", "x@x.example", "--quota", "2X"), "--quota: 2X is no size"),
    (("add", "x@x.example", "--quota", "-1"), "--quota: -1 is no size"),
    (("add", "x@x.example", "--imap", "maybe"), "--imap maybe: say yes or no"),
    (("add", "x@x.example", "--uid", "root"), "that is no number"),
    (("add", "x@x.example", "--scheme", "md5"), "there are yescrypt, bcrypt and argon2id"),
    (("add", "x@x.example", "--no-password", "--scheme", "bcrypt"), "--scheme is for a password that is read"),
    (("add", "x@x.example", "--password", "--no-password"), "contradict"),
    (("add", "x@x.example", "--colour", "red"), "there is no option --colour here"),
    (("add", "x@x.example", "--quota"), "--quota needs a value"),
    (("add",), "too few words"),
    (("add", "x@x.example", "secret"), "too many words"),
    (("show", "x@x.example", "--quota", "1"), "--quota says nothing to mailbox show"),
    (("change", "x@x.example"), "there is nothing to change"),
    (("frob",), "mailbox add|list|show|change|delete"),
    ((), "mailbox add|list|show|change|delete"),
    (("list", "--source", "gone"), 'there is no source "gone"'),
])
def test_mailbox_mistakes(served, arguments, reason):
    assert reason in served.fails("mailbox", *arguments, text="x\n")


@pytest.mark.parametrize("scheme", ["yescrypt", "bcrypt", "argon2id"])
@pytest.mark.parametrize("password", ["secret", "with 'quotes' and \\ blanks ", "grün🙂", "x" * 72])
def test_dovecot_verifies_passwords(tmp_path, scheme, password):
    database = databases.Sqlite(tmp_path / "mail.db")
    ctl = Ctl(tmp_path / "c", source(database))
    ctl("schema", "init")
    ctl("domain", "add", "x.example")
    ctl("mailbox", "add", "a@x.example", "--scheme", scheme, text=f"{password}\n")
    ctl("mailbox", "add", "b@x.example", "--scheme", scheme, text=password)
    first, second = database.execute("SELECT password FROM mailbox ORDER BY username;").split()
    assert first != second
    for value in (first, second):
        for given, status in ((password, 0), (password + "x", 1) if len(password) < 72 else ("y" * 72, 1)):
            done = subprocess.run(["doveadm", "pw", "-t", value, "-p", given], capture_output=True, check=False,
                                  timeout=PATIENCE)
            assert (done.returncode != 0) == bool(status), done
    assert first not in ctl("mailbox", "show", "a@x.example")


@pytest.mark.parametrize("text, reason", [
    ("", "there is no password"), ("\n", "there is no password"), ("x" * 512 + "\n", "at most 511 bytes"),
    ("a\0b\n", "there is a NUL in the password"), ("x" * 73 + "\n", "at most 72 bytes")])
def test_no_passwords(tmp_path, text, reason):
    database = databases.Sqlite(tmp_path / "mail.db")
    ctl = Ctl(tmp_path / "c", source(database))
    ctl("schema", "init")
    ctl("domain", "add", "x.example")
    assert reason in ctl.fails("mailbox", "add", "a@x.example", "--scheme", "bcrypt", text=text)
    assert database.execute("SELECT count(*) FROM mailbox;") == "0\n"


def typed(ctl, lines, *arguments):
    """Runs it on a terminal where somebody types the lines, each after a prompt. The status, and what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(program("tabledctl"), ["tabledctl", "-c", str(ctl.path), *arguments])
    shown = b""
    for line in lines:
        while not shown.endswith(b": "):
            shown += os.read(terminal, 1000)
        os.write(terminal, line.encode() + b"\n")
        shown += os.read(terminal, 1000)
    while True:
        try:
            part = os.read(terminal, 1000)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_password_at_a_terminal(tmp_path):
    database = databases.Sqlite(tmp_path / "mail.db")
    ctl = Ctl(tmp_path / "c", source(database))
    ctl("schema", "init")
    ctl("domain", "add", "x.example")
    status, shown = typed(ctl, ["s3cret", "s3cret"], "mailbox", "add", "a@x.example")
    assert (status, shown.replace("\r", "")) == (0, "New password: \nOnce more: \n")
    status, shown = typed(ctl, ["s3cret", "other"], "mailbox", "change", "a@x.example", "--password")
    assert status == 2 and "the two are not the same" in shown and "s3cret" not in shown


def test_alias(served):
    served("domain", "add", "list.example")
    served("domain", "add", "held.example", "--backup-mx", "yes")
    served("mailbox", "add", "bob@list.example", "--no-password")
    assert "an alias to nowhere: nobody@list.example" in served.fails(
        "alias", "add", "team@list.example", "bob@list.example", "Nobody@List.example")
    # All or nothing.
    assert "there is no alias" in served.fails("alias", "show", "team@list.example", status=1)
    served("alias", "add", "Team@List.Example", "Bob@List.Example", "bob+x@list.example", "Joe@Elsewhere.example",
           "x@held.example", "--expires", "2030-12-31 18:00")
    rows = served.json("alias", "show", "team@list.example")
    assert [row["goto"] for row in rows] == ["Joe@Elsewhere.example", "bob+x@list.example", "bob@list.example", "x@held.example"]
    assert {row["expires"] for row in rows} == {"2030-12-31 18:00:00"}
    assert "leads to bob@list.example already" in served.fails("alias", "add", "team@list.example", "bob@list.example")
    served("alias", "change", "team@list.example", "Bob@list.example", "--expires", "never", "--active", "no")
    assert served("alias", "list", "list.example").splitlines()[2] == "team@list.example\tbob@list.example\tno\tnever"
    served("alias", "add", "second@list.example", "team@list.example")
    assert "does not lead to x@y.example" in served.fails("alias", "delete", "team@list.example", "x@y.example", status=1)
    served("alias", "delete", "team@list.example", "BOB@List.example", "x@held.example")
    assert len(served.json("alias", "show", "team@list.example")) == 2
    assert "note: 1 aliases still lead to" not in served.run("mailbox", "delete", "bob@list.example").stderr
    served("alias", "delete", "team@list.example")
    assert "there is no alias" in served.fails("alias", "delete", "team@list.example", status=1)
    assert "there is no alias" in served.fails("alias", "change", "team@list.example", "--active", "no", status=1)
    served("alias", "add", "team@list.example", "gone@list.example", "--force")
    # With a catch-all everybody is somebody.
    served("alias", "add", "@list.example", "x@elsewhere.example")
    served("alias", "add", "other@list.example", "nobody@list.example")
    assert "with it 4 aliases" in served("domain", "delete", "--force", "list.example")


def test_alias_is_not_added_if_its_mailbox_cannot_be_looked_at(make):
    """What fails last is as much of a failure, and its own words are the reason."""
    database, ctl = make("pgsql")
    ctl("schema", "init")
    ctl("domain", "add", "x.example")
    database.execute(
        "CREATE SCHEMA half; CREATE TABLE half.mailbox (username text); INSERT INTO half.mailbox VALUES ('a@x.example');\n"
        "CREATE FUNCTION half() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n"
        "PERFORM set_config('search_path', 'half', true); RETURN NULL; END $$;\n"
        "CREATE TRIGGER half AFTER INSERT ON alias EXECUTE FUNCTION half();")
    assert '"alias" does not exist' in ctl.fails("alias", "add", "a@x.example", "b@elsewhere.example")
    assert ctl("alias", "list") == ""


def test_alias_by_another_name_of_a_domain(served):
    served("domain", "add", "real.example")
    served("mailbox", "add", "eve@real.example", "--no-password")
    served.database.execute("INSERT INTO alias_domain (alias_domain, target_domain) VALUES ('name.example', 'real.example');")
    served("alias", "add", "a@real.example", "EVE@name.example")
    assert "to nowhere" in served.fails("alias", "add", "b@real.example", "adam@name.example")
    note = served.run("alias", "add", "eve@real.example", "x@elsewhere.example")
    assert note.returncode == 0 and "there is a mailbox eve@real.example, which gets no mail now" in note.stderr
    served("domain", "delete", "--force", "real.example")


@pytest.mark.parametrize("time", ["tomorrow", "2030-02-31", "2030-13-01", "31.12.2030", "30", "-1d", "2030-12-31x", "1999999d9"])
def test_no_times(served, time):
    assert "is no time" in served.fails("alias", "add", "x@x.example", "y@y.example", f"--expires={time}")


def test_expired_aliases_are_not_answered(served):
    """What is stored compares with the database's own time, by the condition of the shipped queries."""
    served("domain", "add", "soon.example")
    served("alias", "add", "old@soon.example", "x@elsewhere.example", "--expires", "2001-01-01")
    served("alias", "add", "new@soon.example", "x@elsewhere.example", "--expires", "30d")
    found = served.database.execute("SELECT address FROM alias WHERE domain = 'soon.example' AND active = 1 AND "
                                    "(expires IS NULL OR expires > CURRENT_TIMESTAMP);")
    assert found == "new@soon.example\n"
    served("domain", "delete", "--force", "soon.example")


def test_values_are_never_sql(served):
    name = "'; DROP TABLE alias; -- \\' \" %s $1 ?"
    served("domain", "add", "quoted.example", "--description", name)
    assert served.json("domain", "show", "quoted.example")["description"] == name
    served("mailbox", "add", "o'neil@quoted.example", "--no-password", "--name", name)
    served("alias", "add", '"john \\" doe"@quoted.example', "o'neil@quoted.example")
    assert served.json("mailbox", "show", "o'neil@quoted.example")["name"] == name
    assert served.json("alias", "list", "quoted.example")[0]["alias"] == '"john \\" doe"@quoted.example'
    served("domain", "delete", "--force", "quoted.example")


def test_the_usual_source_is_that_of_our_domains(tmp_path):
    database = databases.Sqlite(tmp_path / "mail.db")
    config = source(database) + 'memory other { rows = { "a b c" } }\n'
    ctl = Ctl(tmp_path / "c", config)
    ctl("schema", "init", "mail")
    assert "say which by --source" in ctl.fails("domain", "list")
    assert ctl("domain", "list", "--source", "mail") == ""
    ctl = Ctl(tmp_path / "c", config + "map virtual_mailbox_domains { source = mail  "
              "query = \"SELECT domain FROM domain WHERE domain = '%s'\" }\n")
    assert ctl("domain", "list") == ""


# --- copy, compare

ALL = [(one, other) for one in ENGINES for other in ENGINES if one != other]


def fill(database):
    """What is awkward to write, in every table."""
    database.load_file(SCHEMA / "sample.sql")
    database.execute(MORE)
    database.execute(insertion(database.kind, "mailbox", {"username": BACKSLASH}))
    script = "require [\"fileinto\"];\r\n# \\ ' \" \t %s $1 ? ü 🙂\n" * 20
    database.execute(insertion(database.kind, "sieve_script", {"id": 41, "username": BACKSLASH, "name": "'", "script": script}))


def pair(fresh_database, tmp_path, one, other):
    """Two databases with our tables, the first of them filled, and a Ctl for both by the shipped maps."""
    first, second = (fresh_database(kind, f"admin_{name}", tmp_path) for kind, name in ((one, "from"), (other, "to")))
    maps = (postfix.SHIPPED / "tabled.conf").read_text()
    maps = re.sub(r"^sqlite mail .*\n", lambda _: source(first) + source(second, "other"), maps, count=1, flags=re.M)
    ctl = Ctl(tmp_path / "tabled.conf", maps)
    ctl("schema", "init", "mail")
    ctl("schema", "init", "other")
    return first, second, ctl


@pytest.mark.parametrize("one, other", ALL)
def test_copy(fresh_database, tmp_path, one, other):
    first, second, ctl = pair(fresh_database, tmp_path, one, other)
    fill(first)
    shown = ctl("copy", "mail", "other")
    assert shown.count("the same") == 22 and "not the same" not in shown
    assert re.search(r"^mailbox: 1\d rows, the same$", shown, re.M)
    assert re.search(r"\d keys asked of \d+ maps: 0 differences\n$", ctl("compare", "mail", "other"))
    # Again does no harm.
    assert ctl("copy", "mail", "other") == shown
    # Times are the same moments.
    ask = "SELECT count(*) FROM alias WHERE expires > CURRENT_TIMESTAMP;"
    assert second.execute(ask) == first.execute(ask) == "2\n"
    assert ctl.json("alias", "show", "soon@example.com", "--source", "other")[0]["expires"] == "2037-12-31 23:59:59"
    # New rows get new numbers.
    second.execute(insertion(other, "sieve_script", {"username": "bob@example.com", "name": "x", "script": "keep;"}))
    assert int(second.execute("SELECT max(id) FROM sieve_script;")) == 42


@pytest.mark.parametrize("one, other", [("sqlite", "pgsql"), ("pgsql", "mysql"), ("mysql", "sqlite")])
def test_copy_over_other_rows(fresh_database, tmp_path, one, other):
    first, second, ctl = pair(fresh_database, tmp_path, one, other)
    fill(first)
    second.load_file(SCHEMA / "sample.sql")
    second.execute("UPDATE mailbox SET name = 'other' WHERE username = 'alice@example.com';")
    second.execute("UPDATE alias SET active = 0 WHERE address = 'info@example.com';")
    done = ctl.run("copy", "mail", "other")
    assert done.returncode == 1 and "--replace overwrites" in done.stderr
    assert re.findall(r"^(\w+): not the same", done.stdout, re.M) == ["mailbox", "alias"]
    done = ctl.run("compare", "mail", "other")
    assert done.returncode == 1
    assert "map alias: info@example.com: mail has alice@example.com, other has nothing\n" in done.stdout
    shown = ctl("copy", "--replace", "mail", "other")
    assert "not the same" not in shown
    ctl("compare", "mail", "other")
    second.execute("INSERT INTO domain (domain) VALUES ('more.example');")
    done = ctl.run("copy", "--replace", "mail", "other")
    assert (done.returncode, re.findall(r"^(\w+): not the same", done.stdout, re.M)) == (1, ["domain"])
    done = ctl.run("compare", "mail", "other")
    assert "map virtual_mailbox_domains: more.example: mail has nothing, other has more.example\n" in done.stdout
    assert done.stdout.endswith("maps: 1 differences\n")


@pytest.mark.parametrize("one, other", [("sqlite", "pgsql"), ("pgsql", "mysql"), ("mysql", "sqlite")])
def test_copy_is_interrupted(fresh_database, tmp_path, one, other):
    """It is killed somewhere in many rows, and done again."""
    first, second, ctl = pair(fresh_database, tmp_path, one, other)
    first.execute("INSERT INTO domain (domain) VALUES ('bulk.example');")
    first.load_rows("alias", ("address", "goto"), ((f"user{n:06d}@bulk.example", "x@elsewhere.example") for n in range(60000)))
    count = "SELECT count(*) FROM alias;"
    with subprocess.Popen([program("tabledctl"), "-c", ctl.path, "copy", "--progress", "mail", "other"],
                          stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("copying alias: 5000 "):
                process.kill()
                break
        process.stderr.read()
    assert 5000 <= int(second.execute(count)) < 60000
    assert "alias: 60000 rows, the same" in ctl("copy", "mail", "other")
    shown = ctl.run("copy", "--progress", "mail", "other")
    assert "copying alias: 60000 rows\n" in shown.stderr and "checking alias: 500 rows\n" in shown.stderr


@pytest.mark.parametrize("rows, others", [
    (["a@b; c@d"], ["a@b", "c@d"]), (["NULL"], [None]), (["a, b"], ["a\\, b"]), (["a\0b"], ["a\0c"]), ([""], [None])])
def test_other_rows_never_look_the_same(tmp_path, rows, others):
    first, second = (databases.Sqlite(tmp_path / name) for name in ("from.db", "to.db"))
    ctl = Ctl(tmp_path / "c", source(first) + source(second, "other") + "map alias { source = mail  query = \"SELECT "
              "CASE description WHEN 'none' THEN NULL ELSE replace(description, '+', char(0)) END FROM domain "
              "WHERE domain LIKE '%%.' || '%s'\" }\n")
    for name, database, texts in (("mail", first, rows), ("other", second, others)):
        ctl("schema", "init", name)
        database.execute("INSERT INTO domain (domain) VALUES ('x');\n" + "".join(
            insertion("sqlite", "domain", {"domain": f"{number}.x", "description": "none" if text is None else text.replace("\0", "+")})
            for number, text in enumerate(texts)))
    done = ctl.run("compare", "mail", "other")
    assert (done.returncode, "map alias: x: mail has" in done.stdout) == (1, True), done.stdout + done.stderr


def test_nothing_to_ask_for_is_not_the_same(tmp_path):
    """Maps whose tables are none of ours have no keys that we know."""
    first, second = (databases.Sqlite(tmp_path / name) for name in ("from.db", "to.db"))
    ctl = Ctl(tmp_path / "c", source(first) + source(second, "other")
              + "map alias { source = mail  query = \"SELECT goto FROM theirs WHERE address = '%s'\" }\n")
    for name, database in (("mail", first), ("other", second)):
        ctl("schema", "init", name)
        database.execute(f"CREATE TABLE theirs (address TEXT, goto TEXT);\nINSERT INTO theirs VALUES ('x', '{name}');")
    assert "there is no key to ask for" in ctl.fails("compare", "mail", "other")


def test_secrets_are_not_shown(fresh_database, tmp_path):
    first, second, ctl = pair(fresh_database, tmp_path, "sqlite", "pgsql")
    fill(first)
    ctl("copy", "mail", "other")
    second.execute("UPDATE mailbox SET password = 'different' WHERE username = 'bob@example.com';")
    done = ctl.run("compare", "mail", "other")
    assert "map passdb: bob@example.com: mail has something, other has something\n" in done.stdout
    assert "different" not in done.stdout.replace("differences", "") and "canwefixit" not in done.stdout


@pytest.mark.parametrize("command, reason", [
    (("copy", "mail"), "two sources"), (("copy", "mail", "gone"), 'there is no source "gone"'),
    (("copy", "mail", "mail"), "to itself"), (("copy", "mail", "bare"), "source bare does not have the tables of version 2"),
    (("copy", "bare", "mail"), "source bare does not have"), (("compare", "mail"), "two sources"),
    (("compare", "bare", "mail"), "no such table"), (("copy", "--all", "mail", "bare"), "--replace --progress")])
def test_copy_mistakes(tmp_path, command, reason):
    first, bare = databases.Sqlite(tmp_path / "a.db"), databases.Sqlite(tmp_path / "b.db")
    ctl = Ctl(tmp_path / "c", source(first) + source(bare, "bare")
              + "map alias { source = mail  query = \"SELECT goto FROM alias WHERE address = '%s'\" }\n")
    ctl("schema", "init", "mail")
    bare.execute("PRAGMA user_version = 1;")
    assert reason in ctl.fails(*command)
