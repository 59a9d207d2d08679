"""An SMTP or LMTP server that takes all mail and remembers it. One for each transport of a test."""

import re
import socketserver
import threading
from typing import NamedTuple


class Delivery(NamedTuple):
    sink: str          # the name of the server that got it
    sender: str        # what followed MAIL FROM:
    recipients: tuple  # what followed each RCPT TO:
    message: bytes

    def queue_id(self):
        """Postfix's name for the message, from the newest Received header."""
        header = self.message.split(b"\n\n", 1)[0]
        found = re.search(rb"^Received:(?:.|\n[ \t])*?\bid ([0-9A-Za-z]+)", header, re.M)
        return found.group(1).decode() if found else None


class _Conversation(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self):
        self._sender, self._recipients = "", []
        self._say(b"220 sink ready")
        while True:
            line = self.rfile.readline()
            if not line:
                return
            word = line.split(None, 1)[0].upper().decode("ascii", "replace") if line.strip() else ""
            if word in ("EHLO", "LHLO", "HELO"):
                self._greet()
            elif word == "MAIL":
                self._sender = line.split(b":", 1)[1].strip().decode("utf-8", "surrogateescape")
                self._say(b"250 2.1.0 Ok")
            elif word == "RCPT":
                self._recipients.append(line.split(b":", 1)[1].strip().decode("utf-8", "surrogateescape"))
                self._say(b"250 2.1.5 Ok")
            elif word == "DATA":
                self._say(b"354 go on")
                self._take(self._read_message())
            elif word == "QUIT":
                self._say(b"221 2.0.0 Bye")
                return
            else:
                self._sender, self._recipients = "", []
                self._say(b"250 2.0.0 Ok")

    def _say(self, text):
        self.wfile.write(text + b"\r\n")

    def _greet(self):
        self._say(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
                  b"250 ENHANCEDSTATUSCODES")

    def _read_message(self):
        lines = []
        while True:
            line = self.rfile.readline()
            if not line or line == b".\r\n":
                return b"".join(lines).replace(b"\r\n", b"\n")
            lines.append(line)

    def _take(self, message):
        replies = len(self._recipients) if self.server.lmtp else 1
        if self.server.refusing:
            self._say(b"\r\n".join([b"451 4.3.2 try later"] * replies))
        else:
            self.server.keep(Delivery(self.server.sink_name, self._sender,
                                      tuple(self._recipients), message))
            self._say(b"\r\n".join([b"250 2.0.0 taken"] * replies))
        self._sender, self._recipients = "", []


class Sink(socketserver.ThreadingTCPServer):
    """Listens between `with` and its end: on a free port of 127.0.0.1, or at the address that is given."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, name, lmtp=False, address=("127.0.0.1", 0)):
        super().__init__(address, _Conversation)
        self.sink_name = name
        self.lmtp = lmtp
        self.refusing = False  # answer "try later" to every message
        self.port = self.server_address[1]
        self._deliveries = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        self._thread.join()

    def keep(self, delivery):
        with self._lock:
            self._deliveries.append(delivery)

    def look(self):
        """What came since the last take_all()."""
        with self._lock:
            return list(self._deliveries)

    def take_all(self):
        """What came since the last call."""
        with self._lock:
            taken, self._deliveries = self._deliveries, []
            return taken
