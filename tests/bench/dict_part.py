"""tabled's dictionaries beside Dovecot's own dict server, on the same rows."""

import contextlib
import json
import math

import measure
import peers
import stage
from measure import median, say, spread

CONNECTIONS = (1, 16)
LOOKUPS, CACHED, INCREMENTS = "lookups", "lookups from the cache", "increments"
TABLED, DOVECOT = "tabled", "Dovecot's dict server"

# What is asked, by what user of the database; tabled's user is another one for each.
WAYS = ((LOOKUPS, "tabled_plain"), (CACHED, "tabled_keys"), (INCREMENTS, "tabled_forms"))

# At least so many times the rate of Dovecot's, by connections. What Dovecot answers from its
# database is what answers from the cache are compared with, too: it has none.
AIMS = (
    (LOOKUPS, 1, 1.5), (LOOKUPS, 16, 3), (CACHED, 1, 10), (CACHED, 16, 10),
    (INCREMENTS, 1, 1), (INCREMENTS, 16, 1),
)


def make_numbers(database):
    """A table of numbers, one for each alias, that both may add to."""
    server = database.server
    server.execute(
        "CREATE TABLE hits (address VARCHAR(320) NOT NULL PRIMARY KEY, hits BIGINT NOT NULL)")
    server.execute("INSERT INTO hits SELECT address, 0 FROM alias")
    host = "@localhost" if database.driver == "mysql" else ""
    for user in ("dovecot", "tabled_forms"):
        server.execute(f"GRANT SELECT, UPDATE ON hits TO {user}{host}")
    database.settle()


def dictionary_text(socket):
    return (
        f'dict {{ listen = "unix:{socket}" }}\n'
        "dictionary alias {\n"
        f'key "{peers.DICT_PREFIX}$address" {{ source = mail  table = alias  value_field = goto  '
        'fields = {"address = $address"}  OPTIONS }\n'
        f'key "{peers.COUNT_PREFIX}$address" {{ source = mail  table = hits  value_field = hits  '
        'value_type = int  fields = {"address = $address"} }\n'
        "}\n"
    )


class Scene:
    """What does not change from round to round."""

    def __init__(self, arguments, size, directory, database):
        self.build, self.size, self.directory = arguments.build, size, directory
        self.database = database
        self.keys = measure.write_keys(directory, size.rows)

    def start_tabled(self, way, user):
        socket = self.directory / f"{user}.dict"
        options = 'ttl = "1h"' if way == CACHED else "cache = no"
        text = self.database.tabled_text(user)
        text += dictionary_text(socket).replace("OPTIONS", options)
        server = stage.start_tabled(self.build, self.directory, user, text)
        server.dict_address = f"unix:{socket}"
        return server

    def load(self, address, way, connections, seconds=None):
        prefix = peers.COUNT_PREFIX if way == INCREMENTS else peers.DICT_PREFIX
        command = [self.build / "tests" / "bench" / "dict_load"]
        command += ["-i"] if way == INCREMENTS else []
        command += [address, "alias", prefix, self.keys, connections]
        command += [seconds or self.size.dict_seconds, self.size.warm_up]
        return json.loads(measure.run_pinned(command, None))

    def count_all(self):
        return int(self.database.server.execute("SELECT sum(hits) FROM hits").strip())

    def load_counted(self, address, way, connections):
        """None may be lost: at the end of a load one for each connection may still be on its way."""
        before = self.count_all()
        report = self.load(address, way, connections)
        added = self.count_all() - before
        if not report["all"] <= added <= report["all"] + connections:
            raise stage.StageError(f"{address}: {report['all']} increments, {added} were added")
        return report


class Table:
    def __init__(self):
        self.reports, self.connections = {}, {}

    def add(self, key, report, connections):
        self.reports.setdefault(key, []).append(report)
        self.connections[key] = max(connections, self.connections.get(key, 0))

    def middle(self, key, field):
        return median([report[field] for report in self.reports[key]])

    def ratio(self, way, clients):
        """To what Dovecot does without a cache; not a number where it did nothing at all."""
        theirs = self.middle((LOOKUPS if way == CACHED else way, clients, DOVECOT), "rate")
        return self.middle((way, clients, TABLED), "rate") / theirs if theirs else math.nan

    def print(self):
        print("| what | connections | server | a second | spread | of Dovecot's | p50 µs | p99 µs "
              "| to the database |")
        print("|---|--:|---|--:|--:|--:|--:|--:|--:|")
        for way, clients, name in sorted(self.reports, key=lambda key: (key[0], key[1])):
            self.print_row(way, clients, name)
        print()

    def print_row(self, way, clients, name):
        key = (way, clients, name)
        rates = [report["rate"] for report in self.reports[key]]
        ratio = self.ratio(way, clients) if name == TABLED else 1
        print(
            f"| {way} | {clients} | {name} | {median(rates):,.0f} | ±{spread(rates):.0f} % "
            f"| {ratio:.2f} | {self.middle(key, 'p50_us'):.1f} | {self.middle(key, 'p99_us'):.1f} "
            f"| {self.connections[key]} |"
        )

    def print_aims(self):
        print("| what | connections | at least, times Dovecot's | seen |")
        print("|---|--:|--:|--:|")
        for way, clients, least in AIMS:
            print(f"| {way} | {clients} | {least} | {self.ratio(way, clients):.2f} |")
        print()


def measure_way(scene, table, counter, way, name, server, user):
    load = scene.load_counted if way == INCREMENTS else scene.load
    address = server.address if name == DOVECOT else server.dict_address
    if way == CACHED:
        scene.load(address, way, 16, seconds=scene.size.fill_seconds)
    for clients in CONNECTIONS:
        report, most = counter.most_during(user, lambda: load(address, way, clients))
        table.add((way, clients, name), report, most)


def measure_round(scene, table, counter):
    """Everybody is started anew: nobody profits from what a round before has left."""
    for way, user in WAYS:
        with scene.start_tabled(way, user) as tabled:
            measure_way(scene, table, counter, way, TABLED, tabled, user)
    for way in (LOOKUPS, INCREMENTS):
        with contextlib.ExitStack() as running:
            directory = peers.fresh_directory(running)
            dovecot = running.enter_context(
                peers.start_dovecot(scene.database, directory, "dovecot"))
            measure_way(scene, table, counter, way, DOVECOT, dovecot, "dovecot")


def measure_database(arguments, size, directory, database):
    make_numbers(database)
    scene, table = Scene(arguments, size, directory, database), Table()
    with database.counter() as counter:
        for number in range(size.rounds):
            say(f"dict: {database.title}, round {number + 1} of {size.rounds}")
            measure_round(scene, table, counter)
    table.print()
    table.print_aims()


def measure_all(arguments, size, directory):
    for kind in (peers.PostgreSQL, peers.MariaDB):
        print(f"### Dictionaries, with {kind.title}\n")
        reason = kind.why_not() or peers.why_no_dovecot(kind.driver)
        if reason:
            print(f"SKIPPED: {kind.title}: {reason}.\n")
            continue
        say(f"dict: {kind.title}: making {size.rows:,} rows")
        with kind(size) as database:
            print(f"{database.version()}.\n")
            measure_database(arguments, size, directory, database)
