"""Others who use the same database, and hold locks on it."""

import contextlib
import os
import sqlite3
import subprocess

from support.databases import find_program


@contextlib.contextmanager
def row_lock(database, table, name):
    """Somebody else changes a row (of SQLite: the file) and does not commit; yields what ends that early."""
    if database.kind == "sqlite":
        connection = sqlite3.connect(database.path, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection.rollback
        finally:
            connection.close()
        return
    command, environment = client_command(database)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, **environment}) as holder:
        holder.stdin.write(f"BEGIN;\nSELECT 'held', amount FROM {table} WHERE name = '{name}' FOR UPDATE;\n")
        holder.stdin.flush()
        assert holder.stdout.readline().startswith("held")

        def end():
            with contextlib.suppress(BrokenPipeError):
                holder.stdin.close()
            holder.wait()

        try:
            yield end
        finally:
            end()


def client_command(database):
    """The database's own client, which runs what it reads and shows each row at once."""
    if database.kind == "pgsql":
        return ([find_program("psql"), "-X", "-q", "-A", "-t", "-h", database.host, "-p", str(database.port),
                 "-U", database.user, database.dbname], {"PGPASSWORD": database.password})
    return ([find_program("mariadb"), "--no-defaults", "--unbuffered", "--batch", "--skip-column-names",
             f"--host={database.host}", f"--port={database.port}", f"--user={database.user}",
             f"--password={database.password}", database.dbname], {})
