"""An SMTP client that sends what it is told, right or wrong, and hands back the replies."""

import base64
import socket
import ssl


class SmtpClient:
    """
    A connection, open between `with` and its end. Text is UTF-8; surrogates carry other bytes.

    It goes to a port of 127.0.0.1, or is the `connection` that is given. With `trust`, an SSL context,
    TLS begins only if the server proves to be `name`.
    """

    def __init__(self, port, timeout=60, connection=None, trust=None, name=None):
        self._address = ("127.0.0.1", port)
        self._timeout = timeout
        self._connection = connection
        self._trust, self._name = trust or trust_anybody(), name

    def __enter__(self):
        self._socket = self._connection or socket.create_connection(self._address, self._timeout)
        self._file = self._socket.makefile("rb")
        self.banner = self._read_reply()
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def ask(self, command):
        """Sends a line and returns the reply: its lines, joined by a newline."""
        self._socket.sendall(command.encode("utf-8", "surrogateescape") + b"\r\n")
        return self._read_reply()

    def send_message(self, text):
        """Everything after DATA's 354."""
        body = text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")
        self._socket.sendall(body + b"\r\n.\r\n")
        return self._read_reply()

    def start_tls(self):
        reply = self.ask("STARTTLS")
        if reply.startswith("220"):
            self._file.close()
            self._socket = self._trust.wrap_socket(self._socket, server_hostname=self._name)
            self._file = self._socket.makefile("rb")
        return reply

    def log_in(self, user, password):
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.ask(f"AUTH PLAIN {token}")

    def _read_reply(self):
        lines = []
        while True:
            line = self._file.readline()
            if not line:
                return "\n".join(lines + ["(connection closed)"])
            lines.append(line.decode("utf-8", "surrogateescape").rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)


def trust_anybody():
    """For a server whose certificate is the test's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
