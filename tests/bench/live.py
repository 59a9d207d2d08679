"""
What freshness and outage have in common: databases whose rows change or that go away, with the
project's schema and its change feed; who changes them; and a client of tabled that is told the truth.
"""

import contextlib
import socket
import sqlite3
import subprocess

import stage
from support import databases

TITLES = {"pgsql": "PostgreSQL", "mysql": "MariaDB", "sqlite": "SQLite"}
SCHEMAS = {"pgsql": "postgresql.sql", "mysql": "mysql.sql", "sqlite": "sqlite.sql"}
LOOKUP_SECONDS = 20


def why_not(kind):
    """Why there is no such database here, or None."""
    return None if kind == "sqlite" else databases.DATABASES[kind].why_not()


@contextlib.contextmanager
def database(kind, directory, rows):
    """A database with so many aliases."""
    with contextlib.ExitStack() as running:
        if kind == "sqlite":
            made = databases.Sqlite(directory / "mail.db")
        else:
            made = running.enter_context(databases.DATABASES[kind]())
        made.load_file(stage.ROOT / "schema" / SCHEMAS[kind])
        made.execute("INSERT INTO domain (domain) VALUES ('example.com')")
        made.load_rows(
            "alias", ("address", "goto"),
            ((stage.address_of(row), stage.result_of(row)) for row in range(rows)),
        )
        yield made


class ServerWriter:
    """
    A server's own client program, kept open: each statement is a transaction, and write() returns when
    the server has said that it is committed.
    """

    def __init__(self, server):
        self.client = subprocess.Popen(
            list(map(str, self.command(server))), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def command(server):
        if server.kind == "pgsql":
            return (
                databases.find_program("psql"), "-X", "-q", "-A", "-t", "-h", server.socket,
                "-p", server.port, "-U", "postgres", server.dbname,
            )
        return (
            databases.find_program("mariadb"), "--no-defaults", "--batch", "--unbuffered",
            "--skip-column-names", f"--socket={server.socket}", "--user=root", server.dbname,
        )

    def write(self, sql):
        self.client.stdin.write(f"{sql};\nSELECT 'done';\n")
        self.client.stdin.flush()
        if self.client.stdout.readline() != "done\n":
            raise stage.StageError(f"the database has refused: {sql}")

    def close(self):
        self.client.stdin.close()
        self.client.stdout.close()
        self.client.wait()


class FileWriter:
    """The same for a file of SQLite's."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=60)

    def write(self, sql):
        self.connection.execute(sql)

    def close(self):
        self.connection.close()


def writer(of_database):
    if of_database.kind == "sqlite":
        return contextlib.closing(FileWriter(of_database.path))
    return contextlib.closing(ServerWriter(of_database))


class Asker:
    """A connection to a socketmap."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LOOKUP_SECONDS)
        self.socket.connect(str(path))
        self.input = self.socket.makefile("rb")

    def ask(self, map_name, key):
        """Returns the reply as it came. An OSError if the connection has ended."""
        request = f"{map_name} {key}".encode()
        self.socket.sendall(b"%d:%s," % (len(request), request))
        length = b""
        while not length.endswith(b":"):
            byte = self.input.read(1)
            if not byte:
                raise ConnectionResetError("tabled has closed the connection")
            length += byte
        payload = self.input.read(int(length[:-1]) + 1)
        if not payload.endswith(b","):
            raise ConnectionResetError("tabled has closed the connection inside a reply")
        return payload[:-1].decode()

    def close(self):
        self.input.close()
        self.socket.close()


def reply_for(result):
    """What tabled has to say if the truth is this result; None is not found."""
    return f"OK {result}" if result is not None else "NOTFOUND "
