"""tabled with PostgreSQL and MariaDB beside proxymap, pgbench and Dovecot's dict server."""

import contextlib
import json

import measure
import peers
import stage
from measure import median, say, spread

# A map whose keys have one form: tabled asks one question for each lookup, as the others do here.
MAP = "aliases"
KEYS_QUERY = "SELECT address, goto FROM alias WHERE address IN (:keys) AND active = 1"

ONE, ALL = "one processor", "all processors"
# Few clients before many: a server has opened only the connections that it needs for them.
SCENES = ((ONE, 1), (ALL, 1), (ALL, 16), (ALL, 64), (ALL, 256))
FEW, MANY = (1, 16), (1, 16, 64, 256)

BENCH, POSTMAP, DICT_LOAD, PGBENCH = "tabled-bench", "postmap", "dict_load", "pgbench"
TABLED, TABLED_KEYS, TABLED_FORMS = "tabled", "tabled, :keys", f"tabled, {measure.MAP}"
DOVECOT = "Dovecot's dict server"

# Each tabled: its name in the table, its user of the database, and its map.
TABLEDS = {
    "pgsql": (
        (TABLED, "tabled_plain", (MAP,)),
        (TABLED_FORMS, "tabled_forms", (measure.MAP,)),
    ),
    "mysql": (
        (TABLED, "tabled_plain", (MAP,)),
        (TABLED_KEYS, "tabled_keys", (MAP, KEYS_QUERY)),
        (TABLED_FORMS, "tabled_forms", (measure.MAP,)),
    ),
}


def proxy_name(driver):
    return f"proxy:{driver}"


class Line:
    """One way to ask a database; a row of the table for each number of clients."""

    def __init__(self, by, name, user, clients, ask):
        self.by, self.name, self.user, self.clients = by, name, user, clients
        self.ask = ask  # (clients, processors) -> {"rate": …, and maybe "p50_us" and "p99_us"}


class Scene:
    """What does not change from round to round."""

    def __init__(self, arguments, size, directory, database):
        self.build, self.with_tabled = arguments.build, not arguments.without_tabled
        self.size, self.directory, self.database = size, directory, database
        self.driver = database.driver
        self.keys = measure.write_keys(directory, size.rows)
        self.expected = measure.write_expected(directory, size.rows)
        self.postmaps = measure.Postmaps(size, directory)

    def start_tabled(self, user, of_map):
        """`of_map` is the name of its map, and its query if that is another one than all have."""
        text = self.database.tabled_text(user) + stage.map_text(*of_map)
        return stage.start_tabled(self.build, self.directory, user, text)

    def check_answers(self):
        """Every key: a tabled that answers wrongly, or with errors, has no speed."""
        for _, user, of_map in TABLEDS[self.driver]:
            with self.start_tabled(user, of_map) as tabled:
                options = ["-m", of_map[0], "-c", 16, "--expect", self.expected, tabled.address]
                measure.bench(self.build, options)

    # --- The ways to ask

    def bench(self, server, map_name):
        def ask(clients, processors):
            return measure.bench_load(
                self.build, self.size, ["-k", self.keys], server.address, map_name, clients,
                processors
            )
        return ask

    def postmap(self, postfix, table):
        def ask(clients, processors):
            files = self.postmaps.write_keys(clients)
            return {"rate": self.postmaps.rate(postfix, table, files, processors)}
        return ask

    def dict_load(self, server):
        program = self.build / "tests" / "bench" / "dict_load"

        def ask(clients, processors):
            command = [program, server.address, "alias", peers.DICT_PREFIX, self.keys, clients]
            command += [self.size.dict_seconds, self.size.warm_up]
            return json.loads(measure.run_pinned(command, processors))
        return ask


class Round:
    """All who ask the database, started anew: nobody profits from what a round before has left."""

    def __init__(self, scene):
        self.scene = scene
        self.servers, self.lines = [scene.database], []
        self.plain = None  # the tabled that Postfix's own client asks
        self.running = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as started:
            self.running = started
            self.start()
            self.running = started.pop_all()
        return self

    def __exit__(self, *_):
        self.running.close()

    def run(self, server):
        self.servers.append(self.running.enter_context(server))
        return server

    def add(self, *line):
        self.lines.append(Line(*line))

    def start(self):
        driver = self.scene.driver
        if self.scene.with_tabled:
            self.start_tableds()
        if driver == "pgsql":
            pgbench = peers.PgBench(self.scene.database, self.scene.directory)
            self.add(PGBENCH, PGBENCH, "pgbench", (16,), pgbench.measure)
        if not measure.why_no_postfix(driver):
            self.start_postfix()
        if not peers.why_no_dovecot(driver):
            self.start_dovecot()

    def start_tableds(self):
        for name, user, of_map in TABLEDS[self.scene.driver]:
            server = self.run(self.scene.start_tabled(user, of_map))
            self.add(BENCH, name, user, MANY, self.scene.bench(server, of_map[0]))
            if name == TABLED:
                self.plain = server

    def start_postfix(self):
        scene = self.scene
        texts = {scene.driver: scene.database.postfix_text("proxymap")}
        postfix = self.run(stage.Postfix(self.directory(), texts))
        if self.plain:
            ask = scene.postmap(postfix, f"socketmap:{self.plain.address}:{MAP}")
            self.add(POSTMAP, TABLED, "tabled_plain", FEW, ask)
        ask = scene.postmap(postfix, f"proxy:{postfix.table(scene.driver)}")
        self.add(POSTMAP, proxy_name(scene.driver), "proxymap", FEW, ask)

    def start_dovecot(self):
        dovecot = self.run(peers.start_dovecot(self.scene.database, self.directory(), "dovecot"))
        self.add(DICT_LOAD, DOVECOT, "dovecot", FEW, self.scene.dict_load(dovecot))

    def directory(self):
        """Postfix and Dovecot start from nothing, too."""
        return peers.fresh_directory(self.running)

    def measure(self, counter, table):
        for place, clients in SCENES:
            processors = measure.one_processor() if place == ONE else measure.all_processors()
            for server in self.servers:
                server.place(processors)
            for line in self.lines:
                if clients in line.clients:
                    report, most = counter.most_during(
                        line.user, lambda: line.ask(clients, processors)
                    )
                    table.add((place, clients, line.by, line.name), report, most)


class Table:
    """What was seen of one database, by place, clients, load program and server."""

    def __init__(self, database):
        self.database = database
        self.proxy = proxy_name(database.driver)
        self.reports, self.connections = {}, {}

    def add(self, key, report, connections):
        self.reports.setdefault(key, []).append(report)
        self.connections[key] = max(connections, self.connections.get(key, 0))

    def rate(self, key):
        """The median, or None if this was not measured."""
        return self.middle(key, "rate")

    def middle(self, key, field):
        values = [report[field] for report in self.reports.get(key, ()) if field in report]
        return median(values) if values else None

    def ratio(self, ours, theirs):
        if not self.rate(ours) or not self.rate(theirs):
            return None
        return self.rate(ours) / self.rate(theirs)

    def peers_of(self, place, clients):
        """The rows that a row is compared with."""
        few = min(clients, 16)
        keys = [(place, few, POSTMAP, self.proxy)]
        if self.database.driver == "pgsql":
            keys.append((place, few, PGBENCH, PGBENCH))
        return keys

    def print(self):
        of_peers = f"of {self.proxy}'s |"
        if self.database.driver == "pgsql":
            of_peers += " of pgbench's |"
        print(
            f"| all on | clients | asked by | server | lookups/s | spread | {of_peers} p50 µs "
            "| p99 µs | connections |"
        )
        print("|---|--:|---|---|--:|--:|--:|" + "--:|" * of_peers.count("|") + "--:|--:|")
        for place, clients in SCENES:
            for key in self.reports:
                if key[:2] == (place, clients):
                    self.print_row(key)
        print()

    def print_row(self, key):
        place, clients, by, name = key
        cells = [place, str(clients), by, name, f"{self.rate(key):,.0f}"]
        cells.append(f"±{spread([report['rate'] for report in self.reports[key]]):.0f} %")
        for peer in self.peers_of(place, clients):
            cells.append(text_of(self.ratio(key, peer), ".2f"))
        for field in ("p50_us", "p99_us"):
            cells.append(text_of(self.middle(key, field), ".1f"))
        print(f"| {' | '.join([*cells, str(self.connections[key])])} |")


def text_of(number, form):
    return "–" if number is None else format(number, form)


class Aim:
    """What tabled was built to: one row of the table against another."""

    def __init__(self, least, ours, theirs):
        self.least, self.ours, self.theirs = least, ours, theirs


def aims(driver):
    proxy = proxy_name(driver)
    if driver == "pgsql":
        for place in (ONE, ALL):
            yield Aim(1, (place, 1, POSTMAP, TABLED), (place, 1, POSTMAP, proxy))
            yield Aim(1, (place, 1, BENCH, TABLED), (place, 1, POSTMAP, proxy))
        for clients, least in ((16, 1.0), (64, 1.7), (256, 2.3)):
            yield Aim(least, (ALL, clients, BENCH, TABLED), (ALL, 16, PGBENCH, PGBENCH))
        return
    for name in (TABLED, TABLED_KEYS):
        for clients, least in ((16, 3), (64, 5)):
            yield Aim(least, (ALL, clients, BENCH, name), (ALL, 16, POSTMAP, proxy))
    yield Aim(2, (ALL, 16, POSTMAP, TABLED), (ALL, 16, POSTMAP, proxy))


def clients_text(key):
    place, clients, by, name = key
    asked_by = f" by {by}" if by != name else ""
    return f"{name}{asked_by}, {clients} client{'s' if clients > 1 else ''}, {place}"


def print_aims(table):
    measured = [aim for aim in aims(table.database.driver) if table.ratio(aim.ours, aim.theirs)]
    if not measured:
        return
    print("| aim | at least | times the rate of | seen | its connections | theirs |")
    print("|---|--:|---|--:|--:|--:|")
    for aim in measured:
        print(
            f"| {clients_text(aim.ours)} | {aim.least} | {clients_text(aim.theirs)} "
            f"| {table.ratio(aim.ours, aim.theirs):.2f} "
            f"| {table.connections[aim.ours]} | {table.connections[aim.theirs]} |"
        )
    print()


def print_skipped(driver):
    for what, reason in (
        ("Postfix's own client", measure.why_no_postfix(driver)),
        ("Dovecot's dict server", peers.why_no_dovecot(driver)),
    ):
        if reason:
            print(f"SKIPPED: {what}: {reason}.\n")


def measure_database(arguments, size, directory, database):
    scene, table = Scene(arguments, size, directory, database), Table(database)
    if scene.with_tabled:
        scene.check_answers()
    with database.counter() as counter:
        for number in range(size.rounds):
            say(f"{database.title}, round {number + 1} of {size.rounds}")
            with Round(scene) as everybody:
                everybody.measure(counter, table)
    print_skipped(database.driver)
    table.print()
    print_aims(table)


def measure_all(arguments, size, directory):
    for kind in (peers.PostgreSQL, peers.MariaDB):
        print(f"### {kind.title}\n")
        reason = kind.why_not()
        if reason:
            print(f"SKIPPED: {kind.title}: {reason}.\n")
            continue
        say(f"{kind.title}: making {size.rows:,} rows")
        with kind(size) as database:
            print(f"{database.version()}.\n")
            measure_database(arguments, size, directory, database)
