"""
Clients that change rows through a dictionary all the time, and a ledger of what each was told. At its
end the tables have to agree with it: all or nothing of each transaction, what was answered "done" is
there, what was answered "failed" is not, and nothing was done twice.

    with Writers(daemon, ledger) as writers:
        ... break something, mend it ...
    ledger.check()

There are three kinds of transactions. A pair adds one to a row of `tally` and to one of `twin`, and
puts its own name into `entry`, so that the sums tell whether one was done by half, or twice. A knot is
a pair that meets its rows in one of two orders, so that two of them may lock each other out. A ticket
is a statement that stands alone: it adds one to a row that no other ticket meets.
"""

import collections
import contextlib
import random
import threading
import time

from support.client import DictClient, DictError
from support.slowness import slowness

TICKETS = 200000
ROWS = 4  # of tally and twin: few, so that writers meet

# `entry` is text on purpose: its names are the transactions'.
SCHEMA = """
CREATE TABLE tally (name VARCHAR(60) PRIMARY KEY, amount BIGINT NOT NULL);
CREATE TABLE twin (name VARCHAR(60) PRIMARY KEY, amount BIGINT NOT NULL);
CREATE TABLE entry (name VARCHAR(60) PRIMARY KEY, value VARCHAR(200) NOT NULL);
CREATE TABLE ticket (name VARCHAR(60) PRIMARY KEY, amount BIGINT NOT NULL);
"""
TABLES = ("tally", "twin", "entry", "ticket")

DICTIONARY = """
dictionary demo {
    key "shared/tally/$name" { source = mail  table = tally  fields = {"name = $name"}  value_field = amount  value_type = int  ttl = "1h" }
    key "shared/twin/$name" { source = mail  table = twin  fields = {"name = $name"}  value_field = amount  value_type = int  ttl = "1h" }
    key "shared/entry/$name" { source = mail  table = entry  fields = {"name = $name"}  value_field = value  ttl = "1h" }
    key "shared/ticket/$name" { source = mail  table = ticket  fields = {"name = $name"}  value_field = amount  value_type = int  ttl = "1h" }
    key "shared/bulk/$name" { source = mail  table = bulk  fields = {"name = $name"}  value_field = value }
}
dict { listen = "unix:@DIR@/dict" }
"""


class Ledger:
    """What the database holds, and what clients were told. Any thread may write into it."""

    def __init__(self, database):
        self.database = database
        self._naming = threading.Lock()
        self._last = -1  # the number of the last transaction
        self._cleared = 0  # the number of the first transaction since
        self.told = {}  # by name: one letter; "X": the connection ended before a reply
        self.why = collections.Counter()
        database.execute(SCHEMA)
        for table in ("tally", "twin"):
            database.load_rows(table, ("name", "amount"), ((f"r{n}", 0) for n in range(ROWS)))
        database.load_rows("ticket", ("name", "amount"), ((f"t{n}", 0) for n in range(TICKETS)))

    def clear(self):
        self._cleared = self._last + 1
        self.told.clear()
        self.why.clear()
        for table in ("tally", "twin", "ticket"):
            self.database.execute(f"UPDATE {table} SET amount = 0 WHERE amount <> 0")
        self.database.execute("DELETE FROM entry")

    def next_number(self):
        """Of the next transaction, if nobody else writes."""
        return self._last + 1

    def name(self, letter):
        """A new one; of a ticket, that of a row."""
        with self._naming:
            self._last += 1
            number = self._last
        return f"{letter}{number % TICKETS if letter == 't' else number}"

    def note(self, name, letter, why=""):
        self.told[name] = letter
        if why:
            self.why[f"{letter}: {why}"] += 1

    def counts(self, kinds="pkt"):
        """How many were told what."""
        return collections.Counter(letter for name, letter in list(self.told.items()) if name[0] in kinds)

    def figures(self):
        counts = self.counts()
        return ", ".join(f"{counts[letter]} {letter}" for letter in "OFWNX" if counts[letter])

    def _rows(self, sql):
        lines = self.database.execute(sql).splitlines()
        return dict(line.split("|" if "|" in line else "\t") for line in lines)

    def entries(self):
        """The rows of `entry`."""
        return self._rows("SELECT name, value FROM entry")

    def check(self):
        """Raises if the tables do not agree with what clients were told."""
        assert self._last - self._cleared < TICKETS, "there are too few tickets: clear() more often"
        entries = self.entries()
        tickets = self._rows("SELECT name, amount FROM ticket WHERE amount <> 0")
        wrong = []
        for name, letter in self.told.items():
            done = int(tickets.get(name, 0)) if name[0] == "t" else int(name in entries)
            if done not in {"O": (1,), "F": (0,), "N": ()}.get(letter, (0, 1)):
                wrong.append(f"{name} was told {letter}, and is done {done} times")
        expected = collections.Counter({f"r{n}": 0 for n in range(ROWS)})
        for value in entries.values():
            expected.update(value.split())
        for table in ("tally", "twin"):
            sums = {name: int(amount) for name, amount in self._rows(f"SELECT name, amount FROM {table}").items()}
            if sums != expected:
                wrong.append(f"{table} has {sums}, and by the entries it should be {dict(expected)}")
        assert not set(entries) - set(self.told), "there is an entry that nobody has written"
        assert not wrong, "\n".join(wrong[:20]) + f"\n{self.why.most_common(5)}"


def add_pair(client, transaction, name, is_knot, chance):
    rows = chance.sample(range(ROWS), 2 if is_knot else 1)
    for row in rows:
        client.inc(transaction, f"shared/tally/r{row}", 1)
    for row in reversed(rows):
        client.inc(transaction, f"shared/twin/r{row}", 1)
    client.set(transaction, f"shared/entry/{name}", " ".join(f"r{row}" for row in rows))


def write(client, ledger, kind, chance):
    """One transaction, from its beginning to its reply. Kinds are p, k and t."""
    name = ledger.name(kind)
    ledger.note(name, "X")
    transaction = client.begin()
    if kind == "t":
        client.inc(transaction, f"shared/ticket/{name}", 1)
    else:
        add_pair(client, transaction, name, kind == "k", chance)
    try:
        ledger.note(name, "O" if client.commit(transaction) else "N")
    except DictError as error:
        ledger.note(name, "W" if error.unsure else "F", str(error))
    return ledger.told[name]


class Writers:
    """Clients that write, a thread each, until the block ends; whoever is hung up on comes again."""

    def __init__(self, daemon, ledger, count=8, kinds="pt", pause=0.002):
        self.daemon, self.ledger, self.kinds, self.pause = daemon, ledger, kinds, pause
        self.ending = threading.Event()
        self.errors = []
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        assert not self.errors, self.errors[0]

    def _run(self, number):
        chance = random.Random(number)
        while not self.ending.is_set():
            try:
                self._write_on(chance)
            except (ConnectionError, FileNotFoundError, EndOfConnection):
                time.sleep(0.01)
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(error)
                return

    def _write_on(self, chance):
        with contextlib.closing(PatientClient(self.daemon, "demo")) as client:
            while not self.ending.is_set():
                write(client, self.ledger, chance.choice(self.kinds), chance)
                time.sleep(self.pause)

    def wait_for(self, letter, more=50, seconds=60):
        """Until so many more were told this; patience, not a promise."""
        deadline, goal = time.monotonic() + seconds * slowness(), self.ledger.counts()[letter] + more
        while self.ledger.counts()[letter] < goal:
            assert not self.errors, self.errors[0]
            assert time.monotonic() < deadline, f"no {letter} comes: {self.ledger.figures()}; {self.ledger.why}"
            time.sleep(0.01)


class EndOfConnection(Exception):
    """The daemon has hung up."""


class PatientClient(DictClient):
    """For whom it is no mistake that the connection ends, even inside a reply."""

    def line(self):
        line = self.input.readline()
        if not line.endswith(b"\n"):
            raise EndOfConnection
        return line[:-1].decode()
