"""
The whole mail server, with the shipped files where they belong: Postfix, Dovecot, SPF and quota policies, TLS
and DNS, in a world of two hosts. For each of the databases what its users and strangers may do and may
not; then what no user may ever notice, with mail flowing: the database away, tabled restarted.

Each message is counted: none may be lost, come twice, or bounce.
"""

import contextlib
import imaplib
import itertools
import json
import signal
import time

import pytest

from support import mail, mailserver, nameserver, netns
from support.databases import MariaDB, PostgreSQL, Sqlite
from support.postfix import wait_until
from support.traffic import Flow, Site, outside_servers

ALICE, BOB, CAROL, ARCHIVE = "alice@example.com", "bob@example.com", "carol@example.com", "archive@example.com"
LOGIN = {ALICE: "wonderland", BOB: "builder", CAROL: "secret"}
STRANGER = "stranger@elsewhere.example"
BULK = 600

# Beside the sample of schema/.
ROWS = {
    "domain": [{"domain": "bulk.example"}],
    "mailbox": [
        {"username": CAROL, "password": "{PLAIN}secret", "quota": 100000000},
        {"username": "full@example.com", "password": "{PLAIN}secret", "quota": 40000},
        {"username": "fax@example.com"},
        {"username": "gone@example.com", "password": "{PLAIN}secret", "active": 0},
        {"username": "reader@example.com", "password": "{PLAIN}secret", "smtp_active": 0},
        {"username": "changing@example.com", "password": "{PLAIN}before"},
    ],
    "alias": [{"address": "team@example.com", "goto": goto} for goto in (ALICE, CAROL, "friend@elsewhere.example")],
    "transport": [{"destination": "fax@example.com", "transport": "smtp:[192.0.2.25]"},
                  {"destination": "far.example", "transport": "smtp:[192.0.2.25]"}],
    "rejected_tld": [{"tld": "badtld"}],
    "client_access": [{"client": "203.0.113.222", "action": "OK"}],
    "recipient_access": [{"recipient": "owner@example.com", "action": "REJECT not from strangers"}],
    "tls_policy": [{"destination": "plain.example", "policy": "encrypt"}],
}


@pytest.fixture(scope="module", autouse=True)
def possible():
    reason = mailserver.why_not()
    if reason:
        pytest.skip(reason)


@contextlib.contextmanager
def own_database(kind, network):
    """A database of our own, since we stop it, and empty."""
    if kind == "sqlite":
        path = network.machine.path(mailserver.SQLITE_FILE)
        path.parent.mkdir(exist_ok=True)
        yield Sqlite(path)
        return
    server = {"pgsql": PostgreSQL, "mysql": MariaDB}[kind]
    if server.why_not():
        pytest.skip(server.why_not())
    with server() as running:
        if kind == "mysql":
            # Where there is a binary log, only those who may do everything make triggers and functions.
            running.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        yield running


def fill(database):
    mail.make_database(database)
    mail.insert_rows(database, ROWS)
    database.load_rows("mailbox", ("username",), ((bulk(number),) for number in range(BULK)))


def bulk(number):
    return f"user{number}@bulk.example"


@pytest.fixture(scope="module", params=("sqlite", "pgsql", "mysql"))
def site(request):
    with netns.Network() as network, nameserver.running(network), own_database(request.param, network) as database, \
            contextlib.ExitStack() as stack:
        fill(database)
        sinks = [stack.enter_context(sink) for sink in outside_servers(network)]
        with mailserver.MailServer(network, database) as server:
            yield Site(server, sinks, stack)


# --- Mail that comes in


@pytest.mark.parametrize("recipient, places", [
    (CAROL, [CAROL]),
    ("Carol@Example.COM", [CAROL]),
    ("carol+tag@example.com", [CAROL]),
    ("info@example.com", [ALICE]),
    ("info+tag@example.com", [ALICE]),
    ("list@example.com", [ALICE, BOB]),
    ("team@example.com", [ALICE, CAROL, "elsewhere friend@elsewhere.example"]),
    ("anybody@example.org", [ALICE]),
    ("carol@example.net", [CAROL]),
    ("carol+tag@example.net", [CAROL]),
    ("info@example.net", [ALICE]),
    (BOB, [BOB, ARCHIVE]),
    ("postmaster@mail.example.com", [ALICE]),
    ("postmaster", [ALICE]),
    ("fax@example.com", ["branch fax@example.com"]),
    ("anybody@branch.example", ["branch anybody@branch.example"]),
])
def test_arrives(site, recipient, places):
    site.send(recipient, places)
    site.settle()


def test_arrives_by_tls_with_the_mark_of_spf(site):
    name = site.send("carol+tag@example.com", [CAROL])
    text = site.copy(name, CAROL)
    assert "with ESMTPS id" in text and "TLSv1.3" in text
    assert "Received-SPF: Pass" in text


def test_arrives_once_for_all_its_ways(site):
    site.send(["info@example.com", "anybody@example.org", ALICE, "alice@example.net"], [ALICE])
    site.settle()


def test_system_mail(site):
    """A program on the machine itself."""
    site.send_on_machine("root", [ALICE])
    site.settle()


# --- Mail that has to be refused


@pytest.mark.parametrize("recipient, how, reply", [
    ("nobody@example.com", {}, "550 5.1.1"),
    ("nobody+tag@example.net", {}, "550 5.1.1"),
    ("gone@example.com", {}, "550 5.1.1"),
    ("no-such-user@mail.example.com", {}, "550 5.1.1"),
    (CAROL, {"sender": "x@strict.example"}, "550 5.7.23"),
    (CAROL, {"sender": "x@shady.badtld"}, "554 5.7.1 <x@shady.badtld>: Sender address rejected"),
    (CAROL, {"sender": "x@spam.example"}, "554 5.7.1 <x@spam.example>: Sender address rejected"),
    (CAROL, {"source": "198.51.100.9"}, "554 5.7.1"),
    (CAROL, {"source": nameserver.NAMELESS}, "450 4.7.1 Client host rejected: cannot find your reverse hostname"),
    (CAROL, {"sender": "x@listed.example"}, "554 5.7.1 Service unavailable; Sender address"),
    (CAROL, {"sender": "x"}, "504 5.5.2"),
    (CAROL, {"sender": "x@localname"}, "504 5.5.2"),
    (CAROL, {"sender": "x@nowhere.example"}, "450 4.1.8"),
    (CAROL, {"sender": "x@silent.example"}, "550 5.7.27"),
    (CAROL, {"sender": "nobody@example.com"}, "550 5.1.0"),
    ("owner@example.com", {}, "550 5.1.1"),
    (STRANGER, {}, "554 5.7.1 <stranger@elsewhere.example>: Relay access denied"),
    ("carol%elsewhere.example@example.com", {}, "55"),
    (CAROL, {"port": 587}, "554 5.7.1"),
    (CAROL, {"port": 587, "tls": False}, "530 5.7.0 Must issue a STARTTLS"),
])
def test_refused(site, recipient, how, reply):
    answer = site.verdict(recipient, **how)
    assert answer.startswith(reply), answer


def test_refused_by_its_greeting(site):
    with site.server.smtp(source=site.source()) as client:
        client.ask("HELO me")
        client.ask("MAIL FROM:<writer@elsewhere.example>")
        assert client.ask(f"RCPT TO:<{CAROL}>").startswith("504 5.5.2 <me>: Helo command rejected")


@pytest.mark.parametrize("how", [
    {"sender": "x@soft.example"}, {"sender": "x@plain.example"}, {"sender": "x@unlisted.example"}, {"sender": ""},
    # A row of client_access excuses it from SPF.
    {"sender": "x@strict.example", "source": "203.0.113.222"},
    {"sender": "x@strict.example", "source": "203.0.113.99"},
])
def test_not_refused(site, how):
    site.send(CAROL, [CAROL], **how)


def test_over_quota(site):
    """Refused while the sender is there; and with more room, or less mail, taken at once."""
    user = "full@example.com"
    site.send(user, [user], size=20000)
    site.settle()
    # The message is there before it is counted.
    wait_until(lambda: site.database.execute(f"SELECT messages FROM quota WHERE username = '{user}';").strip() == "1", 10,
               lambda: "the message is not counted")
    for recipient in (user, "full+tag@example.com"):
        assert site.verdict(recipient, options=" SIZE=30000").startswith("552 5.2.2")
    # Dovecot 2.4.1 takes the words of quota_status_overquota for this, too.
    too_large = site.verdict(user, options=" SIZE=50000")
    assert too_large.startswith("552 5.2." if mailserver.is_dovecot24() else "552 5.2.3"), too_large
    site.send(user, [user], size=100)
    site.database.execute(f"UPDATE mailbox SET quota = 80000 WHERE username = '{user}';")
    wait_until(lambda: site.verdict(user, options=" SIZE=30000").startswith("250"), 10, lambda: "the new limit is not seen")
    site.send(user, [user], size=30000)


def test_limits(site):
    """Of connections, messages and recipients in a minute, for each client."""
    with contextlib.ExitStack() as stack:
        banners = [stack.enter_context(site.server.smtp(source="203.0.113.31")).banner[:3] for _ in range(11)]
    assert banners == ["220"] * 10 + ["421"]
    messages = site.talk(*["MAIL FROM:<writer@elsewhere.example>", "RSET"] * 26, source="203.0.113.32")
    assert [reply[:3] for reply in messages[::2]] == ["250"] * 25 + ["450"]
    recipients = site.talk("MAIL FROM:<writer@elsewhere.example>", *[f"RCPT TO:<{CAROL}>"] * 101, source="203.0.113.33")
    assert [reply[:3] for reply in recipients[1:]] == ["250"] * 100 + ["450"]


# --- People with an account


@pytest.mark.parametrize("port", [587, 465])
@pytest.mark.parametrize("user, sender, recipient, places", [
    (ALICE, ALICE, STRANGER, ["elsewhere stranger@elsewhere.example", ARCHIVE]),
    (CAROL, "carol+tag@example.com", STRANGER, ["elsewhere stranger@elsewhere.example"]),
    (BOB, "info@example.com", CAROL, [CAROL]),
    (CAROL, CAROL, "list@example.com", [ALICE, BOB]),
    (CAROL, CAROL, "x@far.example", ["branch x@far.example"]),
])
def test_submission(site, port, user, sender, recipient, places):
    site.send(recipient, places, port=port, login=(user, LOGIN[user]), sender=sender)


@pytest.mark.parametrize("user, sender, recipient, reply", [
    (CAROL, ALICE, STRANGER, "553 5.7.1"),
    (CAROL, "info@example.com", STRANGER, "553 5.7.1"),
    (CAROL, STRANGER, STRANGER, "553 5.7.1"),
    (CAROL, CAROL, "nobody@example.com", "550 5.1.1"),
    (CAROL, CAROL, "x@nowhere.example", "450 4.1.2"),
])
def test_submission_refused(site, user, sender, recipient, reply):
    answer = site.verdict(recipient, sender, port=587, login=(user, LOGIN[user]))
    assert answer.startswith(reply), answer


def log_in(site, user, password):
    """The reply to AUTH."""
    with site.server.smtp(587, source=site.source()) as client:
        client.ask("EHLO client.elsewhere.example")
        client.start_tls()
        client.ask("EHLO client.elsewhere.example")
        return client.log_in(user, password)


@pytest.mark.parametrize("user, password", [
    (CAROL, "wrong"), ("gone@example.com", "secret"), ("reader@example.com", "secret"), ("nobody@example.com", "secret"),
    (ARCHIVE, ""), (ARCHIVE, "x"),
])
def test_wrong_password(site, user, password):
    reply = log_in(site, user, password)
    assert reply.startswith("535 5.7.8"), reply


def test_no_password_without_tls(site):
    for port in (25, 587):
        with site.server.smtp(port, source=site.source()) as client:
            assert "AUTH" not in client.ask("EHLO client.elsewhere.example")
    with site.server.smtp(25, source=site.source()) as client:
        client.ask("EHLO client.elsewhere.example")
        client.start_tls()
        assert "AUTH" not in client.ask("EHLO client.elsewhere.example")


def test_imap(site):
    """Somebody reads his mail, and sees how much room there is."""
    name = site.send(CAROL, [CAROL])
    site.settle()
    client = site.imap(CAROL, LOGIN[CAROL])
    try:
        assert client.select("INBOX")[0] == "OK"
        numbers = client.search(None, "HEADER", "Subject", name)[1][0].split()
        assert len(numbers) == 1
        assert f"Subject: {name}".encode() in client.fetch(numbers[0], "(RFC822)")[1][0][1]
        answer, (roots, quota) = client.getquotaroot("INBOX")
        assert answer == "OK" and b"User quota" in roots[0]
        assert b"STORAGE" in quota[0] and quota[0].endswith(b" 97657)")
    finally:
        client.logout()
    assert int(site.database.execute(f"SELECT messages FROM quota WHERE username = '{CAROL}';")) > 0


def test_imap_is_closed_to_some(site):
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        site.imap(BOB, LOGIN[BOB])
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        site.imap(CAROL, "wrong")


def test_changed_password(site):
    user = "changing@example.com"
    for password, old in (("before", "after"), ("after", "before"), ("at last", "after")):
        site.database.execute(f"UPDATE mailbox SET password = '{{PLAIN}}{password}' WHERE username = '{user}';")
        assert log_in(site, user, password).startswith("235")
        assert log_in(site, user, old).startswith("535")
        site.imap(user, password).logout()
        with pytest.raises(imaplib.IMAP4.error):
            site.imap(user, old)


def test_mailbox_comes_and_goes(site):
    """Rows that change while all is cached."""
    user = "new@example.com"
    assert site.verdict(user).startswith("550")
    mail.insert_rows(site.database, {"mailbox": [{"username": user}]})
    wait_until(lambda: site.verdict(user).startswith("250"), 10, lambda: "the new mailbox is not seen")
    site.send(user, [user])
    site.settle()
    site.database.execute(f"UPDATE mailbox SET active = 0 WHERE username = '{user}';")
    wait_until(lambda: site.verdict(user).startswith("550"), 10, lambda: "the mailbox is still there")


def test_tls_policy(site):
    """Mail waits rather than going without TLS to where the table wants it."""
    site.send("x@plain.example", ["elsewhere x@plain.example"], port=587, login=(CAROL, LOGIN[CAROL]), sender=CAROL)
    wait_until(lambda: "TLS is required, but was not offered" in site.server.log(), 20, lambda: "nothing is deferred")
    site.database.execute("DELETE FROM tls_policy WHERE destination = 'plain.example';")
    site.server.drain()
    site.settle()


# --- With mail flowing


def recipients(part):
    """Of those of this part nobody has been asked for yet."""
    return itertools.cycle([bulk(part * 200 + number) for number in range(190)])


@contextlib.contextmanager
def away(database):
    """The database can't be reached meanwhile."""
    if database.kind == "sqlite":
        there, away = database.path, database.path.with_name("away.db")
        there.rename(away)
        try:
            yield
        finally:
            away.rename(there)
    else:
        database.stop()
        try:
            yield
        finally:
            database.start()


def end_well(site, flow_before):
    """All has arrived. What processes of smtpd remember of the outage is gone when the next test begins."""
    site.server.machine.run("postfix", "reload")
    site.server.drain()
    site.settle()
    assert not site.ledger.wrongly_refused
    return len(site.ledger.taken) - flow_before


def test_database_stopped(site):
    before = len(site.ledger.taken)
    with Flow(site, recipients(0)) as flow:
        flow.wait_for(30)
        with away(site.database):
            for number in range(190, 200):
                site.send_on_machine(bulk(number), [bulk(number)])
            flow.wait_for(40)
        flow.wait_for(30)
    assert end_well(site, before) >= 100
    assert site.ledger.put_off > 0, "the database was not missed"


def stale_answers(site):
    """How many tabled has given since it was reloaded."""
    said = site.server.tabledctl("/etc/tabled/tabled.conf", "cache", "--json")
    return sum(counters["stale"] for counters in json.loads(said.stdout)["maps"])


def reconfigure(site, options=()):
    site.server.write_conf("/etc/tabled/tabled.conf", mailserver.source_line(site.database), options)
    assert site.server.tabledctl("/etc/tabled/tabled.conf", "reload").returncode == 0


# How mail goes that was known before, by its recipient.
KNOWN = {CAROL: [CAROL], "info@example.com": [ALICE], "list@example.com": [ALICE, BOB], "anybody@example.org": [ALICE],
         "carol@example.net": [CAROL], "anybody@branch.example": ["branch anybody@branch.example"]}


def test_mail_goes_on_without_database(site):
    """From and to whoever was known, with an option of tabled.conf; though no process of Postfix knows any more."""
    clients = {recipient: site.source() for recipient in KNOWN}
    reconfigure(site, ["stale_negative"])
    for _ in range(2):
        for recipient, places in KNOWN.items():
            site.send(recipient, places, source=clients[recipient])
        site.send_on_machine("root", [ALICE])
        site.send_on_machine(STRANGER, [f"elsewhere {STRANGER}"])
    site.settle()
    with away(site.database):
        site.server.machine.run("postfix", "reload")
        time.sleep(3)  # the feed's word holds for two seconds
        for recipient, places in KNOWN.items():
            site.send(recipient, places, source=clients[recipient])
        site.send_on_machine("root", [ALICE])
        site.send_on_machine(STRANGER, [f"elsewhere {STRANGER}"])
        site.settle()
        assert stale_answers(site), "all was fresh: this showed nothing"
        assert site.verdict(bulk(BULK - 1), source=clients[CAROL]).startswith("451"), "nobody had asked for it before"
    reconfigure(site)


def local_mail(site):
    """How often pickup has tried to bring a message into the queue."""
    return site.server.log().count(" uid=0 from=<root>")


@pytest.mark.parametrize("options", [(), ("stale_negative",)], ids=["shipped", "stale_negative"])
def test_unknown_before_and_made_meanwhile(site, options):
    """Who was not there when the database was last asked is not refused, and what is sent to him does not bounce."""
    name = f"late{len(options)}"
    reconfigure(site, options)
    unknown = {f"{user}@{domain}": site.source() for user in (name, f"{name}-alias")
               for domain in ("example.com", "example.net")}
    for recipient, client in unknown.items():
        assert site.verdict(recipient, source=client).startswith("550")
        # As if mail had been sent to it by a program on the machine itself, before.
        site.server.tabledctl("/etc/tabled/tabled.conf", "get", "recipient_bcc_maps", recipient)
    before = local_mail(site)
    with away(site.database):
        site.server.machine.run("postfix", "reload")
        time.sleep(3)
        for recipient, client in unknown.items():
            assert site.verdict(recipient, sender="", source=client).startswith("451")
            site.send_on_machine(recipient, [ALICE if "alias" in recipient else f"{name}@example.com"])
        wait_until(lambda: local_mail(site) >= before + len(unknown), 20, lambda: "pickup does not look at the mail")
        site.server.machine.run("postfix", "stop")  # so that nobody asks before the rows are there
    mail.insert_rows(site.database, {"mailbox": [{"username": f"{name}@example.com"}],
                                     "alias": [{"address": f"{name}-alias@example.com", "goto": ALICE}]})
    site.server.machine.run("postfix", "start")
    for recipient in unknown:
        wait_until(lambda one=recipient: site.verdict(one).startswith("250"), 20, lambda: "it is still unknown")
    site.server.drain()
    site.settle()
    reconfigure(site)


def test_tabled_restarted(site):
    before = len(site.ledger.taken)
    with Flow(site, recipients(1)) as flow:
        flow.wait_for(20)
        site.server.tabled.stop()
        flow.wait_for(20)
        site.server.tabled.start()
        flow.wait_for(20)
        site.server.tabled.kill()
        flow.wait_for(20)
        site.server.tabled.start()
        flow.wait_for(20)
        site.server.tabled.signal(signal.SIGHUP)
        flow.wait_for(20)
    assert end_well(site, before) >= 120


# Where each goes.
SUCCESSOR = {"sqlite": "pgsql", "pgsql": "mysql", "mysql": "sqlite"}


def test_database_swapped(site):
    """As man tabledctl has it: schema, copy, compare, one line and a reload; then the old one goes away for good."""
    old = site.database
    new = site.stack.enter_context(own_database(SUCCESSOR[old.kind], site.server.network))
    before = len(site.ledger.taken)
    with Flow(site, recipients(2)) as flow:
        flow.wait_for(20)
        both = mailserver.source_line(old) + mailserver.source_line(new).replace(" mail {", " new {", 1)
        site.server.write_conf("/etc/tabled/both.conf", both)
        said = [site.server.tabledctl("/etc/tabled/both.conf", *words.split())
                for words in ("schema init new", "copy mail new", "compare mail new")]
        # How much mail there is changes with each message; Dovecot writes it anew with the next one.
        differing = {line.split(":")[0] for line in said[1].stdout.splitlines() if "the same" not in line}
        assert differing <= {"quota"}, said
        assert said[0].returncode == said[2].returncode == 0, said
        assert said[2].stdout.endswith(" 0 differences\n"), said
        site.server.write_conf("/etc/tabled/tabled.conf", mailserver.source_line(new))
        assert site.server.tabledctl("/etc/tabled/tabled.conf", "reload").returncode == 0
        site.database = new
        flow.wait_for(20)
        site.stack.enter_context(away(old))
        flow.wait_for(40)
    assert end_well(site, before) >= 80
    mail.insert_rows(new, {"mailbox": [{"username": "late@example.com"}]})
    site.send("late@example.com", ["late@example.com"])


# --- With what is not in use by default


def test_postscreen(site):
    """Strangers wait a little and get in; not who is listed, and whoever speaks before he is greeted."""
    site.server.use_postscreen()
    wait_until(lambda: site.verdict(CAROL).startswith("250"), 60, lambda: f"nobody gets in:\n{site.server.log()[-3000:]}")
    site.send("info@example.com", [ALICE])
    with site.server.smtp(source=nameserver.LISTED) as client:
        assert "521 5.7.1 Service unavailable" in client.banner and "zen.spamhaus.org" in client.banner
    with site.server.smtp(source=site.source(), early="EHLO client.elsewhere.example") as client:
        client.ask("MAIL FROM:<writer@elsewhere.example>")
        assert client.ask(f"RCPT TO:<{CAROL}>").startswith("550 5.5.1 Protocol error")
    site.send(CAROL, [CAROL], port=587, login=(CAROL, LOGIN[CAROL]), sender=CAROL)


# --- At the end


def test_nothing_is_lost(site, record_property):
    site.server.drain()
    site.settle()
    account = site.account()
    record_property("figures", f"mail server with {site.server.database.kind}: "
                    + ", ".join(f"{count} {what}" for what, count in account.items()))
    assert account["lost"] == account["bounced"] == account["twice or astray"] == 0
