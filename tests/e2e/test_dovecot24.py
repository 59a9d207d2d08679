"""
A real Dovecot 2.4, which has no dict driver for users and passwords, with the shipped configuration and
tabled.lua: logins, deliveries, quota, and what it does when tabled or its database is away.
"""

import contextlib
import imaplib
import re
import shutil
import smtplib
import time

import pytest

from support import dovecot24, mail
from support.daemon import Daemon
from support.databases import FaultProxy
from support.dovecot import NO_USER, NOT_FOUND, OK, REFUSED, TEMPORARY, tabled_parts
from support.dovecot24 import Dovecot
from support.postfix import public_directory, wait_until

if dovecot24.why_not():
    pytest.skip(dovecot24.why_not(), allow_module_level=True)

DOMAIN = "example.com"
PASSWORD = "secret word"
PATIENCE = 30  # seconds; never a promise of speed

MAILBOXES = [
    {"username": "alice", "password": "{PLAIN}" + PASSWORD},
    {"username": "bob", "password": "{PLAIN}" + PASSWORD},
    {"username": "by-smtp", "password": "{PLAIN}" + PASSWORD, "imap_active": 0},
    {"username": "netbound", "password": "{PLAIN}" + PASSWORD, "allow_nets": "192.0.2.0/24"},
    {"username": "local", "nopassword": 1, "allow_nets": "127.0.0.0/8"},
    {"username": "moved", "password": "{PLAIN}" + PASSWORD, "host": "192.0.2.25"},
    {"username": "crypted", "password": "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u"
                                        "4OTLiBFdcbYEdFCoEOfaS35inz1"},
    {"username": "no-login"},
    {"username": "unasked"},
    {"username": "elsewhere", "home": "/srv/elsewhere", "uid": 1001, "gid": 1002},
    {"username": "asleep", "password": "{PLAIN}" + PASSWORD, "active": 0},
    {"username": "small", "password": "{PLAIN}" + PASSWORD, "quota": 3000},
]
ACTIVE = sorted(f"{row['username']}@{DOMAIN}" for row in MAILBOXES if row.get("active", 1))
PARTS = ("last login", "shared mailboxes", "metadata", "sieve")
SIEVE = 'require "fileinto"; if header :contains "subject" "to the list" { fileinto "Lists"; }\n'


def address(name):
    return f"{name}@{DOMAIN}"


class Server:
    """tabled and Dovecot, and a way to take their database away."""

    def __init__(self, daemon, dovecot, database, away):
        self.daemon, self.dovecot, self.database, self.away = daemon, dovecot, database, away
        self.doveadm = dovecot.doveadm

    def login(self, name, password=PASSWORD):
        return self.dovecot.imap(address(name), password)

    def deliver(self, name, subject="mail", size=500):
        """Returns the code of the reply that decides."""
        text = f"Subject: {subject}\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72)
        return self.dovecot.deliver(address(name), text)[0]

    def rows(self, sql):
        """Each row of a query as a list of texts."""
        separator = {"sqlite": "|", "pgsql": "|", "mysql": "\t"}[self.database.kind]
        return [line.split(separator) for line in self.database.execute(sql).splitlines()]

    def wait_for_rows(self, sql, condition):
        wait_until(lambda: condition(self.rows(sql)), PATIENCE,
                   lambda: f"{self.rows(sql)}\n{self.dovecot.log_text()}\n{self.daemon.log()}")


@contextlib.contextmanager
def reachable(database):
    """The section of tabled.conf for the database, and a context in which it is not there."""
    if database.kind == "sqlite":
        @contextlib.contextmanager
        def moved():
            hidden = database.path.with_suffix(".away")
            database.path.rename(hidden)
            try:
                yield
            finally:
                hidden.rename(database.path)
        yield database.tabled_source(), moved
        return
    with FaultProxy(database.host, database.port) as proxy:
        @contextlib.contextmanager
        def refused():
            proxy.refuse()
            proxy.reset()
            try:
                yield
            finally:
                proxy.pass_on()
        yield database.tabled_source().replace(f":{database.port}", f":{proxy.port}"), refused


def make_database(database):
    mail.make_database(database)
    database.execute("DELETE FROM sender_login;\nDELETE FROM mailbox;\n")
    mail.insert_rows(database, {"mailbox": [{**row, "username": address(row["username"])} for row in MAILBOXES],
                                "sieve_script": [{"username": address("alice"), "name": "active", "script": SIEVE}]})


@pytest.fixture(scope="module", params=["sqlite", "pgsql", "mysql"])
def server(request, fresh_database):
    directory = public_directory("tabled-dovecot-db-")
    try:
        database = fresh_database(request.param, "dovecot_test", directory)
        make_database(database)
        with reachable(database) as (source, away):
            dovecot = Dovecot(PARTS)
            conf = mail.shipped_tabled_conf("@DIR@/socketmap", database, "@DIR@/control",
                                            dict_socket=dovecot.dict_socket, parts=tabled_parts(PARTS))
            conf = conf.replace(database.tabled_source(), source)
            with Daemon(conf) as daemon, dovecot:
                yield Server(daemon, dovecot, database, away)
                assert not re.search("Panic|assertion failed", dovecot.log_text()), dovecot.log_text()
    finally:
        shutil.rmtree(directory)


# Passwords


def log_in(server, name, *arguments, password=PASSWORD):
    """The status of doveadm auth test."""
    return server.doveadm("auth", "test", *arguments, address(name), password).status


@pytest.mark.parametrize("name, arguments, password, status", [
    ("alice", ["-x", "protocol=imap"], PASSWORD, OK),
    ("ALICE", ["-x", "protocol=imap"], PASSWORD, OK),
    ("alice", ["-x", "protocol=imap"], "wrong", REFUSED),
    ("alice", ["-x", "protocol=imap"], "", REFUSED),
    ("alice", ["-x", "protocol=smtp"], PASSWORD, OK),
    ("by-smtp", ["-x", "protocol=imap"], PASSWORD, REFUSED),
    ("by-smtp", ["-x", "protocol=smtp"], PASSWORD, OK),
    ("netbound", ["-x", "protocol=imap", "-x", "rip=127.0.0.1"], PASSWORD, REFUSED),
    ("netbound", ["-x", "protocol=imap", "-x", "rip=192.0.2.7"], PASSWORD, OK),
    ("local", ["-x", "protocol=imap", "-x", "rip=127.0.0.1"], "anything", OK),
    ("local", ["-x", "protocol=imap", "-x", "rip=192.0.2.7"], "anything", REFUSED),
    ("crypted", ["-x", "protocol=imap"], "Hello world!", OK),
    ("crypted", ["-x", "protocol=imap"], "Hello world", REFUSED),
    ("no-login", ["-x", "protocol=imap"], "", REFUSED),
    ("asleep", ["-x", "protocol=imap"], PASSWORD, REFUSED),
    ("nobody", ["-x", "protocol=imap"], PASSWORD, REFUSED),
    # It has no key: a mistake of the configuration, and no word about the user.
    ("alice", ["-x", "protocol=gopher"], PASSWORD, TEMPORARY),
    ("nobody", ["-x", "protocol=gopher"], PASSWORD, TEMPORARY),
])
def test_logins(server, name, arguments, password, status):
    assert log_in(server, name, *arguments, password=password) == status, server.dovecot.log_text()


def test_passdb_fields(server):
    done = server.doveadm("auth", "lookup", "-x", "protocol=imap", address("moved"))
    assert done.status == OK, done
    assert re.search(r"^ *host *: 192\.0\.2\.25$", done.out, re.M) and re.search(r"^ *proxy *:", done.out, re.M)
    assert server.doveadm("auth", "lookup", "-x", "protocol=imap", address("nobody")).status == NO_USER


# Users


def test_user(server):
    """Who has no place of his own has that of dovecot.conf."""
    done = server.doveadm("user", address("small"))
    assert done.status == OK, done
    fields = dict(line.split("\t", 1) for line in done.lines()[1:])
    assert fields["quota_storage_size"] == "3000"
    owner = server.dovecot.mail.stat()
    home = f"{server.dovecot.mail}/{DOMAIN}/small"
    assert (fields["uid"], fields["gid"], fields["home"]) == (str(owner.st_uid), str(owner.st_gid), home)


def test_user_with_a_place_of_his_own(server):
    done = server.doveadm("user", address("elsewhere"))
    assert done.status == OK, done
    fields = dict(line.split("\t", 1) for line in done.lines()[1:])
    assert (fields["uid"], fields["gid"], fields["home"]) == ("1001", "1002", "/srv/elsewhere")


def test_unknown_users(server):
    for name in ("nobody", "asleep", "al", "alice@x", "%"):
        assert server.doveadm("user", address(name)).status == NO_USER


def test_all_users(server):
    done = server.doveadm("user", "*")
    assert done.status == OK, done
    assert sorted(done.lines()) == ACTIVE
    assert sorted(server.doveadm("user", "b*").lines()) == [address("bob"), address("by-smtp")]


# Dictionaries


def test_dict(server):
    """Each command by doveadm. The table shows what they did."""
    def run(word, *arguments, key="priv/quota/storage"):
        done = server.dovecot.dict("quota", word, key, *arguments, user=address("crypted"))
        return done.status, done.out.strip()

    rows = f"SELECT bytes FROM quota WHERE username = '{address('crypted')}'"
    assert run("get")[0] == run("inc", "1")[0] == NOT_FOUND
    assert run("set", "12") == (OK, "") and run("get") == (OK, "12")
    assert run("inc", "30") == run("inc", "-2") == (OK, "")
    assert run("get") == (OK, "40") and server.rows(rows) == [["40"]]
    assert run("unset") == (OK, "") and server.rows(rows) == []
    assert run("get")[0] == NOT_FOUND
    assert run("get", key="priv/no/such/key")[0] == TEMPORARY


def test_dict_iterate(server):
    prefix = f"shared/shared-boxes/user/{address('crypted')}/"
    names = [address(name) for name in ("alice", "bob", "small")]
    for name in names:
        assert server.dovecot.dict("acl", "set", prefix + name, "1").status == OK
    done = server.dovecot.dict("acl", "iter", prefix)
    assert done.status == OK, done
    assert sorted(done.lines()[1:]) == [f"{prefix}{name}\t1" for name in names]
    for name in names:
        assert server.dovecot.dict("acl", "unset", prefix + name).status == OK
    done = server.dovecot.dict("acl", "iter", prefix)
    assert done.status == OK and prefix not in done.out


# Mail


def test_imap_and_last_login(server):
    server.database.execute("DELETE FROM last_login;")
    before = int(time.time())
    with server.login("alice") as client:
        assert client.append("INBOX", None, None, b"Subject: x\r\n\r\ntext\r\n")[0] == "OK"
        assert client.select("INBOX")[1] != [b"0"]
    server.wait_for_rows(f"SELECT last_login FROM last_login WHERE username = '{address('alice')}'",
                         lambda rows: rows and before <= int(rows[0][0]) <= time.time())


@pytest.mark.parametrize("name, password", [("alice", "wrong"), ("by-smtp", PASSWORD), ("nobody", PASSWORD)])
def test_imap_refuses(server, name, password):
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        server.login(name, password)


def test_quota(server):
    """Deliveries are counted, told to the database, and refused for good when there is no room."""
    rows = f"SELECT bytes, messages FROM quota WHERE username = '{address('small')}'"
    assert server.deliver("small") == server.deliver("small") == 250
    server.wait_for_rows(rows, lambda found: found and found[0][1] == "2" and int(found[0][0]) > 1000)
    assert server.deliver("small", size=5000) == 552
    with server.login("small") as client:
        status, (_, roots) = client.getquotaroot("INBOX")
    assert status == "OK" and re.search(rb"\(STORAGE [12] 3\)", roots[0]), roots
    assert server.rows(rows)[0][1] == "2"


def test_quota_status(server):
    """Postfix knows before it takes a message; what the text says is up to dovecot.conf."""
    ask = server.dovecot.ask_quota_status
    assert ask(address("small"), 10) == ask(address("nobody"), 10) == ask(f"small+tag@{DOMAIN}", 10) == "DUNNO"
    assert ask(address("small"), 5000).startswith("552 5.2.")


def recipients(server, *addresses):
    """The codes of the replies to RCPT."""
    with smtplib.LMTP(str(server.dovecot.lmtp_socket)) as client:
        client.ehlo("mail.example.com")
        client.mail("writer@elsewhere.example")
        return [client.rcpt(one)[0] for one in addresses]


def test_recipients(server):
    assert recipients(server, address("nobody"), address("bob"), f"bob+tag@{DOMAIN}") == [550, 250, 250]


def test_sieve(server):
    """A script from the database files what it is meant for."""
    with server.login("alice") as client:
        client.create("Lists")
        assert server.deliver("alice", "to the list") == 250
        assert client.select("Lists") == ("OK", [b"1"]), server.dovecot.log_text()


def test_shared_mailbox(server):
    shares = "SELECT from_user, to_user FROM user_shares"
    with server.login("alice") as client:
        client.create("Plans")
        assert client.setacl("Plans", address("bob"), "lr")[0] == "OK"
    assert server.rows(shares) == [[address("alice"), address("bob")]]
    with server.login("bob") as client:
        name = f"shared/{address('alice')}/Plans"
        assert any(name.encode() in line for line in client.list()[1]), server.dovecot.log_text()
        assert client.select(name, readonly=True)[0] == "OK"
    with server.login("alice") as client:
        assert client.deleteacl("Plans", address("bob"))[0] == "OK"
    assert server.rows(shares) == []


def test_metadata(server):
    with server.login("alice") as client:
        assert client.xatom("SETMETADATA", "INBOX", '(/private/comment "mine" /shared/comment "all\'s")')[0] == "OK"
        client.xatom("GETMETADATA", "INBOX", "(/private/comment /shared/comment)")
        seen = repr(client.response("METADATA"))
        assert "mine" in seen and "all's" in seen
    assert server.rows("SELECT entry, value FROM private_metadata") == [["comment", "mine"]]
    assert server.rows("SELECT entry, value FROM shared_metadata") == [["comment", "all's"]]


# Faults


def check_nothing_is_known(server):
    """What has to be said while nobody can say who is a user: later, and never no. Of these, none was asked for."""
    for name in ("alice", "unheard"):
        assert log_in(server, name, "-x", "protocol=imap") == TEMPORARY
    for name in (address("unasked"), address("unheard"), "*"):
        assert server.doveadm("user", name).status == TEMPORARY
    assert recipients(server, address("unasked"), address("unheard")) == [451, 451]
    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        server.login("alice")


def check_all_is_known(server):
    assert log_in(server, "alice", "-x", "protocol=imap") == OK, server.dovecot.log_text()
    assert log_in(server, "nobody", "-x", "protocol=imap") == REFUSED
    assert server.doveadm("user", address("bob")).status == OK
    assert server.doveadm("user", address("nobody")).status == NO_USER


def test_database_away(server):
    with server.away():
        check_nothing_is_known(server)
    wait_until(lambda: log_in(server, "alice", "-x", "protocol=imap") == OK, PATIENCE, server.daemon.log)
    check_all_is_known(server)


def test_tabled_away(server):
    server.daemon.stop()
    try:
        check_nothing_is_known(server)
    finally:
        server.daemon.start()
    check_all_is_known(server)


def test_tabled_restarted(server):
    """The connections that Dovecot has kept are gone, and the next lookup doesn't tell."""
    for end in (server.daemon.stop, server.daemon.kill):
        check_all_is_known(server)
        end()
        server.daemon.start()
        check_all_is_known(server)
        with server.login("alice") as client:
            assert client.select("INBOX")[0] == "OK"
