"""
Mail that is counted: what was sent to a whole mail server (mailserver.py), and what has become of each message.

A message carries a name of its own. The ledger knows in which places copies of it have to arrive: mailboxes by
their user, and servers outside as "NAME recipient".
"""

import collections
import contextlib
import itertools
import re
import threading
import time
from dataclasses import dataclass, field

from support import nameserver, netns
from support.postfix import wait_until
from support.sink import Sink

HEADER = "X-Test-Mail"
PATIENCE = 60  # seconds for what has to come


@dataclass
class Sent:
    """A message that the server has taken."""
    name: str
    places: tuple  # where its copies have to arrive


@dataclass
class Ledger:
    """What was sent. Threads share it."""
    taken: list = field(default_factory=list)    # Sent
    refused: int = 0                             # as it had to be
    put_off: int = 0                             # times that a sender was told to come again
    wrongly_refused: list = field(default_factory=list)
    _numbers: object = field(default_factory=itertools.count)

    def name(self):
        return f"m{next(self._numbers)}."

    def take(self, name, places):
        self.taken.append(Sent(name, tuple(places)))


class Site:
    """A mail server, the servers outside, and the ledger. What else has to end with it goes to `stack`."""

    def __init__(self, server, sinks, stack=None):
        self.server, self.sinks, self.stack = server, sinks, stack
        self.database = server.database  # the one in use
        self.ledger = Ledger()
        # A list, since threads may not share a generator.
        self._bulk_sources = itertools.cycle([netns.host_of("198.18.0.0/22", number) for number in range(10, 1000)])

    def source(self):
        """The address of a client that was not here in the last minutes, so that no limit applies."""
        return next(self._bulk_sources)

    # --- Sending

    def talk(self, *commands, source=None, port=25, login=None, tls=True):
        """A conversation up to QUIT, as a polite client has it. Returns the replies to the commands given."""
        with self.server.smtp(port, source or self.source()) as client:
            self._greet(client, port, login, tls)
            replies = [client.ask(command) for command in commands]
            client.ask("QUIT")
            return replies

    @staticmethod
    def _greet(client, port, login, tls):
        hello = "EHLO client.elsewhere.example"
        assert client.ask(hello).startswith("250")
        if tls and port != 465:
            assert client.start_tls().startswith("220")
            assert client.ask(hello).startswith("250")
        if login:
            reply = client.log_in(*login)
            assert reply.startswith("235"), reply

    def verdict(self, recipient, sender="writer@elsewhere.example", **how):
        """The reply that decides about a recipient; nothing is sent."""
        options = how.pop("options", "")
        replies = self.talk(f"MAIL FROM:<{sender}>{options}", f"RCPT TO:<{recipient}>", **how)
        verdict = next((reply for reply in replies if reply[0] != "2"), replies[-1])
        self.ledger.refused += verdict[0] != "2"
        return verdict

    def attempt(self, recipients, name, sender="writer@elsewhere.example", port=25, login=None, source=None, size=0,
                headers=""):
        """Sends a message. Returns the first reply that is no success, or that of the message's end."""
        with self.server.smtp(port, source or self.source()) as client:
            self._greet(client, port, login, True)
            for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients), "DATA"):
                reply = client.ask(command)
                if reply[0] not in "23":
                    return reply
            reply = client.send_message(f"Subject: {name}\n{HEADER}: {name}\nFrom: <{sender}>\n{headers}\n"
                                        + "x" * 70 + ("\n" + "x" * 70) * (size // 71))
            with contextlib.suppress(OSError):  # the message is taken, or not, whatever comes now
                client.ask("QUIT")
            return reply

    def send(self, recipients, places, **how):
        """Sends a message that has to be taken."""
        name = self.ledger.name()
        recipients = [recipients] if isinstance(recipients, str) else recipients
        reply = self.attempt(recipients, name, **how)
        assert reply.startswith("250"), reply
        self.ledger.take(name, places)
        return name

    def send_on_machine(self, recipient, places):
        """By a program on the machine itself, which can't be told to come again."""
        name = self.ledger.name()
        self.server.machine.run("sendmail", recipient, text=f"Subject: {name}\n{HEADER}: {name}\n\nAll is well.\n")
        self.ledger.take(name, places)

    def imap(self, user, password):
        return self.server.imap(user, password, self.source())

    # --- What has become of it

    def arrived(self):
        """{(name, place): copies}"""
        counts = collections.Counter()
        for user in self.server.users():
            for text in self.server.mailbox(user):
                counts.update((name, user) for name in _names(text))
        for sink in self.sinks:
            for delivery in sink.look():
                for name in _names(delivery.message.decode(errors="replace")):
                    counts.update((name, f"{sink.sink_name} {one.split('>')[0].lstrip('<')}")
                                  for one in delivery.recipients)
        return counts

    def missing(self):
        arrived = self.arrived()
        return [(sent.name, place) for sent in self.ledger.taken for place in sent.places
                if arrived[sent.name, place] < 1]

    def settle(self, seconds=PATIENCE):
        """Waits until all has arrived that was taken."""
        wait_until(lambda: not self.missing(), seconds,
                   lambda: f"{self.missing()[:10]} is missing\n{self.server.queue()[:3]}\n{self.server.log()[-5000:]}")

    def copy(self, name, user):
        """The text of a message in a mailbox."""
        self.settle()
        return next(text for text in self.server.mailbox(user) if name in _names(text))

    def account(self):
        """{what: count} of all that has happened."""
        arrived, log = self.arrived(), self.server.log()
        expected = collections.Counter((sent.name, place) for sent in self.ledger.taken for place in sent.places)
        return {
            "sent": len(self.ledger.taken),
            "refused": self.ledger.refused,
            "put off": self.ledger.put_off,
            "delivered": sum(arrived.values()),
            "deferred": len(set(re.findall(r"(\w+): to=<.*status=deferred", log))),
            "bounced": len(re.findall(r"status=bounced", log)) + len(self.ledger.wrongly_refused),
            "lost": sum((expected - arrived).values()),
            "twice or astray": sum((arrived - expected).values()),
        }


def _names(text):
    """Which of our messages it is; no bounce, which only tells of one."""
    head = text.replace("\r\n", "\n").split("\n\n", 1)[0]
    return re.findall(rf"^{HEADER}: (\S+)$", head, re.M)


class Flow:
    """
    Senders outside who send one message after the other from `with` to its end, each to the next of the
    recipients. Like any mail server they keep what is put off, and come again with it.
    """

    def __init__(self, site, recipients, senders=3, pause=0.05):
        self._site, self._pause = site, pause
        self._recipients = iter(recipients)
        self._lock = threading.Lock()
        self._waiting = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(senders)]
        self._failures = []  # of the senders themselves
        self.count = 0

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure):
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures, self._failures
        if failure[0] is None:
            self._send_what_waits()

    def wait_for(self, more):
        """Until so many messages more were tried."""
        goal = self.count + more
        wait_until(lambda: self.count >= goal, PATIENCE, lambda: f"senders are stuck at {self.count} messages")

    def _run(self):
        try:
            while not self._over.wait(self._pause):
                with self._lock:
                    recipient, name = next(self._recipients), self._site.ledger.name()
                self._try(recipient, name)
                self.count += 1
        except Exception as error:  # pylint: disable=broad-except # told at the end
            self._failures.append(error)

    def _try(self, recipient, name):
        try:
            reply = self._site.attempt([recipient], name)
        except (OSError, AssertionError) as error:  # the connection, or the reply to EHLO
            reply = f"421 {error}"
        with self._lock:
            if reply[0] == "2":
                self._site.ledger.take(name, [recipient])
            elif reply[0] in "4(":
                self._site.ledger.put_off += 1
                self._waiting.append((recipient, name))
            else:
                self._site.ledger.wrongly_refused.append((recipient, reply))

    def _send_what_waits(self):
        end = time.monotonic() + PATIENCE
        while self._waiting:
            assert time.monotonic() < end, f"{len(self._waiting)} messages are still put off"
            waiting, self._waiting = self._waiting, []
            for recipient, name in waiting:
                self._try(recipient, name)
            time.sleep(0.5)


def outside_servers(network):
    """The servers that take mail outside, to be entered: mx.elsewhere.example, and the branch office."""
    with network.outside():
        return [Sink("elsewhere", address=(nameserver.MX, 25)), Sink("branch", address=("192.0.2.25", 25))]
