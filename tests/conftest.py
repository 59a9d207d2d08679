"""
Makes `from support.daemon import Daemon` work in every test below this directory, and holds the
database servers that tests share: each starts when the first test asks for it, and ends with the last.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support.databases import MariaDB, PostgreSQL, Sqlite  # noqa: E402 (the path comes first)


def running(kind):
    reason = kind.why_not()
    if reason:
        pytest.skip(reason)
    return kind()


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL for everybody: a test makes a database of its own in it, and starts or stops nothing."""
    with running(PostgreSQL) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb():
    """A MariaDB for everybody: a test makes a database of its own in it, and starts or stops nothing."""
    with running(MariaDB) as server:
        yield server


@pytest.fixture(scope="session")
def fresh_database(request):
    """
    A function: fresh_database(kind, name, directory) is a new database `name` of sqlite, pgsql or
    mysql; a file below `directory` if it is one.
    """
    def make(kind, name, directory):
        if kind == "sqlite":
            return Sqlite(directory / f"{name}.db")
        return request.getfixturevalue({"pgsql": "postgresql", "mysql": "mariadb"}[kind]).fresh_database(name)
    return make


def pytest_terminal_summary(terminalreporter):
    """What tests have measured, by record_property("figures", text): a line each, which the runner prints."""
    # The report on a test's end has all that was recorded, be it by its fixtures.
    ends = [report for some in terminalreporter.stats.values() for report in some
            if getattr(report, "when", None) == "teardown"]
    lines = [text for report in ends for name, text in report.user_properties if name == "figures"]
    if lines:
        terminalreporter.section("figures")
    for line in lines:
        terminalreporter.line(f"figures: {line}")
