"""The databases that are asked, each with a user for everybody who asks, and who else asks them."""

import contextlib
import os
import pathlib
import re
import subprocess
import tempfile
import threading

import measure
import stage
from support import databases

# Each has its own user, of the same name and password, so that connections can be counted apart.
USERS = ("tabled_plain", "tabled_keys", "tabled_forms", "proxymap", "dovecot", "pgbench")

DICT_PREFIX, COUNT_PREFIX = "shared/alias/", "shared/count/"
DICT_MODULES = pathlib.Path("/usr/lib/dovecot/modules/dict")


class Database:
    """A private server with the rows. Everybody comes by its Unix socket."""

    title = None
    driver = None    # tabled's, Postfix's and Dovecot's word for it
    schema = None
    settings = None  # with room for all rows in its memory
    user_sql = None
    count_sql = None

    def __init__(self, size):
        self.size = size

    @classmethod
    def why_not(cls):
        return databases.DATABASES[cls.driver].why_not()

    def __enter__(self):
        self.server = databases.DATABASES[self.driver](settings=self.settings)
        self.server.__enter__()
        try:
            self.fill()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.server.__exit__()

    def fill(self):
        server, rows = self.server, range(self.size.rows)
        server.load_file(stage.ROOT / "schema" / self.schema)
        server.execute("INSERT INTO domain (domain) VALUES ('example.com')")
        server.load_rows(
            "alias", ("address", "goto"),
            ((stage.address_of(row), stage.result_of(row)) for row in rows),
        )
        for user in USERS:
            server.execute(self.user_sql.format(user=user))
        self.settle()

    def settle(self):
        """Has the housekeeping done that a database does some time after many rows have come."""

    def place(self, processors):
        stage.confine(self.server.pids(), processors)

    def tabled_text(self, user):
        """The source in tabled's configuration."""
        return (
            f'{self.driver} mail {{ hosts = {{"{self.tabled_host()}"}}  '
            f'dbname = {self.server.dbname}  user = {user}  password = {user} }}\n'
        )

    def counter(self):
        return ConnectionCounter(self.count_command(), self.count_sql)


class PostgreSQL(Database):
    title = "PostgreSQL"
    driver = "pgsql"
    schema = "postgresql.sql"
    settings = {"shared_buffers": "256MB"}
    user_sql = "CREATE ROLE {user} LOGIN PASSWORD '{user}'; GRANT SELECT ON alias TO {user};"
    count_sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'"

    def settle(self):
        self.server.execute("VACUUM ANALYZE")

    def version(self):
        return f"PostgreSQL {self.server.execute('SHOW server_version').split()[0]}"

    def tabled_host(self):
        return f"{self.server.socket}:{self.server.port}"

    def postfix_text(self, user):
        where = f"host={self.server.socket}&port={self.server.port}"
        return (
            f"hosts = postgresql://{user}:{user}@/{self.server.dbname}?{where}\n"
            f"dbname = {self.server.dbname}\nquery = {stage.QUERY}\n"
        )

    def dict_connect(self, user):
        return (
            f"host={self.server.socket} port={self.server.port} dbname={self.server.dbname} "
            f"user={user} password={user}"
        )

    def count_command(self):
        server = self.server
        return (
            databases.find_program("psql"), "-X", "-q", "-A", "-t", "-h", server.socket,
            "-p", server.port, "-U", "postgres", server.dbname,
        )


class MariaDB(Database):
    title = "MariaDB"
    driver = "mysql"
    schema = "mysql.sql"
    settings = {"innodb-buffer-pool-size": "256M"}
    user_sql = (
        "CREATE USER {user}@localhost IDENTIFIED BY '{user}';"
        "GRANT SELECT ON alias TO {user}@localhost;"
    )
    count_sql = "SELECT count(*) FROM information_schema.processlist WHERE user = '{user}'"

    def version(self):
        return f"MariaDB {self.server.execute('SELECT version()').split('-')[0]}"

    def tabled_host(self):
        return self.server.socket

    def postfix_text(self, user):
        return (
            f"hosts = unix:{self.server.socket}\nuser = {user}\npassword = {user}\n"
            f"dbname = {self.server.dbname}\nquery = {stage.QUERY}\n"
        )

    def dict_connect(self, user):
        return f"host={self.server.socket} dbname={self.server.dbname} user={user} password={user}"

    def count_command(self):
        return (
            databases.find_program("mariadb"), "--no-defaults", "--batch", "--unbuffered",
            "--skip-column-names", f"--socket={self.server.socket}", "--user=root",
        )


class ConnectionCounter:
    """Counts how many connections a user of the database has, by a connection of its own."""

    def __init__(self, command, sql):
        self.sql = sql
        self.client = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stdin.close()
        self.client.stdout.close()
        self.client.wait()

    def count(self, user):
        self.client.stdin.write(self.sql.format(user=user) + ";\n")
        self.client.stdin.flush()
        return int(self.client.stdout.readline())

    def most_during(self, user, action):
        """Returns what action() returns, and the most connections that were seen meanwhile."""
        seen, over = [self.count(user)], threading.Event()

        def watch():
            # Rarely enough that the database does not notice, often for a short measurement.
            pause = 0.005
            while not over.wait(pause):
                seen.append(self.count(user))
                pause = min(2 * pause, 0.2)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            result = action()
        finally:
            over.set()
            watcher.join()
        return result, max(*seen, self.count(user))


class PgBench:
    """PostgreSQL's own load program: the database's own figure for the query."""

    # What random() draws has to become a key; the database does not feel the difference.
    KEY = "'user' || lpad({number}::text, 6, '0') || '@example.com'"

    def __init__(self, database, directory):
        self.database = database
        self.script = directory / "pgbench.sql"
        query = stage.QUERY.replace("'%s'", self.KEY)
        self.script.write_text(
            f"\\set number random(0, {database.size.rows - 1})\n{query.format(number=':number')};\n"
        )
        if database.server.execute(query.format(number=7)).strip() != stage.result_of(7):
            raise stage.StageError(f"pgbench's query does not find its row: {query}")

    def measure(self, clients, processors):
        server, seconds = self.database.server, max(1, round(self.database.size.seconds))
        threads = min(clients, len(processors))
        options = ["-n", "-M", "prepared", "-c", clients, "-j", threads, "-T", seconds]
        options += ["-f", self.script, "-h", server.socket, "-p", server.port, "-U", "pgbench"]
        printed = measure.run_pinned(
            [databases.find_program("pgbench"), *options, server.dbname], processors,
            stderr=subprocess.DEVNULL, env={**os.environ, "PGPASSWORD": "pgbench"},
        )
        return {"rate": float(re.search(r"^tps = ([0-9.]+)", printed, re.MULTILINE).group(1))}


def fresh_directory(stack):
    """An empty directory that everybody may pass through. It goes with the stack."""
    path = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tabled-bench.")))
    path.chmod(0o755)
    return path


def why_no_dovecot(driver):
    """Why Dovecot's dict server can't be measured with this database, or None."""
    if os.geteuid() != 0:
        return "a Dovecot master can only be started by root"
    dovecot = databases.find_program("dovecot")
    if not dovecot:
        return "dovecot is not installed"
    if not list(DICT_MODULES.glob(f"libdriver_{driver}.so")):
        return f"Dovecot has no {driver} (Debian: dovecot-{driver})"
    version = subprocess.run([dovecot, "--version"], capture_output=True, text=True).stdout
    # Before, and since 2.4, its files and its protocol are others.
    if not re.match(r"2\.3\.(1[7-9]|2[0-9])\b", version):
        return f"Dovecot {version.split()[0]} is none of 2.3.17 to 2.3.29"
    return None


def start_dovecot(database, directory, user):
    """
    A private Dovecot with one service, its dict server, and the dictionary `alias`: the aliases, and the
    numbers of dict_part.py, which only it asks for.
    """
    home = directory / "dovecot"
    home.mkdir()
    (home / "dict.conf").write_text(
        f"connect = {database.dict_connect(user)}\n"
        f"map {{\n  pattern = {DICT_PREFIX}$address\n  table = alias\n  value_field = goto\n"
        "  fields {\n    address = $address\n  }\n}\n"
        f"map {{\n  pattern = {COUNT_PREFIX}$address\n  table = hits\n  value_field = hits\n"
        "  value_type = int\n  fields {\n    address = $address\n  }\n}\n"
    )
    (home / "dovecot.conf").write_text(
        f"base_dir = {home / 'run'}\nstate_dir = {home / 'state'}\nlog_path = /dev/stderr\n"
        "protocols =\nssl = no\n"
        "service dict {\n  unix_listener dict {\n    mode = 0666\n  }\n}\n"
        f"dict {{\n  alias = {database.driver}:{home / 'dict.conf'}\n}}\n"
    )
    command = [databases.find_program("dovecot"), "-F", "-c", home / "dovecot.conf"]
    return stage.Server("dovecot", command, home / "run" / "dict", home / "log")
