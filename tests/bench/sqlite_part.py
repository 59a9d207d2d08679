"""tabled with SQLite beside a floor and Postfix's proxy:sqlite."""

import contextlib
import os
import subprocess

import measure
import stage
from measure import MAP, median, say, spread

CONNECTIONS = (1, 16, 64)


def placements():
    """Where server and load run. The kernel's own choice would change from run to run."""
    processors = sorted(os.sched_getaffinity(0))
    one = {"one processor": ({processors[0]}, {processors[0]})}
    if len(processors) < 2:
        say("only one processor: server and load are measured together only")
        return one
    return {**one, "two processors": ({processors[0]}, {processors[1]})}


def check_answers(build, server, expected):
    """A server that answers wrongly, or with errors, has no speed."""
    measure.bench(build, ["-m", MAP, "-d", "16", "--expect", expected, server.address])
    measure.bench(build, ["-p", "tcp_table", "-d", "16", "--expect", expected, server.tcp_address])


def load(build, size, keys, server, server_at, load_at, connections):
    """tabled-bench's report, and `server_us`: what a lookup costs the server's processor."""
    server.place(server_at)
    before = server.processor_seconds()
    report = measure.bench_load(build, size, keys, server.address, MAP, connections, load_at)
    used = server.processor_seconds() - before
    # The warm-up is in `used`: scale it away.
    used *= report["seconds"] / (report["seconds"] + size.warm_up)
    report["server_us"] = 1e6 * used / report["replies"]
    return report


class LoadTable:
    """Rates and times by tabled-bench: placement, connections and server by round."""

    def __init__(self, build, size, keys, servers):
        self.build, self.size, self.keys = build, size, ["-k", keys]
        # A place's name, the processors of the server and of the load, and who is measured there.
        self.scenes = [(place, *where, servers) for place, where in placements().items()]
        self.seen = {}

    def measure_one(self, place, server_at, load_at, connections, server):
        report = load(
            self.build, self.size, self.keys, server, server_at, load_at, connections
        )
        self.seen.setdefault((place, connections, server.name), []).append(report)

    def measure(self):
        for number in range(self.size.rounds):
            say(f"load, round {number + 1} of {self.size.rounds}")
            for place, server_at, load_at, servers in self.scenes:
                for connections in CONNECTIONS:
                    for server in servers:
                        self.measure_one(place, server_at, load_at, connections, server)

    def middle(self, key, field):
        return median([report[field] for report in self.seen[key]])

    def print_row(self, place, connections, name):
        key, floor = (place, connections, name), (place, connections, "floor")
        rates = [report["rate"] for report in self.seen[key]]
        rate, p50 = median(rates), self.middle(key, "p50_us")
        print(
            f"| {place} | {connections} | {name} | {rate:,.0f} | ±{spread(rates):.0f} % "
            f"| {rate / self.middle(floor, 'rate'):.2f} "
            f"| {p50:.1f} | {p50 / self.middle(floor, 'p50_us'):.2f} "
            f"| {self.middle(key, 'p99_us'):.1f} | {self.middle(key, 'p999_us'):.1f} "
            f"| {self.middle(key, 'server_us'):.2f} "
            f"| {self.middle(key, 'processor_percent'):.0f} % |"
        )

    def print(self):
        print("### By tabled-bench, one request in flight on each connection\n")
        print(
            "| server and load on | connections | server | lookups/s | spread | of the floor's "
            "| p50 µs | of the floor's | p99 µs | p99.9 µs | server's processor µs a lookup "
            "| load's processor |"
        )
        print("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
        for place, _, _, servers in self.scenes:
            for connections in CONNECTIONS:
                for server in servers:
                    self.print_row(place, connections, server.name)
        print()


class PostmapTable:
    """Rates by Postfix's own client; all others are compared with the table `base`."""

    def __init__(self, size, postfix, directory, tables, servers, base):
        self.size, self.postfix = size, postfix
        self.tables, self.servers, self.base = tables, servers, base
        self.clients = measure.Postmaps(size, directory)
        everywhere = measure.all_processors()
        # One client's rate is that of waking each other up, so it depends on where both run.
        self.scenes = [(1, place, *where) for place, where in placements().items()]
        self.scenes.append((16, "all processors", everywhere, everywhere))
        self.seen = {}

    def measure_scene(self, clients, place, servers_at, clients_at):
        for server in (*self.servers, self.postfix):
            server.place(servers_at)
        files = self.clients.write_keys(clients)
        for name, table in self.tables.items():
            rate = self.clients.rate(self.postfix, table, files, clients_at)
            self.seen.setdefault((clients, place, name), []).append(rate)

    def measure(self):
        for number in range(self.size.rounds):
            say(f"postmap, round {number + 1} of {self.size.rounds}")
            for scene in self.scenes:
                self.measure_scene(*scene)

    def ratio(self, clients, place, name):
        return median(self.seen[clients, place, name]) / median(
            self.seen[clients, place, self.base]
        )

    def print(self):
        print("### By Postfix's own client, `postmap -q -`\n")
        print(
            f"| servers and clients on | clients | table | lookups/s | spread | of {self.base}'s |"
        )
        print("|---|--:|---|--:|--:|--:|")
        for clients, place, *_ in self.scenes:
            for name in self.tables:
                rates = self.seen[clients, place, name]
                print(
                    f"| {place} | {clients} | {name} | {median(rates):,.0f} "
                    f"| ±{spread(rates):.0f} % | {self.ratio(clients, place, name):.2f} |"
                )
        print()


def measure_idle(build, size, keys, server):
    """Resident memory before and while the idle connections are open, in kilobytes."""
    measure.bench(build, ["-m", MAP, "-n", "1000", "-k", keys, server.address])
    before = server.resident_kilobytes()
    command = [build / "tabled-bench", "--idle", str(size.idle), "-t", "1", "-m", MAP]
    command += ["-k", keys, server.address]
    load = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)
    first = load.stderr.readline()
    during = server.resident_kilobytes()
    rest = load.communicate()[1]
    if load.returncode != 0:
        raise stage.StageError(f"idle connections to {server.name}: {first}{rest}")
    return before, during


def print_idle(size, figures):
    print(f"### {size.idle:,} idle connections, each of which has asked once\n")
    print("| server | resident before, MB | with them, MB | bytes for each |")
    print("|---|--:|--:|--:|")
    for name, (before, during) in figures.items():
        each = (during - before) * 1024 / size.idle
        print(f"| {name} | {before / 1024:.1f} | {during / 1024:.1f} | {each:,.0f} |")
    print()


def measure_postmap(size, directory, database, floor, tabled):
    reason = measure.why_no_postfix("sqlite")
    if reason:
        print(f"SKIPPED: Postfix's own client: {reason}.\n")
        return
    texts = {"sqlite": f"dbpath = {database}\nquery = {stage.QUERY}\n"}
    with stage.Postfix(directory, texts) as postfix:
        tables = {"proxy:sqlite": f"proxy:{postfix.table('sqlite')}"}
        if tabled:
            tables["socketmap, tabled"] = f"socketmap:{tabled.address}:{MAP}"
            tables["tcp, tabled"] = tabled.tcp_table
        tables["sqlite"] = postfix.table("sqlite")
        tables["socketmap, floor"] = f"socketmap:{floor.address}:{MAP}"
        servers = [floor, tabled] if tabled else [floor]
        table = PostmapTable(size, postfix, directory, tables, servers, "proxy:sqlite")
        table.measure()
        table.print()


def measure_all(arguments, size, directory):
    database = directory / "mail.db"
    say(f"SQLite: making {size.rows:,} rows")
    stage.make_database(database, size.rows)
    keys = measure.write_keys(directory, size.rows)
    with contextlib.ExitStack() as running:
        floor = running.enter_context(stage.start_floor(arguments.build, directory))
        tabled = None
        if not arguments.without_tabled:
            text = f'sqlite mail {{ path = "{database}" }}\n' + stage.map_text(MAP)
            tabled = running.enter_context(
                stage.start_tabled(arguments.build, directory, "tabled", text, tcp_map=MAP)
            )
            check_answers(arguments.build, tabled, measure.write_expected(directory, size.rows))
        servers = [floor, tabled] if tabled else [floor]
        # First, while their memory is that of a server just started.
        figures = {
            server.name: measure_idle(arguments.build, size, keys, server) for server in servers
        }
        table = LoadTable(arguments.build, size, keys, servers)
        table.measure()
        table.print()
        measure_postmap(size, directory, database, floor, tabled)
        print_idle(size, figures)
