"""
`postmap -q` asks sqlite:, pgsql: or mysql: itself, tabled by socketmap: and tabled by tcp:, for the same
rows, templates and keys. What it prints has to be the same, byte by byte, and so has the kind of failure.
The servers are asked through proxymap, as a mail server does.

These maps have no `serves`: postmap sends a key once, so the key as it is must be the question.
The keys are made from a fixed seed; TABLED_SEED takes another.
"""

import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from support import postfix
from support.daemon import Daemon

pytestmark = pytest.mark.skipif(postfix.why_not() is not None, reason=str(postfix.why_not()))

SEED = int(os.environ.get("TABLED_SEED", "20261122"))
KEYS = 3000
ENGINES = ("sqlite", "pgsql", "mysql")

# The columns compare as each database does when nobody says how; only for PostgreSQL this is told,
# since the order of the machine's language is not what is tested. `id` is the order of insertion.
TABLES = """
CREATE TABLE t (id INTEGER PRIMARY KEY, k {text}, v {text}, w {text}, n INTEGER);
CREATE TABLE ud (id INTEGER PRIMARY KEY, u {text}, d {text}, v {text});
CREATE TABLE sizes (k {text}, n INTEGER);
CREATE INDEX t_k ON t (k);
CREATE INDEX ud_u ON ud (u);
"""
TEXT = {"sqlite": "TEXT", "pgsql": 'text COLLATE "C"', "mysql": "VARCHAR(250)"}
SIZES = (1, 100, 1300, 4000, 5000, 90000, 99000, 120000)


@dataclass(frozen=True)
class Map:
    """One table: what its .cf file says, and its map in tabled.conf. Some queries are others elsewhere."""
    name: str
    query: str
    result_format: str = ""
    domain: tuple = ()
    expansion_limit: int = 0
    pgsql: str = ""
    mysql: str = ""

    def query_for(self, engine):
        return {"pgsql": self.pgsql, "mysql": self.mysql}.get(engine) or self.query

    def cf(self, database):
        lines = [f"query = {self.query_for(database.kind)}"]
        if self.result_format:
            lines.append(f"result_format = {self.result_format}")
        if self.domain:
            lines.append(f"domain = {', '.join(self.domain)}")
        if self.expansion_limit:
            lines.append(f"expansion_limit = {self.expansion_limit}")
        return database.postfix_table() + "\n".join(lines) + "\n"

    def conf(self, engine):
        options = [f'source = mail query = {quoted(self.query_for(engine))}']
        if self.result_format:
            options.append(f"result_format = {quoted(self.result_format)}")
        if self.domain:
            options.append("domain = {" + ", ".join(quoted(name) for name in self.domain) + "}")
        if self.expansion_limit:
            options.append(f"expansion_limit = {self.expansion_limit}")
        return f"map {self.name} {{ {' '.join(options)} }}\n"


@dataclass(frozen=True)
class Several:
    """A map of maps; for postmap, several tables one after the other."""
    name: str
    members: tuple

    def conf(self, _):
        return f"map {self.name} {{ maps = {{{', '.join(self.members)}}} }}\n"


def quoted(text):
    """A string of tabled.conf."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


BY_KEY = "SELECT v FROM t WHERE k = '%s' ORDER BY id"
ECHO = "SELECT '[%s]'"

MAPS = [
    Map("key", BY_KEY),
    Map("key_upper", "SELECT v FROM t WHERE k = '%S' ORDER BY id"),
    Map("user", "SELECT v FROM t WHERE k = '%u' ORDER BY id"),
    Map("user_upper", "SELECT v FROM t WHERE k = '%U' ORDER BY id"),
    Map("domain_part", "SELECT v FROM t WHERE k = '%d' ORDER BY id"),
    Map("domain_upper", "SELECT v FROM t WHERE k = '%D' ORDER BY id"),
    Map("at_domain", "SELECT v FROM t WHERE k = '@%d' ORDER BY id"),
    Map("user_and_domain", "SELECT v FROM ud WHERE u = '%u' AND d = '%d' ORDER BY id"),
    Map("label1", "SELECT '%1'"),
    Map("label2", "SELECT '%2.%1' || ' ' || '%u'", mysql="SELECT CONCAT('%2.%1', ' ', '%u')"),
    Map("label3", "SELECT '%3.%2.%1'"),
    Map("label3_only", "SELECT '%3'"),
    Map("echo", ECHO),
    Map("echo_parts", "SELECT '%u' || '|' || '%d'", mysql="SELECT CONCAT('%u', '|', '%d')"),
    Map("echo_mixed", "SELECT '<%s> it''s %u, 100%% \\\\ \"%d\"'"),
    Map("percent", "SELECT '100%%' || '%s'", mysql="SELECT CONCAT('100%%', '%s')"),
    Map("like", "SELECT v FROM t WHERE k LIKE '%%@%d' ORDER BY k, v, id LIMIT 30",
        pgsql="SELECT v FROM t WHERE k LIKE '%%@%d' ESCAPE '' ORDER BY k, v, id LIMIT 30"),
    # To the twin of a PostgreSQL database a character is a byte, so that _ means another thing.
    Map("like_key", "SELECT k FROM t WHERE k LIKE '%s' ORDER BY k, v, id LIMIT 20",
        pgsql="SELECT k FROM t WHERE k LIKE '%s' ESCAPE '' AND k !~ '[^ -~]' ORDER BY k, v, id LIMIT 20"),
    Map("like_escaped", "SELECT k FROM t WHERE k LIKE replace('%s', '_', '\\_') || '%%' ESCAPE '\\' "
                        "ORDER BY k, id LIMIT 20",
        pgsql="SELECT k FROM t WHERE k LIKE replace('%s', '_', '\\_') || '%%' ESCAPE '\\' "
              "AND k !~ '[^ -~]' ORDER BY k, id LIMIT 20",
        mysql="SELECT k FROM t WHERE k LIKE CONCAT(replace('%s', '_', '\\\\_'), '%%') ESCAPE '\\\\' "
              "ORDER BY k, id LIMIT 20"),
    Map("semicolon", "SELECT v FROM t WHERE k = '%s' ORDER BY id;"),
    Map("commented", "SELECT /* it's '%%s' */ v FROM t WHERE k = '%s' ORDER BY id -- the end"),
    Map("union", "SELECT v FROM t WHERE k = '%s' UNION SELECT d FROM ud WHERE u = '%u' ORDER BY 1"),
    Map("nested", "SELECT (SELECT v FROM t AS o WHERE o.k = i.w ORDER BY o.id LIMIT 1) FROM t AS i WHERE k = '%s' "
                  "ORDER BY i.id"),
    Map("columns", "SELECT v, w, n FROM t WHERE k = '%s' ORDER BY id"),
    Map("null_first", "SELECT NULL, v FROM t WHERE k = '%s'"),
    Map("null", "SELECT NULL"),
    Map("empty", "SELECT ''"),
    Map("nothing", "SELECT v FROM t WHERE 1 = 0 AND k = '%s'"),
    Map("integer", "SELECT n FROM t WHERE k = '%s' ORDER BY id"),
    Map("by_integer", "SELECT v FROM t WHERE n = '%s' ORDER BY id LIMIT 30",
        pgsql="SELECT v FROM t WHERE CAST(n AS text) = '%s' ORDER BY id LIMIT 30"),
    Map("real", "SELECT n * 0.1 FROM t WHERE k = '%s' ORDER BY id"),
    Map("blob", "SELECT CAST('%s' AS BLOB)", pgsql="SELECT CAST('\\x2761dfff' AS bytea), '%s'",
        mysql="SELECT CAST('%s' AS BINARY)"),
    Map("type_of", "SELECT typeof('%s') || length('%s')", pgsql="SELECT octet_length('%s'), upper('%d' COLLATE \"C\")",
        mysql="SELECT length('%s'), char_length('%s'), charset('%s'), collation('%s')"),
    # Numbers and times come as text, the same text whatever way a client takes them.
    Map("numbers", "SELECT n / 3.0, n * 1e100, -n FROM t WHERE k = '%s' ORDER BY id",
        pgsql="SELECT n / 3.0, n / CAST(3 AS real), n / CAST(3 AS float8), n * 1e100, CAST(n AS numeric(20, 3)), -n, "
              "n = 5, CAST(n AS bigint) << 40 FROM t WHERE k = '%s' ORDER BY id",
        mysql="SELECT n / 3.0, n / 3e0, n * 1e100, CAST(n AS DECIMAL(20, 3)), -n, n = 5, CAST(n AS UNSIGNED) << 40, "
              "n * 1e-7 FROM t WHERE k = '%s' ORDER BY id"),
    Map("times", "SELECT datetime('2026-01-02 03:04:05'), '%s'",
        pgsql="SELECT date '2026-01-02', timestamp '2026-01-02 03:04:05.120', timestamptz '2026-01-02 03:04:05+00', "
              "interval '1 day 02:03', '%s'",
        mysql="SELECT DATE '2026-01-02', TIMESTAMP '2026-01-02 03:04:05.120', TIME '-01:02:03', YEAR('2026-01-02'), "
              "b'1000001', '%s'"),
    Map("no_key", "SELECT v FROM t ORDER BY id LIMIT 3"),
    Map("format_s", BY_KEY, "<%s>"),
    Map("format_twice", BY_KEY, "%s+%s"),
    Map("format_user", BY_KEY, "%u"),
    Map("format_user_domain", BY_KEY, "%u at %d"),
    Map("format_domain", BY_KEY, "smtp:[%d]:25"),
    Map("format_key", BY_KEY, "%S -> %s"),
    Map("format_key_user", BY_KEY, "%U -> %s"),
    Map("format_key_domain", BY_KEY, "%D -> %s"),
    Map("format_key_all", BY_KEY, "%S %U %D %1 %2 %s %u %d"),
    Map("format_label", BY_KEY, "%2.%1:%s"),
    Map("format_percent", BY_KEY, "%%%s%%"),
    Map("format_fixed", BY_KEY, "REJECT"),
    Map("format_echo", ECHO, "%u,%d"),
    Map("listed", ECHO, domain=("example.com", "sub.example.org", "xn--bcher-kva.example", "bücher.example")),
    Map("listed_user", "SELECT '%u'", domain=("example.com",)),
    Map("listed_format", BY_KEY, "%s@%D", domain=("example.com", "sub.example.org")),
    Map("limit_enough", BY_KEY, expansion_limit=1000),
    Several("several", ("key", "user", "at_domain")),
    Several("several_kinds", ("listed_format", "format_key_domain", "label3")),
]

LIMITED = Map("limited", BY_KEY, expansion_limit=2)
FAILING = Map("failing", "SELECT CASE '%u' WHEN 'boom' THEN abs(-9223372036854775807 - 1) ELSE 'fine' END",
              pgsql="SELECT CASE '%u' WHEN 'boom' THEN CAST(1 / (length('%u') - 4) AS text) ELSE 'fine' END",
              mysql="SELECT CASE '%u' WHEN 'boom' THEN 9223372036854775807 + length('%u') ELSE 'fine' END")
FAILING_LATE = Map("failing_late", "SELECT CASE n WHEN 5 THEN abs(-9223372036854775807 - 1) ELSE v END "
                                   "FROM t WHERE k = '%s' ORDER BY id",
                   pgsql="SELECT CASE n WHEN 5 THEN CAST(1 / (n - 5) AS text) ELSE v END "
                         "FROM t WHERE k = '%s' ORDER BY id",
                   mysql="SELECT CASE n WHEN 5 THEN 9223372036854775807 + n ELSE v END "
                         "FROM t WHERE k = '%s' ORDER BY id")
SIZED = Map("sized", "SELECT printf('%%.*c', n, 'x') FROM sizes WHERE k = '%s'",
            pgsql="SELECT repeat('x', n) FROM sizes WHERE k = '%s'",
            mysql="SELECT repeat('x', n) FROM sizes WHERE k = '%s'")
ALL = MAPS + [LIMITED, FAILING, FAILING_LATE, SIZED]

USERS = ["alice", "bob", "alice+ext", "bob+", "+ext", "Alice", "BOB", "o'neil", "o''neil", '"john doe"', '"a@b"',
         '"a\\"b"', "back\\slash", "100%", "%s", "%u", "%%", "a b", " lead", "trail ", "tab\there", "semi;colon", "--",
         "/*", "*/", "'", "''", '"', '""', "`", "null", "NULL", "$1", "?1", ":name", "@x", "#", "*", "_", "a_b",
         "jürgen", "JÜRGEN", "straße", "STRASSE", "İstanbul", "ıi", "ΣΊΣΥΦΟΣ", "σίσυφος", "ﬁsh", "Å", "\u212b", "K",
         "e\u0301", "é", "日本", "🙂", "\u00ad", "ꭰ", "Ꭰ", "Ǆ", "ǰ", "\x01", "\x1b[0m", "\x7f", "cr\r", "\r", "x" * 70,
         "boomer", "0", "5", "05", "5.0", "1e1", "-1", ""]
DOMAINS = ["example.com", "Example.COM", "sub.example.org", "a.b.c.d.example", "com", "localhost", "example..com",
           ".example.com", "example.com.", ".", "..", "[127.0.0.1]", "[IPv6:2001:db8::1]", "192.0.2.1",
           "bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "ex'ample.com", "ex%ample.com", "ex ample.com",
           "%d", "ελλάδα.example", "straße.example", "日本.example", ""]
ODD = ["", "<>", '"<>"', "*", "@", "@@", "@example.com", "example.com", "alice@", "alice@@example.com", "a@b@example.com",
       "'", "''", "\\", "\\'", '"', "%", "%%", "%s", "_", "127.0.0.1", "2001:db8::1", "2001:db8:", "1.2.3", "1.2", "1",
       "SMTP:[x]:25", "unix:/x", "a,b", "a, b", ",", "key value", "map key", "OK", "NOTFOUND", "get x", "200 x", "0:,"]
INVALID = [b"\xff@example.com", b"alice\x80@example.com", b"\xc3@example.com", b"\xc0\xafx@example.com",
           b"\xed\xa0\x80@example.com", b"\xf5\x80\x80\x80@example.com", b"alice@\xffexample.com", b"\xe2\x82"]


def make_keys():
    """KEYS different keys, without newline and NUL, which postmap could not read."""
    draw = random.Random(SEED)
    keys = dict.fromkeys(ODD)
    keys.update(dict.fromkeys(f"{user}@{domain}" for user in USERS for domain in DOMAINS[:8]))
    keys.update(dict.fromkeys(f"alice@{domain}" for domain in DOMAINS))
    keys.update(dict.fromkeys(DOMAINS))
    keys.update(dict.fromkeys(USERS))
    while len(keys) < KEYS - len(INVALID):
        keys[mutated(draw, f"{draw.choice(USERS)}@{draw.choice(DOMAINS)}")] = None
    return [key.encode() for key in keys] + INVALID


def keys_for(engine):
    """All of them for SQLite. A server answers slower: it gets the odd ones and each fifth of the rest."""
    keys = make_keys()
    if engine == "sqlite":
        return keys
    numbers = ["0", "5", "05", "5.0"]
    odd = dict.fromkeys([key.encode() for key in ODD + numbers] + INVALID)
    return [*odd, *(key for key in keys[::5] if key not in odd)]


def mutated(draw, key):
    """The key with up to three characters changed, added, left out or put in the other case."""
    text = list(key)
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(text) + 1)
        how = draw.randrange(4)
        if how == 0:
            text.insert(at, draw.choice("@.+%'\"\\ _-*ßİ\u0130a\x02é"))
        elif text and at < len(text):
            text[at] = ("", text[at].swapcase(), draw.choice("@.+%'\"\\ AzÉ"))[how - 1]
    return "".join(text)


def make_rows():
    """Rows for about half of the keys, some with several values, NULL and empty ones: those of t and ud."""
    draw = random.Random(SEED + 1)
    values = ["alice@example.com", "bob@sub.example.org, carol@example.com", "plain", "@other.example", "nobody@",
              "", None, "a@b@c.example", "smtp:[192.0.2.1]:25", "OK", "it's 100%s", "grüße@bücher.example", " ", "two\nlines"]
    keys = [key.decode() for key in make_keys()[:-len(INVALID)]]
    t, ud = [], []
    for key in keys:
        for _ in range(draw.choice((0, 0, 1, 1, 2, 5))):
            stored = draw.choice((key.lower(), key.casefold(), key))
            t.append((stored, draw.choice(values), draw.choice(keys), draw.choice((None, 0, 5, 42))))
            user, _, domain = stored.rpartition("@")
            ud.append((user, domain, draw.choice(values)))
    for number in range(4):
        t.append(("many@example.com", f"v{number}", "x", 0))
        t.append(("late@example.com", f"v{number}", "x", 4 + number))
    t += [("two@example.com", value, "x", 0) for value in ("a", None, "", "b")]
    return t, ud


def make_tables(database):
    t, ud = make_rows()
    database.execute(TABLES.format(text=TEXT[database.kind]))
    database.load_rows("t", ("id", "k", "v", "w", "n"), ((number, *row) for number, row in enumerate(t)))
    database.load_rows("ud", ("id", "u", "d", "v"), ((number, *row) for number, row in enumerate(ud)))
    database.load_rows("sizes", ("k", "n"), ((str(size), size) for size in SIZES))


class Tables:
    """Where postmap finds each map: by Postfix's own client, through its proxymap, or in tabled."""

    def __init__(self, root, config, engine, daemon):
        self.engine = engine
        self.reference = "postfix" if engine == "sqlite" else "proxymap"
        self._root, self._config, self._daemon = root, config, daemon

    def of(self, kind, name):
        """The arguments that name the map, a list."""
        if kind == "socketmap":
            return [f"socketmap:unix:{self._daemon.path('socketmap')}:{name}"]
        if kind == "tcp":
            return [f"tcp:127.0.0.1:{self._daemon.port(name)}"]
        members = next((m.members for m in ALL if m.name == name and isinstance(m, Several)), (name,))
        prefix = "proxy:" if kind == "proxymap" else ""
        return [f"{prefix}{self.engine}:{self._root / member}.cf" for member in members]

    def ask_all(self, kind, name, keys):
        """Output for all keys; fails, with the first key that is to blame, if there was an error."""
        status, output, complaints = self._postmap(["-q", "-", *self.of(kind, name)], keys)
        if status in (0, 1) and b"fatal:" not in complaints:
            return output
        while len(keys) > 1:  # halve until one key is left
            half = len(keys) // 2
            _, _, complaints = self._postmap(["-q", "-", *self.of(kind, name)], keys[:half])
            keys = keys[:half] if b"fatal:" in complaints else keys[half:]
        pytest.fail(f"{kind} {name}: error for key {keys[0]!r}: {complaints.decode(errors='replace')}")

    def ask_one(self, kind, name, key):
        """("found", value), ("not found", "") or ("error", "")."""
        status, output, complaints = self._postmap(["-q", key, *self.of(kind, name)], [])
        if b"fatal:" in complaints:
            return "error", b""
        return ("found", output) if status == 0 else ("not found", output)

    def _postmap(self, arguments, keys):
        done = subprocess.run(["postmap", "-c", self._config, *arguments], input=b"".join(k + b"\n" for k in keys),
                              capture_output=True, timeout=300)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module", params=ENGINES)
def tables(request, fresh_database):
    reason = postfix.why_not(("socketmap", "tcp", "proxy", request.param))
    if reason:
        pytest.skip(reason)
    root = postfix.public_directory()
    try:
        database = fresh_database(request.param, "postmap", root)
        twin = database.twin_for_postfix()
        for one in {database, twin}:
            make_tables(one)
        for entry in ALL:
            if isinstance(entry, Map):
                (root / f"{entry.name}.cf").write_text(entry.cf(twin))
        with Daemon(tabled_conf(database)) as daemon, proxymap(root, twin) as config:
            yield Tables(root, config, database.kind, daemon)
    finally:
        shutil.rmtree(root)


@contextmanager
def proxymap(root, database):
    """A Postfix whose proxymap opens our tables; yields the directory of its configuration."""
    names = (f"proxy:{database.kind}:{root / entry.name}.cf" for entry in ALL if isinstance(entry, Map))
    with postfix.Postfix({"proxy_read_maps": " ".join(names)}) as server:
        yield server.config


def tabled_conf(database):
    listeners = "".join(f'tcp_table {{ listen = "inet:127.0.0.1:@PORT:{entry.name}@" map = {entry.name} }}\n'
                        for entry in ALL)
    return (database.tabled_source() + 'socketmap { listen = "unix:@DIR@/socketmap" }\n'
            + listeners + "".join(entry.conf(database.kind) for entry in ALL))


def differences(reference, ours):
    """The first lines that differ, for people."""
    theirs, mine = reference.split(b"\n"), ours.split(b"\n")
    lost = [line for line in theirs if line not in set(mine)][:5]
    added = [line for line in mine if line not in set(theirs)][:5]
    return f"seed {SEED}\nonly Postfix says: {lost}\nonly tabled says: {added}"


# Postfix's SQLite client reads no more of a row behind a NULL; the others do.
EMPTY = {"sqlite": ("null", "null_first", "empty", "nothing"), "pgsql": ("null", "empty", "nothing"),
         "mysql": ("null", "empty", "nothing")}


@pytest.mark.parametrize("name", [entry.name for entry in MAPS])
def test_same_output(tables, name):
    keys = keys_for(tables.engine)
    assert len(keys) == len(set(keys)) >= KEYS / 5
    with ThreadPoolExecutor() as pool:
        asked = {kind: pool.submit(tables.ask_all, kind, name, keys) for kind in (tables.reference, "socketmap", "tcp")}
    reference = asked[tables.reference].result()
    for kind in ("socketmap", "tcp"):
        assert asked[kind].result() == reference, f"{kind}: {differences(reference, asked[kind].result())}"
    assert (reference == b"") == (name in EMPTY[tables.engine]), "the map tests nothing"


# What one key does in each kind of table; "found" stands for the value that Postfix itself finds.
# Postfix's clients of this age know no limit for the length of a key; tabled answers a key that
# it will not read with an error, never with "not found".
SINGLE = [
    (LIMITED, b"many@example.com", "error", "error", "error", "three values are over the limit of two"),
    (LIMITED, b"two@example.com", "found", "found", "found", "NULL and empty values do not count"),
    (FAILING, b"boom@example.com", "error", "error", "error", "the statement fails for this key"),
    (FAILING, b"fine@example.com", "found", "found", "found", "and the next key is not the worse for it"),
    (FAILING_LATE, b"late@example.com", "error", "error", "error", "the second row fails, after a good one"),
    (SIZED, b"4000", "found", "found", "found", "fits into a line of tcp_table(5)"),
    (SIZED, b"5000", "found", "found", "error", "a line of tcp_table(5) has 4096 bytes at most"),
    (SIZED, b"90000", "found", "found", "error", "fits into a reply of socketmap"),
    (SIZED, b"99000", "found", "found", "error", "fits into a reply of socketmap"),
    (SIZED, b"120000", "found", "error", "error", "socketmap_max_reply_size is 100000"),
    (SIZED, b"7", "not found", "not found", "not found", "no such row"),
    (MAPS[0], b"k" * 4000, "not found", "not found", "not found", "a long key is a key"),
    (MAPS[0], b"k" * 9900, "not found", "not found", "error", "the request is over 4096 bytes for tcp_table(5)"),
    (MAPS[0], b"k" * 12000, "not found", "error", "error", "socketmap_max_query_size is 10000 since 3.12"),
    (MAPS[0], "ü".encode() * 900, "not found", "not found", "error", "6 bytes for each ü once encoded: 5400"),
]


@pytest.mark.parametrize("kind", ["postfix", "socketmap", "tcp"])
def test_same_class(tables, kind):
    with ThreadPoolExecutor(8) as pool:  # postmap sleeps a second after an error
        answers = list(pool.map(lambda row: tables.ask_one(kind, row[0].name, row[1]), SINGLE))
        values = list(pool.map(lambda row: tables.ask_one("postfix", row[0].name, row[1])[1], SINGLE))
    column = {"postfix": 2, "socketmap": 3, "tcp": 4}[kind]
    for row, answer, value in zip(SINGLE, answers, values):
        wanted = row[column]
        where = f"{kind} {row[0].name} {row[1][:40]!r} ({row[5]})"
        assert answer[0] == wanted, where
        assert wanted != "found" or answer[1] == value, where


def test_errors_leave_the_connection_alone(tables):
    """After a failure the same server still knows all the rest."""
    for kind in ("socketmap", "tcp"):
        assert tables.ask_one(kind, "failing", b"boom@example.com")[0] == "error"
        assert tables.ask_one(kind, "failing", b"alice@example.com") == ("found", b"fine\n")
