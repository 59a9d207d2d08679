"""
Private database servers for tests: PostgreSQL, MariaDB and PgBouncer as Debian packages them, each in
a directory of its own, on a port of 127.0.0.1 and on a Unix socket; and a proxy that plays a bad
network. The machine's own servers, if there are any, are neither read nor touched.

    with PostgreSQL() as server:
        server.execute("CREATE TABLE t (n integer)")
        ... connect to server.host, server.port or server.socket, as server.user ...

A server ends with stop(), with the `with` block, and at the latest with the process that owns it
(keep.py sees to that, however that process ends). As root the servers run as the users of their
packages: PostgreSQL and PgBouncer refuse to run as root.
"""

import contextlib
import copy
import glob
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from support import keep
from support.ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAULT_PROXY = pathlib.Path(__file__).with_name("fault_proxy.py")
START_SECONDS = 60
STOP_SECONDS = 60

USER = "tabled"
PASSWORD = "a secret of 'tests'"
DATABASE = "mail"


class DatabaseError(Exception):
    """A server did not start or stop, or refused a statement."""


def find_program(name):
    """Where a program is; PostgreSQL's are not in PATH. None if it is not installed."""
    versions = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    return shutil.which(name, path=":".join([*reversed(versions), os.environ.get("PATH", ""), "/usr/sbin"]))


def wait_until(condition, what, seconds=START_SECONDS):
    """Polls; a DatabaseError with what()'s text after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DatabaseError(what())
        time.sleep(0.02)


def quoted(text):
    """A string literal of SQL and of the servers' own files, without backslashes."""
    return "'" + str(text).replace("'", "''") + "'"


def literal(kind, value):
    """A value in SQL; MariaDB takes a backslash for an escape."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    return quoted(value.replace("\\", "\\\\") if kind == "mysql" else value)


def insertion(kind, table, row):
    """A statement that inserts a row, which is a dict."""
    return (f"INSERT INTO {table} ({', '.join(row)}) "
            f"VALUES ({', '.join(literal(kind, value) for value in row.values())});\n")


class Server:
    """What the three have in common: a directory, a process with children, and where to connect."""

    kind = None           # its name for tests/support/database
    programs = ()         # what has to be installed
    system_user = None    # who runs it when root starts it
    host = "127.0.0.1"
    user, password, dbname = USER, PASSWORD, DATABASE

    def __init__(self, directory=None, owner=None, port=None):
        self._is_own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix=f"tabled-{self.kind}-"))
        self.directory.mkdir(exist_ok=True)
        self.directory.chmod(0o755)
        self.owner = owner or os.getpid()
        self.port = port or free_port()
        self._keeper = None
        self._make_directory(self.directory / "data", 0o700)
        self._make_directory(self.directory / "run")

    @classmethod
    def why_not(cls):
        """Why such a server cannot be run here, or None."""
        for name in (*cls.programs, "setpriv"):
            if not find_program(name):
                return f"{name} is not installed"
        return None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.end()
        if self._is_own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def facts(self):
        """What a client has to know."""
        return {name: str(getattr(self, name)) for name in ("host", "port", "socket", "user", "password", "dbname")}

    def _make_directory(self, path, mode=0o755):
        if not path.exists():
            path.mkdir()
            path.chmod(mode)
            self._own(path)

    def _own(self, path):
        if os.geteuid() == 0:
            shutil.chown(path, self.system_user, self.system_user)

    def _write(self, path, text, mode=0o644):
        """A file that the server can read."""
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text)
        self._own(path)

    def _as_server(self, *command):
        """The command, run by the server's user, and killed when who started it dies."""
        who = []
        if os.geteuid() == 0:
            who = [f"--reuid={self.system_user}", f"--regid={self.system_user}", "--init-groups"]
        return ["setpriv", *who, "--pdeathsig=KILL", "--", find_program(command[0]), *map(str, command[1:])]

    def _run(self, *command, text=None, environment=None, as_server=True):
        """Runs a program to its end and returns what it printed."""
        words = self._as_server(*command) if as_server else [find_program(command[0]), *map(str, command[1:])]
        done = subprocess.run(words, input=text, capture_output=True, text=True, cwd="/",
                              stdin=subprocess.DEVNULL if text is None else None,
                              env={**os.environ, **(environment or {})})
        if done.returncode != 0:
            raise DatabaseError(f"{command[0]}: {done.stderr.strip()}{done.stdout[-2000:]}")
        return done.stdout

    # --- The process

    def _launch(self, *command):
        """Starts the server below its keeper and returns at once."""
        if self.is_running():
            raise DatabaseError(f"{self.directory}: the server runs already")
        self._pid_file.unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, keep.__file__, str(self.owner), str(self._pid_file), *self._as_server(*command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
        self._save()

    @property
    def _pid_file(self):
        return self.directory / "keeper.pid"

    @property
    def log_path(self):
        return self.directory / "log"

    def log(self):
        """What the server wrote."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _save(self):
        """For load(), in another process."""
        self.state_path(self.directory).write_text(json.dumps({"kind": self.kind, **self._state()}))

    def _state(self):
        return {"owner": self.owner, "port": self.port}

    @staticmethod
    def state_path(directory):
        return pathlib.Path(directory) / "server.json"

    def keeper_pid(self):
        """The process above all of the server's, or None. It is told from a stranger by its command."""
        try:
            pid = int(self._pid_file.read_text())
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self._pid_file).encode() in command else None

    def pids(self):
        """All processes of the server, the first one first."""
        keeper = self.keeper_pid()
        return keep.descendants(keeper) if keeper else []

    def is_running(self):
        if self._keeper and self._keeper.poll() is None:
            return True
        return self.keeper_pid() is not None

    def _signal_main(self, number):
        pids = self.pids()
        if pids:
            os.kill(pids[0], number)

    def _wait_until_ended(self):
        wait_until(lambda: not self.is_running(), lambda: f"{self.kind} does not stop:\n{self.log()[-4000:]}",
                   STOP_SECONDS)

    def _wait_until_ready(self):
        def is_ready():
            if not self.is_running():
                raise DatabaseError(f"{self.kind} ended at once:\n{self.log()[-4000:]}")
            return self.is_ready()
        wait_until(is_ready, lambda: f"{self.kind} does not answer:\n{self.log()[-4000:]}")

    def kill(self):
        """kill -9 of every process."""
        keeper = self.keeper_pid()
        if keeper:
            keep.kill_all(keeper)
        self._wait_until_ended()

    def end(self):
        """For the last time, and in good order if it can."""
        if self.is_running():
            try:
                self.resume()
                self.stop()
            except DatabaseError:
                self.kill()

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def pause(self):
        """Stops every process where it is, as a machine does that swaps or whose disk hangs."""
        keep.signal_all(self.keeper_pid(), signal.SIGSTOP)

    def resume(self):
        keep.signal_all(self.keeper_pid(), signal.SIGCONT)


class Certificates:
    """A throw-away CA below a directory: ca.pem, and NAME.pem with NAME.key for whom make() names."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = directory / "ca.pem"
        if not self.ca.exists():
            directory.mkdir(exist_ok=True)
            self._openssl("req", "-x509", *self._new_key("ca"), "-days", "2", "-subj", "/CN=tests", "-out", self.ca,
                          "-addext", "keyUsage=critical,keyCertSign")

    def _new_key(self, name):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key(name)

    def certificate(self, name):
        return self.directory / f"{name}.pem"

    def key(self, name):
        return self.directory / f"{name}.key"

    def make(self, name, common_name, *alternatives):
        """A certificate for a server or a client, and its key."""
        request, extensions = self.directory / f"{name}.csr", self.directory / f"{name}.ext"
        self._openssl("req", *self._new_key(name), "-subj", f"/CN={common_name}", "-out", request)
        extensions.write_text("authorityKeyIdentifier=keyid\n"
                              + (f"subjectAltName={','.join(alternatives)}\n" if alternatives else ""))
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key("ca"), "-days", "2",
                      "-set_serial", random.getrandbits(60), "-extfile", extensions, "-out", self.certificate(name))

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Database(Server):
    """What PostgreSQL and MariaDB have in common: TLS, tables and rows."""

    own_database = None  # what every such server has

    def __init__(self, directory=None, tls=False, max_connections=100, fsync=False, settings=None, **where):
        super().__init__(directory, **where)
        self.tls, self.max_connections, self.fsync = tls, max_connections, fsync
        self.settings = settings or {}
        self.certificates = self._make_certificates() if tls else None

    def _state(self):
        return {**super()._state(), "tls": self.tls, "max_connections": self.max_connections, "fsync": self.fsync,
                "settings": self.settings}

    def _make_certificates(self):
        """For the server, by the names localhost and 127.0.0.1, and for the client USER."""
        certificates = Certificates(self.directory / "tls")
        if not certificates.certificate("server").exists():
            certificates.make("server", "localhost", "DNS:localhost", "IP:127.0.0.1")
            certificates.make("client", USER)
        self._own(certificates.key("server"))
        return certificates

    def is_ready(self):
        try:
            return self.execute("SELECT 1", self.own_database).strip() == "1"
        except DatabaseError:
            return False

    def fresh_database(self, name, options=""):
        """The same server, with another database that is new and empty: for tests that share a server."""
        self.execute(f"DROP DATABASE IF EXISTS {name}", self.own_database)
        self.execute(f"CREATE DATABASE {name} {options}", self.own_database)
        other = copy.copy(self)
        other.dbname = name
        self._grant(name)
        return other

    def load_file(self, path):
        """Runs a file of statements, as an administrator would; the first error ends it."""
        return self.execute(pathlib.Path(path).read_text())

    def tabled_source(self, options=""):
        """A section of tabled.conf: the source mail."""
        return (f'{self.kind} mail {{ hosts = {{"{self.host}:{self.port}"}}  dbname = {self.dbname}  '
                f'user = {self.user}  password = "{self.password}"  {options} }}\n')

    def twin_for_postfix(self):
        """Where Postfix's own client finds the same bytes, once the same rows are there."""
        return self

    def postfix_table(self):
        """How a file of pgsql_table(5) or mysql_table(5) begins."""
        return (f"hosts = inet:{self.host}:{self.port}\ndbname = {self.dbname}\n"
                f"user = {self.user}\npassword = {self.password}\n")

    def load_mail(self, count):
        """
        `count` aliases of schema/ in one domain, which has to be empty: alias_address(n) goes to
        alias_goto(n).
        """
        self.execute("INSERT INTO domain (domain) VALUES ('bulk.example')")
        self.load_rows("alias", ("address", "goto"), ((alias_address(n), alias_goto(n)) for n in range(count)))


def alias_address(number):
    return f"user{number:06d}@bulk.example"


def alias_goto(number):
    return f"box{number:06d}@elsewhere.example"


class Sqlite:
    """A file of SQLite's, for tests that compare it with the servers."""

    kind = "sqlite"

    def __init__(self, path):
        self.path = path
        with contextlib.closing(self._connect()):
            path.chmod(0o644)  # proxymap reads it as user postfix

    def _connect(self):
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.executescript("PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF")
        return connection

    def execute(self, sql):
        """Runs statements, and returns the rows: one on a line, | between columns."""
        with contextlib.closing(self._connect()) as connection:
            try:
                return "".join("|".join(map(str, row)) + "\n"
                               for statement in _statements(sql) for row in connection.execute(statement))
            except sqlite3.Error as error:
                raise DatabaseError(str(error)) from error

    def load_file(self, path):
        return self.execute(path.read_text())

    def load_rows(self, table, columns, rows):
        with contextlib.closing(self._connect()) as connection:
            connection.execute("BEGIN")
            connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) "
                                   f"VALUES ({', '.join('?' * len(columns))})", rows)
            connection.execute("COMMIT")

    def twin_for_postfix(self):
        return self

    def tabled_source(self, options=""):
        return f'sqlite mail {{ path = "{self.path}"  {options} }}\n'

    def postfix_table(self):
        return f"dbpath = {self.path}\n"


def _statements(sql):
    """Cuts a text where a line ends a statement."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


class PostgreSQL(Database):
    """`socket` is the directory of the socket, as libpq takes it; the port is a part of its name."""

    kind = "pgsql"
    programs = ("initdb", "postgres", "pg_basebackup", "psql")
    system_user = "postgres"
    own_database = "postgres"

    @property
    def socket(self):
        return self.directory / "run"

    @property
    def _data(self):
        return self.directory / "data"

    def start(self):
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self._configure()
        self._launch("postgres", "-D", self._data)
        self._wait_until_ready()
        if not (self.directory / "made").exists():
            self._make_database()

    def _initialise(self):
        self._run("initdb", "-D", self._data, "--no-sync", "--no-instructions", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--username=postgres", "--auth=trust")

    def _configure(self):
        on = "on" if self.fsync else "off"
        settings = {
            "listen_addresses": self.host, "port": self.port, "unix_socket_directories": self.socket,
            "max_connections": self.max_connections, "shared_buffers": "128MB",
            "fsync": on, "full_page_writes": on,
            "wal_level": "replica", "max_wal_senders": 4, "max_wal_size": "1GB", "hot_standby": "on",
            "password_encryption": "scram-sha-256", "jit": "off", "log_line_prefix": "%m [%p] ",
            "dynamic_shared_memory_type": "mmap",  # files below `data`, which go with it
        }
        if self.tls:
            settings |= {"ssl": "on", "ssl_ca_file": self.certificates.ca,
                         "ssl_cert_file": self.certificates.certificate("server"),
                         "ssl_key_file": self.certificates.key("server")}
        settings |= self.settings
        self._write(self._data / "postgresql.conf",
                    "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items()))
        self._write(self._data / "pg_hba.conf", self._access())

    def _access(self):
        """The superuser and replication by the socket only; with TLS, CERTIFICATE_USER by certificate."""
        certificate = f"hostssl all certified {self.host}/32 cert map=certified\n" if self.tls else ""
        self._write(self._data / "pg_ident.conf", f"certified {USER} certified\n")
        return ("local all postgres trust\n"
                "local replication postgres trust\n"
                f"{certificate}"
                "local all all scram-sha-256\n"
                f"host all all {self.host}/32 scram-sha-256\n")

    def _make_database(self):
        self.execute(f"CREATE ROLE {USER} LOGIN PASSWORD {quoted(PASSWORD)};"
                     f"CREATE ROLE certified LOGIN IN ROLE {USER};", self.own_database)
        self.fresh_database(DATABASE)
        (self.directory / "made").touch()

    def _grant(self, database):
        """USER owns the database, and may use the tables that execute() makes there."""
        self.execute(f"ALTER DATABASE {database} OWNER TO {USER};"
                     f"ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON TABLES TO {USER};", database)

    def twin_for_postfix(self):
        """
        Before 3.9 Postfix tells PostgreSQL that it speaks LATIN1, and sends UTF-8. A database that knows
        of no encoding takes and gives bytes as they are.
        """
        return self.fresh_database(f"{self.dbname}_bytes", "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")

    def _psql(self, database):
        return ("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-p", self.port,
                "-U", "postgres", database or self.dbname)

    def execute(self, sql, database=None):
        """Runs statements as the superuser, and returns the rows: one on a line, | between columns."""
        return self._run(*self._psql(database), "-f", "-", text=sql, as_server=False)

    def load_rows(self, table, columns, rows):
        """Many rows at once, by COPY."""
        lines = "".join("\t".join(_copy_text(value) for value in row) + "\n" for row in rows)
        self.execute(f"COPY {table} ({', '.join(columns)}) FROM STDIN;\n{lines}\\.\nANALYZE {table};")

    def stop(self, mode="fast"):
        """Ends the server: smart waits for its clients, fast sends them away, immediate is a crash."""
        self._signal_main({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self._wait_until_ended()

    def end(self):
        """A server that was killed has left a segment of shared memory, which its data directory names."""
        super().end()
        lock = self._data / "postmaster.pid"
        if lock.exists():
            segment = lock.read_text().splitlines()[6].split()
            if segment:
                subprocess.run(["ipcrm", "--shmem-id", segment[-1]], check=False, stderr=subprocess.DEVNULL)

    def make_standby(self, directory=None):
        """A second server that follows this one; it is started, and serves reads."""
        options = {key: value for key, value in self._state().items() if key != "port"}
        standby = PostgreSQL(directory, **options)
        standby.follow(self)
        return standby

    def follow(self, primary):
        """Throws all data away and becomes the standby of another server."""
        self.kill()
        shutil.rmtree(self._data)
        self._make_directory(self._data, 0o700)
        self._run("pg_basebackup", "-h", primary.socket, "-p", primary.port, "-U", "postgres", "-D", self._data,
                  "-R", "-X", "stream", "-c", "fast", "--no-sync")
        (self.directory / "made").touch()
        self.start()

    def promote(self):
        """The standby becomes a primary."""
        self.execute("SELECT pg_promote(true, 60)", self.own_database)
        wait_until(lambda: self.execute("SELECT pg_is_in_recovery()", self.own_database).strip() == "f",
                   lambda: f"the standby stays one:\n{self.log()[-4000:]}")

    def wait_for_replay(self, primary):
        """Until the standby shows all that is committed on the primary now."""
        position = self._wal_position(primary)
        wait_until(lambda: self.execute(f"SELECT pg_last_wal_replay_lsn() >= {quoted(position)}::pg_lsn",
                                        self.own_database).strip() == "t",
                   lambda: f"the standby does not follow:\n{self.log()[-4000:]}")

    @staticmethod
    def _wal_position(primary):
        return primary.execute("SELECT pg_current_wal_lsn()", primary.own_database).strip()


def _copy_text(value):
    """A value in the text format that COPY and LOAD DATA share."""
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


class MariaDB(Database):
    kind = "mysql"
    programs = ("mariadb-install-db", "mariadbd", "mariadb")
    system_user = "mysql"
    own_database = "mysql"

    def __init__(self, directory=None, read_only=False, **options):
        super().__init__(directory, **options)
        self.read_only = read_only

    def _state(self):
        return {**super()._state(), "read_only": self.read_only}

    @property
    def socket(self):
        return self.directory / "run" / "sock"

    @property
    def _data(self):
        return self.directory / "data"

    def start(self):
        if not (self._data / "mysql").exists():
            # Two that use /tmp at the same time take each other's temporary tables away.
            self._run("mariadb-install-db", "--no-defaults", f"--datadir={self._data}", "--skip-test-db",
                      f"--tmpdir={self.directory / 'run'}",
                      "--auth-root-authentication-method=normal", *self._owner_option())
        self._launch("mariadbd", "--no-defaults", *self._owner_option(),
                     *(f"--{name}={value}" for name, value in self._options().items()))
        self._wait_until_ready()
        if not (self.directory / "made").exists():
            self._make_database()

    @staticmethod
    def _owner_option():
        return [] if os.geteuid() else [f"--user={MariaDB.system_user}"]

    def _options(self):
        """Small, and without what a test does not need; as Debian's are where SQL could tell."""
        options = {
            "datadir": self._data, "tmpdir": self.directory / "run", "socket": self.socket, "port": self.port,
            "bind-address": self.host,
            "pid-file": self.directory / "run" / "pid", "skip-name-resolve": 1,
            "character-set-server": "utf8mb4", "collation-server": "utf8mb4_general_ci",
            "max-connections": self.max_connections, "performance-schema": 0,
            "innodb-buffer-pool-size": "128M", "innodb-log-file-size": "64M",
            "innodb-flush-log-at-trx-commit": 1 if self.fsync else 2, "sync-binlog": 1 if self.fsync else 0,
            "innodb-flush-method": "fsync" if self.fsync else "nosync",
            "server-id": self.port, "log-bin": "binlog", "log-slave-updates": 1, "gtid-strict-mode": 1,
            "relay-log": "relay", "skip-slave-start": 0, "read-only": int(self.read_only),
        }
        if self.tls:
            options |= {"ssl-ca": self.certificates.ca, "ssl-cert": self.certificates.certificate("server"),
                        "ssl-key": self.certificates.key("server")}
        return {**options, **self.settings}

    def _make_database(self):
        """For whoever comes by the socket or by TCP: MariaDB takes 'localhost' for the socket alone."""
        self.execute("CREATE USER replication IDENTIFIED BY 'replication';"
                     "GRANT REPLICATION SLAVE ON *.* TO replication;"
                     f"CREATE USER {USER}@localhost IDENTIFIED BY {quoted(PASSWORD)};"
                     f"CREATE USER {USER}@'{self.host}' IDENTIFIED BY {quoted(PASSWORD)};"
                     f"CREATE USER certified@'{self.host}' REQUIRE SUBJECT '/CN={USER}';", self.own_database)
        self.fresh_database(DATABASE)
        (self.directory / "made").touch()

    def _grant(self, database):
        self.execute("".join(f"GRANT ALL ON {database}.* TO {who};" for who in (
            f"{USER}@localhost", f"{USER}@'{self.host}'", f"certified@'{self.host}'")), database)

    def _client(self, database, *options):
        return ("mariadb", "--no-defaults", "--batch", "--raw", "--skip-column-names",
                "--default-character-set=utf8mb4", f"--socket={self.socket}", "--user=root", *options, database or self.dbname)

    def execute(self, sql, database=None):
        """
        Runs statements as root, whom read_only does not bind, and returns the rows: one on a line, tabs
        between columns.
        """
        return self._run(*self._client(database), text=sql, as_server=False)

    def load_rows(self, table, columns, rows):
        """Many rows at once, by LOAD DATA."""
        path = self.directory / "rows"
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.writelines("\t".join(_copy_text(value) for value in row) + "\n" for row in rows)
        sql = (f"LOAD DATA LOCAL INFILE {quoted(path)} INTO TABLE {table} CHARACTER SET utf8mb4 "
               f"({', '.join(columns)}); ANALYZE TABLE {table};")
        self._run(*self._client(None, "--local-infile"), text=sql, as_server=False)
        path.unlink()

    def stop(self, mode="fast"):
        """Ends the server. It knows one way; immediate is a crash."""
        if mode == "immediate":
            self.kill()
            return
        self._signal_main(signal.SIGTERM)
        self._wait_until_ended()

    def make_replica(self, directory=None):
        """A second server that follows this one; it is started, and takes no writes."""
        options = {key: value for key, value in self._state().items() if key not in ("port", "read_only")}
        replica = MariaDB(directory, **options)
        replica.follow(self)
        return replica

    def follow(self, primary):
        """Throws all data away and becomes the replica of another server, from its first day on."""
        self.kill()
        shutil.rmtree(self._data)
        self._make_directory(self._data, 0o700)
        self.read_only = True
        # Under its old number it would take what it once wrote itself for an echo, and leave it out.
        self.settings = {**self.settings, "server-id": random.randrange(1, 1 << 31)}
        (self.directory / "made").touch()  # database and users come from the primary
        self.start()
        self.execute(f"CHANGE MASTER TO MASTER_HOST='{primary.host}', MASTER_PORT={primary.port}, "
                     "MASTER_USER='replication', MASTER_PASSWORD='replication', MASTER_USE_GTID=slave_pos, "
                     "MASTER_CONNECT_RETRY=1; START SLAVE;", self.own_database)
        self.wait_for_replay(primary)

    def promote(self):
        """The replica becomes a primary."""
        self.execute("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0;", self.own_database)
        self.read_only = False

    def wait_for_replay(self, primary):
        """Until the replica shows all that is committed on the primary now."""
        position = primary.execute("SELECT @@gtid_binlog_pos", primary.own_database).strip()
        waited = self.execute(f"SELECT master_gtid_wait('{position}', {START_SECONDS})", self.own_database).strip()
        if waited != "0":
            raise DatabaseError(f"the replica does not follow:\n{self.execute('SHOW SLAVE STATUS', 'mysql')}")


class PgBouncer(Server):
    """Between clients and a PostgreSQL. `socket` is the directory, as PostgreSQL's."""

    kind = "pgbouncer"
    programs = ("pgbouncer",)
    system_user = "postgres"

    def __init__(self, server, directory=None, pool_mode="transaction", settings=None, **where):
        super().__init__(directory, **where)
        self.server, self.pool_mode, self.settings = server, pool_mode, settings or {}

    @property
    def socket(self):
        return self.directory / "run"

    def start(self):
        settings = {
            "listen_addr": self.host, "listen_port": self.port, "unix_socket_dir": self.socket,
            "auth_type": "scram-sha-256", "auth_file": self.directory / "users", "pool_mode": self.pool_mode,
            "max_client_conn": 500, "default_pool_size": 20, "admin_users": USER, "server_login_retry": 1,
            **self.settings,
        }
        self._write(self.directory / "users", f'"{USER}" "{PASSWORD}"\n', mode=0o600)
        self._write(self.directory / "pgbouncer.ini",
                    f"[databases]\n{DATABASE} = host={self.server.host} port={self.server.port}\n[pgbouncer]\n"
                    + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        self._launch("pgbouncer", self.directory / "pgbouncer.ini")
        self._wait_until_ready()

    def is_ready(self):
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def execute(self, sql, database=None):
        """Through the pooler, as USER. Database pgbouncer is its own console."""
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.host, "-p", self.port,
                         "-U", USER, database or DATABASE, "-f", "-", text=sql, as_server=False,
                         environment={"PGPASSWORD": PASSWORD})

    def stop(self, mode="fast"):
        """Ends the pooler: smart waits for its clients, the others don't."""
        self._signal_main(signal.SIGINT if mode == "smart" else signal.SIGTERM)
        self._wait_until_ended()


class FaultProxy:
    """
    A TCP proxy between a client and its server, which misbehaves on command.

        with FaultProxy(server.host, server.port) as proxy:
            ... connect to proxy.host, proxy.port ...
            proxy.truncate("silent")
            ...
            proxy.pass_on()

    It is a process of its own, so that it takes no time from the test's threads, and it ends with the
    test's process: its standard input ends then. A fault is for the connections that are open and for
    those that come, until the next is told. `how` is "close", "reset" or "silent". What a client has
    sent before may have reached the server: it can have done what was asked, as with a real network.
    """

    host = "127.0.0.1"

    def __init__(self, host, port):
        self.port = free_port()
        self._target = (host, str(port))
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen([sys.executable, FAULT_PROXY, str(self.port), *self._target],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read_answer()
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def _tell(self, command, *arguments):
        self._process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self._process.stdin.flush()
        return self._read_answer()

    def _read_answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fault proxy has ended with {self._process.wait()}")
        return json.loads(line)

    def pass_on(self):
        """A good proxy again. What had gone silent goes on, and nothing of it is lost."""
        self._tell("pass")

    def refuse(self):
        """Closes the port: connection refused. Open connections live on."""
        self._tell("refuse")

    def reset(self):
        """Every connection ends by a reset, at once."""
        self._tell("reset")

    def close(self):
        """Every connection ends by an orderly close, at once."""
        self._tell("close")

    def cut(self, count, how="close"):
        """Each connection passes `count` more bytes of the server's, and then `how`."""
        self._tell("cut", count, how)

    def truncate(self, how="close"):
        """Half of the next answer on each connection is passed, and then `how`."""
        self._tell("truncate", how)

    def at(self, text, when, how="close", every=1):
        """
        Each so-manieth time that a client sends `text`, his connection ends: before the server gets it
        (when="request"), or once it has answered, which the client does not get (when="reply").
        """
        self._tell("at", text, when, how, every)

    def delay(self, seconds):
        """Every byte takes so much longer, each way."""
        self._tell("delay", seconds)

    def silent(self):
        """Connections are accepted, and nothing passes either way."""
        self._tell("silent")

    def blackhole(self):
        """Nothing passes, and attempts to connect get no answer at all."""
        self._tell("blackhole")

    def counts(self):
        """
        {"open": connections now, "accepted": in all, "to_client": bytes, "to_server": bytes,
        "faults": connections that a fault has ended or silenced}
        """
        return self._tell("counts")


DATABASES = {one.kind: one for one in (PostgreSQL, MariaDB)}


def load(directory):
    """The server that another process has started in this directory."""
    path = Server.state_path(directory)
    if not path.exists():
        raise DatabaseError(f"{directory}: no server was started here")
    state = json.loads(path.read_text())
    return DATABASES[state.pop("kind")](directory, **state)
