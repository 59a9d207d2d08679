"""
A private Dovecot on loopback: the installed programs with the shipped configuration, and with mail,
sockets, state and log in a directory of their own. The machine's own Dovecot, if there is one, is neither
read nor touched.

    server = Dovecot()
    with Daemon(... dict { listen = "unix:server.dict_socket" } ...), server:
        server.doveadm("user", "alice@example.com")

Needs root, as Dovecot's master does.
"""

import grp
import imaplib
import os
import poplib
import pwd
import re
import shutil
import smtplib
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.ports import free_port
from support.postfix import SHIPPED, make_certificate, public_directory, wait_until
from support.smtp import trust_anybody

FILES = tuple((SHIPPED / "dovecot" / "2.3").iterdir())

# Whom all mail belongs to, in place of vmail: a user that every Debian has, and who owns no process.
MAIL_USER = "mail"
LIBEXEC = Path("/usr/lib/dovecot")

# What doveadm exits with, by sysexits.h and doveadm.h.
OK, NO_USER, NOT_FOUND, TEMPORARY, REFUSED = 0, 67, 68, 75, 77


def version():
    """Of the installed Dovecot, such as 2.3.19.1; empty if there is none."""
    path = shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin")
    if not path:
        return ""
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.split()[0]


def why_not():
    """Why the shipped files cannot be run here, or None."""
    if os.geteuid() != 0:
        return "Dovecot's master needs root"
    path = os.environ["PATH"] + ":/usr/sbin"
    for program in ("dovecot", "doveadm", "openssl", "setpriv"):
        if not shutil.which(program, path=path):
            return f"{program} is not installed"
    for program in ("imap", "pop3", "lmtp"):
        if not (LIBEXEC / program).exists():
            return f"Dovecot has no {program} (Debian: dovecot-{program}d)"
    if not (LIBEXEC / "modules" / "lib90_sieve_plugin.so").exists():
        return "Dovecot has no Sieve (Debian: dovecot-sieve)"
    for name in ("dovecot", "dovenull", "postfix", MAIL_USER):
        try:
            pwd.getpwnam(name)
        except KeyError:
            return f"there is no user {name}"
    if not re.match(r"2\.3\.(1[7-9]|2[0-9])\b", version()):
        return f"Dovecot {version()} is none of 2.3.17 to 2.3.29, for which the files are"
    return None


def sections(text):
    """{title: lines} of a shipped file; a title is what follows `# --- `."""
    found, title = {}, ""
    for line in text.splitlines(keepends=True):
        if line.startswith("# --- "):
            title = line[6:].strip()
            assert title not in found, f"two parts are called {title}"
        found.setdefault(title, []).append(line)
    return found


def with_parts(text, parts):
    """
    The file with the optional parts in use whose titles begin so: as a person does it, by taking away
    the # of their lines. Those of comments have a blank behind it.
    """
    result, missing = [], set(parts)
    for title, lines in sections(text).items():
        part = next((part for part in parts if title.startswith(part)), None)
        if part:
            missing.discard(part)
            lines = [re.sub(r"^#(?=[^ \n])", "", line) for line in lines]
        result += lines
    assert not missing, f"there is no part {missing}"
    return "".join(result)


# What each optional part is called in dovecot.conf and in tabled.conf. The second quota is Dovecot's alone.
PARTS = {
    "last login": ("Last login", "Dovecot: when somebody has logged in"),
    "shared mailboxes": ("Shared mailboxes", "Dovecot: who shows his mailboxes"),
    "metadata": ("Metadata", "Dovecot: notes about mailboxes"),
    "sieve": ("Sieve", "Dovecot: Sieve scripts"),
    "quota by dict": ("Quota", None),
}


def tabled_parts(names):
    return [PARTS[name][1] for name in names if PARTS[name][1]]


@dataclass
class Done:
    """What came of a command."""
    status: int
    out: str
    errors: str

    def lines(self):
        return self.out.splitlines()


class Dovecot:
    """
    Runs between start() and stop(), or `with` and its end. `parts` are names of PARTS that are in use;
    `private` is where Postfix looks for the sockets of auth and LMTP. The shipped files differ from what
    is run in paths; what else a test needs stands in overrides.conf, which is read last.
    """

    files = FILES

    def __init__(self, parts=(), private=None, settings=""):
        self.root = public_directory("tabled-dovecot-")
        self.config = self.root / "etc" / "dovecot.conf"
        self.mail = self.root / "vmail"
        self.log = self.root / "dovecot.log"
        self.dict_socket, self.auth_socket = self.root / "dict", self.root / "auth"
        self.private = Path(private or self.root / "private")
        self.imap_port, self.pop3_port = free_port(), free_port()
        self._process = None
        self._lay_out(parts, settings)

    @property
    def lmtp_socket(self):
        return self.private / "dovecot-lmtp"

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def _lay_out(self, parts, settings):
        self.config.parent.mkdir()
        self.private.mkdir(exist_ok=True)
        self.mail.mkdir()
        os.chown(self.mail, pwd.getpwnam(MAIL_USER).pw_uid, grp.getgrnam(MAIL_USER).gr_gid)
        make_certificate(self.root)
        for path in self.files:
            (self.config.parent / path.name).write_text(self._at_home(path.read_text()))
        text = with_parts(self.config.read_text(), [PARTS[part][0] for part in parts])
        overrides = self.config.with_name("overrides.conf")
        self.config.write_text(f"{text}\n!include {overrides}\n")
        overrides.write_text(self._overrides() + settings)

    def _at_home(self, text):
        for shipped, ours in (("/etc/dovecot/", f"{self.config.parent}/"),
                              ("/run/tabled/dict", str(self.dict_socket)), ("/run/tabled/auth", str(self.auth_socket)),
                              ("/var/spool/postfix/private/", f"{self.private}/"),
                              ("/etc/ssl/certs/ssl-cert-snakeoil.pem", f"{self.root}/cert.pem"),
                              ("/etc/ssl/private/ssl-cert-snakeoil.key", f"{self.root}/key.pem"),
                              ("uid=vmail gid=vmail home=/home/vmail/", f"uid={MAIL_USER} gid={MAIL_USER} home={self.mail}/")):
            text = text.replace(shipped, ours)
        return text

    def _overrides(self):
        def login(protocol, port):
            return (f"service {protocol}-login {{\n"
                    f"\tinet_listener {protocol} {{\n\t\taddress = 127.0.0.1\n\t\tport = {port}\n\t}}\n"
                    f"\tinet_listener {protocol}s {{\n\t\tport = 0\n\t}}\n}}\n")

        return (f"base_dir = {self.root}/run\nstate_dir = {self.root}/state\n"
                f"log_path = {self.log}\nauth_verbose = yes\n"
                "first_valid_uid = 1\nfirst_valid_gid = 1\n"
                # All come from one address, and some fail: nobody is to wait for that.
                "auth_failure_delay = 0\nservice anvil {\n\tunix_listener anvil-auth-penalty {\n\t\tmode = 0\n\t}\n}\n"
                + login("imap", self.imap_port) + login("pop3", self.pop3_port))

    # --- The process

    def start(self):
        dovecot = shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin")
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(["setpriv", "--pdeathsig=TERM", "--", dovecot, "-F", "-c", self.config],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        wait_until(self._is_ready, 30, lambda: f"Dovecot does not answer:\n{self.log_text()}")

    def _is_ready(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"dovecot ended with {self._process.returncode}:\n{self.log_text()}")
        with socket.socket(socket.AF_UNIX) as lmtp, socket.socket() as imap:
            return lmtp.connect_ex(str(self.lmtp_socket)) == 0 and imap.connect_ex(("127.0.0.1", self.imap_port)) == 0

    def stop(self):
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # --- Its clients

    def command(self, program, *arguments):
        """Runs doveadm or doveconf to its end."""
        done = subprocess.run([program, "-c", self.config, *map(str, arguments)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        return Done(done.returncode, done.stdout, done.stderr)

    def doveadm(self, *arguments):
        return self.command("doveadm", *arguments)

    def dict(self, dictionary, word, *arguments, user=None):
        """doveadm dict WORD, by way of tabled."""
        options = [argument for argument in arguments if str(argument) in ("-1", "-R", "-V")]
        rest = [argument for argument in arguments if argument not in options]
        whose = ["-u", user] if user else []
        socket = self.auth_socket if dictionary == "auth" else self.dict_socket
        return self.doveadm("dict", word, *whose, *options, "--", f"proxy:{socket}:{dictionary}", *rest)

    def imap(self, user, password, tls=False):
        """A client who has logged in; imaplib's error if he may not."""
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=60)
        try:
            if tls:
                client.starttls(trust_anybody())
            client.login(user, password)
        except BaseException:
            client.shutdown()
            raise
        return client

    def pop3(self, user, password):
        client = poplib.POP3("127.0.0.1", self.pop3_port, timeout=60)
        try:
            client.user(user)
            client.pass_(password)
        except BaseException:
            client.close()
            raise
        return client

    def deliver(self, recipient, text, sender="writer@elsewhere.example"):
        """Hands a message over as Postfix would. Returns the reply that decides: (code, text)."""
        with smtplib.LMTP(str(self.lmtp_socket)) as client:
            client.ehlo("mail.example.com")
            client.mail(sender)
            code, reply = client.rcpt(recipient)
            if code == 250:
                code, reply = client.data(text)
            return code, reply.decode()

    def ask_quota_status(self, recipient, size):
        """What Postfix would be told to do about a message of this size."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(self.private / "quota-status"))
            client.sendall(f"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient={recipient}\nsize={size}\n\n".encode())
            with client.makefile() as replies:
                return replies.readline().strip().removeprefix("action=")
