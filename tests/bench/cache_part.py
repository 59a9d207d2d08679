"""Answers from the cache beside the floor."""

import contextlib

import measure
import sqlite_part
import stage
from measure import MAP, say

ONE, TWO, ALL = "one processor", "two processors", "all processors"
OPTIONS = 'ttl = "1h"  negative_ttl = "1h"'
FLOOR, TABLED, PAIR = "floor", "tabled", "tabled, 2 workers"


def start_tabled(arguments, directory, database, name, workers):
    text = 'cache { size = "256M" }\n' + f'sqlite mail {{ path = "{database}" }}\n'
    text += stage.map_text(MAP, options=OPTIONS)
    return stage.start_tabled(
        arguments.build, directory, name, text, tcp_map=MAP, workers=workers
    )


class CacheTable(sqlite_part.LoadTable):
    """With a place where the kernel chooses; two workers are measured only there."""

    def __init__(self, build, size, keys, floor, tabled, pair):
        super().__init__(build, size, keys, [floor, tabled])
        everywhere = measure.all_processors()
        self.scenes.append((ALL, everywhere, everywhere, [floor, tabled, pair]))

    def quotient(self, place, connections, field):
        floor = self.middle((place, connections, FLOOR), field)
        return self.middle((place, connections, TABLED), field) / floor

    def lag(self, place):
        """What a lookup with one connection takes longer than the floor's, in microseconds."""
        floor = self.middle((place, 1, FLOOR), "p50_us")
        return self.middle((place, 1, TABLED), "p50_us") - floor

    def aims(self):
        for place, *_ in self.scenes:
            rate, p99 = (self.quotient(place, 16, field) for field in ("rate", "p99_us"))
            yield f"16 connections, {place}: rate of the floor's", "at least 0.85", f"{rate:.2f}"
            yield f"16 connections, {place}: p99 of the floor's", "at most 1.5", f"{p99:.2f}"
            lag = f"{self.lag(place):.1f} µs"
            yield f"1 connection, {place}: p50 beyond the floor's", "at most 5 µs", lag


class PostmapTable(sqlite_part.PostmapTable):
    def aims(self):
        for clients, place, *_ in self.scenes:
            seen = self.ratio(clients, place, f"socketmap, {TABLED}")
            who = f"{clients} × Postfix's own client, {place}: rate of the floor's"
            yield who, "at least 0.9", f"{seen:.2f}"


def measure_postmap(size, directory, floor, tabled):
    """Returns what was seen of the aims."""
    reason = measure.why_no_postfix("socketmap")
    if reason:
        print(f"SKIPPED: Postfix's own client: {reason}.\n")
        return []
    with stage.Postfix(directory, {}) as postfix:
        tables = {
            f"socketmap, {FLOOR}": f"socketmap:{floor.address}:{MAP}",
            f"socketmap, {TABLED}": f"socketmap:{tabled.address}:{MAP}",
            f"tcp, {TABLED}": tabled.tcp_table,
        }
        table = PostmapTable(
            size, postfix, directory, tables, [floor, tabled], f"socketmap, {FLOOR}"
        )
        table.measure()
        table.print()
    return list(table.aims())


def print_aims(aims):
    print("### What answers from the cache were to reach\n")
    print("| what | aim | seen |")
    print("|---|---|--:|")
    for row in aims:
        print(f"| {' | '.join(row)} |")
    print()


def measure_hits(arguments, size, directory, database, servers):
    keys = measure.write_keys(directory, size.rows)
    expected = measure.write_expected(directory, size.rows)
    floor, *tableds = servers
    for tabled in tableds:
        sqlite_part.check_answers(arguments.build, tabled, expected)
    # From here on each answer is from the cache, or an error.
    with stage.locked(database):
        for tabled in tableds:
            sqlite_part.check_answers(arguments.build, tabled, expected)
        table = CacheTable(arguments.build, size, keys, *servers)
        table.measure()
        table.print()
        print_aims([*table.aims(), *measure_postmap(size, directory, floor, tableds[0])])


def measure_all(arguments, size, directory):
    database = directory / "mail.db"
    say(f"cache: making {size.rows:,} rows")
    stage.make_bare_database(database, size.rows)
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(stage.start_floor(arguments.build, directory))]
        for name, workers in ((TABLED, 1), (PAIR, 2)):
            server = start_tabled(arguments, directory, database, name, workers)
            servers.append(running.enter_context(server))
        measure_hits(arguments, size, directory, database, servers)
