"""tests/bench/run in its short form: that it measures, not how fast anything is."""

import pathlib
import re
import subprocess

import pytest

from support.daemon import build_directory, program

RUN = pathlib.Path(__file__).with_name("run")
RUN_SECONDS = 300


def run(*arguments):
    return subprocess.run(
        [RUN, "--short", "--build", build_directory(), *arguments],
        capture_output=True, text=True, timeout=RUN_SECONDS)


def output_of(part):
    program("tabled")
    done = run(part)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sqlite():
    return output_of("sqlite")


@pytest.fixture(scope="module")
def servers():
    return output_of("servers")


@pytest.fixture(scope="module")
def dictionaries():
    return output_of("dict")


def tables(text, heading):
    """The tables below a heading: of each the rows' cells, without the two lines of its head."""
    part = text.split(heading)[1].split("\n###")[0]
    found = re.findall(r"(?:^\|.*\n)+", part, re.MULTILINE)
    return [[line.strip("| ").split(" | ") for line in table.splitlines()[2:]] for table in found]


def skip_if_missing(text, heading, what):
    part = text.split(heading)[1].split("\n###")[0]
    reason = re.search(f"SKIPPED: {what}: (.*)", part)
    if reason:
        pytest.skip(reason.group(1))


def number(cell):
    return float(re.sub("[^0-9.]", "", cell))


def test_load_by_tabled_bench(sqlite):
    seen = tables(sqlite, "### By tabled-bench")[0]
    for server in ("floor", "tabled"):
        connections = {row[1] for row in seen if row[2] == server}
        assert connections == {"1", "16", "64"}
    assert all(number(row[3]) > 0 and number(row[6]) > 0 for row in seen)


def test_load_by_postmap(sqlite):
    if "### By Postfix's own client" not in sqlite:
        skip_if_missing(sqlite, "### By tabled-bench", "Postfix's own client")
    seen = tables(sqlite, "### By Postfix's own client")[0]
    assert {row[1] for row in seen} == {"1", "16"}
    assert {"proxy:sqlite", "socketmap, tabled", "tcp, tabled"} < {row[2] for row in seen}
    assert all(number(row[3]) > 0 for row in seen)


def test_idle_connections(sqlite):
    seen = tables(sqlite, "### 300 idle connections")[0]
    assert [row[0] for row in seen] == ["floor", "tabled"]
    assert all(number(row[1]) > 0 for row in seen)


DATABASES = {"PostgreSQL": "pgsql", "MariaDB": "mysql"}


def rows_of(servers, title, by, name):
    """Rows of one server, by their number of clients; of several places the last one."""
    skip_if_missing(servers, f"### {title}", title)
    seen = tables(servers, f"### {title}")[0]
    return {int(row[1]): row for row in seen if row[2:4] == [by, name]}


@pytest.mark.parametrize("title", DATABASES)
@pytest.mark.parametrize("name", ["tabled", "tabled, virtual_alias_maps"])
def test_servers_by_tabled_bench(servers, title, name):
    seen = rows_of(servers, title, "tabled-bench", name)
    assert set(seen) == {1, 16, 64, 256}
    assert all(number(row[4]) > 0 and number(row[-3]) > 0 for row in seen.values())


def test_list_of_keys(servers):
    seen = rows_of(servers, "MariaDB", "tabled-bench", "tabled, :keys")
    assert set(seen) == {1, 16, 64, 256}


def test_pgbench(servers):
    assert set(rows_of(servers, "PostgreSQL", "pgbench", "pgbench")) == {16}


@pytest.mark.parametrize("title", DATABASES)
def test_servers_by_postmap(servers, title):
    skip_if_missing(servers, f"### {title}", "Postfix's own client")
    for name in ("tabled", f"proxy:{DATABASES[title]}"):
        assert set(rows_of(servers, title, "postmap", name)) == {1, 16}


@pytest.mark.parametrize("title", DATABASES)
def test_dict_server(servers, title):
    skip_if_missing(servers, f"### {title}", "Dovecot's dict server")
    seen = rows_of(servers, title, "dict_load", "Dovecot's dict server")
    assert set(seen) == {1, 16}


@pytest.mark.parametrize("title", DATABASES)
def test_connections_are_counted(servers, title):
    skip_if_missing(servers, f"### {title}", title)
    seen = tables(servers, f"### {title}")[0]
    assert all(int(row[-1]) >= 1 for row in seen)
    pgbench = [int(row[-1]) for row in seen if row[3] == "pgbench"]
    assert pgbench == ([16] if title == "PostgreSQL" else [])


@pytest.mark.parametrize("title", DATABASES)
def test_aims_are_compared(servers, title):
    skip_if_missing(servers, f"### {title}", "Postfix's own client")
    skip_if_missing(servers, f"### {title}", title)
    aims = tables(servers, f"### {title}")[1]
    assert len(aims) >= 5
    assert all(number(row[3]) > 0 for row in aims)


@pytest.fixture(scope="module")
def cache():
    return output_of("cache")


def test_hits(cache):
    seen = tables(cache, "### By tabled-bench")[0]
    assert {row[1] for row in seen} == {"1", "16", "64"}
    assert {row[2] for row in seen} == {"floor", "tabled", "tabled, 2 workers"}
    assert all(number(row[3]) > 0 and number(row[-1]) > 0 for row in seen)


def test_hits_by_postmap(cache):
    skip_if_missing(cache, "### By tabled-bench", "Postfix's own client")
    seen = tables(cache, "### By Postfix's own client")[0]
    assert {row[2] for row in seen} == {"socketmap, floor", "socketmap, tabled", "tcp, tabled"}
    assert all(number(row[3]) > 0 for row in seen)


def test_aims_of_hits(cache):
    seen = tables(cache, "### What answers from the cache")[0]
    for aim in ("at least 0.85", "at most 1.5", "at most 5 µs"):
        assert aim in {row[1] for row in seen}


def test_memory():
    text = output_of("memory")
    before, after = (
        [number(row[column]) for row in tables(text, "### Memory")[0]] for column in (1, 2)
    )
    # Every key was found while nobody could read the database: run would have failed else.
    assert len(after) == 2 and after[1] > after[0] and after[1] > before[1]
    rates, aims = tables(text, "### Random keys")
    assert {row[1] for row in rates} == {"200", "20,000"}
    assert all(number(row[2]) > 0 for row in rates)
    assert "at most 1.5 GB" in {row[1] for row in aims}


def test_eviction():
    seen = tables(output_of("eviction"), "### Eviction")[0]
    by_case = {}
    for trace, size, policy, hits, _ in seen:
        by_case.setdefault((trace, size), {})[policy] = number(hits)
    assert len(by_case) == 16
    for hits in by_case.values():
        assert {"FIFO", "LRU", "SIEVE", "**shard.c**"} < set(hits)
        # Not timed: the traces are the same wherever they run.
        assert 50 < hits["FIFO"] <= hits["**shard.c**"] < 100


def test_freshness():
    text = output_of("freshness")
    seen = tables(text, "### From COMMIT")[0]
    skipped = text.count("SKIPPED")
    assert len(seen) == 3 - skipped and "SQLite" in {row[0] for row in seen}
    for row in seen:
        assert number(row[1]) == 20 and number(row[4]) >= number(row[2])
        assert row[-1].startswith("0 of ")


OUTAGE_PHASES = ["before", "while it is away", "after"]


@pytest.fixture(scope="module")
def outage():
    return output_of("outage")


@pytest.mark.parametrize("title", DATABASES)
@pytest.mark.parametrize("restarted", ["", ", tabled restarted"])
def test_outage(outage, title, restarted):
    skip_if_missing(outage, "### The database is killed", title)
    seen = [row for row in tables(outage, "### The database")[0] if row[0] == title + restarted]
    assert [row[1] for row in seen] == OUTAGE_PHASES
    for row in seen:
        assert number(row[2]) > 0 and number(row[3]) > 0
        wrong, lost = number(row[8]), number(row[6])
        assert wrong == 0 and lost == 0
    # It was killed, and did come back. On a busy machine a question may take too long before that, too.
    before, meanwhile = (number(row[5]) for row in seen[:2])
    assert meanwhile > before
    assert number(seen[2][4]) > 0


def test_unknown_part():
    done = run("sqllite")
    assert done.returncode == 2 and "the parts are sqlite, servers, cache" in done.stderr


@pytest.mark.parametrize("database", DATABASES)
def test_dictionaries(dictionaries, database):
    heading = f"### Dictionaries, with {database}"
    skip_if_missing(dictionaries, heading, database)
    seen, aims = tables(dictionaries, heading)
    assert {(row[0], row[1], row[2]) for row in seen} >= {
        (what, connections, server)
        for what in ("lookups", "increments") for connections in ("1", "16")
        for server in ("tabled", "Dovecot's dict server")}
    assert all(number(row[3]) > 0 for row in seen)
    assert len(aims) == 6


def test_whole_server():
    text = output_of("mail")
    skip_if_missing(text, "### The whole server", "the whole server")
    seen, aims = tables(text, "### The whole server")
    straight, tabled = ([number(cell) for cell in (row[1], row[3], row[5], row[6])] for row in seen)
    assert min(*straight, *tabled) > 0
    # Not timed: how often the database is asked, and by how many.
    assert tabled[1] < straight[1] / 4 and tabled[2] <= straight[2] / 5 and tabled[3] <= straight[3] / 5
    assert len(aims) == 3
