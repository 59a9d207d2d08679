"""The whole mail server on MariaDB: every map by proxy:mysql: and Dovecot's users by SQL, and then all by tabled."""

import contextlib
import re
import subprocess
import time

from measure import median, say, spread
from stage import StageError
from support import mail, mailserver, nameserver, netns, postfix
from support.databases import MariaDB

USERS = 2000
SESSIONS = 20
USER = PASSWORD = "straight"
SENDER = "writer@plain.example"
RECIPIENT = "user@bulk.example"
SQL_FILES = "/etc/postfix/sql"
SINK = "/var/spool/postfix/private/dovecot-lmtp"
IDLE_SECONDS = 120

PROXY, TABLED = "proxy:mysql: and SQL", "tabled"


def address(number):
    """smtp-source puts a number that grows before the address."""
    return f"{number}{RECIPIENT}"


class StraightServer(mailserver.MailServer):
    """The same server without tabled: Postfix and Dovecot ask the database themselves, with the same queries."""

    def _lay_out_postfix(self):
        super()._lay_out_postfix()
        maps = postfix.shipped_maps((mailserver.SHIPPED / "tabled.conf").read_text())
        tables = postfix.proxy_tables(self.machine.path(SQL_FILES), StraightDatabase(self.database), maps)
        main = self.machine.path("/etc/postfix/main.cf")
        text = main.read_text()
        for name, table in tables.items():
            table = table.replace(str(self.machine.path(SQL_FILES)), SQL_FILES)
            text = re.sub(rf"socketmap:unix:private/tabled:{name}\b", table, text)
        main.write_text(text)
        if "\n    check_client_access proxy:" not in text:
            raise StageError("main.cf has no maps to replace")
        files = " ".join(f"proxy:mysql:{SQL_FILES}/{path.name}" for path in self.machine.path(SQL_FILES).iterdir())
        self.set(proxy_read_maps=f"proxy:unix:passwd.byname {files}")

    def _lay_out_dovecot(self):
        super()._lay_out_dovecot()
        directory = self.machine.path("/etc/dovecot")
        main = directory / "dovecot.conf"
        text = re.sub(r"driver = dict\n\targs = \S+", "driver = sql\n\targs = /etc/dovecot/sql.conf", main.read_text())
        # tabled is not there to keep the sums; nothing is delivered to Dovecot.
        main.write_text(text.replace(" quota_clone\n", "\n"))
        (directory / "sql.conf").write_text(
            f"driver = mysql\nconnect = host={self.database.socket} dbname={self.database.dbname} user={USER} "
            f"password={PASSWORD}\ndefault_pass_scheme = CRYPT\n"
            "user_query = SELECT username AS user, home, uid, gid, mail, quota_rule FROM mailbox \\\n"
            "  WHERE username = '%u' AND active = 1\n"
            "password_query = SELECT username AS user, password FROM mailbox WHERE username = '%u' AND active = 1\n")

    def _start_tabled(self):
        """Not here."""


class StraightDatabase:
    """How Postfix's own tables reach it: by its socket, since it is no host of this world."""

    kind = "mysql"

    def __init__(self, database):
        self._database = database

    def postfix_table(self):
        return (f"hosts = unix:{self._database.socket}\ndbname = {self._database.dbname}\n"
                f"user = {USER}\npassword = {PASSWORD}\n")


SERVERS = {PROXY: StraightServer, TABLED: mailserver.MailServer}


def fill(database):
    mail.make_database(database)
    mail.insert_rows(database, {"domain": [{"domain": "bulk.example"}]})
    database.load_rows("mailbox", ("username", "quota"), ((address(number), 1000000) for number in range(USERS + 1)))
    database.execute(f"GRANT SELECT ON {database.dbname}.* TO {USER}@localhost IDENTIFIED BY '{PASSWORD}'")


def counters(database):
    text = database.execute("SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Connections', 'Max_used_connections')")
    return {name: int(value) for name, value in re.findall(r"(\w+)\s+(\d+)", text)}


@contextlib.contextmanager
def cheap_delivery(server):
    """smtp-sink takes the mail, by LMTP, where Dovecot would."""
    server.machine.path(SINK).unlink()
    sink = server.machine.start("smtp-sink", "-u", "postfix", "-L", f"unix:{SINK}", "1000", log=server.machine.path("/var/log/sink"))
    try:
        postfix.wait_until(server.machine.path(SINK).exists, 10, lambda: "smtp-sink does not listen")
        server.machine.run("chown", "postfix", SINK)
        yield
    finally:
        sink.terminate()
        sink.wait(10)


def send(server, messages):
    """Sends so many messages, each to the next of the users, and returns how long it took until all were delivered."""
    start = time.monotonic()
    for first in range(0, messages, USERS):
        count = min(USERS, messages - first)
        with server.network.outside():
            done = subprocess.run(
                ["smtp-source", "-N", "-s", str(min(SESSIONS, count)), "-m", str(count), "-M", "gateway.elsewhere.example",
                 "-f", SENDER, "-t", RECIPIENT, f"inet:{netns.SERVER}:25"], capture_output=True, text=True)
        if done.returncode != 0:
            raise StageError(f"smtp-source: {done.stderr[-2000:]}\n{server.log()[-3000:]}")
    postfix.wait_until(lambda: len(re.findall(r"status=sent .*", server.log())) >= messages, IDLE_SECONDS,
                       lambda: f"not all was delivered:\n{server.log()[-3000:]}")
    seconds = time.monotonic() - start
    if "status=deferred" in server.log() or "status=bounced" in server.log() or "reject:" in server.log():
        raise StageError(f"not all went well:\n{server.log()[-3000:]}")
    return seconds


def measure(kind, database, messages):
    """What one server did: (messages/s, queries, connections, connections at the same time)."""
    with netns.Network() as network, nameserver.running(network):
        server = SERVERS[kind](network, database)
        # One client sends all.
        server.set(smtpd_client_event_limit_exceptions=netns.GATEWAY)
        database.execute("FLUSH STATUS")
        before = counters(database)
        with server, cheap_delivery(server):
            seconds = send(server, messages)
            after = counters(database)
    return {"rate": messages / seconds, "queries": after["Questions"] - before["Questions"] - 1,
            "connections": after["Connections"] - before["Connections"] - 1, "most": after["Max_used_connections"] - 1}


class Table:
    def __init__(self, messages):
        self.messages = messages
        self.reports = {kind: [] for kind in SERVERS}

    def middle(self, kind, what):
        return median([report[what] for report in self.reports[kind]])

    def print(self):
        print("| maps by | messages/s | spread | queries | a message | connections | at the same time |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        for kind in self.reports:
            queries = self.middle(kind, "queries")
            rates = [report["rate"] for report in self.reports[kind]]
            print(f"| {kind} | {self.middle(kind, 'rate'):,.1f} | ±{spread(rates):.0f} % | {queries:,.0f} "
                  f"| {queries / self.messages:.2f} | {self.middle(kind, 'connections'):,.0f} "
                  f"| {self.middle(kind, 'most'):,.0f} |")
        print()

    def print_aims(self):
        print("| aim | seen |")
        print("|---|--:|")
        for aim, ours, theirs, what in (("at most 1/10 of the queries", TABLED, PROXY, "queries"),
                                        ("at most 1/5 of the connections", TABLED, PROXY, "connections"),
                                        ("at least 1.0 of the rate", TABLED, PROXY, "rate")):
            print(f"| {aim} | {self.middle(ours, what) / self.middle(theirs, what):.3f} |")
        print()


def why_not():
    return mailserver.why_not() or MariaDB.why_not() or (
        None if "mysql" in subprocess.run(["postconf", "-m"], capture_output=True, text=True).stdout.split()
        else "Postfix has no mysql (Debian: postfix-mysql)")


def measure_all(_arguments, size, _directory):
    print("### The whole server\n")
    if why_not():
        print(f"SKIPPED: the whole server: {why_not()}.\n")
        return
    messages = 60 if size.short else 5000
    table = Table(messages)
    # The default of 151 is not enough without tabled.
    with MariaDB(max_connections=500) as database:
        fill(database)
        for number in range(size.rounds):
            for kind in SERVERS:
                say(f"The whole server, round {number + 1} of {size.rounds}: {kind}")
                table.reports[kind].append(measure(kind, database, messages))
    print(f"{messages:,} messages to {USERS:,} users by {SESSIONS} sessions.\n")
    table.print()
    table.print_aims()
