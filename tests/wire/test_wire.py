"""
Runs the conversations of all .wire files (README.md) against the real daemon: one request per
write, byte by byte, and all requests in one write; over Unix, IPv4 and IPv6 sockets.
"""

import fcntl
import pathlib
import re
import socket
import sqlite3
import struct
import termios
import threading
import time

import pytest

from support.daemon import Daemon
from support.ports import has_ipv6
from wire_file import read_wire_file

# How long a reply may take before the test gives up. Never a promise of speed.
PATIENCE = 30

ENDPOINTS = {
    'unix': 'unix:@DIR@/wire.sock',
    'inet': 'inet:127.0.0.1:@PORT:inet@',
    'inet6': 'inet:[::1]:@PORT:inet6@',
}
# Seconds and microseconds, twice: when a command of the dict protocol came, and when it was answered.
TIMES = re.compile(rb'(\t[1-9][0-9]*\t(0|[1-9][0-9]{0,5})){2}')
WAYS = [
    ('unix', 'whole'), ('unix', 'bytes'), ('unix', 'pipelined'),
    ('inet', 'pipelined'), ('inet6', 'whole'),
]
FILES = {
    path.stem: read_wire_file(path)
    for path in sorted(pathlib.Path(__file__).parent.glob('*.wire'))
}


def daemon_config(file):
    """The file's configuration, with a listener for each kind of socket."""
    listeners = ''
    for transport in file.transports:
        if transport != 'inet6' or has_ipv6():
            endpoint = ENDPOINTS[transport]
            # However slow this machine is: some send 65,000 bytes one by one.
            listeners += f'{file.protocol} {{ listen = "{endpoint}"  request_timeout = "5m"  {file.listener} }}\n'
    return file.config + listeners


def make_daemon(file):
    """A daemon for the file, with the database that its configuration may read."""
    daemon = Daemon(daemon_config(file))
    if file.sqlite:
        database = sqlite3.connect(daemon.path('mail.db'))
        database.executescript(file.sqlite)
        database.close()
    return daemon


def shorten(data):
    return repr(data) if len(data) <= 300 else f'{data[:150]!r} … {data[-60:]!r} ({len(data)} bytes)'


class Client:
    """One connection, and the replies that come over it."""

    def __init__(self, connection, protocol):
        self.connection = connection
        self.protocol = protocol
        self.input = b''
        self.numbers = []  # lines of the dict protocol that came early
        self.may_hang_up = False
        connection.settimeout(PATIENCE)

    def send(self, data):
        """Sends all; a server that hangs up early is right if the conversation says so."""
        try:
            self.connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            if not self.may_hang_up:
                raise

    def wait_until_read(self):
        """Waits until the server has taken all bytes, so that the next come in a read of theirs."""
        deadline = time.monotonic() + PATIENCE
        while True:
            waiting = fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4))
            if struct.unpack('i', waiting)[0] == 0:
                return
            assert time.monotonic() < deadline, 'the server does not read'
            time.sleep(0)

    def send_bytes(self, data):
        for i in range(len(data)):
            self.send(data[i:i + 1])
            if self.connection.family == socket.AF_UNIX:
                self.wait_until_read()

    def receive(self):
        """More input; False at its end. A reset is an end: what was sent to a closed socket."""
        try:
            data = self.connection.recv(65536)
        except ConnectionResetError:
            if not self.may_hang_up:
                raise
            data = b''
        except socket.timeout:
            raise AssertionError(f'no more than {shorten(self.input)} came') from None
        self.input += data
        return data != b''

    def take(self, size):
        while len(self.input) < size:
            if not self.receive():
                raise AssertionError(f'the server hung up after {shorten(self.input)}')
        data, self.input = self.input[:size], self.input[size:]
        return data

    def take_exactly(self, data):
        """Takes these bytes; fails at the first that differs, since more may never come."""
        while data.startswith(self.input) and self.input != data:
            if not self.receive():
                break
        if not self.input.startswith(data):
            raise AssertionError(f'{shorten(self.input)} came instead of {shorten(data)}')
        self.input = self.input[len(data):]

    def take_through(self, byte):
        while byte not in self.input:
            if not self.receive():
                raise AssertionError(f'the server hung up after {shorten(self.input)}')
        return self.take(self.input.index(byte) + 1)

    def take_reply(self):
        """One reply without its frame, which must be right."""
        if self.protocol != 'socketmap':
            return self.take_through(b'\n')[:-1]
        length = self.take_through(b':')[:-1]
        assert re.fullmatch(rb'0|[1-9][0-9]*', length), f'not a netstring: {length!r}'
        payload = self.take(int(length))
        assert self.take(1) == b',', f'no comma after {shorten(payload)}'
        return payload

    def set_numbers_aside(self):
        """
        Lines that tell a command's number come when it is read, and so before replies to earlier
        commands that are still being worked on.
        """
        while self.input.startswith(b'*') or (not self.input and self.receive()):
            if not self.input.startswith(b'*'):
                break
            self.numbers.append(self.take_through(b'\n'))

    def take_number(self, line):
        if not self.numbers:
            self.take_exactly(line)
        elif self.numbers.pop(0) != line:
            raise AssertionError(f'another number came than {line!r}')

    def check_timed(self, reply):
        got = self.take_reply()
        assert got.startswith(reply) and TIMES.fullmatch(got[len(reply):]), \
            f'{shorten(got)} came instead of {shorten(reply)} and the times'

    def check(self, step):
        if self.protocol == 'dict' and step.kind in ('expect', 'timed', 'match'):
            if step.kind == 'expect' and step.data.startswith(b'*'):
                self.take_number(step.data)
                return
            self.set_numbers_aside()
        if step.kind == 'expect':
            self.take_exactly(step.data)
        elif step.kind == 'timed':
            self.check_timed(step.data)
        elif step.kind == 'match':
            got = self.take_reply().decode('utf-8', 'backslashreplace')
            assert step.data.fullmatch(got), f'{got!r} came instead of {step.data.pattern!r}'

    def check_end(self):
        while self.receive():
            pass
        assert not self.numbers, f'numbers came that were not expected: {self.numbers}'
        assert self.input == b'', f'more came than expected: {shorten(self.input)}'


def converse_step_by_step(client, conversation, send):
    for step in conversation.steps:
        if step.kind == 'send':
            send(step.data)
        else:
            client.check(step)


def converse_pipelined(client, conversation):
    """All requests go out while the replies come in, so that neither side can block the other."""
    errors = []

    def send_all():
        try:
            client.send(b''.join(conversation.sends()))
        except OSError as error:
            errors.append(error)

    sender = threading.Thread(target=send_all)
    sender.start()
    try:
        for step in conversation.steps:
            client.check(step)
    finally:
        sender.join()
    assert not errors, errors


def converse(client, conversation, way):
    client.may_hang_up = conversation.is_closed()
    if way == 'pipelined':
        converse_pipelined(client, conversation)
    elif way == 'bytes':
        converse_step_by_step(client, conversation, client.send_bytes)
    else:
        converse_step_by_step(client, conversation, client.send)
    # Unless the server hangs up by itself, it must do so when we have no more to say, and must
    # have nothing left to say to us.
    if not conversation.is_closed():
        client.connection.shutdown(socket.SHUT_WR)
    client.check_end()


def play(daemon, file, conversation, transport, way):
    with daemon.connect(ENDPOINTS[transport]) as connection:
        converse(Client(connection, file.protocol), conversation, way)


@pytest.fixture(scope='module')
def shared_daemon(request):
    """One daemon for all conversations of a file: none of them may disturb the next."""
    with make_daemon(FILES[request.param]) as daemon:
        yield daemon


def cases(with_log):
    for file in FILES.values():
        for conversation in file.conversations:
            if bool(conversation.logs()) != with_log:
                continue
            for transport, way in WAYS:
                if transport in file.transports:
                    name = f'{file.path.stem}-{conversation.title}-{transport}-{way}'
                    yield file, conversation, transport, way, name


def skip_without(transport):
    if transport == 'inet6' and not has_ipv6():
        pytest.skip('this machine has no IPv6 loopback address')


@pytest.mark.parametrize(
    'shared_daemon,file,conversation,transport,way',
    [pytest.param(case[0].path.stem, *case[:4], id=case[4]) for case in cases(with_log=False)],
    indirect=['shared_daemon'])
def test_conversation(shared_daemon, file, conversation, transport, way):
    skip_without(transport)
    play(shared_daemon, file, conversation, transport, way)


@pytest.mark.parametrize(
    'file,conversation,transport,way',
    [pytest.param(*case[:4], id=case[4]) for case in cases(with_log=True)])
def test_conversation_with_log(file, conversation, transport, way):
    """Log lines are limited in rate, so each of these has a daemon of its own."""
    skip_without(transport)
    with make_daemon(file) as daemon:
        started = len(daemon.log())
        play(daemon, file, conversation, transport, way)
        for pattern in conversation.logs():
            daemon.wait_for_log(pattern.pattern, skip=started)
