"""
The three files of schema/ describe the same tables: the same columns and keys, the same rows refused,
and the same answers to every query of postfix-maps/tabled.conf.

Postfix and tabled have no part in this. The queries get their keys as literals.
"""

import re

import pytest

from support import databases, postfix
from support.databases import insertion, literal

SCHEMA = databases.ROOT / "schema"
ENGINES = ("sqlite", "pgsql", "mysql")
FILES = {"sqlite": "sqlite.sql", "pgsql": "postgresql.sql", "mysql": "mysql.sql"}

# Beside the sample: what the maps have to tell apart, and what is awkward to write.
MORE = r"""
INSERT INTO domain (domain, active) VALUES ('bücher.example', 1), ('asleep.example', 0), ('b.example', 1);
INSERT INTO mailbox (username, active) VALUES ('"john doe"@example.com', 1), ('o''neil@example.com', 1),
    ('100%@example.com', 1), ('_@example.com', 1), ('jürgen@bücher.example', 1), ('off@example.com', 0),
    ('a@b@b.example', 1), ('🙂@b.example', 1), ('zed@asleep.example', 1), ('jose@b.example', 1);
INSERT INTO alias (address, goto, active) VALUES ('team@example.com', 'alice@example.com', 1),
    ('team@example.com', 'bob@example.com', 1), ('team@example.com', 'off@example.com', 0),
    ('grüsse@bücher.example', 'jürgen@bücher.example', 1), ('"a b"@b.example', 'alice@example.com', 1),
    ('@b.example', 'jose@b.example', 1), ('@bücher.example', 'info@example.com', 0);
INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES ('bucher.example', 'bücher.example', 1),
    ('c.example', 'b.example', 1), ('d.example', 'b.example', 0), ('second.example', 'example.org', 1);
INSERT INTO domain (domain, backup_mx, transport) VALUES ('backup.example', 1, 'smtp:[192.0.2.26]'), ('lmtp.example', 0, 'lmtp:x');
INSERT INTO alias (address, goto, expires) VALUES ('soon@example.com', 'alice@example.com', '2037-12-31 23:59:59'),
    ('past@example.com', 'alice@example.com', '2001-01-01 00:00:00'), ('past@example.com', 'bob@example.com', NULL),
    ('@lmtp.example', 'alice@example.com', '2001-01-01 00:00:00'), ('past@b.example', 'bob@example.com', '2001-01-01 00:00:00'),
    ('soon@b.example', 'bob@example.com', '2037-12-31 23:59:59');
INSERT INTO alias_domain (alias_domain, target_domain) VALUES ('lmtp2.example', 'lmtp.example');
INSERT INTO relay_recipient (address, active) VALUES ('joe@branch.example', 1), ('off@branch.example', 0),
    ('@backup.example', 1), ('jürgen@backup.example', 1);
INSERT INTO tls_policy (destination, policy, active) VALUES ('example.com', 'encrypt', 1), ('.branch.example', 'dane', 1),
    ('[192.0.2.25]', 'verify match=mail.example', 1), ('gone.example', 'none', 0);
INSERT INTO recipient_access (recipient, action, active) VALUES ('info@example.com', 'REJECT', 1), ('hq.branch.example', 'OK', 1),
    ('noreply@', 'DISCARD', 1), ('gone.example', 'OK', 0);
INSERT INTO rejected_tld (tld, action, active) VALUES ('spam', '554 5.7.1 no', 1), ('off', 'REJECT', 0);
INSERT INTO rejected_tld (tld) VALUES ('bücher');
INSERT INTO transport (destination, transport, active) VALUES ('*', 'smtp:', 1), ('.branch.example', 'lmtp:', 1),
    ('gone.example', 'error:5.1.2 this domain is gone', 0);
INSERT INTO client_access (client, action, active) VALUES ('2001:db8:bad', 'REJECT', 1), ('192.0.2', 'DUNNO', 0);
INSERT INTO sender_access (sender, action) VALUES ('<>', 'DUNNO'), ('noreply@', '554 5.7.1 write with a name');
INSERT INTO sender_login (sender, login) VALUES ('@example.org', 'bob@example.com'),
    ('alice@example.com', 'bob@example.com'), ('info@example.com', 'alice@example.com');
UPDATE mailbox SET password = '{PLAIN}a "b" c', quota = 5000000000, home = '/srv/jose', uid = 1001, gid = 4294967000,
    mail = 'mdbox:~/mdbox', pop3_active = 0 WHERE username = 'jose@b.example';
UPDATE mailbox SET nopassword = 1, allow_nets = '192.0.2.0/24,::1', smtp_active = 0, sieve_active = 0, host = '192.0.2.7'
    WHERE username = '_@example.com';
INSERT INTO quota (username, bytes) VALUES ('alice@example.com', -5);
INSERT INTO last_login (username) VALUES ('alice@example.com');
INSERT INTO user_shares (from_user, to_user) VALUES ('alice@example.com', 'bob@elsewhere.example');
INSERT INTO anyone_shares (from_user) VALUES ('alice@example.com');
INSERT INTO private_metadata (username, mailbox_guid, entry, value) VALUES ('alice@example.com', '1', 'comment', '');
INSERT INTO shared_metadata (mailbox_guid, entry, value) VALUES ('1', 'comment', 'x');
INSERT INTO sieve_script (username, name, script) VALUES ('alice@example.com', 'active', 'keep;');
"""
BACKSLASH = r"back\slash@example.com"

# Rows that are there, as Postfix asks for them, and others that only look like them: for a collation
# of a language, or with trailing blanks left out, they would be the same.
USERS = ["alice", "bob", "archive", "info", "list", "team", "off", "nobody", '"john doe"', '"a b"', "o'neil", "100%",
         "_", "x", "soon", "past", "joe", "jürgen", "jurgen", "ju\u0308rgen", "grüsse", "grusse", "grüße", "jose", "josé", "jose ", " jose", "zed",
         r"back\slash", "back\\\\slash", "🙂", "🙁", "a@b", "b", "ALICE", "", "%", "al%"]
DOMAINS = ["example.com", "example.org", "example.net", "second.example", "bücher.example", "bucher.example", "b.example",
           "c.example", "d.example", "asleep.example", "elsewhere.example", "backup.example",
           "lmtp.example", "lmtp2.example", "branch.example", "example.com ", "b\u200b.example"]
OTHERS = ["[192.0.2.25]", "spam", "bücher", "off", ".branch.example", "hq.branch.example", "gone.example", "*", "<>", "noreply@", "spam.example",
          "198.51.100", "198.51.100 ", "198.51.100.7", "192.0.2", "2001:db8:bad", "'", "\\", "%", "_", "@", "", "''", "\\'",
          "STRASSE", "' OR ''='"]
KEYS = ([f"{user}@{domain}" for user in USERS for domain in DOMAINS] + DOMAINS + OTHERS)

# Rows that none of the three may take, each beside the sample.
REFUSED = [
    ("domain", {"domain": "Upper.example"}),
    ("domain", {"domain": ""}),
    ("domain", {"domain": None}),
    ("domain", {"domain": "example.com"}),
    ("domain", {"domain": "x.example", "active": 2}),
    ("domain", {"domain": "x.example", "active": None}),
    ("mailbox", {"username": "Alice@example.com"}),
    ("mailbox", {"username": "alice@elsewhere.example"}),
    ("mailbox", {"username": "nodomain"}),
    ("mailbox", {"username": "@example.com"}),
    ("mailbox", {"username": "alice@example.com"}),
    ("mailbox", {"username": "x@example.com", "password": ""}),
    ("mailbox", {"username": "x@example.com", "nopassword": 1}),
    ("mailbox", {"username": "x@example.com", "nopassword": 1, "allow_nets": ""}),
    ("mailbox", {"username": "x@example.com", "nopassword": 1, "allow_nets": "::1", "password": "x"}),
    ("mailbox", {"username": "x@example.com", "nopassword": 2, "allow_nets": "::1"}),
    ("mailbox", {"username": "x@example.com", "imap_active": 2}),
    ("mailbox", {"username": "x@example.com", "pop3_active": None}),
    ("mailbox", {"username": "x@example.com", "smtp_active": -1}),
    ("mailbox", {"username": "x@example.com", "sieve_active": 3}),
    ("mailbox", {"username": "x@example.com", "quota": -1}),
    ("mailbox", {"username": "x@example.com", "quota": None}),
    ("mailbox", {"username": "x@example.com", "home": "x"}),
    ("mailbox", {"username": "x@example.com", "home": "/"}),
    ("mailbox", {"username": "x@example.com", "uid": 0}),
    ("mailbox", {"username": "x@example.com", "gid": 0}),
    ("mailbox", {"username": "x@example.com", "mail": ""}),
    ("mailbox", {"username": "x@example.com", "host": ""}),
    ("mailbox", {"username": "x@example.com", "name": None}),
    ("alias", {"address": "X@example.com", "goto": "a@b"}),
    ("alias", {"address": "x@example.com", "goto": ""}),
    ("alias", {"address": "x@example.com", "goto": None}),
    ("alias", {"address": "x@example.com"}),
    ("alias", {"address": "example.com", "goto": "a@b"}),
    ("alias", {"address": "x@nowhere.example", "goto": "a@b"}),
    ("alias", {"address": "info@example.com", "goto": "alice@example.com"}),
    ("alias_domain", {"alias_domain": "x.example", "target_domain": "nowhere.example"}),
    ("alias_domain", {"alias_domain": "example.com", "target_domain": "example.com"}),
    ("alias_domain", {"alias_domain": "X.example", "target_domain": "example.com"}),
    ("relay_domain", {"domain": "branch.example"}),
    ("relay_domain", {"domain": "BRANCH2.example"}),
    ("transport", {"destination": "x.example", "transport": ""}),
    ("transport", {"destination": "X.example", "transport": "smtp:"}),
    ("sender_bcc", {"address": "x@example.com", "goto": "nobody"}),
    ("sender_bcc", {"address": "x", "goto": "a@b"}),
    ("recipient_bcc", {"address": "x@example.com", "goto": "@b"}),
    ("client_access", {"client": "198.51.100", "action": "OK"}),
    ("client_access", {"client": "", "action": "OK"}),
    ("sender_access", {"sender": "x.example", "action": ""}),
    ("sender_access", {"sender": "X.example", "action": "OK"}),
    ("sender_login", {"sender": "x@example.com", "login": "nobody@example.com"}),
    ("sender_login", {"sender": "x", "login": "alice@example.com"}),
    ("domain", {"domain": "x.example", "backup_mx": 2}),
    ("domain", {"domain": "x.example", "backup_mx": None}),
    ("domain", {"domain": "x.example", "transport": ""}),
    ("domain", {"domain": "x.example", "description": None}),
    ("alias", {"address": "x@example.com", "goto": "a@b", "expires": "some day"}),
    ("alias", {"address": "x@example.com", "goto": "a@b", "expires": ""}),
    ("relay_recipient", {"address": "branch.example"}),
    ("relay_recipient", {"address": "X@branch.example"}),
    ("relay_recipient", {"address": "x@"}),
    ("tls_policy", {"destination": "X.example", "policy": "none"}),
    ("tls_policy", {"destination": "", "policy": "none"}),
    ("tls_policy", {"destination": "x.example", "policy": ""}),
    ("recipient_access", {"recipient": "X.example", "action": "OK"}),
    ("recipient_access", {"recipient": "x.example", "action": ""}),
    ("rejected_tld", {"tld": ".example"}),
    ("rejected_tld", {"tld": "x.example"}),
    ("rejected_tld", {"tld": "Example"}),
    ("rejected_tld", {"tld": "example", "action": ""}),
    ("schema_version", {"version": 2}),
    ("schema_version", {"version": None}),
    ("quota", {"username": "nobody@example.com"}),
    ("quota", {"username": "alice@example.com"}),
    ("quota", {"username": "bob@example.com", "bytes": None}),
    ("last_login", {"username": "nobody@example.com"}),
    ("last_login", {"username": "alice@example.com"}),
    ("user_shares", {"from_user": "nobody@example.com", "to_user": "bob@example.com"}),
    ("user_shares", {"from_user": "alice@example.com", "to_user": "bob@elsewhere.example"}),
    ("anyone_shares", {"from_user": "nobody@example.com"}),
    ("anyone_shares", {"from_user": "alice@example.com"}),
    ("private_metadata", {"username": "nobody@example.com", "mailbox_guid": "1", "entry": "e", "value": "v"}),
    ("private_metadata", {"username": "alice@example.com", "mailbox_guid": "1", "entry": "comment", "value": "v"}),
    ("private_metadata", {"username": "alice@example.com", "mailbox_guid": "1", "entry": "e", "value": None}),
    ("shared_metadata", {"mailbox_guid": "1", "entry": "comment", "value": "v"}),
    ("sieve_script", {"username": "nobody@example.com", "name": "n", "script": "keep;"}),
    ("sieve_script", {"username": "alice@example.com", "name": "", "script": "keep;"}),
    ("sieve_script", {"username": "alice@example.com", "name": "active", "script": "keep;"}),
]


@pytest.fixture(scope="module")
def engines(postgresql, mariadb, tmp_path_factory):
    """{name: database}, each with its schema, the sample, and more rows."""
    made = {"sqlite": databases.Sqlite(tmp_path_factory.mktemp("schema") / "mail.db"),
            "pgsql": postgresql.fresh_database("schema_test"), "mysql": mariadb.fresh_database("schema_test")}
    for name, engine in made.items():
        engine.load_file(SCHEMA / FILES[name])
        engine.load_file(SCHEMA / "sample.sql")
        engine.execute(MORE)
        engine.execute(insertion(name, "mailbox", {"username": BACKSLASH}))
    return made


# What stands beside the tables: SQLite's own, and MySQL's view of the feed.
NO_TABLES = "('sqlite_sequence', 'tabled_feed_live')"


def columns(engine, database):
    """{(table, column): is it made from others?}"""
    if engine == "sqlite":
        # SQLite marks stored columns that are made from others by a 3.
        text = database.execute("SELECT t.name, c.name, c.hidden = 3 FROM sqlite_schema AS t "
                                f"JOIN pragma_table_xinfo(t.name) AS c WHERE t.type = 'table' AND t.name NOT IN {NO_TABLES};")
    else:
        schema = "'public'" if engine == "pgsql" else "database()"
        text = database.execute(
            "SELECT table_name, column_name, CASE WHEN is_generated = 'ALWAYS' THEN 1 ELSE 0 END "
            f"FROM information_schema.columns WHERE table_schema = {schema} AND table_name NOT IN {NO_TABLES};")
    rows = (re.split(r"[|\t]", line) for line in text.splitlines())
    return {(table, column): made == "1" for table, column, made in rows}


def keys(engine, database):
    """{(table, PRIMARY KEY or FOREIGN KEY, its columns in order)}"""
    if engine == "sqlite":
        text = database.execute(
            "SELECT t.name, 'PRIMARY KEY', (SELECT group_concat(name, ',') FROM "
            " (SELECT name FROM pragma_table_info(t.name) WHERE pk > 0 ORDER BY pk)) "
            f"FROM sqlite_schema AS t WHERE t.type = 'table' AND t.name NOT IN {NO_TABLES} "
            "UNION SELECT t.name, 'FOREIGN KEY', f.\"from\" FROM sqlite_schema AS t "
            "JOIN pragma_foreign_key_list(t.name) AS f WHERE t.type = 'table';")
    else:
        gather = {"pgsql": "string_agg(k.column_name, ',' ORDER BY k.ordinal_position)",
                  "mysql": "group_concat(k.column_name ORDER BY k.ordinal_position)"}[engine]
        schema = {"pgsql": "'public'", "mysql": "database()"}[engine]
        text = database.execute(
            f"SELECT c.table_name, c.constraint_type, {gather} FROM information_schema.table_constraints AS c "
            "JOIN information_schema.key_column_usage AS k ON k.constraint_name = c.constraint_name "
            "AND k.table_name = c.table_name AND k.table_schema = c.table_schema "
            f"WHERE c.table_schema = {schema} AND c.constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY') "
            "GROUP BY c.table_name, c.constraint_type, c.constraint_name;")
    return {tuple(re.split(r"[|\t]", line)) for line in text.splitlines()}


@pytest.mark.parametrize("describe", [columns, keys])
def test_same_tables(engines, describe):
    reference = describe("sqlite", engines["sqlite"])
    assert len({table for table, *_ in reference}) == 25
    for name in ("pgsql", "mysql"):
        assert describe(name, engines[name]) == reference, name


@pytest.mark.parametrize("engine", ENGINES)
def test_refused_rows(engines, engine):
    taken = []
    for table, row in REFUSED:
        try:
            # Not kept, whatever comes of it.
            engines[engine].execute(f"BEGIN;\n{insertion(engine, table, row)}ROLLBACK;")
            taken.append((table, row))
        except databases.DatabaseError:
            pass
    assert taken == []


DOVECOTS = ("quota", "last_login", "user_shares", "anyone_shares", "private_metadata", "sieve_script")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_dovecot_wrote_goes_with_the_mailbox(engines, engine):
    """And it moves with it. What belongs to others stays."""
    def count():
        owners = ["from_user" if table.endswith("shares") else "username" for table in DOVECOTS]
        sums = [f"(SELECT count(*) FROM {table} WHERE {owner} = '{{0}}')" for table, owner in zip(DOVECOTS, owners)]
        return f"SELECT {' + '.join(sums)};\n"

    shown = engines[engine].execute(
        "BEGIN;\n" + count().format("alice@example.com")
        + "UPDATE mailbox SET username = 'liddell@example.com' WHERE username = 'alice@example.com';\n"
        + count().format("liddell@example.com")
        + "DELETE FROM mailbox WHERE username = 'liddell@example.com';\n"
        + count().format("liddell@example.com") + "SELECT count(*) FROM shared_metadata;\nROLLBACK;")
    assert shown.split() == ["6", "6", "0", "1"]


@pytest.mark.parametrize("engine", ENGINES)
def test_loaded_twice(engines, engine):
    """The second time is refused, and costs no row."""
    count = "SELECT (SELECT count(*) FROM alias), (SELECT count(*) FROM mailbox), (SELECT count(*) FROM domain);"
    before = engines[engine].execute(count)
    with pytest.raises(databases.DatabaseError, match="exists"):
        engines[engine].load_file(SCHEMA / FILES[engine])
    assert engines[engine].execute(count) == before
    assert before.strip() not in ("", "0|0|0")


@pytest.mark.parametrize("engine", ["pgsql", "mysql"])
def test_long_list(engines, engine):
    """What does not fit is refused, and never cut: 512 characters fit everywhere."""
    def row(length):
        return insertion(engine, "alias", {"address": "long@example.com", "goto": "x" * length})

    lenient = "SET sql_mode = '';\n" if engine == "mysql" else ""
    engines[engine].execute("BEGIN;\n" + lenient + row(512) + "ROLLBACK;")
    if engine == "mysql":
        with pytest.raises(databases.DatabaseError, match="CONSTRAINT"):
            engines[engine].execute("BEGIN;\n" + lenient + row(513) + "ROLLBACK;")


def expand(engine, query, key):
    """The query with the key in it, as Postfix does it; None if the key lacks a part that it wants."""
    user, at, domain = key.rpartition("@")
    parts = {"s": key, "u": user if at else key, "d": domain}
    if key == "" or ("%u" in query and not parts["u"]) or ("%d" in query and not (at and domain)):
        return None

    def value(match):
        return "%" if match[1] == "%" else literal(engine, parts[match[1]])[1:-1]

    return re.sub("%(.)", value, query)


def fields(line):
    """The columns of a row; Python's None is NULL, too."""
    return tuple("NULL" if field == "None" else field for field in re.split(r"[|\t]", line))


def answers(engine, database, questions):
    """The rows for each question, sorted: the order is nobody's promise."""
    statements = ["\\pset null NULL\n"] if engine == "pgsql" else []
    for number, (query, key) in enumerate(questions):
        sql = expand(engine, query, key)
        if sql:
            statements.append(f"SELECT '--- {number}';\n{sql};\n")
    output = database.execute("".join(statements))
    found = [[] for _ in questions]
    for block in output.split("--- ")[1:]:
        number, *lines = block.splitlines()
        found[int(number)] = sorted(map(fields, lines))
    return found


def shipped_queries():
    maps = postfix.shipped_maps((postfix.SHIPPED / "tabled.conf").read_text())
    return {name: " ".join(options["query"].split()) for name, options in maps.items() if "query" in options}


@pytest.mark.parametrize("name", shipped_queries())
def test_same_answers(engines, name):
    questions = [(shipped_queries()[name], key) for key in KEYS]
    reference = answers("sqlite", engines["sqlite"], questions)
    assert any(reference) and not all(reference), "the keys test nothing"
    for engine in ("pgsql", "mysql"):
        ours = answers(engine, engines[engine], questions)
        different = [(key, right, wrong) for key, right, wrong in zip(KEYS, reference, ours) if right != wrong]
        assert different == [], f"{engine}: key, sqlite's answer, {engine}'s"
