"""tests/bench/run in its short form: that it measures, not how fast anything is."""

import pathlib
import re
import subprocess

import pytest

from support.daemon import build_directory, program

RUN = pathlib.Path(__file__).with_name("run")
RUN_SECONDS = 300


@pytest.fixture(scope="module")
def table():
    program("tabled")
    done = subprocess.run(
        [RUN, "--short", "--build", build_directory()],
        capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(table, heading):
    """The cells of the table below a heading, without its two lines of head."""
    lines = table.split(heading)[1].split("\n###")[0].splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return cells[2:]


def number(cell):
    return float(re.sub("[^0-9.]", "", cell))


def test_load_by_tabled_bench(table):
    seen = rows(table, "### By tabled-bench")
    for server in ("floor", "tabled"):
        connections = {row[1] for row in seen if row[2] == server}
        assert connections == {"1", "16", "64"}
    assert all(number(row[3]) > 0 and number(row[6]) > 0 for row in seen)


def test_load_by_postmap(table):
    reason = re.search("SKIPPED: (.*)", table)
    if reason:
        pytest.skip(reason.group(1))
    seen = rows(table, "### By Postfix's own client")
    assert {row[1] for row in seen} == {"1", "16"}
    assert {"proxy:sqlite", "socketmap, tabled", "tcp, tabled"} < {row[2] for row in seen}
    assert all(number(row[3]) > 0 for row in seen)


def test_idle_connections(table):
    seen = rows(table, "### 300 idle connections")
    assert [row[0] for row in seen] == ["floor", "tabled"]
    assert all(number(row[1]) > 0 for row in seen)
