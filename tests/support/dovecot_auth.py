"""The part of Dovecot's auth server that Postfix's smtpd needs: AUTH PLAIN, any user, one password."""

import base64
import os
import socketserver
import threading

PASSWORD = "correct horse"


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n"
                         b"COOKIE\t0123456789abcdef0123456789abcdef\nDONE\n")
        for line in self.rfile:
            fields = line.decode().rstrip("\n").split("\t")
            if fields[0] == "AUTH":
                self.wfile.write(self._judge(fields).encode())

    def _judge(self, fields):
        response = next(field[5:] for field in fields if field.startswith("resp="))
        _, user, password = base64.b64decode(response).decode().split("\0")
        if password != PASSWORD:
            return f"FAIL\t{fields[1]}\tuser={user}\n"
        return f"OK\t{fields[1]}\tuser={user}\n"


class DovecotAuth(socketserver.ThreadingUnixStreamServer):
    """Listens on the Unix socket `path` between `with` and its end."""

    daemon_threads = True

    def __init__(self, path):
        super().__init__(str(path), _Conversation)
        os.chmod(path, 0o666)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        self._thread.join()
