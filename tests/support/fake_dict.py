"""
A dict server that says what a test has written down, right or wrong.

    with FakeDict(path, [found(2, "{}"), SILENCE], [b"garbage\\n"]) as server:
        ... its first client gets two answers and its second one ...
        assert server.seen == [["H4\\t0\\t0\\t\\tauth", "Lshared/a\\tb", "Lshared/c\\tb"], ...]

When a client has had its answers the connection is closed, at once or with its next request (LATER).
"""

import contextlib
import socket
import threading

from support.client import tab_escape

SILENCE = None  # no answer, until the client goes
LATER = "later"  # the last of a connection: it is closed only when the next request has come


def answer(number, text):
    """The answer to the command of this number, with the times that come behind."""
    return f"*{number}\n+{number}\t{text}\t1\t2\t3\t4\n".encode("utf-8", "surrogateescape")


def found(number, text):
    return answer(number, "O" + tab_escape(text))


class FakeDict:
    def __init__(self, path, *conversations):
        self.seen = []  # for each client, the lines that came from it
        self._conversations = conversations
        self._client = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        # What the thread waits in ends by this, unlike by close().
        for waits in (self._socket, self._client):
            with contextlib.suppress(OSError, AttributeError):
                waits.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._socket.close()

    def _serve(self):
        for conversation in self._conversations:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self._client = client
            with client, client.makefile("rb") as lines:
                self._converse(client, lines, conversation)

    def _converse(self, client, lines, conversation):
        seen = []
        self.seen.append(seen)
        self._note(seen, lines)
        for words in conversation:
            if not self._note(seen, lines) or words is LATER:
                return
            if words is SILENCE:
                lines.read()
                return
            client.sendall(words)

    @staticmethod
    def _note(seen, lines):
        line = lines.readline()
        if line:
            seen.append(line.decode("utf-8", "surrogateescape").rstrip("\n"))
        return line
