"""
Sends a list of cases through a Postfix and writes down all that its users could see: the reply to
each command, who got the mail in the end and by which transport, bounces, and the delivery log.
Two servers that are the same to their users give equal observations.
"""

import os
import random
import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from support import dovecot
from support.databases import insertion
from support.dovecot_auth import PASSWORD
from support.postfix import wait_until
from support.sink import Sink
from support.smtp import SmtpClient

ROOT = Path(__file__).resolve().parents[2]
# What Postfix tells the postmaster has no other owner.
NOTICES = "notices"
SEED = int(os.environ.get("TABLED_SEED", "20261122"))


@dataclass(frozen=True)
class Case:
    """One message. `want` is what has to come of it: see test_mail.py."""
    name: str
    recipients: tuple
    want: object
    sender: str = "writer@elsewhere.example"
    client: str = "203.0.113.7"
    client_name: str = "mail.elsewhere.example"
    helo: str = "mail.elsewhere.example"
    login: str = ""         # log in to the submission service as this user
    utf8: bool = False      # ask for SMTPUTF8
    headers: tuple = ()     # besides the subject, which is the name


@dataclass
class Observation:
    replies: list = field(default_factory=list)     # (command, reply)
    deliveries: list = field(default_factory=list)  # (sink, sender, recipients, header lines)
    log: list = field(default_factory=list)         # to=, orig_to=, relay=, dsn=, status=

    def sort(self):
        self.deliveries.sort()
        self.log.sort()
        return self

    def outcome(self):
        """The refusals' codes, and "sink recipient" for each final recipient of the message."""
        codes = {reply[:3] for command, reply in self.replies
                 if reply[0] in "45" and not command.startswith("QUIT")}
        finals = {f"{sink} {recipient.split('>')[0].lstrip('<')}"
                  for sink, _, recipients, _ in self.deliveries for recipient in recipients}
        return codes | finals


@dataclass
class Comparison:
    """What both servers did with the same cases."""
    reference: dict  # case name: Observation
    tabled: dict

    def check(self, case):
        reference, ours = self.reference[case.name], self.tabled[case.name]
        assert ours.replies == reference.replies
        assert ours.deliveries == reference.deliveries
        assert ours.log == reference.log
        assert ours.outcome() == case.want

    def check_all(self, cases):
        """For cases without `want`: names those that differ."""
        assert cases
        names = [case.name for case in cases]
        differing = [name for name in names if self.reference[name] != self.tabled[name]]
        for name in differing[:3]:
            print(f"{name}\n  Postfix alone: {self.reference[name]}\n  tabled: {self.tabled[name]}")
        assert not differing, f"seed {SEED}: {differing}"

    def check_notices(self):
        assert self.tabled[NOTICES] == self.reference[NOTICES]

    def summary(self):
        alike = sum(self.reference[name] == self.tabled[name] for name in self.reference if name != NOTICES)
        recipients = sum(len(delivery[2]) for seen in self.reference.values() for delivery in seen.deliveries)
        refused = sum(any(reply[0] in "45" for _, reply in seen.replies) for seen in self.reference.values())
        return (f"{len(self.reference) - 1} messages, {refused} of them refused in part or whole, "
                f"{recipients} final recipients: {alike} alike")


def print_summary(request, comparison):
    """On the terminal, whatever pytest captures."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{comparison.summary()}")


class Sinks:
    """A server for each transport. sinks["name"].port is where it listens."""

    def __init__(self, **lmtp):
        self._sinks = {name: Sink(name, is_lmtp) for name, is_lmtp in lmtp.items()}
        self._stack = ExitStack()

    def __enter__(self):
        for sink in self._sinks.values():
            self._stack.enter_context(sink)
        return self

    def __exit__(self, *failure):
        return self._stack.__exit__(*failure)

    def __getitem__(self, name):
        return self._sinks[name]

    def __iter__(self):
        return iter(self._sinks.values())

    def take_all(self):
        return [delivery for sink in self for delivery in sink.take_all()]

    def name_ports(self, text):
        for sink in self:
            text = re.sub(rf"\b{sink.port}\b", f"PORT-OF-{sink.sink_name}", text)
        return text


def random_cases(count, users, domains, clients):
    """Messages between addresses put together by chance, the same for the same seed."""
    draw = random.Random(SEED)

    def word(words):
        text = draw.choice(words)
        return draw.choice((text, text, text, text.upper(), text.title()))

    def address():
        extension = draw.choice(("", "", "", "+tag", "+Tag-2", "-more", "+", "+a+b", "-"))
        subdomain = draw.choice(("", "", "", "sub.", "a.B."))
        user = word(users)
        local = user[:-1] + extension + '"' if user.endswith('"') else user + extension
        return f"{local}@{subdomain}{word(domains)}"

    def case(number):
        sender, recipient = draw.choice((address(), address(), "")), address()
        client, name = draw.choice(clients)
        return Case(f"random {number}: <{sender}> to <{recipient}> by {name} {client}", (recipient,), None,
                    sender, client, name, utf8=not (sender + recipient).isascii())

    return [case(number) for number in range(count)]


def make_database(database):
    """The shipped schema and sample."""
    schema = {"sqlite": "sqlite.sql", "pgsql": "postgresql.sql", "mysql": "mysql.sql"}[database.kind]
    for name in (schema, "sample.sql"):
        database.load_file(ROOT / "schema" / name)


def insert_rows(database, rows):
    """{table: [row, …]}; rows are dicts."""
    database.execute("".join(insertion(database.kind, table, row)
                             for table, entries in rows.items() for row in entries))


def shipped_tabled_conf(socket, database, control, source_options="", dict_socket=None, parts=()):
    """
    postfix-maps/tabled.conf, word for word, with the source, four paths and a group changed, and with the
    optional parts in use whose titles begin so; their dictionaries are named where they are to be had.
    Passwords are beside the `dict_socket`, at "auth" in place of "dict".
    """
    text = dovecot.with_parts((ROOT / "postfix-maps" / "tabled.conf").read_text(), parts)
    dict_socket = Path(dict_socket or f"{control}.dict")
    in_use = [name for name in re.findall(r"^dictionary (\w+)", text, re.MULTILINE) if name != "auth"]
    for old, new in (('sqlite mail { path = "/var/lib/tabled/mail.db" }\n', database.tabled_source(source_options)),
                     ("unix:/var/spool/postfix/private/tabled", f"unix:{socket}"),
                     ("unix:/run/tabled/control", f"unix:{control}"),
                     ("unix:/run/tabled/dict", f"unix:{dict_socket}"),
                     ("unix:/run/tabled/auth", f"unix:{dict_socket.with_name(dict_socket.name.replace('dict', 'auth'))}"),
                     ("dictionaries = {quota}", f"dictionaries = {{{', '.join(in_use)}}}"),
                     ("group = vmail", f"group = {dovecot.MAIL_USER}")):
        assert text.count(old) == 1, f"tabled.conf: {old} is not there once"
        text = text.replace(old, new)
    return text


def send(postfix, case):
    """Plays a case. Returns [(command, reply), …]."""
    port = postfix.submission_port if case.login else postfix.smtp_port
    replies = []
    with SmtpClient(port) as client:

        def ask(command):
            replies.append((command, client.ask(command)))
            return replies[-1][1]

        if case.login:
            ask("EHLO " + case.helo)
            client.start_tls()
            ask("EHLO " + case.helo)
            replies.append(("AUTH", client.log_in(case.login, PASSWORD)))
        else:
            ask("EHLO " + case.helo)
            ask(f"XCLIENT NAME={case.client_name} ADDR={case.client}")
            ask("EHLO " + case.helo)
        ask(f"MAIL FROM:<{case.sender}>" + (" SMTPUTF8" if case.utf8 else ""))
        accepted = [ask(f"RCPT TO:<{recipient}>").startswith("250") for recipient in case.recipients]
        if any(accepted) and ask("DATA").startswith("354"):
            replies.append(("(message)", client.send_message(message_text(case))))
        ask("QUIT")
    return replies


def message_text(case):
    lines = [f"Subject: {case.name}", *case.headers, "", "Text."]
    return "\n".join(lines)


def observe(postfix, sinks, cases):
    """Sends all cases, waits until the queue rests, and returns {case name: Observation}."""
    sinks.take_all()
    seen, owner = {NOTICES: Observation()}, {}
    for case in cases:
        seen[case.name] = Observation(send(postfix, case))
        queued = re.search(r"queued as (\w+)", seen[case.name].replies[-2][1])
        if queued:
            assert queued.group(1) not in owner, f"two messages are called {queued.group(1)}"
            owner[queued.group(1)] = case.name
    postfix.wait_until_idle()
    _wait_for_log(postfix, owner)
    log = postfix.log_text()
    _follow_bounces(log, owner)
    for delivery in sinks.take_all():
        name = owner.get(delivery.queue_id(), NOTICES)
        seen[name].deliveries.append((delivery.sink, delivery.sender, tuple(sorted(delivery.recipients)),
                                      _header_lines(delivery.message)))
    _read_log(log, owner, seen, sinks)
    for observation in seen.values():
        observation.replies = [(command, re.sub(r"queued as \w+", "queued", reply))
                               for command, reply in observation.replies]
        observation.sort()
    return seen


def _wait_for_log(postfix, owner):
    """Until it tells the end of each message, and of its bounces, that is not queued: a process of its own writes it."""
    queued = {message["queue_id"] for message in postfix.queued()}

    def is_complete():
        log, names = postfix.log_text(), dict(owner)
        _follow_bounces(log, names)
        return all(f": {name}: removed" in log for name in names if name not in queued)

    wait_until(is_complete, 30, lambda: f"the log tells too little:\n{postfix.log_text()[-4000:]}")


def _follow_bounces(log, owner):
    """A bounce is a message of its own; it belongs to the case of the message that caused it."""
    for parent, child in re.findall(r" (\w+): sender (?:non-)?delivery (?:status )?notification: (\w+)", log):
        if parent in owner:
            owner[child] = owner[parent]


def _header_lines(message):
    """The header without the lines that differ each time."""
    header = re.sub(rb"\n[ \t]+", b" ", message.split(b"\n\n", 1)[0])
    changing = re.compile(rb"(Received|Date|Message-Id|Content-Type):", re.I)
    return tuple(line.decode("utf-8", "replace") for line in header.split(b"\n") if not changing.match(line))


def _read_log(log, owner, seen, sinks):
    line_form = re.compile(r" postfix/(\S+)\[\d+\]: (\w+): (to=<.*?>, .*?relay=.*?), "
                           r"(?:conn_use=\d+, )?delay=.*?(dsn=.*)")
    for line in log.splitlines():
        found = line_form.search(line)
        if found and found.group(2) in owner:
            service, queue_id, to, result = found.groups()
            seen[owner[queue_id]].log.append(sinks.name_ports(f"{service} {to} {result}"))
