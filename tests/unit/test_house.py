"""
The rules of the house that a compiler does not enforce: which way includes point, who may know
libuv, and how long a function may be.
"""

import pathlib
import re

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]

FUNCTION_LINES_MOST = 80

# The parts, and the parts that each may include besides itself. What is lower never includes what
# is higher; protocols, engine and backends know nothing of each other.
ALLOWED = {
    'base': set(),
    'words': {'base'},
    'proto': {'base', 'words'},
    'engine': {'base', 'words'},
    'backends': {'base', 'words'},
    'dict': {'base', 'words', 'proto', 'engine'},
    'admin': {'base', 'words', 'engine'},
    'net': {'base', 'words', 'engine', 'dict', 'admin'},
    'top': {'base', 'words', 'engine', 'admin', 'net'},
    'ctl': {'base', 'words', 'engine', 'admin', 'net', 'top'},
    'bench': {'base', 'words'},
}

# The headers that all may share: what a lookup is, and the three points of extension.
WORDS = {'lookup.h', 'proto.h', 'backend.h', 'server.h', 'setting.h'}

# What implements those headers belongs to them.
WORDS_SOURCES = {'tabled/lookup.c', 'tabled/backend.c', 'tabled/server.c', 'tabled/base/setting.c'}


def part_of(path):
    """The part of the house that a file, given from the root of the source, belongs to."""
    parts = pathlib.PurePath(path).parts
    if parts[0] in ('backends', 'ctl', 'bench'):
        return parts[0]
    if path in WORDS_SOURCES or path in {f'tabled/{name}' for name in WORDS}:
        return 'words'
    return parts[1] if len(parts) == 3 else 'top'


def sources():
    """All C files of the house, from the root."""
    found = []
    for folder in ('tabled', 'backends', 'ctl', 'bench'):
        for path in sorted((SOURCE / folder).rglob('*.[ch]')):
            found.append(str(path.relative_to(SOURCE)))
    return found


def includes(text):
    """The headers in quotes and those in angle brackets."""
    return (re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.MULTILINE),
            re.findall(r'^\s*#\s*include\s+<([^>]+)>', text, re.MULTILINE))


def resolve(source, header):
    """What an include in quotes means: beside the file, or from tabled/ or the root."""
    for place in ((SOURCE / source).parent, SOURCE / 'tabled', SOURCE):
        if (place / header).exists():
            return str((place / header).resolve().relative_to(SOURCE))
    raise AssertionError(f'{source} includes "{header}", which is not there')


def wrong_includes(source, text):
    """What a file includes though its part must not."""
    part = part_of(source)
    quoted, angled = includes(text)
    wrong = []
    for header in quoted:
        target = part_of(resolve(source, header))
        if target != part and target not in ALLOWED[part]:
            wrong.append(f'{source}: {part} must not include {header} of {target}')
    if 'uv.h' in angled and part not in ('net', 'bench'):
        wrong.append(f'{source}: only tabled/net includes <uv.h>')
    return wrong


def strip_comments(text):
    """The text without comments, strings and characters; lines stay where they are."""
    def blank(match):
        return re.sub(r'[^\n]', ' ', match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.DOTALL)


def functions(text):
    """Name, line and number of lines of each function, from its name to its closing brace."""
    lines = strip_comments(text).split('\n')
    start, head = None, ''
    for number, line in enumerate(lines, 1):
        if re.match(r'[A-Za-z_]', line):
            start, head = number, line
        elif line.startswith('{') and start is not None:
            head = ' '.join(lines[start - 1:number])
        elif line.startswith('}') and start is not None:
            name = re.search(r'(\w+)\s*\(', head)
            if name and not re.match(r'(struct|enum|union|static const struct)\b[^(]*\{', head):
                yield name.group(1), start, number - start + 1
            start = None


def read(source):
    return (SOURCE / source).read_text(encoding='utf-8')


def test_includes_point_one_way():
    assert not [wrong for source in sources() for wrong in wrong_includes(source, read(source))]


def test_functions_are_short():
    measured = [(source, *function) for source in sources() for function in functions(read(source))]
    assert len(measured) > 300
    assert not [f'{source}:{line}: {name}() has {size} lines'
                for source, name, line, size in measured if size > FUNCTION_LINES_MOST]


def test_every_part_is_seen():
    """That the rules are asked of the files they are meant for."""
    parts = {part_of(source) for source in sources()}
    assert parts == set(ALLOWED)
    assert part_of('tabled/lookup.c') == part_of('tabled/setting.h') == 'words'
    assert part_of('tabled/daemon.c') == 'top'


@pytest.mark.parametrize('source, include, wrong', [
    ('tabled/base/buf.c', '"lookup.h"', True),
    ('tabled/base/setting.c', '"setting.h"', False),
    ('tabled/base/setting.c', '"engine/map.h"', True),
    ('tabled/lookup.c', '"engine/plan.h"', True),
    ('tabled/proto/line.c', '"engine/engine.h"', True),
    ('tabled/proto/line.c', '"proto.h"', False),
    ('tabled/engine/map.c', '"net/loop.h"', True),
    ('tabled/engine/map.c', '"proto/line.h"', True),
    ('tabled/engine/map.c', '"backend.h"', False),
    ('backends/sqlite.c', '"engine/source.h"', True),
    ('backends/sqlite.c', '"base/clock.h"', False),
    ('tabled/admin/status.c', '"engine/engine.h"', False),
    ('tabled/admin/status.c', '"net/loop.h"', True),
    ('tabled/net/conn.c', '"config.h"', True),
    ('tabled/net/conn.c', '<uv.h>', False),
    ('tabled/daemon.c', '<uv.h>', True),
    ('tabled/engine/engine.c', '<uv.h>', True),
    ('tabled/daemon.c', '"net/loop.h"', False),
])
def test_the_rule_itself(source, include, wrong):
    """That it finds what is wrong, and only that."""
    assert bool(wrong_includes(source, f'#include {include}\n')) == wrong


def test_functions_are_measured():
    body = '\tx();\n' * 78
    text = ('static const struct row rows[] = {\n\t{1},\n};\n\n'
            'int one(int a)\n{\n\treturn a;\n}\n\n'
            '/* {\n} */\n'
            f'static int two(\n\tint a, int b)\n{{\n{body}}}\n')
    assert list(functions(text)) == [('one', 5, 4), ('two', 12, 82)]
