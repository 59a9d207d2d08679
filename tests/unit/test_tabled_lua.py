"""
postfix-maps/dovecot/tabled.lua without Dovecot: in plain Lua, against a server that says what a test
wants. What matters most is what is never said: "unknown user" without tabled's word for it.
"""

import json
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from support.client import tab_escape
from support.fake_dict import LATER, SILENCE, FakeDict, answer, found

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = SOURCE / "postfix-maps" / "dovecot" / "tabled.lua"
PLAYER = SOURCE / "tests" / "support" / "dovecot.lua"
HELLO = "H4\t0\t0\t\tauth"
PATIENCE = 60  # seconds; never a promise of speed


def find_lua():
    """An interpreter that has what the script needs, and what of it is missing if there is none."""
    why = "lua is not installed"
    for name in ("lua5.4", "lua5.3", "lua"):
        path = shutil.which(name)
        if path:
            done = subprocess.run([path, "-e", "require('socket.unix') require('cjson')"],
                                  capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return path, None
            why = f"{name} has no socket.unix or cjson"
    return None, why


LUA, WHY_NOT = find_lua()
pytestmark = pytest.mark.skipif(LUA is None, reason=str(WHY_NOT))


class Script:
    """The script, loaded by Lua and asked line by line."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen([LUA, PLAYER, SCRIPT, *arguments], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True, errors="surrogateescape")

    def ask(self, *words):
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self.read()

    def read(self):
        return json.loads(self._process.stdout.readline())

    def end(self):
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait(PATIENCE)


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory(prefix="tabled-") as directory:
        yield pathlib.Path(directory) / "dict"


@pytest.fixture
def script(path):
    running = Script(f"socket={path}", "timeout=2", "connect_timeout=0.2")
    yield running
    assert running.end() == 0


def ok(**fields):
    return {"result": "OK", "fields": fields}


UNKNOWN = {"result": "USER_UNKNOWN", "fields": "unknown user"}


def is_failure(got):
    return got["result"] == "INTERNAL_FAILURE" and got["fields"].startswith("tabled: ")


# What is asked, and what is made of the answer


def test_passdb(path, script):
    with FakeDict(path, [found(2, '{"password": "{PLAIN}x", "allow_nets": null, "userdb_uid": 5000}')]) as server:
        assert script.ask("passdb", "alice@example.com") == ok(password="{PLAIN}x", userdb_uid="5000")
    assert server.seen == [[HELLO, "Lshared/passdb/imap/alice@example.com\talice@example.com"]]


def test_userdb(path, script):
    with FakeDict(path, [found(2, '{"uid": 5000, "gid": "5000", "home": "/srv/a b\\tc"}')]) as server:
        assert script.ask("userdb", "alice@example.com") == ok(uid="5000", gid="5000", home="/srv/a b\tc")
    assert server.seen == [[HELLO, "Lshared/userdb/alice@example.com\talice@example.com"]]


def test_quota_status(path, script):
    """It has keys of its own, for which tabled may give an old "not found"."""
    with FakeDict(path, [found(2, '{"uid": 5000}'), answer(3, "N")]) as server:
        assert script.ask("quota", "alice@example.com") == ok(uid="5000")
        assert script.ask("quota", "nobody") == UNKNOWN
    assert server.seen[0][1:] == ["Lshared/quota-status/alice@example.com\talice@example.com",
                                  "Lshared/quota-status/nobody\tnobody"]


def test_not_found(path, script):
    with FakeDict(path, [answer(2, "N"), answer(3, "N"), b"*4\n+4\tN\n"]):
        assert script.ask("passdb", "nobody") == UNKNOWN
        assert script.ask("userdb", "nobody") == UNKNOWN
        assert script.ask("userdb", "nobody") == UNKNOWN, "without the times"


def test_escapes_of_nothing(path, script):
    """As Dovecot takes them: before another byte the escape stands for that byte, at the end for none."""
    with FakeDict(path, [b'*2\n+2\tO\1{"uid": "1"}\1\n']):
        assert script.ask("userdb", "alice") == ok(uid="1")


def test_failure_is_told_and_the_connection_kept(path, script):
    with FakeDict(path, [answer(2, "Fsource mail: no host answers"), answer(3, "N")]) as server:
        assert script.ask("passdb", "alice") == {"result": "INTERNAL_FAILURE",
                                                 "fields": "tabled: source mail: no host answers"}
        assert script.ask("passdb", "nobody") == UNKNOWN
    assert len(server.seen) == 1


@pytest.mark.parametrize("user", ["john doe@example.com", "a\tb", "a\1b", "a\rb", "sub/dir\\x", "grüße@example.com",
                                  "+N", "%s", "'"])
def test_names(path, script, user):
    with FakeDict(path, [found(2, json.dumps({"user": user}, ensure_ascii=False))]) as server:
        assert script.ask("userdb", user) == ok(user=user)
    assert server.seen[0][1] == f"Lshared/userdb/{tab_escape(user)}\t{tab_escape(user)}"


@pytest.mark.parametrize("row, fields", [
    ('{}', {}),
    ('{"n": 0, "m": -1, "k": 12345678901, "f": 1.5, "s": ""}',
     {"n": "0", "m": "-1", "k": "12345678901", "f": "1.5", "s": ""}),
    ('{"nopassword": true, "proxy": false, "userdb_quota_ignore": false}',
     {"nopassword": "yes", "userdb_quota_ignore": "no"}),
    ('{"home": "/srv/\\u00fc", "mail": "line\\nline"}', {"home": "/srv/ü", "mail": "line\nline"}),
])
def test_values(path, script, row, fields):
    with FakeDict(path, [found(2, row)]):
        assert script.ask("passdb", "alice") == ok(**fields)


# What is no answer


BAD_ROWS = ["", "null", "[]", "[1]", '"x"', "{", '{"a": {}}', '{"a": [1]}', '{"": 1}', '{"a\\tb": 1}', '{"a\\nb": 1}',
            '{"a": "x\\u0000y"}', "uid=5000"]


@pytest.mark.parametrize("row", BAD_ROWS)
def test_bad_row(path, script, row):
    with FakeDict(path, [found(2, row), found(3, row)]):
        assert is_failure(script.ask("passdb", "alice"))
        assert is_failure(script.ask("userdb", "alice"))


NO_ANSWERS = {
    "garbage": b"garbage\n",
    "empty line": b"\n",
    "no number": b"N\n",
    "another number": b"*2\n+3\tN\t1\t2\t3\t4\n",
    "not a number": b"*2\n+x\tN\n",
    "no tab": b"*2\n+2N\n",
    "unknown letter": answer(2, "Xyz"),
    "several values": answer(2, "Ma\1tb"),
    "N and more": answer(2, "Nothing"),
    "no reply": answer(2, ""),
    "number alone": b"*2\n*3\n",
    "a commit": answer(2, "W1"),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_no_answer_and_a_new_connection(path, script, name):
    """What comes after an answer that makes no sense can't be trusted."""
    with FakeDict(path, [NO_ANSWERS[name], SILENCE], [answer(2, "N")]) as server:
        assert is_failure(script.ask("passdb", "alice"))
        assert script.ask("passdb", "nobody") == UNKNOWN
    assert len(server.seen) == 2 and len(server.seen[0]) == 2, "it was not asked twice"


HALVES = {"nothing": b"", "number": b"*2\n", "half a number": b"*2", "half a line": b'*2\n+2\tO{"uid": "50',
          "half N": b"*2\n+2\tN"}


@pytest.mark.parametrize("name", HALVES)
def test_closed_within_the_answer(path, script, name):
    with FakeDict(path, [HALVES[name]], [found(2, '{"uid": "5000"}')]) as server:
        assert script.ask("userdb", "alice") == ok(uid="5000")
    assert server.seen[0] == server.seen[1], "the same was asked again"


def test_closed_twice(path, script):
    """As tabled does when it knows no such dictionary."""
    with FakeDict(path, [], [], [answer(2, "N")]) as server:
        assert is_failure(script.ask("userdb", "alice"))
        assert script.ask("userdb", "alice") == UNKNOWN
    assert len(server.seen) == 3


@pytest.mark.parametrize("end", [[], [LATER]], ids=["while idle", "when asked"])
def test_idle_connection_was_closed(path, script, end):
    with FakeDict(path, [answer(2, "N"), *end], [answer(2, "N"), answer(3, "N")]) as server:
        assert [script.ask("userdb", "nobody") for _ in range(3)] == [UNKNOWN] * 3
    assert [len(lines) for lines in server.seen] == [2 + len(end), 3]


def test_time_out(path, script):
    """And no answer that comes too late is taken for the next one's."""
    with FakeDict(path, [SILENCE], [found(2, '{"uid": "2"}')]) as server:
        assert script.ask("userdb", "alice") == {"result": "INTERNAL_FAILURE", "fields": "tabled: no answer in time"}
        assert script.ask("userdb", "bob") == ok(uid="2")
    assert len(server.seen) == 2


def test_time_out_within_the_answer(path, script):
    with FakeDict(path, [b"*2\n+2\tN", SILENCE], [answer(2, "N")]):
        assert is_failure(script.ask("userdb", "alice"))
        assert script.ask("userdb", "alice") == UNKNOWN


def test_nobody_there(path, script):
    assert is_failure(script.ask("passdb", "alice"))
    assert is_failure(script.ask("userdb", "alice"))
    assert script.ask("iterate")["result"] == "FAILED"
    with FakeDict(path, [answer(2, "N")]):
        assert script.ask("passdb", "nobody") == UNKNOWN, "it is there now"


def test_restart(path, script):
    """The socket goes and comes again between two lookups."""
    with FakeDict(path, [answer(2, "N"), SILENCE]):
        assert script.ask("userdb", "nobody") == UNKNOWN
        path.unlink()
        with FakeDict(path, [found(2, '{"uid": "1"}')]):
            # The first one's connection is still open, and its server silent.
            assert is_failure(script.ask("userdb", "alice"))
            assert script.ask("userdb", "alice") == ok(uid="1")


# All users


def rows(number, users, prefix="shared/userdb/"):
    return (f"*{number}\n" + "".join(f"+{number}\tO{tab_escape(prefix + user)}\t\n" for user in users)
            + f"+{number}\t\t1\t2\t3\t4\n").encode()


def test_iterate(path, script):
    users = ["alice@example.com", "john doe@example.com", "a\tb", "a/b", "grüße@example.com", "N"]
    with FakeDict(path, [rows(2, users), rows(3, []), found(4, '{"uid": "1"}')]) as server:
        assert script.ask("iterate") == {"users": users}
        assert script.ask("iterate") == {"users": "none"}
        assert script.ask("userdb", "alice") == ok(uid="1")
    assert server.seen[0][:2] == [HELLO, "I8\t0\tshared/userdb/\t"]


def test_iterate_many(path, script):
    users = [f"user{number}@example.com" for number in range(100000)]
    with FakeDict(path, [rows(2, users)]):
        assert script.ask("iterate") == {"users": users}


BAD_LISTS = {
    "failure at once": answer(2, "Fno such table"),
    "failure after rows": b"*2\n+2\tOshared/userdb/alice\t\n+2\tFlost\t1\t2\t3\t4\n",
    "wrong prefix": rows(2, ["alice"], "shared/passdb/"),
    "shorter key": rows(2, [""], "shared/user"),
    "not found": answer(2, "N"),
    "garbage": b"*2\n+2\tOshared/userdb/alice\t\nrubbish\n",
    "silence": b"*2\n+2\tOshared/userdb/alice\t\n",
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_iterate_fails(path, script, name):
    with FakeDict(path, [BAD_LISTS[name], SILENCE]):
        assert script.ask("iterate")["result"] == "FAILED"


def test_iterate_again_from_the_start(path, script):
    half = b"*2\n+2\tOshared/userdb/alice\t\n+2\tOshared/userdb/bob\t\n"
    with FakeDict(path, [half], [rows(2, ["alice", "bob", "carol"])]):
        assert script.ask("iterate") == {"users": ["alice", "bob", "carol"]}


# Settings


def test_dictionary_by_setting(path):
    script = Script(f"socket={path}", "dictionary=a\tb")
    with FakeDict(path, [answer(2, "N")]) as server:
        assert script.ask("passdb", "nobody") == UNKNOWN
    assert server.seen[0][0] == "H4\t0\t0\t\ta\1tb"
    assert script.end() == 0


@pytest.mark.parametrize("argument, word", [("timeot=3", "timeot"), ("timeout=soon", "a number")])
def test_wrong_setting(argument, word):
    script = Script(argument)
    got = script.read()
    assert got["result"] == "NOT_LOADED" and word in got["fields"]
    assert script.end() == 1


def test_dovecot_23(tmp_path):
    """Which gives no settings, and calls the protocol a service."""
    with tempfile.TemporaryDirectory(prefix="tabled-") as directory:
        path = pathlib.Path(directory) / "dict"
        changed = tmp_path / "tabled.lua"
        text = SCRIPT.read_text(encoding="utf-8")
        assert text.count('"/run/tabled/auth"') == 1
        changed.write_text(text.replace('"/run/tabled/auth"', f'"{path}"'), encoding="utf-8")
        process = [LUA, PLAYER, changed]
        with FakeDict(path, [answer(2, "N")]) as server:
            done = subprocess.run(process, input="passdb alice\n", capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == UNKNOWN
        assert server.seen[0][1] == "Lshared/passdb/imap/alice\talice"
