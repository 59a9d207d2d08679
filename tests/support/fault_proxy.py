"""
A TCP proxy that misbehaves on command: fault_proxy.py PORT SERVER_HOST SERVER_PORT

FaultProxy in databases.py starts it and describes the faults. Commands come as JSON on standard input,
a line each; each is answered by a line once it holds. The end of standard input is the end.
"""


import collections
import contextlib
import errno
import json
import os
import selectors
import socket
import struct
import sys
import time

CHUNK = 65536
FULL = 1 << 20  # bytes under way in one direction before the proxy stops reading


class Direction:
    """Bytes from one socket to the other, each with the time at which it may leave."""

    def __init__(self, source, target, counter):
        self.source, self.target, self.counter = source, target, counter
        self.waiting = collections.deque()  # [time, bytes]
        self.size = 0
        self.at_end = False     # the source has closed
        self.told_end = False   # and the target knows
        self.left = None        # bytes until the fault; None: no fault is set

    def put(self, data, when):
        self.waiting.append([when, data])
        self.size += len(data)

    def is_due(self, now):
        return bool(self.waiting) and self.waiting[0][0] <= now


class Link:
    """A client's connection and the one to the server for it."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.up = Direction(client, server, "to_server")
        self.down = Direction(server, client, "to_client")
        self.is_connected = False
        self.is_silent = False      # by cut(), truncate() or at()
        self.waits_for_reply = False  # to lose it: by at()

    def end(self, by_reset):
        for one in (self.client, self.server):
            if by_reset:
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()


class Proxy:
    """The process. One loop: listener, commands, and the two sockets of each link."""

    def __init__(self, port, target):
        self.port, self.target = port, target
        self.mode, self.how, self.seconds, self.limit = "pass", "close", 0.0, 0
        self.text, self.when, self.every, self.seen = b"", "request", 1, 0
        self.selector = selectors.DefaultSelector()
        self.links = set()
        self.fillers = []
        self.listener = None
        self.input = b""
        self.counts = collections.Counter(accepted=0, to_client=0, to_server=0, faults=0)
        self.listen(backlog=128)
        self.selector.register(0, selectors.EVENT_READ, self.read_commands)

    # --- The listener

    def listen(self, backlog):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.setblocking(False)
        self.listener.listen(backlog)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)

    def stop_listening(self):
        for one in self.fillers:
            one.close()
        self.fillers = []
        if self.listener:
            with contextlib.suppress(KeyError):  # a full one is not watched
                self.selector.unregister(self.listener)
            self.listener.close()
            self.listener = None

    def fill_listener(self):
        """A listener whose queue is full: the kernel drops further attempts to connect without a word."""
        self.listen(backlog=0)
        self.selector.unregister(self.listener)
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(one)

    def accept(self, _):
        if not self.listener:  # closed by a command that came in the same moment
            return
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return
        self.counts["accepted"] += 1
        server = socket.socket()
        link = Link(client, server)
        for one in (client, server):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.links.add(link)
        if self.mode in ("reset", "close"):
            self.end(link, self.mode, is_fault=True)
            return
        if server.connect_ex(self.target) not in (0, errno.EINPROGRESS):
            self.end(link, "reset")
            return
        self.arm(link)
        for one in (client, server):
            self.selector.register(one, selectors.EVENT_WRITE, lambda _, link=link: self.move(link))
        self.move(link)

    # --- Commands

    def read_commands(self, _):
        data = os.read(0, CHUNK)
        if not data:
            sys.exit(0)
        *lines, self.input = (self.input + data).split(b"\n")
        for line in lines:
            answer = self.obey(*json.loads(line))
            print(json.dumps(answer), flush=True)

    def obey(self, command, *arguments):
        if command == "counts":
            return {"open": len(self.links), **self.counts}
        was = self.mode
        self.mode, self.how, self.seconds = command, "close", 0.0
        if command == "cut":
            self.limit, self.how = arguments
        elif command == "truncate":
            self.how, = arguments
        elif command == "delay":
            self.seconds, = arguments
        elif command == "at":
            text, self.when, self.how, self.every = arguments
            self.text, self.seen = text.encode(), 0
        self.change_listener(was)
        for link in list(self.links):
            self.change_link(link)
        return "done"

    def change_listener(self, was):
        unusual = ("refuse", "blackhole")
        if was in unusual or self.mode in unusual:
            self.stop_listening()
            if self.mode == "blackhole":
                self.fill_listener()
            elif self.mode != "refuse":
                self.listen(backlog=128)

    def change_link(self, link):
        if self.mode in ("reset", "close"):
            self.end(link, self.mode, is_fault=True)
            return
        self.arm(link)
        self.move(link)

    def arm(self, link):
        """A new fault is in force, and none of before."""
        link.is_silent = link.waits_for_reply = False
        link.down.left = self.limit if self.mode == "cut" else None

    # --- Links

    def end(self, link, how, is_fault=False):
        self.counts["faults"] += is_fault
        if how == "silent":
            link.is_silent = True
            self.watch(link)
            return
        for one in (link.client, link.server):
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(one)
        self.links.discard(link)
        link.end(by_reset=how == "reset")

    def is_still(self, link):
        return link.is_silent or self.mode in ("silent", "blackhole")

    def move(self, link):
        """All that can be done for a link now."""
        if link not in self.links or self.is_still(link):
            self.watch(link)
            return
        try:
            if not link.is_connected and not self.finish_connect(link):
                return
            for direction in (link.up, link.down):
                if not self.receive(link, direction) or not self.deliver(link, direction):
                    return
        except OSError as error:
            # What one side did to us, the other shall see.
            self.end(link, "reset" if error.errno in (errno.ECONNRESET, errno.ECONNREFUSED) else "close")
            return
        if link.up.told_end and link.down.told_end:
            self.end(link, "close")
            return
        self.watch(link)

    def finish_connect(self, link):
        failure = link.server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, "connect")
        try:
            link.server.getpeername()
        except OSError:
            self.watch(link)
            return False
        link.is_connected = True
        return True

    def receive(self, link, direction):
        """Takes what there is; False if that was the end of the link."""
        while not direction.at_end and direction.size < FULL:
            try:
                data = direction.source.recv(CHUNK)
            except BlockingIOError:
                return True
            direction.at_end = not data
            if not data:
                return True
            if self.is_to_be_lost(link, direction, data):
                self.end(link, self.how, is_fault=True)
                return False
            if direction is link.down and self.mode == "truncate" and direction.left is None:
                direction.left = direction.size + len(data) // 2
            direction.put(data, time.monotonic() + self.seconds)
        return True

    def is_to_be_lost(self, link, direction, data):
        """Is it what at() has named, or the answer to that?"""
        if direction is link.down:
            return link.waits_for_reply
        if self.mode != "at" or self.text not in data:
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        link.waits_for_reply = self.when == "reply"
        return self.when == "request"

    def deliver(self, link, direction):
        """Passes what is due; False if that was the end of the link."""
        while direction.is_due(time.monotonic()) and direction.left != 0:
            data = direction.waiting[0][1][:direction.left]
            try:
                sent = direction.target.send(data)
            except BlockingIOError:
                return True
            self.account(direction, sent)
        if direction.left == 0:
            self.end(link, self.how, is_fault=True)
            return False
        if direction.at_end and not direction.waiting and not direction.told_end:
            direction.told_end = True
            with contextlib.suppress(OSError):  # it may be gone by itself
                direction.target.shutdown(socket.SHUT_WR)
        return True

    def account(self, direction, sent):
        first = direction.waiting[0]
        first[1] = first[1][sent:]
        if not first[1]:
            direction.waiting.popleft()
        direction.size -= sent
        self.counts[direction.counter] += sent
        if direction.left is not None:
            direction.left -= sent

    def watch(self, link):
        """Asks the selector for what the link can use, which is nothing while it is still."""
        if link not in self.links:
            return
        now = time.monotonic()
        for one, incoming, outgoing in ((link.client, link.up, link.down), (link.server, link.down, link.up)):
            events = 0
            if not self.is_still(link):
                if link.is_connected and not incoming.at_end and incoming.size < FULL:
                    events |= selectors.EVENT_READ
                if outgoing.is_due(now) or (one is link.server and not link.is_connected):
                    events |= selectors.EVENT_WRITE
            self.set_events(one, events, link)

    def set_events(self, one, events, link):
        known = self.selector.get_map().get(one)
        if known and (not events or known.events != events):
            self.selector.unregister(one)
            known = None
        if events and not known:
            self.selector.register(one, events, lambda _: self.move(link))

    # --- The loop

    def delayed(self):
        """(time, link) for whatever waits for its time, and not for a full socket."""
        now = time.monotonic()
        for link in self.links:
            for direction in (link.up, link.down):
                if direction.waiting and direction.waiting[0][0] > now and not self.is_still(link):
                    yield direction.waiting[0][0], link

    def run(self):
        print(json.dumps("ready"), flush=True)
        while True:
            delayed = list(self.delayed())
            next_time = min((when for when, _ in delayed), default=None)
            timeout = None if next_time is None else max(0.0, next_time - time.monotonic())
            for key, events in self.selector.select(timeout):
                key.data(events)
            for when, link in delayed:
                if when <= time.monotonic():
                    self.move(link)


if __name__ == "__main__":
    Proxy(int(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))).run()
