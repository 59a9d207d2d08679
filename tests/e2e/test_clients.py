"""
Clients that behave badly: they send too much, read too little, stop half-way, vanish. Whoever else
is connected must not notice, no answer may be wrong or lost, and memory stays bounded.
"""

import contextlib
import json
import random
import re
import resource
import signal
import threading
import time

import pytest

from support.client import (
    CONTROL, MEGABYTE, SOCKETMAP, TCP_TABLE, Client, Flood, answer, assert_all_well, assert_well,
    base_config, listener_status, locked_database, make_daemon, memory, netstring, open_files, status, wait_until,
    wait_until_asked, wait_until_locked)
from support.ports import has_ipv6

INET = 'socketmap { listen = "inet:127.0.0.1:@PORT:socketmap@" }\n'
INET_ENDPOINT = "inet:127.0.0.1:@PORT:socketmap@"


@pytest.fixture
def daemon():
    with make_daemon(base_config() + INET) as running:
        yield running


# Too much at a time.

def test_pipelining_without_reading(daemon):
    """100,000 requests, whose replies are read only when the daemon has stopped taking more."""
    keys = [f"k{number}" for number in range(100_000)]
    assert_all_well(daemon)
    before = memory(daemon)
    with Client(daemon) as client:
        flood = Flood(client, b"".join(netstring(f"echo {key}") for key in keys))
        flood.wait_until_stuck()
        assert_well(daemon)
        assert memory(daemon) - before < 6 * MEGABYTE
        for key in keys:
            assert client.reply() == f"OK echo-{key}"
        flood.join()
        assert client.ask("echo", "last").reply() == "OK echo-last"


def test_big_replies_are_never_read():
    """Each client asks for 90 MB and reads none of it: it is held up, then disconnected."""
    with make_daemon(base_config('request_timeout = "1s"')) as daemon, contextlib.ExitStack() as stack:
        assert_all_well(daemon)
        before = memory(daemon)
        clients = [stack.enter_context(Client(daemon)) for _ in range(8)]
        floods = [Flood(client, netstring("sized 90000") * 1000 + netstring("sized 9") * 40_000) for client in clients]
        daemon.wait_for_log("does not read its replies")
        assert memory(daemon) - before < 16 * MEGABYTE
        assert_well(daemon)
        wait_until(lambda: listener_status(daemon)["connections"] == 0, "they are disconnected")
        for flood in floods:
            flood.join()
        assert_well(daemon)


def test_replies_behind_one_that_waits(daemon):
    """The first reply waits for a lock: the big ones behind it must not pile up meanwhile."""
    assert_all_well(daemon)
    before = memory(daemon)
    with contextlib.ExitStack() as stack, locked_database(daemon) as unlock:
        clients = [stack.enter_context(Client(daemon)) for _ in range(8)]
        for client in clients:
            client.ask("slow", "first").send(netstring("sized 90000") * 100)
        wait_until_locked(daemon)
        wait_until_asked(daemon, 8 * 3)
        assert memory(daemon) - before < 16 * MEGABYTE
        assert_well(daemon)
        unlock()
        for client in clients:
            assert client.reply() == "OK slow-first"
            for _ in range(100):
                assert client.reply() == "OK " + 90000 * "x"


def test_order_of_pipelined_replies(daemon):
    """Some wait for a lock, others don't; a request that is refused has its turn, too.

    All of them are under way at a time: with more, tabled reads no further, and sending would block.
    """
    with locked_database(daemon) as unlock, Client(daemon) as client:
        for number in range(30):
            client.ask("slow", f"a{number}", f"b{number}").ask("echo", number).ask("fixed", "alice@example.com")
            client.ask("fixed", f"nobody{number}").ask("missing", number).send(b"7:nospace,")
        wait_until_locked(daemon)
        assert answer(daemon, "echo", "beside") == "OK echo-beside"
        unlock()
        for number in range(30):
            assert client.reply() == f"OK slow-a{number}"
            assert client.reply() == f"OK slow-b{number}"
            assert client.reply() == f"OK echo-{number}"
            assert client.reply() == "OK bob@example.com"
            assert client.reply() == "NOTFOUND "
            assert client.reply().startswith("PERM ")
            assert client.reply().startswith("PERM ")


def test_many_wait_for_a_lock(daemon):
    """More requests than a client may have under way, from several clients."""
    with contextlib.ExitStack() as stack, locked_database(daemon) as unlock:
        clients = [stack.enter_context(Client(daemon)) for _ in range(8)]
        for client in clients:
            client.ask("slow", *range(1000))
        wait_until_locked(daemon)
        assert_well(daemon)
        unlock()
        for client in clients:
            for number in range(1000):
                assert client.reply() == f"OK slow-{number}"


def test_pipelined_commands(daemon):
    command = json.dumps({"command": "get", "map": "fixed", "key": "alice@example.com"}).encode() + b"\n"
    with Client(daemon, CONTROL) as client:
        flood = Flood(client, command * 20_000 + b'{"command": "status"}\n' * 500)
        for _ in range(20_000):
            assert json.loads(client.line()) == {"status": "found", "text": "bob@example.com"}
        for _ in range(500):
            assert json.loads(client.line())["status"] == "ok"
        flood.join()
        assert client.half_close().rest() == b""


# Too little, too late.

def dribble(client, data, stop):
    """Sends byte after byte until the daemon has had enough."""
    with contextlib.suppress(OSError):
        for at in range(len(data)):
            client.send(data[at:at + 1])
            if stop.wait(0.2):
                return


@pytest.mark.parametrize("endpoint, data, refusal", [
    (SOCKETMAP, b"5000:fixed " + b"a" * 5000, rb"\d+:(TEMP|PERM) .*,"),
    (TCP_TABLE, b"get " + b"a" * 4000, rb"400 .*\n"),
    (CONTROL, b'{"command": "' + b"a" * 5000, rb'\{"status":"error",.*\}\n'),
], ids=["socketmap", "tcp_table", "control"])
def test_slow_loris(endpoint, data, refusal):
    with make_daemon(base_config('request_timeout = "1s"')) as daemon:
        stop = threading.Event()
        with Client(daemon, endpoint) as client:
            sender = threading.Thread(target=dribble, args=(client, data, stop))
            sender.start()
            try:
                assert re.fullmatch(refusal, client.rest())
            finally:
                stop.set()
                sender.join()
        daemon.wait_for_log("not whole after request_timeout")
        assert_well(daemon)


@pytest.mark.parametrize("refuse", [b"5:never whole", b"5000:never whole"], ids=["malformed", "late"])
def test_refused_client_may_go_on_for_a_moment(refuse):
    """Were the connection closed under what it still sends, it might lose the reply that says why."""
    with make_daemon(base_config('request_timeout = "1s"') + INET) as daemon:
        for endpoint in (SOCKETMAP, INET_ENDPOINT):
            with Client(daemon, endpoint) as client:
                assert client.send(refuse).reply()
                for _ in range(3):
                    client.send(b"more")
                    time.sleep(0.05)
                assert client.rest() == b""


def test_slow_answer_is_not_a_slow_client():
    """What the daemon took long for must not count against the client."""
    with make_daemon(base_config('request_timeout = "3s"')) as daemon:
        with locked_database(daemon) as unlock, Client(daemon) as client:
            # More than the socket takes, so that the daemon has to wait for the client to read.
            client.ask("slow", "first").ask("sized", *[90000] * 20)
            wait_until_locked(daemon)
            time.sleep(4.5)  # longer than request_timeout and than the daemon's look around
            unlock()
            time.sleep(0.7)  # less than request_timeout
            assert client.reply() == "OK slow-first"
            for _ in range(20):
                assert client.reply() == "OK " + 90000 * "x"
        assert "does not read" not in daemon.log()


def test_idle_timeout():
    with make_daemon(base_config('idle_timeout = "1s"', query_timeout="30s")) as daemon:
        with locked_database(daemon) as unlock, Client(daemon) as busy, Client(daemon) as idle:
            with Client(daemon) as never_asked:
                busy.ask("slow", "busy")
                assert idle.ask("echo", "once").reply() == "OK echo-once"
                assert idle.rest() == b""
                assert never_asked.rest() == b""
            unlock()
            assert busy.reply() == "OK slow-busy"
            assert busy.ask("echo", "again").reply() == "OK echo-again"


# Ends.

@pytest.mark.parametrize("endpoint", [SOCKETMAP, INET_ENDPOINT], ids=["unix", "inet"])
def test_half_closed(daemon, endpoint):
    with Client(daemon, endpoint) as client:
        client.ask("echo", *range(2000)).send(netstring("sized 90000") * 20).half_close()
        for number in range(2000):
            assert client.reply() == f"OK echo-{number}"
        for _ in range(20):
            assert client.reply() == "OK " + 90000 * "x"
        assert client.reply() is None


@pytest.mark.parametrize("endpoint", [SOCKETMAP, INET_ENDPOINT], ids=["unix", "inet"])
def test_half_closed_while_locked(daemon, endpoint):
    """More requests than may be under way at a time: the end is seen only when all are taken."""
    with locked_database(daemon) as unlock, Client(daemon, endpoint) as client:
        client.ask("slow", *range(600)).ask("echo", "end").half_close()
        wait_until_locked(daemon)
        unlock()
        for number in range(600):
            assert client.reply() == f"OK slow-{number}"
        assert client.reply() == "OK echo-end"
        assert client.reply() is None


@pytest.mark.parametrize("endpoint, whole, reply, part", [
    (SOCKETMAP, netstring("fixed alice@example.com"), netstring("OK bob@example.com"), b"27:fixed al"),
    (TCP_TABLE, b"get alice@example.com\n", b"200 bob@example.com\n", b"get al"),
    (CONTROL, b'{"command": "get", "map": "fixed", "key": "alice@example.com"}\n',
     b'{"status":"found","text":"bob@example.com"}\n', b'{"comm'),
], ids=["socketmap", "tcp_table", "control"])
def test_half_a_request_and_the_end(daemon, endpoint, whole, reply, part):
    with Client(daemon, endpoint) as client:
        assert client.send(part).half_close().rest() == b""
    with Client(daemon, endpoint) as client:
        assert client.send(whole + whole + part).half_close().rest() == reply + reply
    assert_well(daemon)


@pytest.mark.parametrize("endpoint", [SOCKETMAP, INET_ENDPOINT], ids=["unix", "inet"])
def test_resets(daemon, endpoint):
    """With requests in the socket, under way, and with replies on their way back."""
    for number in range(100):
        client = Client(daemon, endpoint).ask("echo", *range(number)).send(netstring("sized 90000") * (number % 7))
        client.reset()
    assert_well(daemon)
    with locked_database(daemon) as unlock:
        for number in range(50):
            Client(daemon, endpoint).ask("slow", *range(number)).ask("echo", "x").send(b"9:slo").reset()
        with Client(daemon, endpoint) as client:
            client.ask("slow", "stays")
            wait_until_locked(daemon)
            unlock()
            assert client.reply() == "OK slow-stays"
    wait_until(lambda: listener_status(daemon, endpoint)["connections"] == 0, "none is left")
    assert_well(daemon)


def test_reset_control_clients(daemon):
    """Commands come back to clients that are gone."""
    slow = json.dumps({"command": "get", "map": "slow", "key": "x", "explain": True}).encode() + b"\n"
    with locked_database(daemon) as unlock:
        for _ in range(20):
            Client(daemon, CONTROL).send(slow * 20 + b'{"command": "status"}\n').reset()
        wait_until_locked(daemon)
        unlock()
    with Client(daemon, CONTROL) as client:
        found = client.command(command="get", map="slow", key="x")
        assert found == {"status": "found", "text": "slow-x"}


def test_thousands_come_and_go(daemon):
    assert_all_well(daemon)
    wait_until(lambda: listener_status(daemon)["connections"] == 0, "none is left")
    files, before = open_files(daemon), memory(daemon)
    for number in range(4000):
        endpoint = (SOCKETMAP, INET_ENDPOINT, TCP_TABLE, CONTROL)[number % 4]
        with Client(daemon, endpoint) as client:
            if number % 3 == 0:
                client.send(b"7:half")
            elif endpoint in (SOCKETMAP, INET_ENDPOINT):
                assert client.ask("echo", number).reply() == f"OK echo-{number}"
    wait_until(lambda: listener_status(daemon)["connections"] == 0, "all of them are closed")
    wait_until(lambda: open_files(daemon) <= files, "all of their files are closed")
    assert memory(daemon) - before < 4 * MEGABYTE


def test_hundreds_at_a_time(daemon):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(daemon)) for _ in range(400)]
        for number, client in enumerate(clients):
            client.ask("echo", number)
        for number, client in enumerate(clients):
            assert client.reply() == f"OK echo-{number}"


# At the same moment: what the daemon wakes up to is read as a whole, then looked up, then answered.

@contextlib.contextmanager
def one_moment(daemon):
    """All that clients do meanwhile, in this order, is there when the daemon looks."""
    daemon.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.signal(signal.SIGCONT)


def test_many_ask_at_the_same_moment(daemon):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(daemon)) for _ in range(60)]
        assert_well(daemon)
        with one_moment(daemon):
            for number, client in enumerate(clients):
                client.ask("echo", *range(number)).ask("sized", 20000)
        for number, client in enumerate(clients):
            for key in range(number):
                assert client.reply() == f"OK echo-{key}"
            assert client.reply() == "OK " + 20000 * "x"


@pytest.mark.parametrize("endpoint", [SOCKETMAP, INET_ENDPOINT], ids=["unix", "inet"])
def test_some_ask_and_go_at_the_same_moment(daemon, endpoint):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(daemon, endpoint)) for _ in range(20)]
        for number, client in enumerate(clients):
            assert client.ask("echo", number).reply() == f"OK echo-{number}"
        with one_moment(daemon):
            for number, client in enumerate(clients):
                client.ask("echo", number)
                if number % 3 == 0:
                    client.half_close()
                elif number % 3 == 1:
                    client.reset()
        for number, client in enumerate(clients):
            if number % 3 != 1:
                assert client.reply() == f"OK echo-{number}"
            if number % 3 == 0:
                assert client.reply() is None


def test_commands_and_goes_at_the_same_moment(daemon):
    """Nobody is there for the answer; what was asked for is done all the same."""
    with Client(daemon, CONTROL) as operator:
        assert operator.command(command="status")
        with one_moment(daemon):
            operator.send(b'{"command": "reload"}\n').close()
    daemon.wait_for_log("reloaded")


def test_asks_as_the_listener_goes():
    with make_daemon(base_config() + 'socketmap { listen = "unix:@DIR@/going" }\n') as daemon:
        with Client(daemon, "unix:@DIR@/going") as client, Client(daemon, CONTROL) as operator:
            assert client.ask("echo", 1).reply() == "OK echo-1"
            assert operator.command(command="status")
            daemon.write_config(base_config())
            with one_moment(daemon):
                operator.send(b'{"command": "reload"}\n')
                client.ask("echo", 2)
            assert json.loads(operator.line())["status"] == "ok"
            assert client.reply() == "OK echo-2"
            assert client.reply() is None


def test_asks_as_somebody_wants_his_place():
    with make_daemon("workers = 1\n" + base_config("max_connections = 2")) as daemon:
        with Client(daemon) as oldest, Client(daemon) as second:
            assert oldest.ask("echo", 1).reply() == "OK echo-1"
            time.sleep(1.2)  # now he could be sent away
            assert second.ask("echo", 2).reply() == "OK echo-2"
            with contextlib.ExitStack() as stack:
                with one_moment(daemon):
                    oldest.ask("echo", 3)
                    third = stack.enter_context(Client(daemon)).ask("echo", 4)
                assert oldest.reply() == "OK echo-3"
                assert third.reply() == "OK echo-4"


# Limits.

def test_idle_client_makes_room():
    with make_daemon(base_config("max_connections = 2") + INET) as daemon:
        with Client(daemon) as oldest, Client(daemon) as second:
            assert oldest.ask("echo", 1).reply() == "OK echo-1"
            time.sleep(1.2)  # so that there is one that has been idle longest
            assert second.ask("echo", 2).reply() == "OK echo-2"
            with Client(daemon) as third:
                assert third.ask("echo", 3).reply() == "OK echo-3"
                assert oldest.rest() == b""
                assert second.ask("echo", 4).reply() == "OK echo-4"
        daemon.wait_for_log("max_connections is reached with 2 clients")


def test_client_waits_until_another_leaves():
    inet = INET.replace(" }", " max_connections = 2 }")
    with make_daemon(base_config() + inet) as daemon:
        with locked_database(daemon) as unlock:
            first = Client(daemon, INET_ENDPOINT).ask("slow", 1)
            second = Client(daemon, INET_ENDPOINT).ask("slow", 2)
            wait_until_asked(daemon, 2, INET_ENDPOINT)
            with Client(daemon, INET_ENDPOINT) as third, Client(daemon, INET_ENDPOINT) as fourth:
                third.ask("echo", 3)
                fourth.ask("echo", 4)
                daemon.wait_for_log("max_connections is reached with 2 clients")
                assert answer(daemon, "echo", "beside") == "OK echo-beside"
                first.reset()
                assert third.reply() == "OK echo-3"
                third.close()
                assert fourth.reply() == "OK echo-4"
            unlock()
            assert second.reply() == "OK slow-2"
            second.close()


def test_client_waits_until_another_is_idle():
    """Nobody hangs up: the one at the door is let in once there is somebody to be replaced."""
    with make_daemon(base_config("max_connections = 2")) as daemon:
        with Client(daemon) as first, Client(daemon) as second:
            assert first.ask("echo", 1).reply() == "OK echo-1"
            assert second.ask("echo", 2).reply() == "OK echo-2"
            with Client(daemon) as third:
                assert third.ask("echo", 3).reply() == "OK echo-3"


def test_limit_of_open_files(daemon):
    """A crowd waits at the door; those inside are answered, and databases can still be opened."""
    with Client(daemon) as inside, contextlib.ExitStack() as stack:
        assert inside.ask("fixed", "alice@example.com").reply() == "OK bob@example.com"
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (100, hard))
        crowd = [stack.enter_context(Client(daemon)).send(b"27:half") for _ in range(120)]
        daemon.wait_for_log("the system's limit of open files is reached")
        assert inside.ask("slow", "x").reply() == "OK slow-x"
        for client in crowd:
            client.reset()
        assert inside.ask("slow", "y").reply() == "OK slow-y"
        assert_well(daemon)


# Garbage.

SEED = 20261122


def garbage(draw):
    """Bytes that are nothing, almost something, or something broken."""
    return draw.choice([
        lambda: draw.randbytes(draw.randrange(1, 3000)),
        lambda: draw.randbytes(draw.randrange(1, 300)).replace(b"\n", b"") + b"\n",
        lambda: netstring("echo x") * draw.randrange(5) + draw.randbytes(50),
        lambda: b"%d:" % draw.randrange(1 << 40) + draw.randbytes(20),
        lambda: b"get " + draw.randbytes(100) + b"\n",
        lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draw.randbytes(200),
        lambda: b"[" * 60_000 + b"\n",
        lambda: b'{"command": ' + draw.randbytes(40) + b"}\n",
        lambda: b'{"command": ["get"], "map": {}, "key": 1}\n{"command": "get", "map": "echo"}\n',
        lambda: b"x" * 200_000,
    ])()


@pytest.mark.parametrize("endpoint", [SOCKETMAP, TCP_TABLE, CONTROL], ids=["socketmap", "tcp_table", "control"])
def test_garbage(daemon, endpoint):
    """Each connection ends, and the daemon has an error for what it could not read."""
    draw = random.Random(SEED)
    for _ in range(300):
        data = garbage(draw)
        with Client(daemon, endpoint) as client:
            flood = Flood(client, data)
            flood.join()
            with contextlib.suppress(OSError):
                client.half_close()
            replies = client.rest()
        whole = b"\n" in data if endpoint != SOCKETMAP else not data[:1].isdigit()
        assert replies or not whole, f"no answer to {data[:100]!r}"
        assert b"NOTFOUND" not in replies, data
    assert_well(daemon)
    assert answer_of_protocol(daemon, endpoint)
    assert len(daemon.log()) < 40_000, "the log is flooded"


def answer_of_protocol(daemon, endpoint):
    """Whether the listener that saw the garbage still answers."""
    with Client(daemon, endpoint) as client:
        if endpoint == SOCKETMAP:
            return client.ask("fixed", "alice@example.com").reply() == "OK bob@example.com"
        if endpoint == TCP_TABLE:
            return client.send(b"get alice@example.com\n").line() == "200 bob@example.com"
        return client.command(command="status")["status"] == "ok"


# Several of each.

REQUESTS = {
    "socketmap": netstring("fixed alice@example.com"),
    "tcp_table": b"get alice@example.com\n",
    "control": b'{"command": "get", "map": "fixed", "key": "alice@example.com"}\n',
}


def test_several_listeners():
    addresses = {
        "socketmap": ["unix:@DIR@/s1", "unix:@DIR@/s2", "inet:127.0.0.1:@PORT:s3@", "inet:localhost:@PORT:s4@"],
        "tcp_table": ["unix:@DIR@/t1", "inet:127.0.0.1:@PORT:t2@", "inet:127.0.0.1:@PORT:t3@"],
        "control": ["unix:@DIR@/c1", "unix:@DIR@/c2", "inet:127.0.0.1:@PORT:c3@"],
    }
    if has_ipv6():
        for number, protocol in enumerate(addresses):
            addresses[protocol].append(f"inet:[::1]:@PORT:six{number}@")
        # The same port for both families, each with its own socket.
        addresses["socketmap"].append("inet:[::1]:@PORT:s3@")
    listeners = "".join(f'{protocol} {{ listen = "{address}" {"map = fixed" * (protocol == "tcp_table")} }}\n'
                        for protocol, some in addresses.items() for address in some)
    with make_daemon(base_config() + listeners) as daemon:
        for protocol, some in addresses.items():
            for address in some:
                with Client(daemon, address) as client:
                    reply = client.send(REQUESTS[protocol]).half_close().rest()
                    assert b"bob@example.com" in reply, address
        assert len(status(daemon)["listeners"]) == 3 + sum(map(len, addresses.values()))
