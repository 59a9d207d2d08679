"""The database is killed under load: who gets an answer, and is any of them wrong?"""

import bisect
import collections
import contextlib
import itertools
import random
import threading
import time

import live
import stage
from measure import MAP, median, say

ROWS = {False: 20000, True: 500}  # by whether it is the short form
CLIENTS = 16
THINK_SECONDS = 0.005  # between a client's lookups
RETRY_SECONDS = 0.02   # until a client that was cut off comes again
NEW_ENOUGH = 20        # answers "not found" that say that it is asked again
BACK_SECONDS = 30      # the most that is waited for the database, beyond what is measured anyway
UNKNOWN_SHARE = 0.05
# Everything expires while the database is away.
OPTIONS = {False: 'ttl = "10s"  negative_ttl = "10s"', True: 'ttl = "1s"  negative_ttl = "1s"'}
# One where "not found" sends mail on its usual way, and one where it refuses a recipient.
MAPS = (MAP, "virtual_mailbox_maps")

BEFORE, DURING, AFTER = "before", "while it is away", "after"


class Phase:
    """What was seen while it lasted."""

    def __init__(self):
        self.begin = time.monotonic()
        self.counts = collections.Counter()
        self.times = []  # seconds, of what was answered
        self.failing = 0  # seconds from the begin to the last that was told to try later
        self.examples = []


class Load:
    """Clients that ask like Postfix: known keys by Zipf's law, and some that nobody has asked before."""

    def __init__(self, path, rows):
        self.path, self.rows = path, rows
        self.weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(rows)))
        self.phases = {}
        self.enter(BEFORE)
        self.found = set()  # (map, row): it was answered before the database went away
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.unknown = itertools.count()
        self.threads = [threading.Thread(target=self.run, args=(seed,)) for seed in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def enter(self, name):
        self.phases[name] = Phase()
        self.phase = name

    def await_database(self):
        """Until it was asked for addresses that are new: on a busy machine it comes back late."""
        deadline = time.monotonic() + BACK_SECONDS
        while self.phases[self.phase].counts["not found"] < NEW_ENOUGH and time.monotonic() < deadline:
            time.sleep(0.1)

    def draw(self, chance):
        """A row, or None for an address that there is not."""
        if chance.random() < UNKNOWN_SHARE:
            return None
        return bisect.bisect_left(self.weights, chance.random() * self.weights[-1])

    def run(self, seed):
        chance = random.Random(seed)
        while not self.over.is_set():
            try:
                with contextlib.closing(live.Asker(self.path)) as asker:
                    while not self.over.is_set():
                        self.ask(asker, chance.choice(MAPS), self.draw(chance))
                        time.sleep(THINK_SECONDS)
            except OSError:
                with self.lock:
                    self.phases[self.phase].counts["cut off"] += 1
                time.sleep(RETRY_SECONDS)

    def ask(self, asker, map_name, row):
        key = stage.address_of(row) if row is not None else f"nobody{next(self.unknown)}@example.com"
        phase, begin = self.phase, time.monotonic()
        reply = asker.ask(map_name, key)
        with self.lock:
            self.judge(self.phases[phase], phase, (map_name, row), key, reply)
            if not reply.startswith("TEMP "):
                self.phases[phase].times.append(time.monotonic() - begin)

    def judge(self, phase, name, question, key, reply):
        row = question[1]
        right = live.reply_for(stage.result_of(row) if row is not None else None)
        phase.counts["lookups"] += 1
        if reply.startswith("TEMP "):
            phase.counts["try later"] += 1
            phase.counts["lost"] += name != BEFORE and question in self.found
            phase.failing = time.monotonic() - phase.begin
        elif reply != right:
            phase.counts["wrong"] += 1
            phase.examples.append(f"{key}: {reply}")
        else:
            phase.counts["not found" if row is None else "found"] += 1
            if name == BEFORE and row is not None:
                self.found.add(question)


def source_text(database, options, save=None):
    text = f'cache {{ save = "{save}" }}\n' if save else ""
    text += database.tabled_source()
    return text + "".join(stage.map_text(name, options=options) for name in MAPS)


class Outage:
    """A run: before, away, back again; and if it is told to, tabled is restarted in the middle."""

    def __init__(self, arguments, size, directory, kind, restarts):
        self.arguments, self.size, self.directory = arguments, size, directory
        self.kind, self.restarts = kind, restarts
        self.restart_seconds = None

    def start_tabled(self, database):
        save = self.directory / f"{self.kind}.cache" if self.restarts else None
        text = source_text(database, OPTIONS[self.size.short], save)
        return stage.start_tabled(
            self.arguments.build, self.directory, self.kind, text, workers=None
        )

    def run(self):
        rows = ROWS[self.size.short]
        with live.database(self.kind, self.directory, rows) as database:
            self.tabled = self.start_tabled(database)
            try:
                with Load(self.tabled.path, rows) as load:
                    self.play(database, load)
            finally:
                self.tabled.stop()
        return load.phases

    def play(self, database, load):
        before, away, after = self.size.outage
        time.sleep(before)
        load.enter(DURING)
        database.kill()
        time.sleep(away / 2)
        if self.restarts:
            self.restart(database)
        time.sleep(away / 2)
        database.start()
        load.enter(AFTER)
        time.sleep(after)
        load.await_database()

    def restart(self, database):
        begin = time.monotonic()
        self.tabled.stop()
        self.tabled = self.start_tabled(database)
        self.restart_seconds = time.monotonic() - begin


def percent(part, whole):
    return f"{100 * part / whole:.2f} %" if whole else "–"


def print_row(title, name, phase):
    counts, times = phase.counts, sorted(phase.times)
    cells = [title, name, f"{counts['lookups']:,}"]
    for what in ("found", "not found", "try later"):
        cells.append(percent(counts[what], counts["lookups"]))
    for what in ("lost", "cut off", "wrong"):
        cells.append(str(counts[what]))
    cells.append(f"{phase.failing:.1f}")
    cells.append(f"{1000 * median(times):.1f}" if times else "–")
    cells.append(f"{1000 * times[int(0.99 * len(times))]:.1f}" if times else "–")
    print(f"| {' | '.join(cells)} |")


def measure_all(arguments, size, directory):
    rows, skipped = [], []
    for kind in ("pgsql", "mysql"):
        title, reason = live.TITLES[kind], live.why_not(kind)
        if reason:
            skipped.append(f"SKIPPED: {title}: {reason}.\n")
            continue
        for restarts in (False, True):
            what = f"{title}, tabled restarted" if restarts else title
            say(f"outage: {what}")
            outage = Outage(arguments, size, directory, kind, restarts)
            rows += [(what, *phase) for phase in outage.run().items()]
            if restarts:
                say(f"outage: tabled was away for {outage.restart_seconds:.2f} s")
    print(f"### The database is killed, and comes back after {size.outage[1]} s\n")
    print(
        "| database | when | lookups | found | not found | try later | try later, though found before "
        "| connections cut off | wrong | last try later, s | p50 ms | p99 ms |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for what, name, phase in rows:
        print_row(what, name, phase)
    print()
    for what, name, phase in rows:
        for example in phase.examples[:10]:
            print(f"WRONG, {what}, {name}: {example}\n")
    print("\n".join(skipped))
