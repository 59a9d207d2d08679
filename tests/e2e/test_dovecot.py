"""
A real Dovecot 2.3 with the files of postfix-maps/dovecot/2.3, which asks tabled for everything: who may log
in, where his mail is, how much of it there is, when he was here, what he shares and how his mail is sorted.
With each database; and with all that can go wrong between Dovecot and the rows.

What cannot be known is an error that passes: never an unknown user, and never a wrong password.
"""

import contextlib
import copy
import imaplib
import poplib
import re
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import dovecot, mail, postfix
from support.daemon import Daemon
from support.databases import FaultProxy, MariaDB, PostgreSQL, Sqlite, insertion
from support.dovecot import NO_USER, NOT_FOUND, OK, REFUSED, TEMPORARY, Dovecot
from support.postfix import wait_until
from support.smtp import SmtpClient

ENGINES = ("sqlite", "pgsql", "mysql")
PARTS = ("last login", "shared mailboxes", "metadata", "sieve")
PATIENCE = 30  # seconds for what has to come

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"
WONDERLAND, BUILDER = "wonderland", "builder"  # Alice's and Bob's, of schema/sample.sql

# Beside the sample.
USERS = [
    {"username": CAROL, "password": "{PLAIN}secret"},
    {"username": "dave@example.com", "password": "{PLAIN}secret", "pop3_active": 0, "smtp_active": 0, "sieve_active": 0},
    {"username": "off@example.com", "password": "{PLAIN}secret", "active": 0},
    {"username": "far@example.com", "password": "{PLAIN}secret", "host": "192.0.2.7"},
    {"username": "netted@example.com", "password": "{PLAIN}secret", "allow_nets": "192.0.2.0/24,2001:db8::/32"},
    {"username": "machine@example.com", "nopassword": 1, "allow_nets": "192.0.2.9"},
    {"username": "awkward@example.com", "password": '{PLAIN}a "b" \\ \'c\' %u ü'},
    {"username": "small@example.com", "password": "{PLAIN}secret", "quota": 3000},
    {"username": "moved@example.com", "password": "{PLAIN}secret", "home": "/srv/moved", "uid": 1001, "gid": 1002,
     "mail": "mdbox:~/box"},
    {"username": "counted@example.com", "password": "{PLAIN}secret", "quota": 1000000},
]


def message(subject, size=500):
    body = "".join("x" * 70 + "\r\n" for _ in range(size // 72))
    return f"Subject: {subject}\r\nFrom: writer@elsewhere.example\r\n\r\n{body}"


class Site:
    """Dovecot, tabled and a database, all of them running."""

    def __init__(self, stack, database, parts=PARTS, private=None, socketmap="@DIR@/socketmap", source_options=""):
        self.database = database
        self.dovecot = Dovecot(parts, private, settings="auth_debug = yes\n")
        stack.callback(self.dovecot.__exit__)
        self.daemon = stack.enter_context(Daemon(mail.shipped_tabled_conf(
            socketmap, database, "@DIR@/control", source_options, self.dovecot.dict_socket, dovecot.tabled_parts(parts))))
        self.dovecot.start()
        stack.callback(self.dovecot.stop)
        stack.push(self._show_log)

    def _show_log(self, kind, *_):
        """When a test fails. Dovecot itself never may."""
        assert kind or "Panic: " not in self.dovecot.log_text(), self.dovecot.log_text()
        if kind:
            print(f"Dovecot's log ends so:\n{self.dovecot.log_text()[-8000:]}")

    def rows(self, query):
        """[[column, …], …]; NULL is whatever the database's client shows for it."""
        text = self.database.execute(query + ";\n")
        return [re.split(r"[|\t]", line) for line in text.splitlines()]

    def number(self, query):
        """The one number, or None if there is no row."""
        rows = self.rows(query)
        return int(rows[0][0]) if rows else None

    def becomes(self, query, rows):
        """Waits for what Dovecot writes behind its client's back."""
        wait_until(lambda: self.rows(query) == rows, PATIENCE,
                   lambda: f"{query}: {self.rows(query)}, not {rows}\n{self.dovecot.log_text()[-4000:]}")

    def authenticate(self, user, password, service="imap", *options):
        """"yes", "no", or "temporary": doveadm auth test."""
        done = self.dovecot.doveadm("auth", "test", "-x", f"service={service}", *options, user, password)
        words = done.out.split()
        if done.status == OK:
            assert "auth succeeded" in done.out, done
            return "yes"
        assert done.status == REFUSED and "auth failed" in done.out, done
        return "temporary" if "temp" in words or "code=temp_fail" in words else "no"

    def user(self, name):
        """{field: value} by `doveadm user`, or how it failed."""
        done = self.dovecot.doveadm("user", name)
        if done.status != OK:
            return done.status
        return dict(line.split("\t") for line in done.lines()[1:])


def fill(database):
    mail.make_database(database)
    database.execute("".join(insertion(database.kind, "mailbox", row) for row in USERS))


@contextlib.contextmanager
def started(database, parts=PARTS, **more):
    with contextlib.ExitStack() as stack:
        yield Site(stack, database, parts, **more)


@pytest.fixture(scope="module")
def directory():
    """Where SQLite's files are."""
    path = postfix.public_directory("tabled-dovecot-db-")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module", autouse=True)
def possible():
    reason = dovecot.why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module", params=ENGINES)
def site(request, fresh_database, directory):
    database = fresh_database(request.param, "dovecot_test", directory)
    fill(database)
    with started(database) as running:
        yield running


# --- Who is known

def test_all_users(site):
    done = site.dovecot.doveadm("user", "*")
    assert done.status == OK, done
    assert done.lines() == [row[0] for row in site.rows("SELECT username FROM mailbox WHERE active = 1 ORDER BY username")]
    assert ALICE in done.lines() and "off@example.com" not in done.lines()
    some = site.dovecot.doveadm("user", "?ar*@example.com")
    assert some.lines() == [CAROL, "far@example.com"]


def test_user_fields(site):
    at_home = {"uid": "8", "gid": "8", "home": f"{site.dovecot.mail}/example.com/alice", "mail": "maildir:~/Maildir"}
    assert site.user(ALICE) == {**at_home, "quota_rule": "*:bytes=1000000000", "quota_storage_size": "1000000000"}
    assert site.user("ALICE@Example.com") == {**site.user(ALICE), "user": ALICE}
    assert site.user("moved@example.com") == {"uid": "1001", "gid": "1002", "home": "/srv/moved", "mail": "mdbox:~/box",
                                              "quota_rule": "*:bytes=0", "quota_storage_size": "0"}
    # May he not log in by any protocol, his mail has a place all the same.
    assert site.user("archive@example.com")["home"] == f"{site.dovecot.mail}/example.com/archive"


@pytest.mark.parametrize("name", ["nobody@example.com", "off@example.com", "alice@example.org", "alice", "alice@example.com@x",
                                  "alice@example.co", "%@example.com", "_lice@example.com"])
def test_unknown_users(site, name):
    assert site.user(name) == NO_USER
    assert site.authenticate(name, WONDERLAND) == "no"
    assert site.authenticate(name, "") == "no"


# --- Who may log in

@pytest.mark.parametrize("user, password, service, answer", [
    (ALICE, WONDERLAND, "imap", "yes"),
    (ALICE, WONDERLAND, "pop3", "yes"),
    (ALICE, WONDERLAND, "smtp", "yes"),
    (ALICE, WONDERLAND, "sieve", "yes"),
    (ALICE, WONDERLAND, "doveadm", "yes"),
    ("Alice@EXAMPLE.com", WONDERLAND, "imap", "yes"),
    (ALICE, "Wonderland", "imap", "no"),
    (ALICE, WONDERLAND + "x", "imap", "no"),
    (ALICE, "", "imap", "no"),
    (BOB, BUILDER, "imap", "no"),
    (BOB, BUILDER, "pop3", "yes"),
    (BOB, WONDERLAND, "pop3", "no"),
    (BOB, BUILDER, "smtp", "yes"),
    ("dave@example.com", "secret", "imap", "yes"),
    ("dave@example.com", "secret", "pop3", "no"),
    ("dave@example.com", "secret", "smtp", "no"),
    ("dave@example.com", "secret", "sieve", "no"),
    ("archive@example.com", "", "imap", "no"),
    ("archive@example.com", "x", "imap", "no"),
    ("off@example.com", "secret", "imap", "no"),
    ("awkward@example.com", 'a "b" \\ \'c\' %u ü', "imap", "yes"),
    ("awkward@example.com", 'a "b" \\ \'c\' %u u', "imap", "no"),
    ("far@example.com", "secret", "imap", "yes"),
    # No map is for this one, so nobody can tell.
    (ALICE, WONDERLAND, "unheard-of", "temporary"),
])
def test_logins(site, user, password, service, answer):
    assert site.authenticate(user, password, service) == answer


@pytest.mark.parametrize("user, password, address, answer", [
    ("netted@example.com", "secret", "192.0.2.77", "yes"),
    ("netted@example.com", "secret", "2001:db8:1::1", "yes"),
    ("netted@example.com", "secret", "192.0.3.1", "no"),
    ("netted@example.com", "other", "192.0.2.77", "no"),
    ("machine@example.com", "", "192.0.2.9", "yes"),
    ("machine@example.com", "anything", "192.0.2.9", "yes"),
    ("machine@example.com", "anything", "192.0.2.8", "no"),
])
def test_where_logins_come_from(site, user, password, address, answer):
    assert site.authenticate(user, password, "imap", "-x", f"rip={address}") == answer


def test_lookup(site):
    """What other programs than login ask: all fields, and no password needed."""
    done = site.dovecot.doveadm("auth", "lookup", "-x", "service=imap", "far@example.com")
    assert done.status == OK, done
    fields = dict(re.findall(r"^  (\S+) *: (.*)$", done.out, re.MULTILINE))
    assert fields["user"] == "far@example.com" and fields["host"] == "192.0.2.7" and "proxy" in done.out
    assert site.dovecot.doveadm("auth", "lookup", "-x", "service=imap", "nobody@example.com").status == NO_USER


def test_second_question_saved(site):
    """What the password's answer says of the user is not asked again."""
    before = len(site.dovecot.log_text())
    site.dovecot.imap(ALICE, WONDERLAND).logout()
    wait_until(lambda: all(word in site.dovecot.log_text()[before:] for word in (f"shared/passdb/imap/{ALICE}", "prefetch(", "Logged out")),
               PATIENCE, lambda: site.dovecot.log_text()[before:])
    assert f"shared/userdb/{ALICE}" not in site.dovecot.log_text()[before:]


def test_silence_after_the_first_question(fresh_database, directory):
    """Its clock must not run on behind the answer: see idle_msecs in the shipped file."""
    database = fresh_database("sqlite", "dovecot_silent", directory)
    fill(database)
    with started(database) as site:
        assert isinstance(site.user(ALICE), dict)
        time.sleep(32)


def test_change_is_seen(site):
    """A password that was changed is out of use at once."""
    name = "changing@example.com"
    site.database.execute(insertion(site.database.kind, "mailbox", {"username": name, "password": "{PLAIN}before"}))
    assert site.authenticate(name, "before") == "yes"
    site.database.execute(f"UPDATE mailbox SET password = '{{PLAIN}}after' WHERE username = '{name}';")
    assert site.authenticate(name, "before") == "no"
    assert site.authenticate(name, "after") == "yes"
    site.database.execute(f"UPDATE mailbox SET active = 0 WHERE username = '{name}';")
    assert site.authenticate(name, "after") == "no"
    wait_until(lambda: site.user(name) == NO_USER, PATIENCE, lambda: f"{name} is still a user")
    site.database.execute(f"DELETE FROM mailbox WHERE username = '{name}';")


# --- Mail

def subjects(client, folder="INBOX"):
    status, _ = client.select(f'"{folder}"', readonly=True)
    assert status == "OK"
    _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [part[1].decode().strip().removeprefix("Subject: ") for part in found if isinstance(part, tuple)]


@pytest.mark.parametrize("tls", [False, True], ids=["loopback", "tls"])
def test_imap(site, tls):
    assert site.dovecot.deliver(ALICE, message(f"hello {tls}"))[0] == 250
    client = site.dovecot.imap(ALICE, WONDERLAND, tls)
    assert f"hello {tls}" in subjects(client)
    client.logout()


@pytest.mark.parametrize("user, password", [(ALICE, "wrong"), ("nobody@example.com", "x"), (BOB, BUILDER),
                                            ("archive@example.com", "x")])
def test_imap_refuses(site, user, password):
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        site.dovecot.imap(user, password)


def test_closed_to_imap_but_known(site):
    """Bob gets his mail, and fetches it by POP3."""
    assert site.dovecot.deliver(BOB, message("for the builder"))[0] == 250
    client = site.dovecot.pop3(BOB, BUILDER)
    lines = client.retr(client.stat()[0])[1]
    assert b"Subject: for the builder" in lines
    client.quit()
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        site.dovecot.pop3("dave@example.com", "secret")


def test_extension(site):
    assert site.dovecot.deliver("Carol+Tag@Example.com", message("tagged"))[0] == 250
    client = site.dovecot.imap(CAROL, "secret")
    assert "tagged" in subjects(client)
    client.logout()


@pytest.mark.parametrize("recipient", ["nobody@example.com", "off@example.com", "nobody+x@example.com"])
def test_lmtp_refuses(site, recipient):
    code, reply = site.dovecot.deliver(recipient, message("nobody reads it"))
    assert (code, "5.1.1" in reply) == (550, True), reply


# --- Quota

def test_quota(site):
    """Dovecot counts, and the table says the same."""
    name = "counted@example.com"
    for number in range(3):
        assert site.dovecot.deliver(name, message(f"message {number}", 5000))[0] == 250
    shown = quota_shown(site, name)
    assert shown["MESSAGE"][0] == 3 and 15000 / 1024 < shown["STORAGE"][0] < 20 and shown["STORAGE"][1] == 977
    site.becomes(f"SELECT messages, bytes / 1024 > 10 FROM quota WHERE username = '{name}'",
                 [["3", {"pgsql": "t"}.get(site.database.kind, "1")]])
    client = site.dovecot.imap(name, "secret")
    client.select()
    client.store("1,3", "+FLAGS", r"\Deleted")
    client.expunge()
    client.logout()
    site.becomes(f"SELECT messages FROM quota WHERE username = '{name}'", [["1"]])
    bytes_used = site.number(f"SELECT bytes FROM quota WHERE username = '{name}'")
    assert 5000 < bytes_used < 7000 and quota_shown(site, name)["STORAGE"][0] == -(-bytes_used // 1024)


def quota_shown(site, name):
    """{STORAGE or MESSAGE: (value, limit)}; storage in kilobytes."""
    done = site.dovecot.doveadm("-f", "tab", "quota", "get", "-u", name)
    assert done.status == OK, done
    rows = (line.split("\t") for line in done.lines()[1:])
    return {row[1]: (int(row[2]), int(row[3]) if row[3] != "-" else None) for row in rows}


def test_over_quota(site):
    name = "small@example.com"
    assert site.dovecot.deliver(name, message("fits"))[0] == 250
    code, reply = site.dovecot.deliver(name, message("does not", 9000))
    assert code in (552, 452) and "uota exceeded" in reply
    # More room: at once.
    site.database.execute(f"UPDATE mailbox SET quota = 90000 WHERE username = '{name}';")
    wait_until(lambda: site.dovecot.deliver(name, message("fits now", 9000))[0] == 250, PATIENCE, lambda: "still no room")


# --- Last login

def test_last_login(site):
    query = f"SELECT last_login FROM last_login WHERE username = '{CAROL}'"
    site.database.execute(f"DELETE FROM last_login WHERE username = '{CAROL}';")
    site.dovecot.imap(CAROL, "secret").logout()
    wait_until(lambda: site.number(query), PATIENCE, lambda: f"no login is noted:\n{site.dovecot.log_text()[-4000:]}")
    first = site.number(query)
    assert first > 1700000000
    site.database.execute(f"UPDATE last_login SET last_login = 5 WHERE username = '{CAROL}';")
    site.dovecot.pop3(CAROL, "secret").quit()
    wait_until(lambda: site.number(query) >= first, PATIENCE, lambda: "the second login is not noted")
    # Delivered mail is no login.
    assert site.dovecot.deliver("dave@example.com", message("no login"))[0] == 250
    assert site.number("SELECT last_login FROM last_login WHERE username = 'dave@example.com'") is None


# --- Shared mailboxes

def folders(client):
    _, lines = client.list('""', "*")
    return {re.sub(rb'^.*"/" ', b"", line).decode().strip('"') for line in lines}


def test_shared_mailbox(site):
    shared = f"shared/{ALICE}/Team"
    owner = site.dovecot.imap(ALICE, WONDERLAND)
    owner.create("Team")
    owner.append("Team", "", None, message("for the team").encode())
    reader = site.dovecot.imap(CAROL, "secret")
    assert shared not in folders(reader)
    assert owner.setacl("Team", CAROL, "lr")[0] == "OK"
    site.becomes("SELECT from_user, to_user FROM user_shares", [[ALICE, CAROL]])
    reader.logout()
    reader = site.dovecot.imap(CAROL, "secret")
    assert shared in folders(reader)
    assert subjects(reader, shared) == ["for the team"]
    # Somebody else sees nothing, until everybody may.
    other = site.dovecot.imap("dave@example.com", "secret")
    assert shared not in folders(other)
    other.logout()
    assert owner.setacl("Team", "anyone", "l")[0] == "OK"
    site.becomes("SELECT from_user FROM anyone_shares", [[ALICE]])
    other = site.dovecot.imap("dave@example.com", "secret")
    assert shared in folders(other)
    other.logout()
    # And back.
    assert owner.deleteacl("Team", "anyone")[0] == "OK" and owner.deleteacl("Team", CAROL)[0] == "OK"
    site.becomes("SELECT from_user FROM anyone_shares", [])
    site.becomes("SELECT from_user FROM user_shares", [])
    for client in (owner, reader):
        client.logout()


# --- Metadata

def test_metadata(site):
    def metadata(word, *arguments, status=OK):
        done = site.dovecot.doveadm("mailbox", "metadata", word, "-u", ALICE, *arguments)
        assert done.status == status, done
        return done.out.strip()

    site.dovecot.imap(ALICE, WONDERLAND).logout()
    metadata("set", "INBOX", "/private/comment", "my own\ttab")
    metadata("set", "INBOX", "/shared/comment", "for all")
    metadata("set", "INBOX", "/shared/vendor/one/two", "")
    assert metadata("get", "INBOX", "/private/comment") == "my own\ttab"
    assert metadata("get", "INBOX", "/shared/comment") == "for all"
    assert {"comment", "vendor/one/two"} <= set(metadata("list", "INBOX", "/shared/").splitlines())
    guid = site.rows("SELECT mailbox_guid FROM shared_metadata WHERE entry = 'comment'")[0][0]
    assert re.fullmatch("[0-9a-f]{32}", guid)
    assert site.rows(f"SELECT username, value FROM private_metadata WHERE mailbox_guid = '{guid}'") == [
        [ALICE, "my own", "tab"]]
    metadata("unset", "INBOX", "/private/comment")
    assert site.rows("SELECT * FROM private_metadata") == []
    assert site.number("SELECT count(*) FROM shared_metadata") == 2
    client = site.dovecot.imap(ALICE, WONDERLAND)
    assert b" METADATA " in client.capability()[1][0]
    client.logout()


# --- Sieve

def test_sieve(site):
    name = CAROL

    def use(script):
        """As schema/ says: a new row for a new text."""
        site.database.execute(f"DELETE FROM sieve_script WHERE username = '{name}';\n" + insertion(
            site.database.kind, "sieve_script", {"username": name, "name": "active", "script": script}))

    def delivered_to(folder, subject):
        assert site.dovecot.deliver(name, message(subject))[0] == 250
        client = site.dovecot.imap(name, "secret")
        found = subjects(client, folder)
        client.logout()
        return subject in found

    assert delivered_to("INBOX", "sort me: before")
    use('require ["fileinto"];\nif header :contains "subject" "sort" { fileinto "Drafts"; }\n')
    assert delivered_to("Drafts", "sort me: one")
    assert delivered_to("INBOX", "leave me")
    use('require ["fileinto"];\nif header :contains "subject" "sort" { fileinto "Trash"; }\n')
    assert delivered_to("Trash", "sort me: two")
    site.database.execute(f"DELETE FROM sieve_script WHERE username = '{name}';")
    assert delivered_to("INBOX", "sort me: after")


# --- The dictionaries by hand

def test_dict_get_and_set(site):
    name, key = "dave@example.com", "priv/quota/storage"

    def run(word, *arguments, status=OK, user=name):
        done = site.dovecot.dict("quota", word, *arguments, user=user)
        assert done.status == status, done
        return done.out.strip()

    query = f"SELECT bytes, messages FROM quota WHERE username = '{name}'"
    site.database.execute(f"DELETE FROM quota WHERE username = '{name}';")
    run("get", key, status=NOT_FOUND)
    run("inc", key, "5", status=NOT_FOUND)
    assert site.rows(query) == []
    run("set", key, "100")
    assert run("get", key) == "100" and site.rows(query) == [["100", "0"]]
    run("set", "priv/quota/messages", "7")
    assert site.rows(query) == [["100", "7"]]
    run("inc", key, "23")
    run("inc", key, "-3")
    assert run("get", key) == "120"
    run("set", key, "5000000000000")
    assert run("get", key) == "5000000000000"
    run("get", key, status=NOT_FOUND, user="alice@example.org")
    run("unset", key)
    run("get", key, status=NOT_FOUND)
    assert site.rows(query) == []
    # What the table refuses is an error, and leaves no trace.
    run("set", key, "5", status=TEMPORARY, user="nobody@example.com")
    run("set", key, "five", status=TEMPORARY)
    run("set", "priv/no/such/key", "5", status=TEMPORARY)
    run("get", "priv/no/such/key", status=TEMPORARY)
    run("get", "shared/quota/storage", status=TEMPORARY)
    assert site.rows(query) == []


def test_dict_iter(site):
    database, kind = site.database, site.database.kind
    people = [row[0] for row in site.rows("SELECT username FROM mailbox ORDER BY username")]
    database.execute("DELETE FROM last_login;\nDELETE FROM user_shares;\nDELETE FROM anyone_shares;")
    database.execute("".join(insertion(kind, "last_login", {"username": name, "last_login": number})
                             for number, name in enumerate(people)))

    def rows(dictionary, prefix, *options):
        done = site.dovecot.dict(dictionary, "iter", *options, prefix, user=ALICE)
        assert done.status == OK, done
        return sorted(tuple(line.split("\t")) for line in done.lines()[1:])

    assert rows("last_login", "shared/last-login/") == sorted(
        (f"shared/last-login/{name}", str(number)) for number, name in enumerate(people))
    assert rows("last_login", "shared/last-login/", "-V") == sorted((f"shared/last-login/{name}",) for name in people)
    assert rows("last_login", f"shared/last-login/{ALICE}", "-1") == [
        (f"shared/last-login/{ALICE}", str(people.index(ALICE)))]
    assert rows("auth", "shared/userdb/", "-V") == sorted(
        (f"shared/userdb/{row[0]}",) for row in site.rows("SELECT username FROM mailbox WHERE active = 1"))
    database.execute("".join(insertion(kind, "user_shares", {"from_user": sender, "to_user": to})
                             for sender in (ALICE, BOB) for to in (CAROL, "dave@example.com")))
    database.execute(insertion(kind, "anyone_shares", {"from_user": BOB}))
    assert rows("acl", f"shared/shared-boxes/user/{CAROL}/", "-R") == [
        (f"shared/shared-boxes/user/{CAROL}/{sender}", "1") for sender in (ALICE, BOB)]
    assert len(rows("acl", "shared/shared-boxes/", "-R")) == 5
    assert rows("acl", "shared/shared-boxes/anyone/") == [(f"shared/shared-boxes/anyone/{BOB}", "1")]
    assert rows("acl", "shared/shared-boxes/user/nobody/") == []
    database.execute("DELETE FROM last_login;\nDELETE FROM user_shares;\nDELETE FROM anyone_shares;")


def test_dict_json(site):
    """The keys of auth, as Dovecot's auth process reads them."""
    done = site.dovecot.dict("auth", "get", f"shared/userdb/{ALICE}")
    assert done.status == OK and done.out.strip() == (
        f'{{"user":"{ALICE}","quota_rule":"*:bytes=1000000000","quota_storage_size":"1000000000"}}')
    assert site.dovecot.dict("auth", "get", "shared/userdb/nobody@example.com").status == NOT_FOUND
    assert site.dovecot.dict("auth", "set", f"shared/userdb/{ALICE}", "x").status == TEMPORARY
    assert site.dovecot.dict("no_such_dictionary", "get", "shared/x").status == TEMPORARY


def test_increments_are_exact(site):
    name, key = "machine@example.com", "priv/quota/messages"
    assert site.dovecot.dict("quota", "set", key, "0", user=name).status == OK
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: site.dovecot.dict("quota", "inc", key, "1", user=name), range(40)))
    assert [one for one in done if one.status != OK] == []
    assert site.number(f"SELECT messages FROM quota WHERE username = '{name}'") == 40


# --- Other ways to set it up

@pytest.mark.parametrize("kind", ENGINES)
def test_quota_by_dict(fresh_database, directory, kind):
    """The table is the truth: Dovecot adds to it, subtracts from it, and counts anew when it has no row."""
    database = fresh_database(kind, "dovecot_quota", directory)
    fill(database)
    name = "counted@example.com"
    query = f"SELECT messages FROM quota WHERE username = '{name}'"
    with started(database, ["quota by dict"]) as site:
        for number in range(4):
            assert site.dovecot.deliver(name, message(f"message {number}", 5000))[0] == 250
            site.becomes(query, [[str(number + 1)]])
        client = site.dovecot.imap(name, "secret")
        client.select()
        client.store("2", "+FLAGS", r"\Deleted")
        client.expunge()
        client.logout()
        site.becomes(query, [["3"]])
        assert quota_shown(site, name)["MESSAGE"][0] == 3
        # It is the table that is believed.
        database.execute(f"UPDATE quota SET messages = 1000 WHERE username = '{name}';")
        assert quota_shown(site, name)["MESSAGE"][0] == 1000
        assert site.dovecot.doveadm("quota", "recalc", "-u", name).status == OK
        site.becomes(query, [["3"]])
        bytes_used = site.number(f"SELECT bytes FROM quota WHERE username = '{name}'")
        database.execute("DELETE FROM quota;")
        assert quota_shown(site, name)["MESSAGE"][0] == 3
        site.becomes(f"SELECT bytes, messages FROM quota WHERE username = '{name}'", [[str(bytes_used), "3"]])


def test_as_shipped(fresh_database, directory):
    """Without any of the optional parts; and Dovecot has nothing to complain about."""
    database = fresh_database("sqlite", "dovecot_shipped", directory)
    fill(database)
    with started(database, ()) as site:
        assert site.dovecot.deliver(ALICE, message("plain"))[0] == 250
        client = site.dovecot.imap(ALICE, WONDERLAND)
        assert subjects(client) == ["plain"]
        client.logout()
        site.becomes("SELECT username, messages FROM quota", [[ALICE, "1"]])
        done = site.dovecot.command("doveconf", "-n")
        assert done.status == OK and done.errors == "", done
        assert re.findall(r"(?:Error|Fatal|Panic|Warning): .*", site.dovecot.log_text()) == []


def test_with_postfix(fresh_database, directory):
    """
    All shipped files at once: Alice sends by the submission service with her password, Postfix hands the
    message to Dovecot, and Bob fetches it.
    """
    reason = postfix.why_not(("socketmap",))
    if reason:
        pytest.skip(reason)
    database = fresh_database("sqlite", "dovecot_postfix", directory)
    fill(database)
    # Her blind copy goes to the archive, which is here; nothing else may leave.
    server = postfix.Postfix({"default_transport": "error:not in a test"})
    with contextlib.ExitStack() as stack:
        stack.callback(server.__exit__)
        site = Site(stack, database, (), private=server.queue / "private", socketmap=server.queue / "private" / "tabled")
        server.start()
        with SmtpClient(server.submission_port) as client:
            client.ask("EHLO laptop.example")
            client.start_tls()
            client.ask("EHLO laptop.example")
            assert client.log_in("dave@example.com", "secret").startswith("535")
            assert client.log_in(ALICE, "wrong").startswith("535")
            assert client.log_in(ALICE, WONDERLAND).startswith("235")
            assert client.ask(f"MAIL FROM:<{BOB}>").startswith("250")
            assert client.ask(f"RCPT TO:<{BOB}>").startswith("553")
            client.ask("RSET")
            assert client.ask(f"MAIL FROM:<{ALICE}>").startswith("250")
            assert client.ask("RCPT TO:<bob+fence@example.net>").startswith("250")
            assert client.ask("DATA").startswith("354")
            assert client.send_message("Subject: the fence\n\nPlease.").startswith("250")
            client.ask("QUIT")
        server.wait_until_idle()
        assert server.queued() == [], server.log_text()[-4000:]
        client = site.dovecot.pop3(BOB, BUILDER)
        assert b"Subject: the fence" in client.retr(1)[1]
        client.quit()
        assert site.user("archive@example.com")["home"]
        site.becomes("SELECT username FROM quota ORDER BY username", [["archive@example.com"], [BOB]])


# --- When something is wrong

def check_unknown_is_temporary(site):
    """Nobody can tell now, and nobody says that he can. No user here was asked for before."""
    user = site.user("dave@example.com")
    assert user == TEMPORARY
    assert site.user("nobody@example.com") == TEMPORARY
    for name, password in ((ALICE, WONDERLAND), (ALICE, "wrong"), ("nobody@example.com", "x")):
        assert site.authenticate(name, password) == "temporary"
        assert site.authenticate(name, password, "smtp") == "temporary"
    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        site.dovecot.imap(ALICE, WONDERLAND)
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\]"):
        site.dovecot.pop3(BOB, BUILDER)
    for recipient in ("dave@example.com", "nobody@example.com"):
        code, reply = site.dovecot.deliver(recipient, message("later"))
        assert (code, reply[:3]) == (451, "4.3"), reply
    listing = site.dovecot.doveadm("user", "*")
    assert listing.status not in (OK, NO_USER) and "user listing failed" in listing.errors
    for word, *arguments in (("get",), ("set", "5"), ("inc", "5"), ("unset",)):
        done = site.dovecot.dict("quota", word, "priv/quota/storage", *arguments, user=ALICE)
        assert done.status == TEMPORARY, (word, done)
    assert site.dovecot.dict("last_login", "iter", "shared/last-login/").status == TEMPORARY


def comes_true(ask, right, meanwhile):
    """Each worker, and each that writes, finds out for itself that the database is back. Till then it is "later"."""
    def is_right():
        seen = ask()
        assert seen in (right, meanwhile), seen
        return seen == right

    wait_until(is_right, PATIENCE, lambda: f"{right} does not come")


def check_all_is_well(site):
    wait_until(lambda: isinstance(site.user("dave@example.com"), dict), PATIENCE, lambda: "dave is not known again")
    wait_until(lambda: site.authenticate(ALICE, WONDERLAND) == "yes", PATIENCE, lambda: "Alice may not log in again")
    assert site.user("nobody@example.com") == NO_USER
    assert site.authenticate(ALICE, "wrong") == "no"
    site.dovecot.imap(ALICE, WONDERLAND).logout()
    comes_true(lambda: site.dovecot.deliver("dave@example.com", message("now"))[0], 250, 451)
    comes_true(lambda: site.dovecot.deliver("nobody@example.com", message("never"))[0], 550, 451)
    comes_true(lambda: site.dovecot.dict("quota", "set", "priv/quota/storage", "5", user=ALICE).status, OK, TEMPORARY)
    wait_until(lambda: site.dovecot.doveadm("user", "*").status == OK, PATIENCE, lambda: "users are not listed again")


class MissingFile:
    """SQLite has no server to stop: its file is taken away."""

    def __init__(self, database):
        self.path = database.path

    def stop(self):
        self.path.rename(self.path.with_suffix(".away"))

    def start(self):
        self.path.with_suffix(".away").rename(self.path)


@contextlib.contextmanager
def own_database(kind, directory):
    """(the database, what can be stopped and started): nobody else uses it."""
    if kind == "sqlite":
        path = directory / "own.db"
        database = Sqlite(path)
        yield database, MissingFile(database)
        path.unlink()
        return
    server_class = {"pgsql": PostgreSQL, "mysql": MariaDB}[kind]
    reason = server_class.why_not()
    if reason:
        pytest.skip(reason)
    with server_class() as server:
        yield server, server


@pytest.mark.parametrize("kind", ENGINES)
def test_database_stopped(directory, kind):
    with own_database(kind, directory) as (database, server):
        fill(database)
        with started(database) as site:
            server.stop()
            check_unknown_is_temporary(site)
            server.start()
            check_all_is_well(site)


@pytest.mark.parametrize("kind", ENGINES)
def test_database_stopped_later(directory, kind):
    """What was asked for before: the password is never taken from memory, the place of the mail may be."""
    with own_database(kind, directory) as (database, server):
        fill(database)
        with started(database) as site:
            site.dovecot.imap(CAROL, "secret").logout()
            assert site.dovecot.deliver(CAROL, message("before"))[0] == 250
            assert site.user("nobody@example.com") == NO_USER
            server.stop()
            assert site.authenticate(CAROL, "secret") == "temporary"
            assert site.authenticate(CAROL, "wrong") == "temporary"
            # Known or to come again; never unknown.
            assert site.dovecot.deliver(CAROL, message("meanwhile"))[0] in (250, 451)
            assert site.user(CAROL) != NO_USER
            server.start()
            check_all_is_well(site)


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_tabled_ends(fresh_database, directory, way):
    """Dovecot connects again by itself."""
    database = fresh_database("sqlite", f"dovecot_{way}", directory)
    fill(database)
    with started(database) as site:
        assert site.authenticate(CAROL, "secret") == "yes"
        getattr(site.daemon, way)()
        check_unknown_is_temporary(site)
        site.daemon.start()
        check_all_is_well(site)
        # A connection that was kept has been cut off meanwhile, and nobody notices.
        getattr(site.daemon, way)()
        site.daemon.start()
        assert site.authenticate(CAROL, "secret") == "yes"
        assert site.user("dave@example.com")["uid"]


def many_users(count):
    return [f"user{number:06d}@example.com" for number in range(count)]


@pytest.mark.parametrize("kind", ["pgsql", "mysql"])
def test_iteration_is_cut_off(fresh_database, directory, kind):
    """Half of the users are never all of them: a lost connection is replaced, and if that can't be, it is an error."""
    database = fresh_database(kind, "dovecot_cut", directory)
    fill(database)
    database.load_rows("mailbox", ("username",), ((name,) for name in many_users(20000)))
    with FaultProxy(database.host, database.port) as proxy, ThreadPoolExecutor(1) as pool:
        with started(through(database, proxy)) as site:
            whole = site.dovecot.doveadm("user", "*")
            assert whole.status == OK and set(many_users(20000)) <= set(whole.lines())
            for how in ("close", "reset"):
                faults = proxy.counts()["faults"]
                proxy.cut(200_000, how)
                assert site.dovecot.doveadm("user", "*") == whole
                assert proxy.counts()["faults"] > faults
            proxy.pass_on()
            for end in (proxy.close, proxy.reset, proxy.blackhole):
                proxy.delay(0.03)
                before = proxy.counts()["to_client"]
                running = pool.submit(site.dovecot.doveadm, "user", "*")
                wait_until(lambda: proxy.counts()["to_client"] > before + 200_000, PATIENCE,
                           lambda: f"too little comes; {running.done() and running.result()}", 0.005)
                end()
                half = running.result()
                assert half.status not in (OK, NO_USER) and "user listing failed" in half.errors, half.errors[-2000:]
                assert len(half.lines()) < len(whole.lines())
                proxy.pass_on()
                wait_until(lambda: site.dovecot.doveadm("user", "*") == whole, PATIENCE,
                           lambda: f"the listing does not become whole again:\n{site.daemon.log()}")


def through(database, proxy):
    """The same database, by way of the proxy for tabled, and directly for the test."""
    other = copy.copy(database)
    other.tabled_source = lambda options="": database.tabled_source(options).replace(
        f"{database.host}:{database.port}", f"{proxy.host}:{proxy.port}")
    return other


@pytest.mark.parametrize("kind", ["pgsql", "mysql"])
def test_killed_while_writing(directory, kind):
    """What Dovecot was told is in the table; what it was not told may be, once."""
    with own_database(kind, directory) as (database, server):
        fill(database)
        with started(database, source_options='retry_interval = "100ms"') as site:
            name, key = CAROL, "priv/quota/messages"
            assert site.dovecot.dict("quota", "set", key, "0", user=name).status == OK
            enough = threading.Event()

            def increment(_):
                counts = {"told": 0, "not told": 0}
                while not enough.is_set():
                    done = site.dovecot.dict("quota", "inc", key, "1", user=name)
                    assert done.status in (OK, TEMPORARY), done
                    counts["told" if done.status == OK else "not told"] += 1
                return counts

            with ThreadPoolExecutor(4) as pool:
                running = [pool.submit(increment, number) for number in range(4)]
                try:
                    for _ in range(3):
                        threading.Event().wait(0.7)
                        server.kill()
                        server.start()
                    threading.Event().wait(0.7)
                finally:
                    enough.set()
            counts = [one.result() for one in running]
            told, not_told = (sum(count[word] for count in counts) for word in ("told", "not told"))
            value = site.number(f"SELECT messages FROM quota WHERE username = '{name}'")
            assert told > 0 and told <= value <= told + not_told
            check_all_is_well(site)


@pytest.mark.parametrize("how", ["close", "silent"])
@pytest.mark.parametrize("kind", ["pgsql", "mysql"])
def test_fate_of_a_write_is_unknown(fresh_database, directory, kind, how):
    """The answer to a commit does not arrive. Dovecot is told that nobody knows; the row says what has come of it."""
    database = fresh_database(kind, "dovecot_fate", directory)
    fill(database)
    with FaultProxy(database.host, database.port) as proxy:
        with started(through(database, proxy), source_options='query_timeout = "2s"') as site:
            query = f"SELECT messages FROM quota WHERE username = '{CAROL}'"
            assert site.dovecot.dict("quota", "set", "priv/quota/messages", "1", user=CAROL).status == OK
            for number in range(8):
                proxy.cut(number * 9, how)
                before = site.number(query)
                done = site.dovecot.dict("quota", "inc", "priv/quota/messages", "1", user=CAROL)
                proxy.pass_on()
                assert done.status in (OK, TEMPORARY), done
                if done.status == OK:
                    assert site.number(query) == before + 1
                else:
                    wait_until(lambda: site.dovecot.dict("quota", "get", "priv/quota/messages", user=CAROL).status == OK,
                               PATIENCE, lambda: "tabled does not come back")
                    # What was on its way is over by now, one way or the other, and stays so.
                    assert site.number(query) in (before, before + 1)
