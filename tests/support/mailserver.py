"""
The whole mail server: Postfix, Dovecot, the policy services and tabled on a host of their own, with the files
of postfix-maps/ as they are and where they belong; and whoever sends mail to it from outside.

    with Network() as network, nameserver.running(network), MailServer(network, database) as server:
        server.bring(Mail(["alice@example.com"]))

What differs from the shipped files: the line of the source in tabled.conf, where Postfix and Dovecot log, and for
Dovecot 2.4 how far a mailbox may be exceeded.
"""

import contextlib
import imaplib
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import ssl
import time

from support import dovecot, dovecot24, nameserver, netns, postfix
from support.daemon import Daemon, config_endpoints, endpoint_connect, program
from support.databases import Certificates
from support.netns import SERVER
from support.postfix import SHIPPED, wait_until
from support.smtp import SmtpClient

NAME = "mail.example.com"
SQLITE_FILE = "/var/lib/tabled/mail.db"
SHIPPED_SOURCE = f'sqlite mail {{ path = "{SQLITE_FILE}" }}\n'
POLICY_SPF = pathlib.Path("/usr/bin/policyd-spf")


def is_dovecot24():
    return dovecot.version().startswith("2.4.")


def why_not():
    """Why the whole server can't be run here, or None."""
    dovecot_why_not = dovecot24.why_not if is_dovecot24() else dovecot.why_not
    for reason in (postfix.why_not(("socketmap", "proxy")), dovecot_why_not(), netns.why_not(), nameserver.why_not()):
        if reason:
            return reason
    if not any((place / "quota-status").exists() for place in dovecot24.PLACES):
        return "Dovecot has no quota-status"
    if not POLICY_SPF.exists():
        return "there is no SPF policy service (Debian: postfix-policyd-spf-python)"
    return None


def source_line(database, options=""):
    """The source mail of tabled.conf. A server is reached by its Unix socket, since it is no host of this world."""
    if database.kind == "sqlite":
        return SHIPPED_SOURCE.replace(" }", f"  {options} }}") if options else SHIPPED_SOURCE
    host = f"{database.socket}:{database.port}" if database.kind == "pgsql" else database.socket
    return (f'{database.kind} mail {{ hosts = {{"{host}"}}  dbname = {database.dbname}  user = {database.user}  '
            f'password = "{database.password}"  {options} }}\n')


def shipped_conf(sources):
    """postfix-maps/tabled.conf with other lines in place of the source's."""
    text = (SHIPPED / "tabled.conf").read_text()
    assert text.count(SHIPPED_SOURCE) == 1, "tabled.conf has no such source"
    return text.replace(SHIPPED_SOURCE, sources)


class HostedDaemon(Daemon):
    """tabled on a machine of netns.py. Endpoints and files are named as that machine sees them."""

    def __init__(self, machine, config):
        self._machine = machine
        super().__init__(config)
        shutil.rmtree(self.directory)
        self.directory = machine.path("/var/log")
        self.log_path = self.directory / "tabled.log"
        self.config_path = machine.path("/etc/tabled/tabled.conf")
        self.write_config(config)

    def start(self):
        self.process = self._machine.start(program("tabled"), "-c", "/etc/tabled/tabled.conf", log=self.log_path)
        try:
            self.wait_until_accepting()
        except BaseException:
            self.kill()
            raise
        return self

    def wait_until_accepting(self):
        def accepts(endpoint):
            if self.process.poll() is not None:
                raise RuntimeError(f"tabled exited with {self.process.poll()}:\n{self.log()}")
            try:
                endpoint_connect(f"unix:{self._machine.path(endpoint.removeprefix('unix:'))}").close()
                return True
            except OSError:
                return False

        for endpoint in config_endpoints(self.config):
            wait_until(lambda one=endpoint: accepts(one), 30, lambda: f"tabled does not listen:\n{self.log()}")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def remove(self):
        """The files go with the machine."""


class _Imap(imaplib.IMAP4):
    """On a connection that is there."""

    def __init__(self, connection):
        self._connection = connection
        super().__init__()

    def _create_socket(self, timeout):
        return self._connection


class MailServer:
    """Runs between `with` and its end."""

    def __init__(self, network, database, source_options=""):
        self.network, self.machine, self.database = network, network.machine, database
        self._stack = contextlib.ExitStack()
        self._lay_out()
        self.tabled = HostedDaemon(self.machine, shipped_conf(source_line(database, source_options)))

    # --- Its files

    def _lay_out(self):
        machine = self.machine
        machine.path("/etc/resolv.conf").write_text(f"nameserver {nameserver.ADDRESS}\n")
        machine.path("/etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{SERVER} {NAME} mail\n")
        machine.path("/etc/aliases").write_text("postmaster: root\nroot: alice@example.com\n")
        machine.run("hostname", NAME)
        self._add_user()
        self._make_certificate()
        for path in ("/etc/tabled", "/var/lib/tabled", "/run/tabled"):
            machine.path(path).mkdir(exist_ok=True)
        self._lay_out_postfix()
        self._lay_out_dovecot()

    def _add_user(self):
        """As README.md has it made by useradd, who owns all mail."""
        number = 5000
        for file, line in (("passwd", f"vmail:x:{number}:{number}::/home/vmail:/usr/sbin/nologin\n"),
                           ("group", f"vmail:x:{number}:\n")):
            path = self.machine.path(f"/etc/{file}")
            path.write_text(path.read_text() + line)
        home = self.machine.path("/home/vmail")
        home.mkdir()
        os.chown(home, number, number)

    def _make_certificate(self):
        """A throw-away CA's, where Debian's package ssl-cert has its own."""
        self.certificates = Certificates(self.machine.root / "ca")
        self.certificates.make("mail", NAME, f"DNS:{NAME}", f"IP:{SERVER}")
        for made, path in ((self.certificates.certificate("mail"), "/etc/ssl/certs/ssl-cert-snakeoil.pem"),
                           (self.certificates.key("mail"), "/etc/ssl/private/ssl-cert-snakeoil.key")):
            target = self.machine.path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(made, target)

    def _lay_out_postfix(self):
        path, owner = self.machine.path, pwd.getpwnam("postfix")
        for name in ("main.cf", "master.cf"):
            shutil.copy(SHIPPED / name, path(f"/etc/postfix/{name}"))
        path("/var/spool/postfix/etc").mkdir(parents=True)
        for name in ("hosts", "services", "nsswitch.conf", "localtime", "resolv.conf"):
            if path(f"/etc/{name}").exists():
                shutil.copy(path(f"/etc/{name}"), path("/var/spool/postfix/etc"))
        path("/var/spool/postfix/private").mkdir(mode=0o700)
        path("/var/lib/postfix").mkdir()
        for name in ("/var/spool/postfix/private", "/var/lib/postfix"):
            os.chown(path(name), owner.pw_uid, owner.pw_gid)
        self.set(maillog_file="/var/log/mail.log")
        self.machine.run("newaliases")

    def set(self, **settings):
        """Changes main.cf."""
        self.machine.run("postconf", "-e", *(f"{name}={value}" for name, value in settings.items()))

    def use_postscreen(self):
        """As an administrator does it, who takes away the # of its lines in both files."""
        main, master = self.machine.path("/etc/postfix/main.cf"), self.machine.path("/etc/postfix/master.cf")
        self.machine.path("/etc/postfix/postscreen_access.cidr").touch()
        main.write_text(dovecot.with_parts(main.read_text(), ["postscreen(8)"]))
        text = re.sub(r"^smtp +inet .* smtpd$", "", master.read_text(), flags=re.M)
        text, count = re.subn(r"^#(?=(smtp +inet|smtpd +pass|dnsblog|tlsproxy) )", "", text, flags=re.M)
        assert count == 4, "master.cf has no postscreen"
        master.write_text(text)
        self.machine.run("postfix", "reload")

    def _lay_out_dovecot(self):
        directory = self.machine.path("/etc/dovecot")
        shutil.rmtree(directory)
        directory.mkdir()
        for path in dovecot24.FILES if is_dovecot24() else dovecot.FILES:
            shutil.copy(path, directory)
        with open(directory / "dovecot.conf", "a") as file:
            file.write("\nlog_path = /var/log/dovecot.log\n")
            file.write(dovecot24.NO_GRACE if is_dovecot24() else "")
        self.machine.path("/var/lib/dovecot").mkdir()

    # --- Its programs

    def __enter__(self):
        with self._stack:
            self._start_tabled()
            self.start_dovecot()
            self._stack.callback(self.stop_dovecot)
            self.machine.run("postfix", "start")
            self._stack.callback(self.machine.run, "postfix", "stop", check=False)
            wait_until(self._answers, 30, lambda: f"Postfix does not answer:\n{self.log()}")
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *failure):
        if failure[0]:
            print(f"The mail log ends so:\n{self.log()[-6000:]}\nDovecot's:\n{self.log('dovecot')[-4000:]}")
        return self._stack.__exit__(*failure)

    def write_conf(self, path, sources, options=()):
        """The shipped tabled.conf with these lines for its source, and with these options in use that begin with #."""
        text = shipped_conf(sources)
        for option in options:
            assert f"\t#{option} " in text, f"tabled.conf has no {option} to be switched on"
            text = text.replace(f"\t#{option} ", f"\t{option} ")
        self.machine.path(path).write_text(text)

    def tabledctl(self, conf, *words):
        return self.machine.run(program("tabledctl"), "-c", conf, *words, check=False)

    def _start_tabled(self):
        self._stack.enter_context(self.tabled)

    def start_dovecot(self):
        self._dovecot = self.machine.start("dovecot", "-F", log=self.machine.path("/var/log/dovecot.out"))
        wait_until(lambda: self._accepts(143), 30, lambda: f"Dovecot does not answer:\n{self.log('dovecot')}")

    def stop_dovecot(self):
        self._dovecot.terminate()
        self._dovecot.wait(30)

    def _accepts(self, port):
        try:
            self._connection(port, 2).close()
            return True
        except OSError:
            return False

    def _answers(self):
        try:
            with SmtpClient(25, connection=self._connection(25, 5)) as client:
                return client.banner.startswith("220")
        except OSError:
            return False

    def log(self, name="mail"):
        path = self.machine.path(f"/var/log/{name}.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def queue(self):
        """The messages in Postfix's queue, as postqueue -j shows them."""
        return [json.loads(line) for line in self.machine.run("postqueue", "-j").stdout.splitlines()]

    def drain(self, seconds=60):
        """Has Postfix try everything again until its queue is empty."""
        def is_empty():
            if not self.queue():
                return True
            self.machine.run("postqueue", "-f")
            time.sleep(0.5)
            return False
        wait_until(is_empty, seconds, lambda: f"mail stays in the queue:\n{self.queue()}\n{self.log()[-4000:]}")

    # --- Its clients

    def _connection(self, port, timeout=60, source=None):
        with self.network.outside():
            return socket.create_connection((SERVER, port), timeout, (source, 0) if source else None)

    def trust(self):
        """A client's TLS that believes the throw-away CA alone."""
        return ssl.create_default_context(cafile=self.certificates.ca)

    def smtp(self, port=25, source="203.0.113.7", early=""):
        """A client outside, to be used in `with`. What is `early` he says before he is greeted."""
        connection = self._connection(port, source=source)
        if early:
            connection.sendall(f"{early}\r\n".encode())
        if port == 465:
            connection = self.trust().wrap_socket(connection, server_hostname=NAME)
        return SmtpClient(port, connection=connection, trust=self.trust(), name=NAME)

    def imap(self, user, password, source):
        """A client who has logged in by TLS; imaplib's error if he may not."""
        connection = self.trust().wrap_socket(self._connection(993, source=source), server_hostname=NAME)
        client = _Imap(connection)
        try:
            client.login(user, password)
        except BaseException:
            client.shutdown()
            raise
        return client

    # --- What is in the mailboxes

    def mailbox(self, user):
        """The texts of all messages of a user."""
        local, domain = user.split("@")
        home = self.machine.path("/home/vmail") / domain / local / "Maildir"
        return [path.read_text(errors="replace") for part in ("new", "cur") for path in (home / part).glob("*")
                if not path.name.startswith(".")]

    def users(self):
        """Who has a mailbox, or had one."""
        return [f"{home.name}@{home.parent.name}" for home in self.machine.path("/home/vmail").glob("*/*")]
