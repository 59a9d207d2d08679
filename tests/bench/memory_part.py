"""How much memory the cache takes for very many answers, and what finding them costs."""

import contextlib

import measure
import sqlite_part
import stage
from measure import MAP, median, say, spread

ADDRESS, RESULT = "mailbox%08d@example.com.au", "box%08d@store.example"  # 30 and 25 bytes
CONNECTIONS = 16


class Holder:
    """A tabled whose cache holds so many answers."""

    def __init__(self, arguments, size, directory, database, name, entries):
        self.build, self.entries = arguments.build, entries
        text = f'cache {{ size = "{size.cache}" }}\nsqlite mail {{ path = "{database}" }}\n'
        text += stage.map_text(MAP, options='ttl = "1d"')
        self.server = stage.start_tabled(arguments.build, directory, name, text)
        self.keys = ["-K", ADDRESS, "-N", entries]
        self.before = self.after = None  # resident memory in bytes
        self.reports = {}

    def fill(self):
        """Asks each key once."""
        self.before = self.server.resident_kilobytes() * 1024
        options = ["-m", MAP, "-c", CONNECTIONS, "-d", 16, "--in-order", "-n", self.entries]
        report = measure.bench(self.build, [*options, *self.keys, self.server.address])
        if report["found"] != self.entries:
            raise stage.StageError(f"filling the cache: {report}")
        self.after = self.server.resident_kilobytes() * 1024

    def measure(self, size, place, server_at, load_at):
        report = sqlite_part.load(
            self.build, size, self.keys, self.server, server_at, load_at, CONNECTIONS
        )
        self.reports.setdefault(place, []).append(report)

    def middle(self, place, field):
        return median([report[field] for report in self.reports[place]])


def measure_rates(size, holders):
    for number in range(size.rounds):
        say(f"memory, round {number + 1} of {size.rounds}")
        for place, where in sqlite_part.placements().items():
            for holder in holders:
                holder.measure(size, place, *where)


def print_memory(size, holders):
    print(f"### Memory, of `cache {{ size = \"{size.cache}\" }}`\n")
    print("| answers of 25 bytes to keys of 30 | resident before, MB | with them, MB | bytes for each |")
    print("|--:|--:|--:|--:|")
    for holder in holders:
        each = (holder.after - holder.before) / holder.entries
        print(
            f"| {holder.entries:,} | {holder.before / 1e6:,.1f} | {holder.after / 1e6:,.1f} "
            f"| {each:.0f} |"
        )
    print()


def print_rates(holders):
    few = holders[0]
    print(f"### Random keys of all that are kept, {CONNECTIONS} connections\n")
    print(
        "| server and load on | answers | lookups/s | spread | of the first's | p50 µs | p99 µs "
        "| server's processor µs a lookup | load's processor |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for place in few.reports:
        for holder in holders:
            rates = [report["rate"] for report in holder.reports[place]]
            cells = [place, f"{holder.entries:,}", f"{median(rates):,.0f}"]
            cells.append(f"±{spread(rates):.0f} %")
            cells.append(f"{median(rates) / few.middle(place, 'rate'):.2f}")
            cells += [f"{holder.middle(place, field):.1f}" for field in ("p50_us", "p99_us")]
            cells.append(f"{holder.middle(place, 'server_us'):.2f}")
            cells.append(f"{holder.middle(place, 'processor_percent'):.0f} %")
            print(f"| {' | '.join(cells)} |")
    print()


def print_aims(few, many):
    print("| what | aim | seen |")
    print("|---|---|--:|")
    print(f"| resident with {many.entries:,} answers | at most 1.5 GB | {many.after / 1e9:.2f} GB |")
    for place in few.reports:
        ratio = many.middle(place, "rate") / few.middle(place, "rate")
        print(f"| rate of that with {few.entries:,}, {place} | at least 0.7 | {ratio:.2f} |")
    print()


def measure_all(arguments, size, directory):
    database = directory / "mail.db"
    say(f"memory: making {size.many_entries:,} rows")
    stage.make_bare_database(database, size.many_entries, ADDRESS, RESULT)
    with contextlib.ExitStack() as running:
        holders = []
        for name, entries in (("few", size.few_entries), ("many", size.many_entries)):
            holder = Holder(arguments, size, directory, database, name, entries)
            running.enter_context(holder.server)
            say(f"memory: asking for {entries:,}")
            holder.fill()
            holders.append(holder)
        # What is not in the cache is now an error.
        with stage.locked(database):
            measure_rates(size, holders)
    print_memory(size, holders)
    print_rates(holders)
    print_aims(*holders)
