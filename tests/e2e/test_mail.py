"""
The same mail through two real Postfix servers: one asks the database itself by proxy:sqlite:,
proxy:pgsql: or proxy:mysql:, the other asks tabled by socketmap:. Rows, queries and all else are the
same, so must be all that happens: each SMTP reply, the final recipients, their transports, the copies,
the bounces.

Both take the shipped main.cf, master.cf and tabled.conf. `want` in a case says by hand what is
right, so that two servers which fail alike do not pass: refusals by their code, and otherwise
"SINK RECIPIENT" for everybody who finally gets the message (or the bounce).
"""

import shutil

import pytest

from support import mail, postfix
from support.daemon import Daemon
from support.dovecot_auth import DovecotAuth
from support.mail import Case

pytestmark = pytest.mark.skipif(postfix.why_not() is not None, reason=str(postfix.why_not()))

SINKS = {"mailbox": True, "outside": False, "relay": False, "branch": False, "shop": True, "local": True}


def rows(sinks):
    """What the sample does not have."""
    def smtp(name):
        return f"smtp:[127.0.0.1]:{sinks[name].port}"

    def two(first, second, pairs):
        return [{first: left, second: right} for left, right in pairs]

    return {
        "domain": [{"domain": name} for name in (
            "shop.example", "moved.example", "bücher.example", "closed.example")]
        + [{"domain": "asleep.example", "active": 0}],
        "mailbox": [{"username": name} for name in (
            '"mary ann"@example.com', "dave@example.org", "carol@shop.example", "jürgen@example.com",
            "info@bücher.example", "eve@closed.example", "o'neil@example.com", "100%@example.com",
            "back\\slash@example.com", "max.mustermann@example.com", "zed@asleep.example")]
        + [{"username": "off@example.com", "active": 0}],
        "alias": two("address", "goto", (
            ("team@example.com", "alice@example.com"),
            ("team@example.com", "bob@example.com"),
            ("team@example.com", "friend@elsewhere.example"),
            ("nested@example.com", "list@example.com, info@example.com,guest@elsewhere.example"),
            ("twice@example.com", "bob@example.com,bob@example.com"),
            ("keep@example.com", "keep@example.com,alice@example.com"),
            ("loop-a@example.com", "loop-b@example.com"),
            ("loop-b@example.com", "loop-a@example.com"),
            ("remote@example.com", "someone@elsewhere.example"),
            ("alice+vip@example.com", "bob@example.com"),
            ("tagged@example.com", "alice+fixed@example.com"),
            ('"john doe"@example.com', "alice@example.com"),
            ('quote@example.com', '"mary ann"@example.com'),
            ("grüsse@example.com", "alice@example.com"),
            ("@moved.example", "@elsewhere.example"),
            ("stay@moved.example", "alice@example.com"),
            ("nodomain@example.com", "alice"),
            ("named@example.com", "Alice <alice@example.com>"),
            ("dead@example.com", "nobody@gone.example"),
            ("<>@example.com", "alice@example.com")))
        + [{"address": "sleeping@example.com", "goto": "alice@example.com", "active": 0}]
        + [{"address": f"odd{number}@example.com", "goto": value} for number, value in enumerate(VALUES)],
        "alias_domain": two("alias_domain", "target_domain", (
            ("second.example", "example.org"), ("bucher.example", "bücher.example"))),
        "relay_domain": [{"domain": name} for name in ("partner.example", "gone.example", "sub.example")],
        "transport": two("destination", "transport", (
            ("branch.example", smtp("branch")),
            (".branch.example", smtp("branch")),
            ("shop.example", f"lmtp:inet:127.0.0.1:{sinks['shop'].port}"),
            ("bob@example.com", smtp("branch")),
            ("alice+direct@example.com", f"lmtp:inet:127.0.0.1:{sinks['shop'].port}"),
            ("gone.example", "error:5.1.2 this domain is gone"),
            ("black.elsewhere.example", "discard:"),
            (".sub.example", smtp("branch")),
            ("deep.sub.example", smtp("shop")),
            ("nexthop.example", f":[127.0.0.1]:{sinks['branch'].port}"))),
        "sender_bcc": two("address", "goto", (
            ("@copied.example", "archive@example.com"), ("watched@elsewhere.example", "info@example.com"))),
        "recipient_bcc": two("address", "goto", (
            ("@shop.example", "archive@example.com"), ("remote@example.com", "spy+bcc@elsewhere.example"))),
        "client_access": two("client", "action", (
            ("192.0.2.7", "450 4.7.1 wait a little"),
            ("192.0.2", "DUNNO"),
            ("192", "REJECT should not be reached"),
            ("bad.example", "REJECT bad host"),
            ("good.bad.example", "OK"),
            ("2001:db8:bad", "REJECT bad network"),
            ("203.0.113.200", "PREPEND X-Client: known"))),
        "sender_access": two("sender", "action", (
            ("friend@spam.example", "OK"),
            ("noreply@", "554 5.7.1 write with a name"),
            ("<>", "PREPEND X-Null-Sender: yes"),
            ("bcc.example", "BCC archive@example.com"),
            ("redirect.example", "REDIRECT info@example.com"),
            ("filter.example", f"FILTER {smtp('branch')}"),
            ('"quoted sender"@elsewhere.example', "REJECT quoted"),
            ("weiss.example", "REJECT sharp s"),
            ("xn--mnchen-3ya.example", "REJECT a-label"))),
        "sender_login": two("sender", "login", (
            ("@example.org", "alice@example.com"), ("remote@example.com", "bob@example.com"),
            ("remote@example.com", "alice@example.com"), ("alice+shared@example.com", "bob@example.com"))),
    }


def to(address, *want, **more):
    return Case("to " + address, (address,), set(want), **more)


def sent_by(address, *want, **more):
    return Case("from " + address, ("alice@example.com",), set(want), sender=address, **more)


def came_from(client, name, *want):
    return Case(f"client {name} {client}", ("alice@example.com",), set(want), client=client, client_name=name)


def logged_in(user, sender, *want, recipient="alice@example.com"):
    return Case(f"login {user} as {sender} to {recipient}", (recipient,), set(want), sender=sender, login=user)


ALICE = "mailbox alice@example.com"
BOB = "branch bob@example.com"
ARCHIVE = "mailbox archive@example.com"

RECIPIENTS = [
    to("alice@example.com", ALICE),
    to("Alice@Example.COM", ALICE),
    to("alice+tag@example.com", "mailbox alice+tag@example.com"),
    to("Alice+Tag@Example.com", "mailbox alice+Tag@example.com"),
    to("alice+@example.com", "mailbox alice+@example.com"),
    to("alice+a+b@example.com", "mailbox alice+a+b@example.com"),
    to("alice+vip@example.com", BOB),
    to("alice+VIP@example.com", BOB),
    to("alice+direct@example.com", "shop alice+direct@example.com"),
    to("+tag@example.com", "550"),
    to("bob@example.com", BOB, ARCHIVE),
    to("BOB@EXAMPLE.COM", BOB, ARCHIVE),
    to("bob+tag@example.com", "branch bob+tag@example.com", ARCHIVE),
    to("info@example.com", ALICE),
    to("info+tag@example.com", "mailbox alice+tag@example.com"),
    to("INFO+Tag@Example.com", "mailbox alice+Tag@example.com"),
    to("tagged@example.com", "mailbox alice+fixed@example.com"),
    to("tagged+more@example.com", "mailbox alice+fixed+more@example.com"),
    to("list@example.com", ALICE, BOB),
    to("list+tag@example.com", "mailbox alice+tag@example.com", "branch bob+tag@example.com"),
    to("team@example.com", ALICE, BOB, "outside friend@elsewhere.example"),
    to("team+t@example.com", "mailbox alice+t@example.com", "branch bob+t@example.com",
       "outside friend+t@elsewhere.example"),
    to("nested@example.com", ALICE, BOB, "outside guest@elsewhere.example"),
    to("nested+n@example.com", "mailbox alice+n@example.com", "branch bob+n@example.com",
       "outside guest+n@elsewhere.example"),
    to("twice@example.com", BOB),
    to("keep@example.com", ALICE, "mailbox keep@example.com"),
    to("loop-a@example.com", "451"),
    to("loop-a+x@example.com", "451"),
    to("dead@example.com", "outside writer@elsewhere.example"),
    to("remote@example.com", "outside someone@elsewhere.example", "outside spy+bcc@elsewhere.example"),
    to("remote+r@example.com", "outside someone+r@elsewhere.example", "outside spy+bcc@elsewhere.example"),
    to("named@example.com", ALICE),
    to("named+n@example.com", "mailbox alice+n@example.com"),
    to("nodomain@example.com", "local alice@mail.example.com"),
    to("nobody@example.com", "550"),
    to("nobody+tag@example.com", "550"),
    to("off@example.com", "550"),
    to("sleeping@example.com", "550"),
    to("zed@asleep.example", "554"),
    to('"john doe"@example.com', ALICE),
    to('"John Doe"@Example.com', ALICE),
    to('"john doe+tag"@example.com', "mailbox alice+tag@example.com"),
    to('"mary ann"@example.com', 'mailbox "mary ann"@example.com'),
    to('"mary ann+x"@example.com', 'mailbox "mary ann+x"@example.com'),
    to("quote@example.com", 'mailbox "mary ann"@example.com'),
    to("quote+x@example.com", 'mailbox "mary ann+x"@example.com'),
    to('"alice"@example.com', ALICE),
    to('"al\\ice"@example.com', ALICE),
    to('"alice@example.com"@example.com', "554"),
    to("o'neil@example.com", "mailbox o'neil@example.com"),
    to("o'neil+it's@example.com", "mailbox o'neil+it's@example.com"),
    to('"back\\\\slash"@example.com', 'mailbox "back\\\\slash"@example.com'),
    to("max.mustermann+1@example.com", "mailbox max.mustermann+1@example.com"),
    to("max..mustermann@example.com", "550"),
    to("100%@example.com", "554"),
    to("alice%example.com@mail.example.com", "554"),
    to("alice@[127.0.0.1]", "550"),
    to("alice@[203.0.113.1]", "554"),
    to("postmaster", "local postmaster@mail.example.com"),
    to("postmaster@mail.example.com", "local postmaster@mail.example.com"),
    to("anyone@example.org", ALICE),
    to("Anyone+Tag@example.org", ALICE),
    to("dave@example.org", "mailbox dave@example.org"),
    to("dave+tag@example.org", "mailbox dave+tag@example.org"),
    to("someone@moved.example", "outside someone@elsewhere.example"),
    to("SomeOne+Tag@moved.example", "outside SomeOne+Tag@elsewhere.example"),
    to("stay@moved.example", ALICE),
    to("stay+t@moved.example", "mailbox alice+t@example.com"),
    to("alice@example.net", ALICE),
    to("Alice+Tag@Example.Net", "mailbox alice+Tag@example.com"),
    to("alice+vip@example.net", BOB),
    to("list@example.net", ALICE, BOB),
    to("list+l@example.net", "mailbox alice+l@example.com", "branch bob+l@example.com"),
    to("nobody@example.net", "550"),
    to("dave+x@second.example", "mailbox dave+x@example.org"),
    to("anyone@second.example", ALICE),
    to("anyone+x@second.example", ALICE),
    to("carol@shop.example", "shop carol@shop.example", ARCHIVE),
    to("carol+c@Shop.Example", "shop carol+c@shop.example", ARCHIVE),
    to("nobody@shop.example", "550"),
    to("x@branch.example", "branch x@branch.example"),
    to("x@hq.branch.example", "branch x@hq.branch.example"),
    to("X+Y@deep.HQ.branch.example", "branch X+Y@deep.HQ.branch.example"),
    to("x@partner.example", "relay x@partner.example"),
    to("x@sub.partner.example", "relay x@sub.partner.example"),
    to("x@notpartner.example", "554"),
    to("x@gone.example", "550"),
    to("x@sub.example", "relay x@sub.example"),
    to("x@a.sub.example", "branch x@a.sub.example"),
    to("x@deep.sub.example", "shop x@deep.sub.example"),
    to("x@a.deep.sub.example", "branch x@a.deep.sub.example"),
    to("x@elsewhere.example", "554"),
    to("@partner.example:alice@example.com", ALICE),
    to("grüße@example.com", ALICE, utf8=True),
    to("GRÜSSE@example.com", ALICE, utf8=True),
    to("GRÜßE+Ä@example.com", "mailbox alice+Ä@example.com", utf8=True),
    to("jürgen@example.com", "mailbox jürgen@example.com", utf8=True),
    to("JÜRGEN+ÖL@example.com", "mailbox jürgen+ÖL@example.com", utf8=True),
    to("info@bücher.example", "mailbox info@bücher.example", utf8=True),
    to("Info+x@BÜCHER.example", "mailbox info+x@bücher.example", utf8=True),
    to("info@bucher.example", "mailbox info@bücher.example", utf8=True),
    to("jürgen\udcff@example.com", "500", utf8=True),
    to("grüße@example.net", ALICE, utf8=True),
    to("<>@example.com", "501"),
    to("alice@example.com.", ALICE),
    to("alice@example..com", "501"),
]

SENDERS = [
    sent_by("", ALICE),
    sent_by("alice@example.com", ALICE, ARCHIVE),
    sent_by("Alice+Tag@Example.com", ALICE, ARCHIVE),
    sent_by("nobody@example.com", "550"),
    sent_by("info@example.com", ALICE),
    sent_by("anyone@example.org", ALICE),
    sent_by("x@copied.example", ALICE, ARCHIVE),
    sent_by("X+Y@Copied.Example", ALICE, ARCHIVE),
    sent_by("watched@elsewhere.example", ALICE),
    sent_by("watched+tag@elsewhere.example", ALICE),
    sent_by("x@spam.example", "554"),
    sent_by("x@SPAM.example", "554"),
    sent_by("x@mail.hq.spam.example", "554"),
    sent_by("x@notspam.example", ALICE),
    sent_by("friend@spam.example", ALICE),
    sent_by("Friend+tag@spam.example", ALICE),
    sent_by("friend@sub.spam.example", "554"),
    sent_by("noreply@elsewhere.example", "554"),
    sent_by("NoReply+123@elsewhere.example", "554"),
    sent_by("noreply2@elsewhere.example", ALICE),
    sent_by("x@bcc.example", ALICE, ARCHIVE),
    sent_by("x@redirect.example", "mailbox info@example.com"),
    sent_by("x@filter.example", "branch alice@example.com"),
    sent_by('"quoted sender"@elsewhere.example', "554"),
    sent_by('"quoted sender+x"@elsewhere.example', "554"),
    sent_by('"other sender"@elsewhere.example', ALICE),
    sent_by("x@weiß.example", "554", utf8=True),
    sent_by("x@WEIß.example", "554", utf8=True),
    sent_by("x@xn--mnchen-3ya.example", "554"),
    sent_by("x@[203.0.113.9]", ALICE),
    sent_by("postmaster", "504"),
]

CLIENTS = [
    came_from("198.51.100.3", "some.host.example", "554"),
    came_from("198.51.101.3", "some.host.example", ALICE),
    came_from("198.51.100.3", "[UNAVAILABLE]", "554"),
    came_from("192.0.2.7", "some.host.example", "450"),
    came_from("192.0.2.77", "some.host.example", ALICE),
    came_from("192.1.2.7", "some.host.example", "554"),
    came_from("203.0.113.200", "[UNAVAILABLE]", ALICE),
    came_from("203.0.113.201", "bad.example", "554"),
    came_from("203.0.113.201", "Mail.HQ.Bad.Example", "554"),
    came_from("203.0.113.201", "good.bad.example", ALICE),
    came_from("198.51.100.9", "very.good.bad.example", ALICE),
    came_from("203.0.113.201", "verybad.example", ALICE),
    came_from("IPV6:2001:db8:bad::7", "some.host.example", "554"),
    came_from("IPV6:2001:db8:900d::7", "some.host.example", ALICE),
]

LOGINS = [
    logged_in("alice@example.com", "alice@example.com", ALICE, ARCHIVE),
    logged_in("alice@example.com", "Alice+Tag@example.com", ALICE, ARCHIVE),
    logged_in("ALICE@example.com", "alice@example.com", ALICE, ARCHIVE),
    logged_in("bob@example.com", "alice@example.com", "553"),
    logged_in("bob@example.com", "alice+shared@example.com", ALICE, ARCHIVE),
    logged_in("alice@example.com", "alice+shared@example.com", "553"),
    logged_in("bob@example.com", "info@example.com", ALICE),
    logged_in("alice@example.com", "info@example.com", "553"),
    logged_in("bob@example.com", "remote+r@example.com", ALICE),
    logged_in("alice@example.com", "remote@example.com", ALICE),
    logged_in("alice@example.com", "anything@example.org", ALICE),
    logged_in("alice@example.com", "dave@example.org", "553"),
    logged_in("bob@example.com", "anything@example.org", "553"),
    logged_in("alice@example.com", "alice@example.net", "553"),
    logged_in("alice@example.com", "someone@elsewhere.example", "553"),
    logged_in("alice@example.com", "", ALICE),
    logged_in("alice@example.com", "alice@example.com", "outside far@elsewhere.example", ARCHIVE,
              recipient="far@elsewhere.example"),
    logged_in("alice@example.com", "alice@example.com", "branch x@nexthop.example", ARCHIVE,
              recipient="x@nexthop.example"),
    logged_in("alice@example.com", "alice@example.com", ARCHIVE, recipient="x@black.elsewhere.example"),
]

TOGETHER = [
    Case("many recipients", ("alice@example.com", "bob+b@example.com", "nobody@example.com", "list@example.net",
                             "x@elsewhere.example", "Info@Example.com", "x@a.sub.example"),
         {"550", "554", ALICE, "branch bob+b@example.com", BOB, ARCHIVE, "branch x@a.sub.example"}),
    Case("copies meet", ("bob@example.com", "carol@shop.example", "list@example.com"),
         {ALICE, BOB, ARCHIVE, "shop carol@shop.example"}, sender="alice@example.com"),
]

# What people write behind an alias, and what they write by mistake. Postfix reads the list, puts
# the extension into every address, and goes on with what it then has.
VALUES = [
    "alice@example.com,", "alice@example.com,,bob@example.com", " alice@example.com ", ",", " ", "()", "<>", '""',
    "alice@example.com bob@example.com", "alice@example.com\tbob@example.com", "alice@\nelsewhere.example",
    "alice@elsewhere.example;bob@elsewhere.example", "alice@elsewhere.example,<>", "<alice@example.com>",
    '"mary ann"@example.com', '"mary, ann"@example.com', '"a@b"@example.com', '"alice"@elsewhere.example',
    '"al\\"ice"@elsewhere.example', "al\\ice@elsewhere.example", '""@example.com', '"al ice"',
    "Alice Liddell <alice@example.com>", '"Liddell, Alice" <alice@example.com>', "alice@example.com (Alice)",
    "(c) alice@example.com", "alice@elsewhere.example,Bob B. <bob@elsewhere.example>",
    "=?utf-8?q?x?= <alice@elsewhere.example>", "group: alice@example.com, bob@example.com;",
    "alice", "alice,bob", "postmaster", "alice@", "alice@sub", "alice@elsewhere.example.", "alice@ELSEWHERE.example",
    "alice+fixed@elsewhere.example", "Postmaster@elsewhere.example", "owner-x@elsewhere.example",
    "alice@[192.0.2.1]", "alice@[IPv6:2001:db8::1]", "alice @ elsewhere.example", "a@b@elsewhere.example",
    "alice.@elsewhere.example", ".alice@elsewhere.example", "al..ice@elsewhere.example", "*@elsewhere.example",
    "alice@elsewhere..example", "alice@.elsewhere.example", "jürgen@elsewhere.example", "alice@bücher.elsewhere.example",
    "o'neil@elsewhere.example", "x" * 200 + "@elsewhere.example", "@elsewhere.example",
    "alice%example.com@mail.example.com", "user@host%dom.example", "elsewhere.example!user",
    "a!b!c@elsewhere.example", "mailto:alice@example.com", "a:b@elsewhere.example",
    '"|prog"', "/dev/null", ":include:/etc/passwd", 'alice@elsewhere.example"', "(unclosed alice@elsewhere.example",
    "<alice@elsewhere.example", "alice@elsewhere.example>", "a;b",
    "@elsewhere.example,alice@example.com", "alice@example.com,@elsewhere.example", "@a.example:alice@example.com",
]

# Values that tabled cannot treat as Postfix does when there is an extension to put in: tabled adds it
# to the text, Postfix to what trivial-rewrite made of it. README.md tells people.
DIFFERENT = {
    '"@elsewhere.example': "an open quote: Postfix puts the extension behind the domain, and bounces",
    "alice%example.com": "allow_percent_hack = no: the % is part of the name; tabled takes it for the @ it is by default",
}
VALUES += ["<@a.example:alice@example.com>", *DIFFERENT]


def value_cases(number):
    """Mail to the alias that has this value: without extension, with one, and with one in quotes."""
    value = VALUES[number]
    addresses = [f"odd{number}@example.com"]
    if value not in DIFFERENT:
        addresses += [f"odd{number}+Ex@example.com", f'"odd{number}+E x"@example.com']
    return [Case(f"{value!r} by {address}", (address,), None, utf8=not value.isascii()) for address in addresses]


BY_VALUE = [case for number in range(len(VALUES)) for case in value_cases(number)]

RANDOM = mail.random_cases(
    400,
    users=["alice", "bob", "dave", "info", "list", "team", "keep", "remote", "nobody", "off", "noreply", "friend",
           "watched", "tagged", "stay", "postmaster", "owner-list", "o'neil", "jürgen", "grüße", '"john doe"',
           '"mary ann"', '"alice"', '"a@b"', '"back\\\\slash"'],
    domains=["example.com", "example.org", "example.net", "second.example", "shop.example", "moved.example",
             "bücher.example", "asleep.example", "branch.example", "partner.example", "sub.example", "spam.example",
             "bcc.example", "copied.example", "elsewhere.example", "mail.example.com"],
    clients=[("203.0.113.7", "mail.elsewhere.example"), ("127.0.0.1", "localhost"), ("192.0.2.7", "[UNAVAILABLE]"),
             ("192.0.2.70", "x.bad.example"), ("203.0.113.200", "very.good.bad.example")])
CASES = RECIPIENTS + SENDERS + CLIENTS + LOGINS + TOGETHER
assert len({case.name for case in CASES}) == len(CASES), "two cases have one name"


def transports(sinks):
    """Where mail leaves the test's servers."""
    return {
        "virtual_transport": f"lmtp:inet:127.0.0.1:{sinks['mailbox'].port}",
        "local_transport": f"lmtp:inet:127.0.0.1:{sinks['local'].port}",
        "default_transport": f"smtp:[127.0.0.1]:{sinks['outside'].port}",
        "relay_transport": f"relay:[127.0.0.1]:{sinks['relay'].port}",
        "smtpd_authorized_xclient_hosts": "127.0.0.1",
    }


def tables_of_database(directory, database):
    """Postfix's own clients of the database, which are put in place of the shipped socketmaps."""
    maps = postfix.shipped_maps((postfix.SHIPPED / "tabled.conf").read_text())
    return postfix.proxy_tables(directory, database, maps)


# What chance adds to the cases is the engine's business, the same for all databases.
MESSAGES = {"sqlite": CASES + BY_VALUE + RANDOM, "pgsql": CASES + BY_VALUE + RANDOM[:100],
            "mysql": CASES + BY_VALUE + RANDOM[:100]}


@pytest.fixture(scope="module", params=MESSAGES)
def seen(request, fresh_database):
    reason = postfix.why_not(("socketmap", "proxy", request.param))
    if reason:
        pytest.skip(reason)
    directory = postfix.public_directory()
    try:
        database = fresh_database(request.param, "mail_test", directory)
        twin = database.twin_for_postfix()
        with mail.Sinks(**SINKS) as sinks:
            for one in {database, twin}:
                mail.make_database(one)
                one.execute("DELETE FROM transport;")  # its servers are not ours
                mail.insert_rows(one, rows(sinks))
            comparison = mail.Comparison(through_postfix_alone(directory, twin, sinks),
                                         through_tabled(directory, database, sinks))
            mail.print_summary(request, comparison)
            yield comparison
    finally:
        shutil.rmtree(directory)


def through_postfix_alone(directory, database, sinks):
    tables = tables_of_database(directory / "tables", database)
    with postfix.Postfix(transports(sinks), tables) as server, DovecotAuth(server.queue / "private" / "auth"):
        return mail.observe(server, sinks, MESSAGES[database.kind])


def through_tabled(directory, database, sinks):
    server = postfix.Postfix(transports(sinks))
    conf = mail.shipped_tabled_conf(server.queue / "private" / "tabled", database, directory / "control")
    with server, Daemon(conf), DovecotAuth(server.queue / "private" / "auth"):
        return mail.observe(server, sinks, MESSAGES[database.kind])


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_same_mail(seen, case):
    seen.check(case)


@pytest.mark.parametrize("number", range(len(VALUES)), ids=[ascii(value[:40]) for value in VALUES])
def test_same_mail_by_value(seen, number):
    seen.check_all(value_cases(number))


def test_same_notices(seen):
    seen.check_notices()


def test_same_random_mail(seen):
    seen.check_all([case for case in RANDOM if case.name in seen.tabled])
