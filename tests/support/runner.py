#!/usr/bin/python3
"""
Runs the suites of tests/run, counts what they count, and says it in one line at the end.

A suite is one function below, listed in SUITES. It returns its counts and prints what failed.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = SOURCE / 'build'
FUZZ_SECONDS = int(os.environ.get('FUZZ_SECONDS', '30'))
# Much of what the suites do is waiting.
LANES = 2


class Count:
    """How many checks have passed, failed and been skipped."""

    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed,
                     self.skipped + other.skipped)

    def __str__(self):
        return f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped'


def run(command, environment=None, seconds=3600, cwd=SOURCE):
    """Runs a command to its end. Returns its status and all that it printed."""
    try:
        done = subprocess.run([str(word) for word in command], cwd=cwd,
                              env={**os.environ, **(environment or {})}, text=True, errors='replace',
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        return 124, f'{late.stdout}\n{command[0]} did not end in {seconds} s\n'
    return done.returncode, done.stdout


def one(command, **options):
    """A command that is one check: it passes with status 0."""
    status, output = run(command, **options)
    if status == 0:
        return Count(passed=1)
    print(output)
    print(f'failed with status {status}: {" ".join(str(word) for word in command)}')
    return Count(failed=1)


def build(directory, *options, environment=None):
    """Configures and builds below `directory`. An error of it ends the run: nothing can be tested."""
    if not (directory / 'build.ninja').exists():
        command = ['meson', 'setup', directory, SOURCE, *options]
    else:
        command = ['meson', 'configure', directory, *options] if options else ['true']
    for step in (command, ['ninja', '-C', directory]):
        status, output = run(step, environment=environment)
        if status != 0:
            print(output)
            sys.exit(f'building {directory} failed')


def check_counts(output):
    """The counts that the check library printed, such as "100%: Checks: 12, Failures: 0, ..."."""
    count = Count()
    for checks, failures, errors in re.findall(
            r'^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)', output, re.MULTILINE):
        bad = int(failures) + int(errors)
        count += Count(int(checks) - bad, bad)
    count.skipped += len(re.findall(r'^skipped: ', output, re.MULTILINE))
    return count


def meson_tests(directory, suite, environment=None):
    """Runs the tests of a meson suite and counts the checks in each."""
    log = directory / 'meson-logs' / 'testlog.json'
    log.unlink(missing_ok=True)
    status, output = run(['meson', 'test', '-C', directory, '--suite', suite, '--no-rebuild',
                          '--timeout-multiplier', '10'], environment=environment)
    if not log.exists():
        print(output)
        return Count(failed=1)
    count = Count()
    for line in log.read_text(encoding='utf-8').splitlines():
        test = json.loads(line)
        counted = check_counts(test.get('stdout', ''))
        for skipped in re.findall(r'^skipped: .*', test.get('stdout', ''), re.MULTILINE):
            print(f'{test["name"]}: {skipped}')
        if test['result'] != 'OK':
            print(f'{test["name"]}: {test["result"]}\n{test.get("stdout", "")}'
                  f'{test.get("stderr", "")}')
            counted.failed = max(counted.failed, 1)
        count += counted
    if count.passed + count.failed == 0:
        print(f'no test ran (meson ended with status {status})\n{output}')
        count.failed += 1
    return count


def pytest_counts(output):
    """The counts in pytest's last line, such as "1 failed, 12 passed, 3 skipped in 4.56s"."""
    count = Count()
    for name in ('passed', 'failed', 'skipped', 'error'):
        found = re.findall(rf'(\d+) {name}s?\b', output.splitlines()[-1] if output else '')
        if found:
            kind = 'failed' if name == 'error' else name
            setattr(count, kind, getattr(count, kind) + int(found[-1]))
    return count


def pytest(directory, *arguments, environment=None):
    """Runs pytest on some paths against the programs below `directory`."""
    status, output = run(['/usr/bin/python3', '-m', 'pytest', '-q', '-rsfE', '--tb=short', *arguments],
                         environment={'TABLED_BUILD': str(directory), **(environment or {})})
    count = pytest_counts(output)
    if status not in (0, 1) or count.passed + count.failed + count.skipped == 0:
        count.failed += 1
    if count.failed or count.skipped:
        print(output)
    else:
        print(''.join(f'{line}\n' for line in output.splitlines() if line.startswith('figures: ')), end='')
    return count


def suite_format():
    """The style that .clang-format and the house's own rules can check."""
    files = run(['git', 'ls-files', '*.c', '*.h'])[1].split()
    return (one(['clang-format', '--dry-run', '--Werror', *files])
            + pytest(BUILD, 'tests/unit/test_house.py', 'tests/docs'))


def suite_unit():
    """Units, in C with check and in Lua, and the contract that every backend keeps."""
    return (meson_tests(BUILD, 'unit') + meson_tests(BUILD, 'contract')
            + pytest(BUILD, 'tests/unit/test_tabled_lua.py'))


def suite_wire():
    """Conversations with the real daemon, to the byte."""
    return pytest(BUILD, 'tests/wire')


def suite_e2e():
    """The daemon beside real Postfix, and what happens when its database has a bad day."""
    return pytest(BUILD, 'tests/e2e', '--ignore=tests/e2e/mailserver')


def suite_mailserver():
    """The whole mail server, with the shipped files, on a host of its own: what its users and strangers see."""
    return pytest(BUILD, 'tests/e2e/mailserver')


def suite_workers():
    """What clients and operators do, with one worker and with four, however many processors there are."""
    paths = ['tests/wire', 'tests/e2e/test_clients.py', 'tests/e2e/test_lifecycle.py', 'tests/e2e/test_sqlite_faults.py',
             '-k', 'not byte']
    return sum((pytest(BUILD, *paths, environment={'TABLED_WORKERS': count}) for count in ('1', '4')), Count())


def suite_bench():
    """The benchmarks, in a short form: that they run and count right, not how fast."""
    return pytest(BUILD, 'tests/bench')


def suite_quickstart():
    """The README's first command, in a clean checkout, as an ordinary user would have it."""
    with tempfile.TemporaryDirectory() as directory:
        clone = pathlib.Path(directory) / 'tabled'
        status, output = run(['git', 'clone', '-q', SOURCE, clone])
        if status != 0:
            print(output)
            return Count(failed=1)
        return one(['./quickstart'], cwd=clone)


def suite_clang():
    """The other compiler."""
    directory = SOURCE / 'build-clang'
    build(directory, environment={'CC': 'clang'})
    return meson_tests(directory, 'unit')


def sanitized(name, options, paths):
    directory = SOURCE / f'build-{name}'
    build(directory, f'-Db_sanitize={options}', '-Db_lundef=false', '-Dbuildtype=debug',
          environment={'CC': 'clang'})
    environment = {'ASAN_OPTIONS': 'detect_leaks=1', 'UBSAN_OPTIONS': 'halt_on_error=1', 'TABLED_SLOWNESS': '4',
                   'TABLED_WORKERS': '4'}
    return (meson_tests(directory, 'unit', environment)
            + meson_tests(directory, 'contract', environment)
            + pytest(directory, *paths, environment=environment))


# Of the faults of servers those that reach farthest into the pool: the sanitizers take their time.
SANITIZED_FAULTS = ('killed or truncates or fail_over_and_back or poison or sleeping or reloading '
                    'or daemon_stopped')

# And of those of transactions.
SANITIZED_DICT_FAULTS = 'COMMIT-reply-close or clients_gone or many_come_and_go or stopped_while_locked or reload_under_load'


def suite_asan():
    """Units and the daemon under AddressSanitizer and UndefinedBehaviorSanitizer."""
    return sanitized('asan', 'address,undefined', ['tests/wire', 'tests/e2e/test_sqlite_faults.py',
                                                   'tests/e2e/test_cache.py',
                                                   'tests/e2e/test_database_faults.py',
                                                   'tests/e2e/test_dict_faults.py', '-k',
                                                   'not test_database_faults and not test_dict_faults '
                                                   f'or {SANITIZED_FAULTS} or {SANITIZED_DICT_FAULTS} or iterate_slow'])


# ThreadSanitizer puts signals off, and then hands them to a handler that is at work already, which can
# lock itself out; and it keeps memory of its own.
NOT_THREADS = 'not storm_of_signals and not leave_nothing_behind'


def suite_tsan():
    """The same under ThreadSanitizer."""
    return sanitized('tsan', 'thread', ['tests/wire', 'tests/e2e/test_workers.py', 'tests/e2e/test_lifecycle.py',
                                        'tests/e2e/test_cache.py',
                                        'tests/e2e/test_database_faults.py',
                                        'tests/e2e/test_dict_faults.py', '-k',
                                        'not test_database_faults and not test_dict_faults and not byte '
                                        f'and {NOT_THREADS} or {SANITIZED_FAULTS} or {SANITIZED_DICT_FAULTS}'])


def suite_fuzz():
    """Each fuzzer for half a minute, beginning with what is known already."""
    directory = SOURCE / 'build-fuzz'
    build(directory, '-Dfuzz=true', '-Db_sanitize=address,undefined', '-Db_lundef=false',
          environment={'CC': 'clang'})
    count = Count()
    targets = sorted(path.stem for path in (SOURCE / 'tests' / 'fuzz').glob('fuzz_*.c'))
    cores = os.cpu_count() or 1
    for at in range(0, len(targets), cores):
        count += fuzz_together(directory, targets[at:at + cores])
    return count


def fuzz_together(directory, targets):
    """Fuzzes some targets at a time. New inputs go to a copy: the corpus in the tree is kept by hand."""
    running = []
    for target in targets:
        work = directory / 'found' / target
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        corpus = SOURCE / 'tests' / 'fuzz' / 'corpus' / target.removeprefix('fuzz_')
        command = [directory / 'tests' / target, work, corpus, '-max_len=20000',
                   f'-max_total_time={FUZZ_SECONDS}', f'-artifact_prefix={work}/crash-']
        log = open(work.with_suffix('.log'), 'w+', encoding='utf-8', errors='replace')
        running.append((target, log, subprocess.Popen(
            [str(word) for word in command], stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env={**os.environ, 'UBSAN_OPTIONS': 'halt_on_error=1'})))
    count = Count()
    for target, log, process in running:
        status = process.wait()
        log.seek(0)
        output = log.read()
        log.close()
        runs = re.findall(r'Done (\d+) runs', output)
        if status == 0 and runs:
            print(f'{target}: {runs[-1]} inputs')
            count.passed += 1
        else:
            print(f'{target}: status {status}\n{output[-4000:]}')
            count.failed += 1
    return count


def suite_debian13():
    """The README's first command, the units, Dovecot 2.4, and a mail server with it, on a fresh Debian 13 in a chroot."""
    status, output = run(['tests/support/debian13', SOURCE])
    for line in output.splitlines():
        if line.startswith('skipped: debian13: '):
            print(line)
            return Count(skipped=1)
    count = check_counts(output) + pytest_counts(output)
    print(''.join(f'{line}\n' for line in output.splitlines() if line.startswith(('skipped: ', 'SKIPPED ', 'figures: '))), end='')
    if status != 0:
        print(output[-8000:])
        count.failed += 1
    else:
        count.passed += 1
    return count


# Those that take long come first, so that the lanes end together.
SUITES = {
    'e2e': suite_e2e,
    'asan': suite_asan,
    'tsan': suite_tsan,
    'mailserver': suite_mailserver,
    'debian13': suite_debian13,
    'workers': suite_workers,
    'fuzz': suite_fuzz,
    'bench': suite_bench,
    'unit': suite_unit,
    'wire': suite_wire,
    'clang': suite_clang,
    'quickstart': suite_quickstart,
    'format': suite_format,
}


def run_suites(names):
    """Runs some suites in this process, one after the other. Returns what they count."""
    total = Count()
    for name in names:
        print(f'== {name}', flush=True)
        started = time.monotonic()
        count = SUITES[name]()
        print(f'{name}: {count} ({time.monotonic() - started:.0f} s)', flush=True)
        total += count
    return total


def run_apart(name):
    """Runs a suite in a process of its own, and prints all that it says when it has ended."""
    status, output = run([sys.executable, __file__, '--alone', '--suite', name], seconds=5400)
    counts = re.findall(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', output, re.MULTILINE)
    count = Count(*map(int, counts[-1])) if counts else Count()
    if status not in (0, 1) or (status == 0) != (count.failed == 0) or not counts:
        output += f'{name} ended with status {status}\n'
        count.failed += 1
    print(re.sub(r'\n\d+ passed, \d+ failed, \d+ skipped\n\Z', '\n', output), end='', flush=True)
    return count


def main():
    parser = argparse.ArgumentParser(prog='tests/run', description='Runs the test suites.')
    parser.add_argument('--suite', action='append', choices=list(SUITES), metavar='NAME',
                        help='only this one (may be repeated)')
    parser.add_argument('--list', action='store_true', help='prints the names of the suites')
    parser.add_argument('--lanes', type=int, default=LANES, metavar='N',
                        help=f'how many suites may run at a time ({LANES})')
    parser.add_argument('--alone', action='store_true', help=argparse.SUPPRESS)  # by run_apart()
    arguments = parser.parse_args()
    names = arguments.suite or list(SUITES)
    if arguments.list:
        for name, suite in SUITES.items():
            print(f'{name:12}{suite.__doc__}')
        return 0
    if not arguments.alone:
        build(BUILD)
    if arguments.alone or len(names) == 1 or arguments.lanes < 2:
        total = run_suites(names)
    else:
        with concurrent.futures.ThreadPoolExecutor(arguments.lanes) as lanes:
            total = sum(lanes.map(run_apart, names), Count())
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == '__main__':
    sys.exit(main())
