"""From COMMIT to the first new answer, by the change feed, on three databases under load."""

import contextlib
import random
import subprocess
import time

import live
import measure
import stage
from measure import MAP, median, say

ROWS = {False: 20000, True: 500}  # by whether it is the short form
LOAD_CONNECTIONS = 4
PAUSE_SECONDS = 0.0005  # between looks
APART_SECONDS = 0.25    # at most, between changes: by chance, or they would be in step with the feed
FEED_SECONDS = 30       # patience, until the feed runs
LOST_SECONDS = 20       # a change that is not seen for so long is lost

# Beyond this an answer that the feed should have purged is no longer given: see feed.c
BOUND_MS = {"pgsql": 2000, "mysql": 2000, "sqlite": 1850}
AIM_MS = {"pgsql": 50, "mysql": 300, "sqlite": 100}


class Change:
    """One row that is made, changed or removed. `before` and `after` are None where there is none."""

    def __init__(self, address, before, after):
        self.address, self.before, self.after = address, before, after

    def sql(self):
        where = f"address = '{self.address}'"
        if self.before is None:
            values = f"('{self.address}', '{self.after}')"
            return f"INSERT INTO alias (address, goto) VALUES {values}"
        if self.after is None:
            return f"DELETE FROM alias WHERE {where}"
        return f"UPDATE alias SET goto = '{self.after}' WHERE {where}"


def changes(rows, count):
    """Random ones: a third of each kind, as far as it goes."""
    chance = random.Random(1)
    truth = {stage.address_of(row): stage.result_of(row) for row in range(rows)}
    gone = []
    for number in range(count):
        if gone and number % 3 == 2:
            address = gone.pop()
        else:
            address = chance.choice(list(truth))
        before = truth.get(address)
        after = None if number % 3 == 1 and before else f"new{number:06d}@example.net"
        if after is None:
            gone.append(address)
            del truth[address]
        else:
            truth[address] = after
        yield Change(address, before, after)


class Seen:
    """Of one change: milliseconds from COMMIT to the first new answer, and to the last question that got the old one."""

    def __init__(self, new, old):
        self.new, self.old = new, old


def watch(asker, change, committed):
    old = 0
    while True:
        asked = 1000 * (time.monotonic() - committed)
        reply = asker.ask(MAP, change.address)
        now = 1000 * (time.monotonic() - committed)
        if reply == live.reply_for(change.after):
            return Seen(now, old)
        if reply != live.reply_for(change.before):
            raise stage.StageError(f"{change.address}: neither the old nor the new answer: {reply}")
        old = asked  # what was right when it was given may be late when it is here
        if now > 1000 * LOST_SECONDS:
            raise stage.StageError(f"a change was not seen for {LOST_SECONDS} s: {change.sql()}")
        time.sleep(PAUSE_SECONDS)


def measure_change(asker, writer, change):
    time.sleep(random.random() * APART_SECONDS)
    reply = asker.ask(MAP, change.address)
    if reply != live.reply_for(change.before):
        raise stage.StageError(f"{change.address}: wrong before anything changes: {reply}")
    writer.write(change.sql())
    return watch(asker, change, time.monotonic())


def wait_for_feed(tabled):
    deadline = time.monotonic() + FEED_SECONDS
    while "feed=healthy" not in tabled.log.read_text():
        if time.monotonic() > deadline:
            raise stage.StageError(f"the change feed does not run:\n{tabled.log.read_text()}")
        time.sleep(0.05)


@contextlib.contextmanager
def background_load(build, tabled, keys):
    """The cache is full of answers, and somebody asks for them all the time."""
    measure.bench(build, ["-m", MAP, "-k", keys, "-c", 16, "--in-order", "-n", 20000, tabled.address])
    command = [build / "tabled-bench", "-m", MAP, "-k", keys, "-c", LOAD_CONNECTIONS, "-t", 86000]
    load = subprocess.Popen(
        [*map(str, command), tabled.address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
        if load.poll() is not None:
            raise stage.StageError(f"the load has ended with status {load.returncode}")
    finally:
        load.terminate()
        load.wait()


def measure_database(arguments, size, directory, kind):
    rows = ROWS[size.short]
    with contextlib.ExitStack() as running:
        database = running.enter_context(live.database(kind, directory, rows))
        text = database.tabled_source() + stage.map_text(
            MAP, options='ttl = "feed"  negative_ttl = "feed"'
        )
        tabled = running.enter_context(
            stage.start_tabled(arguments.build, directory, kind, text, workers=None)
        )
        wait_for_feed(tabled)
        keys = measure.write_keys(directory, rows)
        running.enter_context(background_load(arguments.build, tabled, keys))
        writer = running.enter_context(live.writer(database))
        asker = running.enter_context(contextlib.closing(live.Asker(tabled.path)))
        return [measure_change(asker, writer, change) for change in changes(rows, size.changes)]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def print_row(kind, seen):
    new = [one.new for one in seen]
    too_old = sum(one.old > BOUND_MS[kind] for one in seen)
    print(
        f"| {live.TITLES[kind]} | {len(seen):,} | {median(new):.1f} | {percentile(new, 0.99):.1f} "
        f"| {max(new):.1f} | {AIM_MS[kind]} | {too_old} of {BOUND_MS[kind]:,} ms |"
    )


def measure_all(arguments, size, directory):
    results, skipped = {}, []
    for kind in live.TITLES:
        reason = live.why_not(kind)
        if reason:
            skipped.append(f"SKIPPED: {live.TITLES[kind]}: {reason}.\n")
            continue
        say(f"freshness: {live.TITLES[kind]}")
        results[kind] = measure_database(arguments, size, directory, kind)
    print("### From COMMIT to the first new answer, by the change feed\n")
    print("| database | changes | p50 ms | p99 ms | longest ms | p99 at most | older than the bound |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for kind, seen in results.items():
        print_row(kind, seen)
    print()
    print("\n".join(skipped))
