"""
tabled-bench against servers that are scripted to be right, wrong, broken or gone: a load program
that cannot see mistakes would prove nothing. No times are asserted.
"""

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

from support.daemon import program
from support.ports import has_ipv6

RUN_SECONDS = 60


def netstring(payload):
    return b"%d:%s," % (len(payload), payload)


def socketmap_keys(stream):
    """The requests on a connection, one by one, until it ends."""
    while True:
        digits = b""
        while (byte := stream.read(1)) not in (b":", b""):
            digits += byte
        if not digits:
            return
        payload = stream.read(int(digits))
        assert stream.read(1) == b","
        yield payload.split(b" ", 1)


def tcp_table_keys(stream):
    for line in stream:
        assert line.startswith(b"get ") and line.endswith(b"\n")
        yield None, line[4:-1]


class Scripted:
    """Answers each key as `reply(map, key)` says: bytes to write as they are, None to hang up."""

    def __init__(self, reply, keys=socketmap_keys, family=socket.AF_UNIX, where=None):
        self.reply, self.keys = reply, keys
        self.asked = []
        self.listener = socket.socket(family)
        self.listener.bind(where)
        self.listener.listen(1024)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError), connection.makefile("rwb") as stream:
            for name, key in self.keys(stream):
                self.asked.append((name, key))
                reply = self.reply(name, key)
                if reply is None:
                    return
                stream.write(reply)
                stream.flush()

    def close(self):
        # close() alone would leave the accepting thread, and so the socket, where they are.
        with contextlib.suppress(OSError):  # a test may have closed it
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def serve(tmp_path_factory):
    """serve(reply, …) starts a scripted server on a Unix socket; it has `.address`."""
    directory = tmp_path_factory.mktemp("s")
    servers = []

    def start(reply, **options):
        where = options.pop("where", str(directory / str(len(servers))))
        server = Scripted(reply, where=where, **options)
        server.address = f"unix:{where}"
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def bench(*arguments):
    command = [str(program("tabled-bench")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS)


def report(*arguments, status=0):
    done = bench("--json", *arguments)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def found(_, key):
    return netstring(b"OK " + key + b" there")


def test_counts_every_class_of_socketmap(serve):
    replies = {
        b"found": b"OK x",
        b"missing": b"NOTFOUND ",
        b"missing without a space": b"NOTFOUND",
        b"temporary": b"TEMP try later",
        b"timeout": b"TIMEOUT late",
        b"permanent": b"PERM no such map",
        b"empty": b"OK ",
        b"bare": b"OK",
        b"lower case": b"ok x",
    }
    server = serve(lambda _, key: netstring(replies[key]))
    keys = server.address[5:] + ".keys"
    with open(keys, "wb") as out:
        out.write(b"\n".join(replies) + b"\n")
    seen = report("-m", "m", "-k", keys, "--in-order", "-n", len(replies), server.address)
    names = ("found", "not_found", "temporary", "permanent", "other")
    assert [seen[name] for name in names] == [1, 2, 2, 1, 3]
    assert server.asked == [(b"m", key) for key in replies]


def test_counts_every_class_of_tcp_table(serve):
    codes = {b"a": b"200 x", b"b": b"500 none", b"c": b"400 later", b"d": b"250 y", b"e": b"300 z"}
    server = serve(lambda _, key: codes[key] + b"\n", keys=tcp_table_keys)
    keys = server.address[5:] + ".keys"
    with open(keys, "w") as out:
        out.write("a\nb\n\nc\nd\ne\n")
    seen = report("-p", "tcp_table", "-k", keys, "--in-order", "-n", 5, server.address)
    assert [seen[name] for name in ("found", "not_found", "temporary", "other")] == [2, 1, 1, 1]


def test_tcp_table_encodes_keys_and_decodes_results(serve, tmp_path):
    server = serve(lambda _, key: b"200 50%25%0Aof " + key + b"\n", keys=tcp_table_keys)
    expect = tmp_path / "expect"
    expect.write_bytes(b'"a b"%c\xc3\xa9@x\tnot this\n')
    done = bench("-p", "tcp_table", "--expect", expect, server.address)
    assert server.asked == [(None, b'"a%20b"%25c%C3%A9@x')]
    assert done.returncode == 2
    assert 'is found "50%\\x0aof "a b"%c' in done.stderr


@pytest.mark.parametrize("connections, depth", [(1, 1), (1, 50), (7, 1), (5, 9)])
def test_sends_exactly_as_many_requests_as_told(serve, connections, depth):
    server = serve(found)
    load = ("-c", connections, "-d", depth, "-n", 1003)
    seen = report("-m", "m", "-K", "u%d@x%%y", "-N", 10, *load, server.address)
    assert seen["replies"] == seen["found"] == len(server.asked) == 1003
    assert {key for _, key in server.asked} == {b"u%d@x%%y" % number for number in range(10)}


def test_pattern_with_a_width(serve):
    server = serve(found)
    report("-m", "m", "-K", "u%04d", "-N", 10, "--in-order", "-n", 10, server.address)
    assert [key for _, key in server.asked] == [b"u%04d" % number for number in range(10)]


def test_runs_for_some_time_and_then_waits_for_the_last_replies(serve):
    server = serve(found)
    load = ("-c", 3, "-d", 4, "-t", 0.3, "--warm-up", 0.1)
    seen = report("-m", "m", "-K", "k", *load, server.address)
    assert 0 < seen["replies"] <= len(server.asked)
    assert seen["requests_lost"] == 0
    assert 0 < seen["p50_us"] <= seen["p99_us"] <= seen["p999_us"] <= seen["max_us"]


def test_the_same_seed_asks_the_same_keys(serve):
    def asked(*options):
        server = serve(found)
        report("-m", "m", "-K", "%d", "-N", 1000, "-n", 50, *options, server.address)
        return server.asked

    assert asked("-s", 7) == asked("-s", 7) != asked("-s", 8)
    assert asked("-z", 1.1, "-s", 7) == asked("-z", 1.1, "-s", 7)


def test_zipf_prefers_the_first_keys(serve):
    server = serve(found)
    report("-m", "m", "-K", "%d", "-N", 1000, "-n", 4000, "-z", 1, "-d", 100, server.address)
    keys = [int(key) for _, key in server.asked]
    # By the law the first key has 1 / H(1000) = 13.4 % of all; 10 standard deviations are 5.4 %.
    assert 320 < keys.count(0) < 750
    assert keys.count(0) > keys.count(9) > keys.count(999)


def expectations(tmp_path):
    path = tmp_path / "expect"
    path.write_text("a\ta there\nb\tb there\nnobody\t\n")
    return path


def test_right_answers(serve, tmp_path):
    server = serve(lambda n, key: netstring(b"NOTFOUND ") if key == b"nobody" else found(n, key))
    seen = report("-m", "m", "--expect", expectations(tmp_path), server.address)
    assert seen["replies"] == 3 and seen["wrong"] == 0


@pytest.mark.parametrize(
    "key, answer, complaint",
    [
        (b"a", b"OK other", 'wrong answer for "a": should be "a there", is found "other"'),
        (b"b", b"NOTFOUND ", 'wrong answer for "b": should be "b there", is not found'),
        (b"nobody", b"OK x", 'wrong answer for "nobody": should be not found, is found "x"'),
        (b"nobody", b"PERM bad", 'should be not found, is permanent "bad"'),
        (b"a", b"TEMP later", 'should be "a there", is temporary "later"'),
    ],
)
def test_wrong_answers(serve, tmp_path, key, answer, complaint):
    answers = {b"a": b"OK a there", b"b": b"OK b there", b"nobody": b"NOTFOUND ", key: answer}
    server = serve(lambda _, asked: netstring(answers[asked]))
    done = bench("-m", "m", "--expect", expectations(tmp_path), "-d", 3, server.address)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "wrong    1\n" in done.stdout


def test_temporary_errors_can_be_allowed(serve, tmp_path):
    server = serve(lambda *_: netstring(b"TEMP later"))
    options = ("-m", "m", "--expect", expectations(tmp_path), "--allow-temporary")
    seen = report(*options, server.address)
    assert seen["temporary"] == 3 and seen["wrong"] == 0


@pytest.mark.parametrize(
    "reply, complaint",
    [
        (b"rubbish", "does not start as a netstring"),
        (b":", "does not start as a netstring"),
        (b"4:OK x;", "does not end in a comma"),
        (b"100001:", "Postfix takes at most 100000"),
        (b"1234567:", "does not start as a netstring"),
        (b"4:OK x,4:OK x,", "a reply that nothing asked for"),
        (None, "the server closed it"),
    ],
)
def test_broken_replies_lose_the_connection(serve, reply, complaint):
    broken = iter([reply])
    server = serve(lambda n, key: next(broken, found(n, key)))
    done = bench("--json", "-m", "m", "-K", "k", "-n", 20, server.address)
    seen = json.loads(done.stdout)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert seen["connections_lost"] == 1
    assert seen["replies"] + seen["requests_lost"] == 20


def test_a_reply_that_never_comes_is_lost(serve):
    silent = iter([b""])
    server = serve(lambda n, key: next(silent, found(n, key)))
    done = bench("--json", "-m", "m", "-K", "k", "-n", 5, "--timeout", 2, server.address)
    seen = json.loads(done.stdout)
    assert done.returncode == 1
    assert "no reply in time" in done.stderr
    assert seen["requests_lost"] == 1 and seen["replies"] == 4


def test_a_server_that_goes_away(serve):
    server = serve(found)

    def go(*_):
        server.close()
        os.unlink(server.address[5:])

    server.reply = go
    done = bench("-m", "m", "-K", "k", "-n", 5, "--timeout", 2, server.address)
    assert done.returncode == 1
    assert "cannot connect: No such file or directory" in done.stderr


def test_large_replies_and_requests(serve):
    server = serve(lambda *_: netstring(b"OK " + b"x" * 99997))
    key = "k" * 9990
    seen = report("-m", "m", "-K", key, "-n", 200, "-d", 20, "-c", 2, server.address)
    assert seen["found"] == 200


def test_idle_connections(serve):
    server = serve(found)
    done = bench("--idle", 150, "-t", 0.1, "-m", "m", "-K", "k%d", "-N", 3, server.address)
    assert done.returncode == 0
    assert "150 idle connections are open" in done.stderr
    assert "open at the end 150, closed by the server 0" in done.stdout
    assert len(server.asked) == 150


def test_idle_connections_beside_a_load(serve):
    server = serve(found)
    load = ("-c", 2, "-n", 100)
    seen = report("--idle", 20, *load, "-m", "m", "-K", "k", server.address)
    assert seen["idle_open"] == 20 and seen["replies"] == 100


def test_idle_connections_that_the_server_closes():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)

        def close_each():
            for _ in range(5):
                listener.accept()[0].close()

        closing = threading.Thread(target=close_each, daemon=True)
        closing.start()
        port = listener.getsockname()[1]
        done = bench("--idle", 5, "-t", 2, f"inet:127.0.0.1:{port}")
        closing.join()
    assert done.returncode == 1
    assert "open at the end 0, closed by the server 5" in done.stdout


@pytest.mark.parametrize("family, host", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "[::1]")])
def test_inet(serve, family, host):
    if family == socket.AF_INET6 and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback address")
    server = serve(found, family=family, where=(host.strip("[]"), 0))
    port = server.listener.getsockname()[1]
    assert report("-m", "m", "-K", "k", "-n", 10, f"inet:{host}:{port}")["found"] == 10


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ("", "one address is needed"),
        ("unix:/a", "no keys"),
        ("-K k -m m unix:/a unix:/b", "one address is needed"),
        ("-K k -m m /a", "an address is unix:/path or inet:host:port"),
        ("-K k -m m unix:", "unix: needs a path"),
        (f"-K k -m m unix:/{'a' * 108}", "at most 107 bytes"),
        ("-K k -m m inet:127.0.0.1", "should be inet:host:port"),
        ("-K k -m m inet:::1:25", "inet:[::1]:port"),
        ("-K k unix:/a", "needs the name of a map: -m MAP"),
        ("-K k -p tcp_table -m m unix:/a", "tcp_table has no names of maps"),
        ("-p http unix:/a", "the protocols are socketmap and tcp_table"),
        ("-c 0 unix:/a", "-c 0: should be a whole number from 1"),
        ("-n -5 unix:/a", "-n -5: should be a whole number"),
        ("-d 3x unix:/a", "-d 3x: should be a whole number"),
        ("-t x unix:/a", "-t x: should be a number"),
        ("-t 0 -K k -m m unix:/a", "-t 0: should be longer"),
        ("-t 1 -n 1 -K k -m m unix:/a", "-t and -n: only one of them"),
        ("-K k -k f -m m unix:/a", "only one of them"),
        ("-k f -N 3 -m m unix:/a", "-N belongs to -K"),
        ("-K k -z 1 --in-order -m m unix:/a", "only one of them"),
        ("-K k%s -m m unix:/a", "only d or % may follow"),
        ("-K k%4d -m m unix:/a", "only d or % may follow"),
        ("-K k --allow-temporary -m m unix:/a", "belongs to --expect"),
        ("-k /nonexistent/keys -m m unix:/a", "/nonexistent/keys: No such file"),
        ("-k /dev/null -m m unix:/a", "/dev/null: holds no keys"),
        ("--frobnicate unix:/a", "see tabled-bench -h"),
        ("-K k -m m unix:/nonexistent/socket", "unix:/nonexistent/socket: cannot connect"),
    ],
)
def test_mistakes_on_the_command_line(arguments, complaint):
    done = bench(*arguments.split())
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stdout == ""


def test_mistakes_in_an_expect_file(tmp_path):
    expect = tmp_path / "expect"
    expect.write_text("a\tb\n\nno tab\n")
    done = bench("-m", "m", "--expect", expect, "unix:/a")
    assert done.returncode == 1
    assert f"{expect}:3: no TAB between key and result" in done.stderr


def test_keys_too_long_to_send(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("a\n" + "k" * 9999 + "\n")
    done = bench("-m", "m", "-k", keys, "unix:/a")
    assert done.returncode == 1
    assert f"{keys}:2: a socketmap request has at most 10000 bytes, this one 10001" in done.stderr


def test_help():
    done = bench("-h")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: tabled-bench [options] ADDRESS\n")
    assert max(map(len, done.stdout.splitlines())) <= 90
