"""
Mail while tabled or its database is away: everything waits, nothing is refused for good, nothing
is bounced, and afterwards each message arrives once. With the shipped files; and once more without
their access maps, which are asked first and would hide what the other maps do.
"""

import os
import shutil
import sqlite3
from contextlib import contextmanager

import pytest

from support import mail, postfix
from support.daemon import Daemon
from support.databases import Sqlite
from support.mail import Case
from support.smtp import SmtpClient

pytestmark = pytest.mark.skipif(postfix.why_not() is not None, reason=str(postfix.why_not()))

SINKS = {"mailbox": True, "outside": False}


class MailServer:
    """Postfix, tabled, the database and the sinks, and ways to break them."""

    def __init__(self, sinks, settings):
        self.sinks = sinks
        self.postfix = postfix.Postfix({
            "virtual_transport": f"lmtp:inet:127.0.0.1:{sinks['mailbox'].port}",
            "default_transport": f"smtp:[127.0.0.1]:{sinks['outside'].port}",
            "relay_transport": f"smtp:[127.0.0.1]:{sinks['outside'].port}",
            "smtpd_authorized_xclient_hosts": "127.0.0.1",
            # An smtpd process remembers an address that could not be resolved as long as it lives.
            # Without this the next client could get the last one's 451 (with any kind of table).
            "max_use": "1",
            **settings,
        })
        self.database = self.postfix.root / "db" / "mail.db"
        self.database.parent.mkdir()
        source = Sqlite(self.database)
        mail.make_database(source)
        self.daemon = Daemon(mail.shipped_tabled_conf(
            self.postfix.queue / "private" / "tabled", source, "@DIR@/control", 'query_timeout = "100ms"')
            + "\ncache { size = 0 }\n")  # or it would carry the mail on

    @contextmanager
    def tabled_stopped(self):
        self.daemon.stop()
        yield
        self.daemon.start()

    @contextmanager
    def tabled_killed(self):
        self.daemon.kill()
        yield
        self.daemon.start()

    @contextmanager
    def database_missing(self):
        away = self.database.with_suffix(".away")
        self.database.rename(away)
        yield
        away.rename(self.database)

    @contextmanager
    def database_locked(self):
        lock = sqlite3.connect(self.database, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        yield
        lock.execute("ROLLBACK")
        lock.close()

    @contextmanager
    def database_garbage(self):
        copy = self.database.with_suffix(".copy")
        shutil.copy(self.database, copy)
        self.database.write_bytes(os.urandom(8192))
        yield
        copy.replace(self.database)

    @contextmanager
    def tables_missing(self):
        """As in the middle of somebody's upgrade by hand."""
        names = ("alias", "mailbox", "domain", "alias_domain", "relay_domain", "transport", "sender_bcc",
                 "recipient_bcc", "client_access", "sender_access", "sender_login")
        with sqlite3.connect(self.database) as database:
            database.execute("PRAGMA legacy_alter_table = ON")
            for name in names:
                database.execute(f"ALTER TABLE {name} RENAME TO {name}_away")
        database.close()
        yield
        with sqlite3.connect(self.database) as database:
            database.execute("PRAGMA legacy_alter_table = ON")
            for name in names:
                database.execute(f"ALTER TABLE {name}_away RENAME TO {name}")
        database.close()


WAYS = ["tabled_stopped", "tabled_killed", "database_missing", "database_locked", "database_garbage", "tables_missing"]

SETTINGS = {
    "shipped": {},
    "without access maps": {"smtpd_client_restrictions": "", "smtpd_sender_restrictions": ""},
}


@pytest.fixture(scope="module", params=SETTINGS, ids=[name.replace(" ", "-") for name in SETTINGS])
def server(request):
    with mail.Sinks(**SINKS) as sinks:
        machine = MailServer(sinks, SETTINGS[request.param])
        with machine.postfix, machine.daemon:
            yield machine


CASES = [
    Case("mailbox", ("alice@example.com",), {"mailbox alice@example.com"}),
    Case("tag", ("alice+tag@example.com",), {"mailbox alice+tag@example.com"}),
    Case("alias", ("info@example.com",), {"mailbox alice@example.com"}),
    Case("catch-all", ("anyone@example.org",), {"mailbox alice@example.com"}),
    Case("alias domain", ("bob@example.net",), {"mailbox bob@example.com"}),
    Case("unknown user", ("nobody@example.com",), {"550"}),
    Case("unknown user of an alias domain", ("nobody@example.net",), {"550"}),
    Case("foreign domain", ("someone@elsewhere.example",), {"554"}),
    Case("refused sender", ("alice@example.com",), None, sender="x@spam.example"),
    Case("refused client", ("alice@example.com",), None, client="198.51.100.1"),
    Case("bounce", ("alice@example.com",), {"mailbox alice@example.com"}, sender=""),
    Case("from inside", ("alice@example.com",), None, sender="bob@example.com"),
]


@pytest.mark.parametrize("way", WAYS)
def test_outage(server, way):
    with getattr(server, way)():
        seen = mail.observe(server.postfix, server.sinks, CASES)
    for case in CASES:
        outcome = seen[case.name].outcome()
        assert outcome and all(code.startswith("4") for code in outcome), (case.name, seen[case.name])
    recovered = mail.observe(server.postfix, server.sinks, CASES)
    for case in CASES:
        assert case.want in (None, recovered[case.name].outcome()), (case.name, recovered[case.name])
    assert "non-delivery notification" not in server.postfix.log_text()


@pytest.mark.parametrize("way", WAYS)
def test_queued_mail_waits(server, way):
    """A message in the queue is asked about again by qmgr, while nobody can answer."""
    server.sinks["mailbox"].refusing = True
    # Two recipients, since qmgr remembers the last address that it had resolved.
    case = Case(f"waiting through {way}", ("list+tag@example.com",), None)
    assert mail.observe(server.postfix, server.sinks, [case])[case.name].deliveries == []
    with getattr(server, way)():
        server.postfix.flush()
        server.postfix.wait_until_idle()
        server.sinks["mailbox"].refusing = False
        server.postfix.flush()
        server.postfix.wait_until_idle()
        assert len(server.postfix.queued()) == 1
        assert server.sinks.take_all() == []
    assert delivered_after(server) == ["<alice+tag@example.com>", "<bob+tag@example.com>"]


@pytest.mark.parametrize("way", WAYS)
def test_outage_between_rcpt_and_data(server, way):
    """cleanup asks after smtpd has said yes."""
    with SmtpClient(server.postfix.smtp_port) as client:
        client.ask("EHLO mail.elsewhere.example")
        client.ask("MAIL FROM:<writer@elsewhere.example>")
        assert client.ask("RCPT TO:<list+tag@example.com>").startswith("250")
        with getattr(server, way)():
            assert client.ask("DATA").startswith("354")
            reply = client.send_message("Subject: late\n\nText.")
            assert reply[:1] in "24", reply
            server.postfix.wait_until_idle()
            assert server.sinks.take_all() == []
    accepted = ["<alice+tag@example.com>", "<bob+tag@example.com>"]
    assert delivered_after(server) == (accepted if reply.startswith("2") else [])


def delivered_after(server):
    """Who got the waiting mail, once that could be; an address for each time."""
    def tried():
        server.postfix.flush()
        server.postfix.wait_until_idle()
        return server.postfix.queued() == []

    def complain():
        return f"still queued: {server.postfix.queued()}\n{server.postfix.log_text()[-4000:]}"

    postfix.wait_until(tried, 60, complain)
    assert "non-delivery notification" not in server.postfix.log_text()
    return sorted(recipient.split()[0] for delivery in server.sinks.take_all()
                  for recipient in delivery.recipients)
