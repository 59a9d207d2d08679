"""What all measurements have in common: sizes, places, load programs, and the statistics of rounds."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import time

import stage

MAP = "virtual_alias_maps"


class Size:
    """How much is measured."""

    def __init__(self, short):
        self.short = short
        self.rows = 2000 if short else 200000
        self.rounds = 1 if short else 5
        self.seconds = 0.1 if short else 3
        self.warm_up = 0.02 if short else 0.5
        # Of Dovecot's server, whose first answer may take a while.
        self.dict_seconds = 1 if short else 3
        # In all, over the clients: enough that their start does not count.
        self.postmap_keys = {1: 200, 16: 1600} if short else {1: 40000, 16: 160000}
        self.idle = 300 if short else 10000
        # In the cache: few, and very many.
        self.few_entries = 200 if short else 10000
        self.many_entries = 20000 if short else 10000000
        self.cache = "16M" if short else "1400M"
        self.trace_lookups = 200000 if short else 3000000
        self.changes = 20 if short else 1000
        # By 16 connections, until most keys are in the cache.
        self.fill_seconds = 0.2 if short else 8
        # Before, while and after the database is away, in seconds.
        self.outage = (2, 3, 3) if short else (30, 60, 30)


def say(text):
    print(text, file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values)


def spread(values):
    """Half of the distance between the extremes, in percent of the median."""
    middle = median(values)
    return 50 * (max(values) - min(values)) / middle if middle else 0


def one_processor():
    return {min(os.sched_getaffinity(0))}


def all_processors():
    return os.sched_getaffinity(0)


def run_pinned(command, processors, **options):
    """Runs a load program on these processors and returns what it printed."""
    pin = (lambda: os.sched_setaffinity(0, processors)) if processors else None
    done = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, text=True, preexec_fn=pin, **options
    )
    if done.returncode != 0:
        raise stage.StageError(f"{command[0]} ended with status {done.returncode}: {command}")
    return done.stdout


def bench(build, options, processors=None):
    """Runs tabled-bench and returns its report."""
    return json.loads(run_pinned([build / "tabled-bench", "--json", *options], processors))


def bench_load(build, size, keys, address, map_name, connections, processors):
    """
    tabled-bench's report of a load. A server that does not find a key has no speed. `keys` are the
    options that say which.
    """
    options = ["-c", connections, "-t", size.seconds, "-m", map_name]
    options += ["--warm-up", size.warm_up, *keys]
    report = bench(build, [*options, address], processors)
    if report["found"] != report["replies"] or not report["replies"]:
        raise stage.StageError(f"{address}: not all keys were found: {report}")
    return report


def write_keys(directory, rows):
    path = directory / "keys"
    path.write_text("".join(stage.address_of(number) + "\n" for number in range(rows)))
    return path


def write_expected(directory, rows):
    """All keys and their results, and one key that must not be found, for tabled-bench --expect."""
    path = directory / "expect"
    with open(path, "w") as out:
        for number in range(rows):
            out.write(f"{stage.address_of(number)}\t{stage.result_of(number)}\n")
        out.write("nobody@example.com\t\n")
    return path


def why_no_postfix(table_type):
    """Why Postfix's own client can't be measured on such tables, or None."""
    if os.geteuid() != 0:
        return "a Postfix master can only be started by root"
    for program in ("postfix", "postmap"):
        if not shutil.which(program):
            return f"{program} is not installed"
    types = subprocess.run(["postconf", "-m"], capture_output=True, text=True).stdout.split()
    if table_type not in types:
        return f"Postfix has no {table_type} (Debian: postfix-{table_type})"
    return None


class Postmaps:
    """Postfix's own client: parallel `postmap -q -` processes, each with a file of random keys."""

    def __init__(self, size, directory):
        self.size, self.directory = size, directory

    def write_keys(self, clients):
        """Fresh keys for so many clients."""
        each = self.size.postmap_keys[clients] // clients
        return [self._write_file(client, each) for client in range(clients)]

    def _write_file(self, client, count):
        path = self.directory / f"postmap.{client}"
        with open(path, "w") as out:
            for _ in range(count):
                out.write(stage.address_of(random.randrange(self.size.rows)) + "\n")
        return path

    def rate(self, postfix, table, files, processors):
        """Lookups a second, until the last client has ended."""
        with contextlib.ExitStack() as opened:
            inputs = [opened.enter_context(open(path)) for path in files]
            outputs = [opened.enter_context(open(f"{path}.out", "w")) for path in files]
            start = time.monotonic()
            running = [
                postfix.postmap(table, keys, output, processors)
                for keys, output in zip(inputs, outputs)
            ]
            statuses = [process.wait() for process in running]
            elapsed = time.monotonic() - start
        self._check(table, files, statuses)
        return self.size.postmap_keys[len(files)] / elapsed

    @staticmethod
    def _check(table, files, statuses):
        for path, status in zip(files, statuses):
            asked = len(path.read_text().splitlines())
            found = len(pathlib.Path(f"{path}.out").read_text().splitlines())
            if status != 0 or found != asked:
                raise stage.StageError(
                    f"postmap on {table}: status {status}, {found} of {asked} keys found"
                )
