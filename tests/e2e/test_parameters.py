"""
Parameters that the shipped main.cf does not use, and settings that differ from the defaults:
extensions after + and -, other parent_domain_matches_subdomains, other propagation, domains in
mydestination, the transport *. Again one server with proxy:sqlite:, one with socketmap:, same mail.

Each parameter has a map of its own; the rows of all are in one table.
"""

import shutil

import pytest

from support import mail, postfix
from support.daemon import Daemon
from support.databases import Sqlite
from support.dovecot_auth import DovecotAuth
from support.mail import Case

pytestmark = pytest.mark.skipif(postfix.why_not() is not None, reason=str(postfix.why_not()))

SINKS = {"mailbox": True, "outside": False, "relay": False, "branch": False, "local": True, "star": False}

SETTINGS = {
    "recipient_delimiter": "+-",
    "propagate_unmatched_extensions": "virtual, generic",
    "parent_domain_matches_subdomains": "transport_maps, mynetworks",
    "masquerade_domains": "inside.example",
    "smtpd_reject_unlisted_sender": "yes",
}

# Options of each map beside the query. What Postfix reads in main.cf, tabled has to be told.
LOCAL = 'local_domains = {"mail.example.com", "local.example", "[127.0.0.1]", "[192.0.2.1]"}'
DELIMITER = 'recipient_delimiter = "+-"'
MAPS = {
    "mydestination": "",
    "mynetworks": "",
    "virtual_mailbox_domains": "",
    "virtual_mailbox_maps": f"{DELIMITER} {LOCAL}",
    "virtual_alias_maps": f"{DELIMITER} {LOCAL}",
    "relay_domains": 'parent_domains = "dotted"',
    "relay_recipient_maps": f"{DELIMITER} {LOCAL}",
    "local_recipient_maps": f"{DELIMITER} {LOCAL}",
    "transport_maps": f'{DELIMITER} parent_domains = "bare"',
    "canonical_maps": f"{DELIMITER} {LOCAL} propagate_extension = no",
    "sender_canonical_maps": f"{DELIMITER} {LOCAL} propagate_extension = no",
    "recipient_canonical_maps": f"{DELIMITER} {LOCAL} propagate_extension = no",
    "smtp_generic_maps": f"{DELIMITER} {LOCAL} propagate_extension = yes",
    "lmtp_generic_maps": f"{DELIMITER} {LOCAL} propagate_extension = yes",
    "relocated_maps": f"{DELIMITER} {LOCAL}",
    "sender_dependent_default_transport_maps": f"{DELIMITER} {LOCAL}",
    "sender_dependent_relayhost_maps": f"{DELIMITER} {LOCAL}",
    "sender_bcc_maps": f"{DELIMITER} {LOCAL}",
    "recipient_bcc_maps": f"{DELIMITER} {LOCAL}",
    "smtpd_sender_login_maps": f"{DELIMITER} {LOCAL}",
    "masquerade_exceptions": "",
    "header_checks": "",
    "smtpd_reject_footer_maps": "",
    "smtpd_discard_ehlo_keyword_address_maps": "",
    "smtp_tls_policy_maps": "",
    "check_client_access": 'parent_domains = "dotted"',
    "check_reverse_client_hostname_access": 'parent_domains = "dotted"',
    "check_helo_access": 'parent_domains = "dotted"',
    "check_sender_access": f'{DELIMITER} parent_domains = "dotted"',
    "check_recipient_access": f'{DELIMITER} parent_domains = "dotted"',
    "check_sasl_access": "",
}

# Parameters that take more than the table.
AROUND = {
    "mydestination": "$myhostname, {}",
    "mynetworks": "127.0.0.0/8, {}",
}
RESTRICTIONS = {
    "smtpd_client_restrictions": ("check_client_access", "check_reverse_client_hostname_access"),
    "smtpd_helo_restrictions": ("check_helo_access",),
    "smtpd_sender_restrictions": ("check_sender_access",),
    "smtpd_recipient_restrictions": ("check_sasl_access", "check_recipient_access"),
}


def rows(sinks):
    """(map, key, value)"""
    def smtp(name):
        return f"smtp:[127.0.0.1]:{sinks[name].port}"

    table = {
        "mydestination": {"local.example": "x", "[192.0.2.1]": "x"},
        "mynetworks": {"192.0.2.5": "x", "friends.example": "x"},
        "virtual_mailbox_domains": {"example.com": "x", "example.org": "x"},
        "virtual_mailbox_maps": {"alice@example.com": "x", "bob@example.com": "x", "owner-list@example.com": "x",
                                 "x-y@example.com": "x", "@example.org": "x"},
        # An address without domain, for whatever is local; and a domain, since the parameter
        # virtual_alias_domains has this table as its default.
        "virtual_alias_maps": {"info@example.com": "alice@example.com", "webmaster": "bob@example.com",
                               "webmaster+vip": "alice@example.com", "both": "alice@example.com, bob",
                               "aliases.example": "x", "sales@aliases.example": "bob@example.com, carl@aliases.example",
                               "carl@aliases.example": "alice@example.com", "owner-x@example.com": "bob@example.com",
                               "list@example.com": "bob@example.com", "@other.example": "@example.com",
                               "x-y@example.com": "bob@example.com"},
        "relay_domains": {"partner.example": "x", ".wide.example": "x"},
        "relay_recipient_maps": {"x@partner.example": "x", "@sub.wide.example": "x"},
        "local_recipient_maps": {"bob": "x", "postmaster": "x", "carol@local.example": "x", "dora": "x",
                                 "webmaster": "x",
                                 "both": "x", "gone": "x", "root": "x", "erin": "x"},
        "transport_maps": {"partner.example": smtp("branch"), "bob@example.com": smtp("branch"),
                           "wide.example": smtp("branch"), "*": smtp("star"), "alone.example": ":",
                           "example.com": ":", "example.org": ":",
                           "local.example": ":", "mail.example.com": ":", "a@sub.wide.example": smtp("relay")},
        "canonical_maps": {"old@example.com": "alice@example.com", "dora": "bob@example.com",
                           "@renamed.example": "@example.com", "old+keep@example.com": "bob+kept@example.com"},
        "sender_canonical_maps": {"me@example.com": "alice@example.com", "bob": "Bob.Smith@elsewhere.example",
                                  "@anon.example": "anonymous@elsewhere.example"},
        "recipient_canonical_maps": {"canon@example.com": "alice@example.com",
                                     '"odd name"@example.com': "bob@example.com"},
        "smtp_generic_maps": {"alice@example.com": "alice@outside.example", "@example.org": "@outside.example",
                              "root": "admin@outside.example"},
        "lmtp_generic_maps": {"writer@elsewhere.example": "rewritten@elsewhere.example"},
        "relocated_maps": {"moved@example.com": "moved@new.example", "gone": "gone@new.example",
                           "@left.example": "nowhere"},
        "sender_dependent_default_transport_maps": {"special@elsewhere.example": smtp("relay"), "<>": smtp("relay"),
                                                    "@hosted.example": "smtp:"},
        "sender_dependent_relayhost_maps": {"@hosted.example": f"[127.0.0.1]:{sinks['relay'].port}"},
        "sender_bcc_maps": {"erin": "alice@example.com", "copy@elsewhere.example": "bob@example.com"},
        "recipient_bcc_maps": {"alice@example.com": "bob+copy@example.com"},
        "smtpd_sender_login_maps": {"bob": "bob@example.com", "alice@example.com": "alice@example.com",
                                    "x@elsewhere.example": "blocked@example.com, bob@example.com"},
        "masquerade_exceptions": {"root": "x"},
        "header_checks": {"X-Spam: YES": "REJECT spam", "x-spam: maybe": "REJECT never, the case differs"},
        "smtpd_reject_footer_maps": {
            "550 5.1.1 <Nobody@example.com>: Recipient address rejected: User unknown in virtual mailbox table":
                "Ask the postmaster"},
        "smtpd_discard_ehlo_keyword_address_maps": {"203.0.113.66": "silent-discard, dsn, etrn"},
        "smtp_tls_policy_maps": {f"[127.0.0.1]:{sinks['branch'].port}": "none"},
        "check_client_access": {"bare.example": "REJECT never, subdomains need a dot", ".dot.example": "REJECT",
                                "198.51.100": "REJECT"},
        "check_reverse_client_hostname_access": {".reverse.example": "REJECT"},
        "check_helo_access": {".helo.example": "REJECT", "192.0.2.9": "REJECT", "192.0.2": "REJECT never, exact only"},
        "check_sender_access": {"spam.example": "REJECT", ".spam.example": "450 4.7.1 later", "trap@": "REJECT",
                                "good-one@spam.example": "OK", "owner-good@spam.example": "OK"},
        "check_recipient_access": {"closed@example.com": "REJECT closed", "shut@": "REJECT shut"},
        "check_sasl_access": {"blocked@example.com": "REJECT blocked"},
    }
    return [(name, key, value) for name, entries in table.items() for key, value in entries.items()]


def query(name):
    return f"SELECT value FROM lookup WHERE map = '{name}' AND key = '%s' ORDER BY rowid"


def settings(sinks, tables):
    """main.cf's lines for {map: table}."""
    restrictions = {name: ", ".join(f"{check} {tables[check]}" for check in checks)
                    for name, checks in RESTRICTIONS.items()}
    return {
        **SETTINGS,
        **{name: AROUND.get(name, "{}").format(table) for name, table in tables.items()
           if not name.startswith("check_")},
        **restrictions,
        # They hold for people with an account, too.
        "mua_client_restrictions": restrictions["smtpd_client_restrictions"],
        "mua_recipient_restrictions": restrictions["smtpd_recipient_restrictions"],
        "virtual_alias_domains": "$virtual_alias_maps",
        "virtual_transport": f"lmtp:inet:127.0.0.1:{sinks['mailbox'].port}",
        "local_transport": f"lmtp:inet:127.0.0.1:{sinks['local'].port}",
        "default_transport": f"smtp:[127.0.0.1]:{sinks['outside'].port}",
        "relay_transport": f"relay:[127.0.0.1]:{sinks['relay'].port}",
        "smtpd_authorized_xclient_hosts": "127.0.0.1",
    }


def to(address, *want, **more):
    return Case("to " + address, (address,), set(want), **more)


def sent_by(address, *want, **more):
    return Case("from " + address, ("bob@example.com",), set(want), sender=address, **more)


def with_headers(name, client, *headers):
    return Case(f"headers {name}", ("bob@example.com",), {"branch bob@example.com"},
                sender="root@host.inside.example", client=client, headers=headers)


BOB = "branch bob@example.com"
ALICE = "mailbox alice@example.com"
COPY = "branch bob+copy@example.com"

CASES = [
    to("alice@example.com", ALICE, COPY),
    to("alice-tag@example.com", "mailbox alice-tag@example.com", COPY),
    to("alice+tag-more@example.com", "mailbox alice+tag-more@example.com", COPY),
    to("alice-tag+more@example.com", "mailbox alice-tag+more@example.com", COPY),
    to("info-tag@example.com", "mailbox alice-tag@example.com"),
    to("owner-list@example.com", "mailbox owner-list@example.com"),
    to("owner-alice@example.com", "550"),
    to("list-request@example.com", "550"),
    to("list-Request@example.com", "550"),
    to("list-requests@example.com", "branch bob-requests@example.com"),
    to("x-y@example.com", BOB),
    to("x-y-z@example.com", "550"),
    to("owner-x@example.com", BOB),
    to("OWNER-X@example.com", BOB),
    to("postmaster-x@example.com", "550"),
    to("Mailer-Daemon+x@example.com", "550"),
    to("double-bounce@example.com", "550"),
    to("webmaster@mail.example.com", BOB),
    to("webmaster+t@mail.example.com", "branch bob+t@example.com"),
    to("Webmaster+VIP@local.example", ALICE),
    to("webmaster+vip@[127.0.0.1]", ALICE),
    to("webmaster+a@[192.0.2.1]", "branch bob+a@example.com"),
    to("both-b@local.example", "mailbox alice-b@example.com", "local bob-b@mail.example.com"),
    to("carol+c@local.example", "local carol+c@local.example"),
    to("bob-b@mail.example.com", "local bob-b@mail.example.com"),
    to("nobody@mail.example.com", "550"),
    to("nobody@local.example", "550"),
    to("anyone@example.org", "mailbox anyone@example.org"),
    to("anyone@aliases.example", "550"),
    to("sales+s@aliases.example", "branch bob+s@example.com", "mailbox alice+s@example.com"),
    to("alice@other.example", "554"),
    to("x@partner.example", "branch x@partner.example"),
    to("X+Y@partner.example", "branch X+Y@partner.example"),
    to("y@partner.example", "550"),
    to("x@sub.partner.example", "554"),
    to("x@wide.example", "554"),
    to("x@sub.wide.example", "branch x@sub.wide.example"),
    to("a-b@sub.wide.example", "relay a-b@sub.wide.example"),
    to("x@other.wide.example", "550"),
    to("old@example.com", ALICE, COPY),
    to("old+tag@example.com", ALICE, COPY),
    to("old+keep@example.com", "branch bob+kept@example.com"),
    to("dora@local.example", BOB),
    to("dora-d@mail.example.com", BOB),
    to("alice@renamed.example", "554"),
    to("canon@example.com", ALICE, COPY),
    to("Canon-x@example.com", ALICE, COPY),
    to('"odd name"@example.com', BOB),
    to('"odd name+x"@example.com', BOB),
    to("moved@example.com", "550"),
    to("moved+x@example.com", "550"),
    to("gone@local.example", "550"),
    to("gone-x@mail.example.com", "550"),
    to("Nobody@example.com", "550"),
    to("nobody@example.com", "550"),
    to("closed+x@example.com", "554"),
    to("shut-x@example.com", "554"),
    to("far@elsewhere.example", "star far@elsewhere.example", client="192.0.2.5"),
    to("away@elsewhere.example", "554", client="192.0.2.50"),
    to("friend@elsewhere.example", "star friend@elsewhere.example", client_name="mail.friends.example"),
    to("home@elsewhere.example", "star home@elsewhere.example", client="127.0.0.1",
       sender="alice+gen@example.com"),
    to("home2@elsewhere.example", "star home2@elsewhere.example", client="127.0.0.1", sender="any@example.org"),
    to("home3@elsewhere.example", "star home3@elsewhere.example", client="127.0.0.1", sender="root+r@mail.example.com"),
    sent_by("", BOB),
    sent_by("me+tag@example.com", BOB),
    sent_by("bob@local.example", BOB),
    sent_by("bob-x@mail.example.com", BOB),
    sent_by("erin-x@mail.example.com", BOB, ALICE),
    sent_by("someone@anon.example", BOB),
    sent_by("copy-1@elsewhere.example", BOB),
    sent_by("x@spam.example", "554"),
    sent_by("x@sub.spam.example", "450"),
    sent_by("good-one@spam.example", BOB),
    sent_by("good-one-more@spam.example", "554"),
    sent_by("owner-good@spam.example", BOB),
    sent_by("owner-good+x@spam.example", "554"),
    sent_by("Trap-x@elsewhere.example", "554"),
    sent_by("root@host.inside.example", BOB),
    Case("special sender", ("far@alone.example",), {"relay far@alone.example"}, client="127.0.0.1",
         sender="special-x@elsewhere.example"),
    Case("hosted sender", ("far@alone.example",), {"relay far@alone.example"}, client="127.0.0.1",
         sender="x@hosted.example"),
    Case("null sender far away", ("far@alone.example",), {"relay far@alone.example"}, client="127.0.0.1", sender=""),
    Case("client with a dotted parent", ("bob@example.com",), {"554"}, client_name="host.dot.example"),
    Case("client of the domain itself", ("bob@example.com",), {BOB}, client_name="dot.example"),
    Case("client with a bare parent", ("bob@example.com",), {BOB}, client_name="host.bare.example"),
    Case("client by address", ("bob@example.com",), {"554"}, client="198.51.100.77"),
    Case("client without keywords", ("bob@example.com",), {BOB}, client="203.0.113.66"),
    Case("helo by parent", ("bob@example.com",), {"554"}, helo="Host.HELO.example"),
    Case("helo by address", ("bob@example.com",), {"554"}, helo="192.0.2.9"),
    Case("helo is not a network", ("bob@example.com",), {BOB}, helo="192.0.2.10"),
    Case("helo literal", ("bob@example.com",), {BOB}, helo="[192.0.2.9]"),
    Case("blocked login", ("bob@example.com",), {"554"}, sender="x@elsewhere.example", login="Blocked@example.com"),
    Case("login allowed", ("bob@example.com",), {BOB}, sender="x@elsewhere.example", login="Bob@example.com"),
    Case("login by bare name", ("bob@example.com",), {BOB}, sender="bob+b@local.example",
         login="bob@example.com"),
    Case("spam header", ("bob@example.com",), {"550"}, headers=("X-Spam: YES",)),
    Case("spam header in lower case", ("bob@example.com",), {BOB}, headers=("x-spam: yes",)),
    Case("perhaps spam", ("bob@example.com",), {BOB}, headers=("X-Spam: Maybe",)),
    with_headers("of a stranger", "203.0.113.7", "From: old+x@example.com", "To: dora"),
    with_headers("of our own", "127.0.0.1", "From: Old <old+x@example.com>", "To: dora-x, Me <me+tag@example.com>",
                 "Cc: user@host.inside.example, root@host.inside.example"),
]
RANDOM = mail.random_cases(
    400,
    users=["alice", "bob", "x", "x-y", "owner-list", "list", "list-request", "owner-x", "webmaster", "both", "carol",
           "dora", "gone", "erin", "old", "me", "moved", "canon", "root", "sales", "trap", "shut", "special", "copy",
           "good-one", "nobody", "postmaster", "mailer-daemon", "double-bounce", '"odd name"', '"x-y"', '"owner-"'],
    domains=["example.com", "example.org", "local.example", "mail.example.com", "[127.0.0.1]", "[192.0.2.1]",
             "aliases.example", "other.example", "partner.example", "wide.example", "renamed.example", "left.example",
             "inside.example", "spam.example", "anon.example", "hosted.example", "alone.example", "elsewhere.example"],
    clients=[("203.0.113.7", "mail.elsewhere.example"), ("127.0.0.1", "localhost"), ("192.0.2.5", "[UNAVAILABLE]"),
             ("198.51.100.7", "x.friends.example"), ("203.0.113.66", "a.dot.example")])
assert len({case.name for case in CASES}) == len(CASES), "two cases have one name"


@pytest.fixture(scope="module")
def seen(request):
    directory = postfix.public_directory()
    database = Sqlite(directory / "mail.db")
    try:
        with mail.Sinks(**SINKS) as sinks:
            make_database(database, sinks)
            comparison = mail.Comparison(through_sqlite(directory, database, sinks), through_tabled(database, sinks))
            mail.print_summary(request, comparison)
            yield comparison
    finally:
        shutil.rmtree(directory)


def make_database(database, sinks):
    database.execute("CREATE TABLE lookup (map TEXT, key TEXT, value TEXT, PRIMARY KEY (map, key));")
    database.load_rows("lookup", ("map", "key", "value"), rows(sinks))


def through_sqlite(directory, database, sinks):
    maps = {name: {"query": query(name)} for name in MAPS}
    tables = postfix.proxy_tables(directory / "sqlite", database, maps)
    # proxymap serves only what proxy_read_maps lists, and three of these are not in it by default.
    with postfix.Postfix({**settings(sinks, tables), "proxy_read_maps": " ".join(tables.values())}) as server, \
            DovecotAuth(server.queue / "private" / "auth"):
        return mail.observe(server, sinks, CASES + RANDOM)


def through_tabled(database, sinks):
    server = postfix.Postfix(settings(sinks, {name: f"socketmap:unix:private/tabled:{name}" for name in MAPS}))
    conf = (database.tabled_source()
            + f'socketmap {{ listen = "unix:{server.queue}/private/tabled" owner = postfix mode = "0660" }}\n')
    conf += "".join(f'map {name} {{ source = mail query = "{query(name)}" {options} }}\n'
                    for name, options in MAPS.items())
    with server, Daemon(conf), DovecotAuth(server.queue / "private" / "auth"):
        return mail.observe(server, sinks, CASES + RANDOM)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_same_mail(seen, case):
    seen.check(case)


def test_same_notices(seen):
    seen.check_notices()


def test_same_random_mail(seen):
    seen.check_all(RANDOM)
