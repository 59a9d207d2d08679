"""The scene of a measurement: a database, the servers that answer from it, and a private Postfix.

Everything lives below one temporary directory and ends with it. /etc/postfix is only read.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import time

from support import keep
from support.ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 10
QUERY = "SELECT goto FROM alias WHERE address = '%s' AND active = 1"
ADDRESS, RESULT = "user%06d@example.com", "box%06d@example.net"


class StageError(Exception):
    """A server that does not start, or that answers wrongly: nothing can be measured."""


def address_of(number):
    return ADDRESS % number


def result_of(number):
    return RESULT % number


def make_database(path, rows):
    """The project's own schema with `rows` aliases, all found under their full address."""
    database = sqlite3.connect(path)
    database.executescript((ROOT / "schema" / "sqlite.sql").read_text())
    with database:
        database.execute("INSERT INTO domain (domain) VALUES ('example.com')")
        database.executemany(
            "INSERT INTO alias (address, goto) VALUES (?, ?)",
            ((address_of(number), result_of(number)) for number in range(rows)),
        )
    database.execute("ANALYZE")
    database.close()
    # proxymap reads it as user postfix.
    path.chmod(0o644)


def make_bare_database(path, rows, address=ADDRESS, result=RESULT):
    """A table for the same query, with nothing else: no change feed, and millions of rows in no time."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
        "CREATE TABLE alias (address TEXT PRIMARY KEY, goto TEXT NOT NULL, active INTEGER NOT NULL)"
        " WITHOUT ROWID"
    )
    database.execute(
        "WITH RECURSIVE row (number) AS"
        " (SELECT 0 UNION ALL SELECT number + 1 FROM row WHERE number + 1 < :rows)"
        " INSERT INTO alias SELECT printf(:address, number), printf(:result, number), 1 FROM row",
        {"rows": rows, "address": address, "result": result},
    )
    database.execute("PRAGMA journal_mode = DELETE")
    database.close()
    path.chmod(0o644)


@contextlib.contextmanager
def locked(path):
    """
    Nobody can read the SQLite database meanwhile: who still answers knows it already. For a database
    without a change feed; where there is one, tabled would ask anew what it can't watch.
    """
    lock = sqlite3.connect(path, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        lock.close()


def confine(processes, processors):
    """Confines all threads of these processes; what they start from now on is confined with them."""
    for process in processes:
        # One may have ended since: proxymap does after some clients.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for thread in os.listdir(f"/proc/{process}/task"):
                os.sched_setaffinity(int(thread), processors)


class Server:
    """A process that listens on a Unix socket, started by us and ended by us."""

    def __init__(self, name, command, path, log):
        self.name = name
        self.path = path
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        self.wait_until_it_listens()

    @property
    def address(self):
        return f"unix:{self.path}"

    @property
    def pid(self):
        return self.process.pid

    def wait_until_it_listens(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StageError(f"{self.name} ended at once:\n{self.log.read_text()}")
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(self.path)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise StageError(f"{self.name} does not listen on {self.path}:\n{self.log.read_text()}")

    def threads(self):
        return [int(task) for task in os.listdir(f"/proc/{self.pid}/task")]

    def place(self, processors):
        """Confines it, and what it has started, to these processors."""
        confine([self.pid, *keep.descendants(self.pid)], processors)

    def processor_seconds(self):
        """What all threads have used so far; the kernel counts it in nanoseconds."""
        total = 0
        for thread in self.threads():
            text = pathlib.Path(f"/proc/{self.pid}/task/{thread}/schedstat").read_text()
            total += int(text.split()[0])
        return total / 1e9

    def resident_kilobytes(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise StageError(f"{self.name} has no VmRSS: it has ended")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def start_floor(build, directory):
    path = directory / "floor.sock"
    command = [build / "tests" / "bench" / "floor", f"unix:{path}", str(len(result_of(0)))]
    return Server("floor", command, path, directory / "floor.log")


def map_text(name, query=QUERY, options="cache = no"):
    """A map of tabled's configuration; its database is asked for every key unless `options` say else."""
    return f'map {name} {{ source = mail  query = "{query}"  {options} }}\n'


def start_tabled(build, directory, name, text, tcp_map=None, workers=1):
    """`text` has the source and the maps. `workers` is None for as many as tabled takes by itself."""
    path = directory / f"{name}.sock"
    config = directory / f"{name}.conf"
    port = free_port()
    if workers:
        text = f"workers = {workers}\n" + text
    text += f'socketmap {{ listen = "unix:{path}" }}\n'
    if tcp_map:
        text += f'tcp_table {{ listen = "inet:127.0.0.1:{port}"  map = {tcp_map} }}\n'
    config.write_text(text)
    server = Server(name, [build / "tabled", "-c", config], path, directory / f"{name}.log")
    server.tcp_address = f"inet:127.0.0.1:{port}"
    server.tcp_table = f"tcp:127.0.0.1:{port}"
    return server


class Postfix:
    """A private Postfix master with one service, proxymap, and the log of its own."""

    def __init__(self, directory, texts):
        """`texts` has the text of a table's file by the type of the table."""
        self.directory = directory / "postfix"
        self.etc = self.directory / "etc"
        self.log = self.directory / "log"
        self.write_files(texts)
        self.run("start")

    def table(self, table_type):
        return f"{table_type}:{self.etc / table_type}.cf"

    def write_files(self, texts):
        spool, lib = self.directory / "spool", self.directory / "lib"
        for folder in (self.etc, spool, lib):
            folder.mkdir(parents=True)
        shutil.chown(lib, "postfix")
        for table_type, text in texts.items():
            (self.etc / f"{table_type}.cf").write_text(text)
        tables = " ".join(f"proxy:{self.table(table_type)}" for table_type in texts)
        (self.etc / "main.cf").write_text(
            "compatibility_level = 3.6\n"
            f"queue_directory = {spool}\n"
            f"data_directory = {lib}\n"
            "myhostname = bench.example.com\n"
            "mydestination =\n"
            "alias_maps =\n"
            "inet_interfaces = 127.0.0.1\n"
            "inet_protocols = ipv4\n"
            f"maillog_file = {self.log}\n"
            f"maillog_file_prefixes = {self.directory}\n"
            f"proxy_read_maps = {tables}\n"
        )
        (self.etc / "master.cf").write_text(
            "proxymap  unix        -  -  n  -  -  proxymap\n"
            "postlog   unix-dgram  n  -  n  -  1  postlogd\n"
        )

    def run(self, command):
        done = subprocess.run(
            ["postfix", "-c", self.etc, command], capture_output=True, text=True
        )
        if done.returncode != 0:
            log = self.log.read_text() if self.log.exists() else ""
            raise StageError(f"postfix {command} failed:\n{done.stdout}{done.stderr}{log}")

    def place(self, processors):
        """Confines the master, and so what it starts, and the proxymaps that run already."""
        master = int((self.directory / "spool" / "pid" / "master.pid").read_text())
        confine([master, *keep.descendants(master)], processors)

    def postmap(self, table, keys, output, processors):
        """A postmap that asks `table` for the keys in a file: Postfix's own client."""
        return subprocess.Popen(
            ["postmap", "-c", self.etc, "-q", "-", table],
            stdin=keys,
            stdout=output,
            preexec_fn=lambda: os.sched_setaffinity(0, processors),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("stop")
