"""Reads .wire files. README.md describes the format."""

import dataclasses
import pathlib
import re

SIMPLE_ESCAPES = {'n': b'\n', 'r': b'\r', 't': b'\t', '\\': b'\\'}
STEP = re.compile(r'(?P<kind>C:|C=|S:|S=|S~|closed|nothing|log~)(?: (?P<text>.*))?')
PROTOCOLS = ('socketmap', 'tcp_table', 'control', 'dict')
ALL_TRANSPORTS = ('unix', 'inet', 'inet6')
# Stands for the times in a reply of the dict protocol: seconds and microseconds, twice.
TIMES = '{times}'


class WireError(Exception):
    """A .wire file that cannot be understood."""


@dataclasses.dataclass
class Step:
    kind: str      # send, expect, timed, match, closed, nothing, log
    data: object   # bytes; for match and log a regular expression; for the rest None
                   # timed: the reply without its frame and the times at its end


@dataclasses.dataclass
class Conversation:
    title: str
    steps: list

    def sends(self):
        return [step.data for step in self.steps if step.kind == 'send']

    def logs(self):
        return [step.data for step in self.steps if step.kind == 'log']

    def is_closed(self):
        """Whether the server is to hang up by itself."""
        return any(step.kind == 'closed' for step in self.steps)


@dataclasses.dataclass
class WireFile:
    path: pathlib.Path
    protocol: str = ''
    listener: str = ''     # options of the listener, beside `listen`
    transports: tuple = ()
    config: str = ''
    sqlite: str = ''       # SQL that fills mail.db before the daemon starts
    conversations: list = dataclasses.field(default_factory=list)


def expand_repeats(text):
    r"""Replaces \{3*ab} by ababab."""
    return re.sub(r'\\\{(\d+)\*([^}]*)\}', lambda match: match[2] * int(match[1]), text)


def unescape(text):
    r"""The bytes of a line: UTF-8, with \n \r \t \\ \xHH and \{N*text}."""
    out = bytearray()
    for part in re.split(r'(\\x[0-9a-fA-F]{2}|\\.)', expand_repeats(text)):
        if re.fullmatch(r'\\x[0-9a-fA-F]{2}', part):
            out.append(int(part[2:], 16))
        elif part.startswith('\\'):
            if part[1:] not in SIMPLE_ESCAPES:
                raise WireError(f'unknown escape {part!r}')
            out += SIMPLE_ESCAPES[part[1:]]
        else:
            out += part.encode()
    return bytes(out)


def frame(protocol, payload):
    """Puts the protocol's frame around one request or reply."""
    if protocol == 'socketmap':
        return b'%d:%s,' % (len(payload), payload)
    return payload + b'\n'


def read_step(protocol, line):
    match = STEP.fullmatch(line)
    if not match:
        raise WireError(f'not one of C: C= S: S= S~ closed nothing log~: {line!r}')
    kind, text = match['kind'], match['text'] or ''
    if kind in ('closed', 'nothing'):
        return Step(kind, None)
    if kind in ('S~', 'log~'):
        return Step('match' if kind == 'S~' else 'log', re.compile(text))
    if kind == 'S:' and protocol == 'dict' and text.endswith(TIMES):
        return Step('timed', unescape(text.removesuffix(TIMES)))
    data = unescape(text)
    if kind.endswith(':'):
        data = frame(protocol, data)
    return Step('send' if kind.startswith('C') else 'expect', data)


def check_conversation(conversation):
    if not conversation.sends():
        raise WireError('a conversation in which nothing is sent')
    kinds = [step.kind for step in conversation.steps if step.kind != 'log']
    if {'closed', 'nothing'} & set(kinds[:-1]):
        raise WireError('something follows after closed or nothing')
    if kinds[-1] == 'send':
        raise WireError('the last that is sent has no answer; if that is meant, say nothing')


class Reader:
    def __init__(self, path):
        self.file = WireFile(path)
        self.block = None  # the header whose indented lines come now

    def header(self, line):
        name, _, value = line.partition(':')
        if name in ('config', 'sqlite') and not value.strip():
            self.block = name
        elif name == 'protocol':
            self.file.protocol = value.strip()
        elif name == 'listener':
            self.file.listener = value.strip()
        elif name == 'transports':
            self.file.transports = tuple(value.split())
        else:
            raise WireError(
                f'neither protocol:, listener:, transports:, sqlite: nor config: {line!r}')

    def line(self, line):
        if self.block and (line.startswith('    ') or not line.strip()):
            text = getattr(self.file, self.block) + expand_repeats(line) + '\n'
            setattr(self.file, self.block, text)
            return
        if not line.strip() or line.startswith('#'):
            return
        if line.startswith('== '):
            self.block = None
            self.file.conversations.append(Conversation(line[3:], []))
        elif self.file.conversations:
            steps = self.file.conversations[-1].steps
            steps.append(read_step(self.file.protocol, line))
        else:
            self.block = None
            self.header(line)

    def finish(self):
        titles = [conversation.title for conversation in self.file.conversations]
        if not titles or len(set(titles)) != len(titles):
            raise WireError('no conversations, or two with one title')
        if self.file.protocol not in PROTOCOLS:
            raise WireError(f'unknown protocol {self.file.protocol!r}')
        if not self.file.transports:
            # Dovecot reaches dictionaries by Unix sockets only.
            self.file.transports = ('unix',) if self.file.protocol == 'dict' else ALL_TRANSPORTS
        for conversation in self.file.conversations:
            check_conversation(conversation)
        return self.file


def read_wire_file(path):
    reader = Reader(path)
    for number, line in enumerate(path.read_text(encoding='utf-8').split('\n'), 1):
        try:
            reader.line(line)
        except (WireError, re.error) as error:
            raise WireError(f'{path}:{number}: {error}') from None
    try:
        return reader.finish()
    except WireError as error:
        raise WireError(f'{path}: {error}') from None
