"""
Many clients that ask the daemon all the time, and judge every reply:

    with Load(socket_path, questions) as load:
        load.watch(1)                  # raises Misjudged if an answer was wrong, or missing
        with load.trouble():
            ... break something, mend it ...
        print(load.figures())

While there is trouble, and until everything is answered right again, a temporary error is no fault.
A wrong answer always is, and so is a request that gets no reply. The clients live in a process of
their own, so that they go on asking while the test waits for a server, and it ends with the test's.

A question is (kind, request, right reply), or a list of replies that are right; one that ends in an
ellipsis may go on. Kinds are chosen by their weights.
"""

import collections
import contextlib
import heapq
import itertools
import json
import os
import pathlib
import random
import selectors
import socket
import subprocess
import sys
import time

from support.slowness import slowness

TESTS = pathlib.Path(__file__).resolve().parents[1]
SETTLE_SECONDS = 10   # after trouble, until everything is answered right; patience, not a promise
STEADY_SECONDS = 0.2  # of right answers thereafter
SHOWN_FAULTS = 10
ELLIPSIS = "…"
NOT_NOW = ("TEMP ", "TIMEOUT ", "PERM ")  # mail waits; what is none of these and not right may bounce it


class Misjudged(AssertionError):
    """An answer was wrong, or did not come."""


class Load:
    """The test's side: starts the clients, and asks them what they have seen."""

    def __init__(self, address, questions, weights, clients=48, pause=0.01, patience=10.0, in_trouble=False,
                 allowed=("TEMP",)):
        """`allowed` is what may be answered while there is trouble; TIMEOUT and PERM are the others."""
        self._plan = {"address": str(address), "questions": questions, "weights": weights, "clients": clients,
                      "pause": pause, "patience": patience, "in_trouble": in_trouble, "allowed": allowed}
        self._process = None
        self._report = {}

    def __enter__(self):
        self._process = subprocess.Popen([sys.executable, "-m", "support.load"], cwd=TESTS, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self._tell(self._plan)
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def _tell(self, command):
        """Sends a command, and takes the report that answers it."""
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load has ended with {self._process.wait()}")
        self._report = json.loads(line)
        return self._report

    def check(self):
        """Raises if something was wrong so far."""
        report = self._tell("report")
        if report["faults"]:
            raise Misjudged("\n".join(report["faults"]))
        return report

    def watch(self, seconds):
        """Lets the clients go on for a while."""
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    @contextlib.contextmanager
    def trouble(self):
        """Temporary errors are allowed within, and until all is well again, unless that takes too long."""
        self.begin_trouble()
        yield self
        self.settle()

    def begin_trouble(self):
        self._tell("trouble")

    def settle(self):
        """Waits until every client is answered right, and from then on allows nothing else."""
        self._tell("hope")
        deadline = time.monotonic() + SETTLE_SECONDS * slowness()
        while not self.check()["is_well"]:
            if time.monotonic() > deadline:
                raise Misjudged(f"not well {SETTLE_SECONDS * slowness()} s after the trouble: "
                                f"{self._report['last_later']}")
            time.sleep(0.02)
        self._tell("calm")
        self.watch(STEADY_SECONDS)

    def leave_out(self, kind):
        """Questions of this kind are asked no more."""
        self._tell({"leave out": kind})

    def end(self):
        """Nothing is asked any more, and the daemon may close connections once it has answered."""
        self._tell("end")

    def wait_for_replies(self):
        """Until there is a reply to all that was asked."""
        while self.check()["out"]:
            time.sleep(0.02)

    def count(self, kind, what="right"):
        """How many replies to this kind of question were "right" or "later"."""
        return self.check()["kinds"][kind][what]

    def figures(self, special=()):
        """One line on what has been seen; kinds that are special have a longest wait of their own."""
        report = self._report
        usual = [one for kind, one in report["kinds"].items() if kind not in special]
        text = (f"{sum(one['right'] for one in report['kinds'].values())} answered, "
                f"{sum(one['later'] for one in report['kinds'].values())} try later, "
                f"{report['wrong']} wrong, longest wait {max(one['longest'] for one in usual):.2f} s")
        for kind in special:
            one = report["kinds"][kind]
            text += f" ({kind}: {one['right']}, longest {one['longest']:.2f} s)"
        return text


# The clients' process.

class Client:
    """One connection, which asks one question at a time, as Postfix does."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(address)
        self.socket.setblocking(False)
        self.input = b""
        self.question = None     # that is out
        self.sent = 0.0
        self.well_since = -1.0   # the sending of its last question that was answered right
        self.in_trouble = False  # when it was sent
        self.is_reported = False


class Clients:
    def __init__(self, plan):
        self.started = time.monotonic()
        self.patience = plan["patience"]
        self.pause = plan["pause"]
        self.questions = collections.defaultdict(list)
        for kind, request, right in plan["questions"]:
            data = request.encode()
            self.questions[kind].append((kind, request, b"%d:%s," % (len(data), data),
                                         [right] if isinstance(right, str) else right))
        self.weights = dict(plan["weights"])
        self.seen = {kind: {"right": 0, "later": 0, "longest": 0.0} for kind in self.weights}
        self.random = random.Random(1)
        self.faults, self.wrong, self.fault_count = [], 0, 0
        self.in_trouble = plan["in_trouble"]
        self.allowed = tuple(word + " " for word in plan["allowed"])
        self.last_later, self.last_later_at = "no answer at all", self.started
        self.is_ending = False
        self.selector = selectors.DefaultSelector()
        self.commands = b""
        self.kinds, self.limits = [], []  # to choose from
        self.leave_out(None)
        self.clients = [Client(plan["address"]) for _ in range(plan["clients"])]
        self.due = [(self.started, number) for number in range(len(self.clients))]
        for client in self.clients:
            self.selector.register(client.socket, selectors.EVENT_READ, client)
        self.selector.register(0, selectors.EVENT_READ, None)

    # --- Judging

    def fault(self, text):
        self.fault_count += 1
        if len(self.faults) < SHOWN_FAULTS:
            self.faults.append(f"{time.monotonic() - self.started:.3f} s: {text}")

    def describe(self, client, reply, now):
        when = "sent in trouble" if client.in_trouble else "sent in calm"
        return (f"{client.question[1]!r} ({client.question[0]}, {when}) was answered {reply!r} "
                f"instead of {client.question[3]} after {now - client.sent:.3f} s")

    def judge(self, client, reply, now):
        kind, _, _, right = client.question
        seen = self.seen[kind]
        seen["longest"] = max(seen["longest"], now - client.sent)
        if any(reply == one or (one.endswith(ELLIPSIS) and reply.startswith(one[:-1])) for one in right):
            seen["right"] += 1
            client.well_since = client.sent
        elif reply.startswith(NOT_NOW):
            seen["later"] += 1
            self.last_later, self.last_later_at = self.describe(client, reply, now), now
            if not reply.startswith(self.allowed) or not (client.in_trouble or self.in_trouble):
                self.fault(self.describe(client, reply, now))
        else:
            self.wrong += 1
            self.fault(self.describe(client, reply, now))

    def is_well(self):
        return all(client.well_since > self.last_later_at for client in self.clients)

    def look_for_silence(self, now):
        """A request that waits for ever, or nearly so."""
        for client in self.clients:
            if client.question and not client.is_reported and now - client.sent > self.patience:
                client.is_reported = True
                self.fault(f"{client.question[1]!r} ({client.question[0]}) has no reply after {self.patience} s")

    # --- Asking

    def leave_out(self, kind):
        self.weights.pop(kind, None)
        self.kinds, self.limits = list(self.weights), list(itertools.accumulate(self.weights.values()))

    def ask(self, client, now):
        kind = self.random.choices(self.kinds, cum_weights=self.limits)[0]
        client.question = self.random.choice(self.questions[kind])
        client.sent = now
        client.in_trouble = self.in_trouble
        client.is_reported = False
        try:
            client.socket.sendall(client.question[2])
        except OSError as error:
            self.lose(client, str(error))

    def lose(self, client, why):
        self.selector.unregister(client.socket)
        client.socket.close()
        if client.question or not self.is_ending:
            self.fault(f"the daemon has closed a connection ({why}) that waited for {client.question}")
        client.question = None

    def read(self, number, now):
        client = self.clients[number]
        try:
            data = client.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(client, str(error))
            return
        if not data:
            self.lose(client, "end of file")
            return
        client.input += data
        length, colon, rest = client.input.partition(b":")
        if not colon or len(rest) <= int(length):
            return
        client.input = rest[int(length) + 1:]
        reply = rest[:int(length)].decode()
        if client.question is None or client.input:
            self.wrong += 1
            self.fault(f"a reply that nobody has asked for: {reply!r}")
            return
        self.judge(client, reply, now)
        client.question = None
        heapq.heappush(self.due, (now + self.pause, number))

    # --- Commands

    def read_commands(self):
        data = os.read(0, 65536)
        if not data:
            sys.exit(0)
        *lines, self.commands = (self.commands + data).split(b"\n")
        for line in lines:
            self.obey(json.loads(line))
            print(json.dumps(self.report()), flush=True)

    def obey(self, command):
        if command == "trouble":
            self.in_trouble = True
        elif command == "hope":
            self.last_later_at = time.monotonic()
        elif command == "calm":
            self.in_trouble = False
        elif command == "end":
            self.is_ending = True
        elif isinstance(command, dict):
            self.leave_out(command["leave out"])

    def report(self):
        return {"kinds": self.seen, "wrong": self.wrong, "faults": self.faults, "fault_count": self.fault_count,
                "last_later": self.last_later, "is_well": self.is_well(),
                "out": sum(client.question is not None for client in self.clients)}

    def run(self):
        print(json.dumps(self.report()), flush=True)
        numbers = {client: number for number, client in enumerate(self.clients)}
        while True:
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                client = self.clients[heapq.heappop(self.due)[1]]
                if client.socket.fileno() >= 0 and not self.is_ending:
                    self.ask(client, now)
            timeout = max(0.0, self.due[0][0] - now) if self.due else 0.2
            for key, _ in self.selector.select(min(timeout, 0.2)):
                if key.data is None:
                    self.read_commands()
                else:
                    self.read(numbers[key.data], time.monotonic())
            self.look_for_silence(time.monotonic())


if __name__ == "__main__":
    Clients(json.loads(sys.stdin.buffer.readline())).run()
