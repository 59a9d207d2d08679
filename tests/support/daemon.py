"""
Starts the real tabled for a test and makes sure that it ends well.

    with Daemon('socketmap { listen = "unix:@DIR@/x.sock" } ...') as daemon:
        ... connect to daemon.path('x.sock') ...

In the configuration @DIR@ stands for a fresh directory, and @PORT:NAME@ for a free port of the
loopback interface, the same wherever the NAME is the same (daemon.port('NAME')).

At the end of the block the daemon gets SIGTERM and has to exit with status 0. What a sanitizer
printed is a failure too, whatever the exit status was. The binary is TABLED_BUILD/tabled; without
TABLED_BUILD that is build/ in the source tree. With TABLED_WORKERS=N in the environment the daemon has
so many workers, wherever the configuration does not say it.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from support.ports import free_port
from support.slowness import slowness

SOURCE = pathlib.Path(__file__).resolve().parents[2]

# Patience, not promises.
START_SECONDS = 30 * slowness()
STOP_SECONDS = 30 * slowness()
LOG_SECONDS = 15 * slowness()

SUPPRESSIONS = SOURCE / 'tests' / 'support' / 'tsan.supp'

COMPLAINTS = re.compile(
    r'(ERROR|WARNING): (Address|Leak|Thread|Memory)Sanitizer'
    r'|: runtime error: '
    r'|: Assertion .* failed'
)


class DaemonError(Exception):
    """The daemon did not start, did not stop, or complained."""


def build_directory():
    """Where the programs under test are."""
    return pathlib.Path(os.environ.get('TABLED_BUILD', SOURCE / 'build')).resolve()


def program(name):
    """The path of tabled, tabledctl or tabled-bench; an error if it was not built."""
    path = build_directory() / name
    if not path.exists():
        raise DaemonError(f'{path} does not exist: build first, or set TABLED_BUILD')
    return path


def sanitizer_environment():
    """The caller's environment, with sanitizers that stop at the first finding."""
    environment = dict(os.environ)
    environment.setdefault('UBSAN_OPTIONS', 'print_stacktrace=1:halt_on_error=1')
    environment.setdefault('TSAN_OPTIONS', f'halt_on_error=1:suppressions={SUPPRESSIONS}')
    return environment


def endpoint_connect(endpoint, timeout=10):
    """Connects to 'unix:PATH', 'inet:HOST:PORT' or 'inet:[HOST]:PORT'."""
    kind, rest = endpoint.split(':', 1)
    if kind == 'unix':
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            connection.connect(rest)
        except OSError:
            connection.close()
            raise
        return connection
    host, port = rest.rsplit(':', 1)
    connection = socket.create_connection((host.strip('[]'), int(port)), timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def config_endpoints(config):
    """Every address that the configuration listens on."""
    text = re.sub(r'^\s*#.*$', '', config, flags=re.MULTILINE)
    values = re.findall(r'\blisten\s*=\s*(\{[^}]*\}|"[^"]*")', text)
    return [item for value in values for item in re.findall(r'"([^"]*)"', value)]


def with_workers(config):
    """The configuration with as many workers as TABLED_WORKERS asks for; its lines stay where they are."""
    count = os.environ.get('TABLED_WORKERS')
    if not count or re.search(r'^\s*workers\s*=', config, re.MULTILINE):
        return config
    return f'workers = {count} {config}'


class Daemon:
    def __init__(self, config, arguments=(), environment=None):
        # Unix socket paths are short (108 bytes): pytest's own tmp_path may be too long.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='tabled-'))
        self.arguments = [str(argument) for argument in arguments]
        self.under = []  # what it is started by, such as setpriv, which becomes it
        self.environment = {**sanitizer_environment(), **(environment or {})}
        self.process = None
        self.ports = {}
        self.config_path = self.path('tabled.conf')
        self.log_path = self.path('log')
        self.write_config(config)

    def path(self, name):
        """A file in the daemon's own directory."""
        return self.directory / name

    def port(self, name):
        """The port that @PORT:NAME@ stands for."""
        if name not in self.ports:
            self.ports[name] = free_port()
        return self.ports[name]

    def expand(self, text):
        """Replaces the @…@ placeholders."""
        text = text.replace('@DIR@', str(self.directory))
        return re.sub(r'@PORT:(\w+)@', lambda match: str(self.port(match.group(1))), text)

    def write_config(self, config):
        """Writes the file; the running daemon sees it at its next reload."""
        self.config = with_workers(self.expand(config))
        self.config_path.write_text(self.config, encoding='utf-8')

    def log(self):
        """All that the daemon wrote to stderr so far."""
        if not self.log_path.exists():
            return ''
        return self.log_path.read_text(encoding='utf-8', errors='replace')

    def wait_for_log(self, pattern, timeout=LOG_SECONDS, skip=0):
        """Waits for a match of the regular expression in the log, from character `skip` on."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.log()[skip:], re.MULTILINE)
            if match:
                return match
            if time.monotonic() > deadline:
                raise DaemonError(f'no {pattern!r} in the log:\n{self.log()[skip:]}')
            time.sleep(0.01)

    def connect(self, endpoint, timeout=10):
        """Connects to an endpoint, in which placeholders may stand."""
        return endpoint_connect(self.expand(endpoint), timeout)

    def start(self):
        """Starts the daemon and returns when all of its listeners accept connections."""
        command = [*self.under, str(program('tabled')), '-c', str(self.config_path), *self.arguments]
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, env=self.environment)
        try:
            self.wait_until_accepting()
        except BaseException:
            self.kill()
            raise
        return self

    def wait_until_accepting(self):
        deadline = time.monotonic() + START_SECONDS
        for endpoint in config_endpoints(self.config):
            while True:
                if self.process.poll() is not None:
                    raise DaemonError(
                        f'tabled exited with {self.process.returncode}:\n{self.log()}')
                try:
                    endpoint_connect(endpoint).close()
                    break
                except OSError as error:
                    if time.monotonic() > deadline:
                        raise DaemonError(
                            f'{endpoint} does not accept ({error}):\n{self.log()}') from error
                time.sleep(0.01)

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        """Asks the daemon to read its file again; the log says what came of it."""
        self.signal(signal.SIGHUP)

    def kill(self):
        """Ends the daemon without ceremony, as a crash would."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """Ends the daemon as an administrator would; anything but a clean end is an error."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DaemonError(f'tabled did not stop on SIGTERM:\n{self.log()}') from None
        self.check_log()
        if status != 0:
            raise DaemonError(f'tabled exited with {status}:\n{self.log()}')

    def check_log(self):
        """Raises if a sanitizer or an assert() spoke."""
        match = COMPLAINTS.search(self.log())
        if match:
            raise DaemonError(f'{match.group(0)!r} in the log:\n{self.log()}')

    def remove(self):
        """Removes the daemon's directory."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, kind, error, trace):
        try:
            if error is None:
                # Whoever killed the daemon as a part of the test knows how it ended.
                if self.process.poll() == -signal.SIGKILL:
                    self.check_log()
                else:
                    self.stop()
                return
            # The test failed by itself: that is the error to show, with the log beside it.
            try:
                self.stop()
            except DaemonError as second:
                print(f'and then: {second}', file=sys.stderr)
            print(f'the log of tabled was:\n{self.log()}', file=sys.stderr)
        finally:
            self.remove()
