"""
A private Postfix on loopback: the installed programs with configuration, queue, data and log in a
directory of their own. The machine's own Postfix, if there is one, is neither read nor touched.

Needs root, as Postfix's master does.
"""

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from support.ports import free_port

SHIPPED = Path(__file__).resolve().parents[2] / "postfix-maps"

RESTRICTIONS = [f"smtpd_{stage}_restrictions" for stage in ("client", "helo", "sender", "recipient")] + [
    "mua_sender_restrictions", "mua_recipient_restrictions"]
NEEDS_THE_WORLD = re.compile(r"\b(reject_unknown_\w+|reject_rhsbl_\w+ \S+|check_policy_service \S+)(,|$)")
RATE_LIMITS = [f"smtpd_client_{what}_rate_limit" for what in ("connection", "message", "recipient")]

# What a chrooted program wants to find. resolv.conf is missing on purpose: no test asks DNS.
_CHROOT_FILES = ("hosts", "services", "nsswitch.conf", "localtime")


def why_not(kinds=("socketmap", "tcp", "sqlite", "proxy")):
    """Why Postfix cannot be run here with these kinds of tables, or None."""
    if os.geteuid() != 0:
        return "Postfix's master needs root"
    for program in ("postfix", "postconf", "postmap", "openssl"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            return f"{program} is not installed"
    known = subprocess.run(["postconf", "-m"], capture_output=True, text=True, check=True).stdout.split()
    missing = set(kinds) - set(known)
    return f"Postfix has no {', '.join(sorted(missing))} tables" if missing else None


def public_directory(prefix="tabled-"):
    """A new directory below /tmp that Postfix's own user may enter, as pytest's may not."""
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    directory.chmod(0o755)
    return directory


def make_certificate(directory):
    """A server's certificate that nobody can verify: cert.pem and key.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=mail.example.com",
                    "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
                   check=True, capture_output=True)


class Postfix:
    """
    Runs between start() and stop(), or `with` and its end. `settings` are appended to the shipped
    main.cf. It is alone in the world: restrictions that ask DNS or a policy service are left out, and
    its one client may send as much as it likes. All else in the shipped files is as it is, but for the
    ports of master.cf. `tables` are put in place of the shipped socketmaps, by the names of their maps.
    The whole server is run by mailserver.py.
    """

    def __init__(self, settings=None, tables=None):
        self.root = public_directory("tabled-postfix-")
        self.config = self.root / "etc"
        self.queue = self.root / "spool"
        self.log = self.root / "maillog"
        self.smtp_port = free_port()
        self.submission_port = free_port()
        self.submissions_port = free_port()
        self._settings = settings or {}
        self._tables = tables
        self._lay_out()

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

    def _lay_out(self):
        for directory in (self.config, self.queue, self.root / "data", self.queue / "etc"):
            directory.mkdir()
        owner = pwd.getpwnam("postfix")
        os.chown(self.root / "data", owner.pw_uid, owner.pw_gid)
        # tabled listens below private/ before Postfix starts, as it does on a real machine.
        (self.queue / "private").mkdir(mode=0o700)
        os.chown(self.queue / "private", owner.pw_uid, owner.pw_gid)
        for name in _CHROOT_FILES:
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), self.queue / "etc" / name)
        make_certificate(self.config)
        self._write_configuration()

    def _write_configuration(self):
        shutil.copy(SHIPPED / "main.cf", self.config)
        services = (SHIPPED / "master.cf").read_text()
        for name, port in (("smtp", self.smtp_port), ("submission", self.submission_port),
                           ("submissions", self.submissions_port)):
            services, count = re.subn(rf"^{name}(\s+inet\s)", rf"127.0.0.1:{port}\1", services, flags=re.M)
            assert count == 1, f"master.cf has no single {name} inet service"
        (self.config / "master.cf").write_text(services)
        self.set({
            "queue_directory": self.queue,
            "data_directory": self.root / "data",
            "maillog_file": self.log,
            "maillog_file_prefixes": self.root,
            "inet_interfaces": "127.0.0.1",
            "smtpd_tls_cert_file": self.config / "cert.pem",
            "smtpd_tls_key_file": self.config / "key.pem",
            "alias_maps": "",
            "alias_database": "",
            "disable_dns_lookups": "yes",
            "smtp_host_lookup": "native",
            "in_flow_delay": "0",
            # Short names of messages come back, when a file's number and a microsecond do.
            "enable_long_queue_ids": "yes",
            "smtp_tls_security_level": "may",
            "smtp_dns_support_level": "enabled",
            **{limit: "0" for limit in RATE_LIMITS},
            **self._restrictions_for_one_alone(),
            **self._settings,
        })
        if self._tables:
            self._put_tables()

    def _put_tables(self):
        main = self.config / "main.cf"
        text = main.read_text()
        for name, table in self._tables.items():
            text = re.sub(rf"socketmap:unix:private/tabled:{name}\b", table, text)
        main.write_text(text)
        self.set({"proxy_read_maps": f"proxy:unix:passwd.byname {' '.join(self._tables.values())}"})

    def _restrictions_for_one_alone(self):
        """{parameter: value} of the shipped lists, without what would ask somebody else."""
        return {name: NEEDS_THE_WORLD.sub("", self.value(name)) for name in RESTRICTIONS}

    def value(self, parameter):
        done = subprocess.run(["postconf", "-c", self.config, "-h", parameter], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def set(self, settings):
        """Appends to main.cf, or replaces what it says."""
        subprocess.run(["postconf", "-c", self.config, "-e", *(f"{k}={v}" for k, v in settings.items())],
                       check=True, capture_output=True)

    def _command(self, word):
        return subprocess.run(["postfix", "-c", self.config, word], capture_output=True, text=True, timeout=60)

    def start(self):
        done = self._command("start")
        if done.returncode != 0:
            raise RuntimeError(f"postfix start: {done.stdout}{done.stderr}{self.log_text()}")
        self._wait_for_port()

    def _wait_for_port(self):
        wait_until(self._accepts, 20, lambda: f"smtpd does not answer:\n{self.log_text()}")

    def _accepts(self):
        try:
            socket.create_connection(("127.0.0.1", self.smtp_port), 1).close()
            return True
        except OSError:
            return False

    def _master(self):
        """The process id of our own master, or None."""
        try:
            pid = int((self.queue / "pid" / "master.pid").read_text())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def stop(self):
        pid = self._master()
        if pid is None:
            return
        self._command("stop")
        try:
            wait_until(lambda: self._master() is None, 10, lambda: "master stays")
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise

    def log_text(self):
        return self.log.read_text(errors="surrogateescape") if self.log.exists() else ""

    def queued(self):
        """The messages in the queue, as postqueue -j shows them."""
        listing = subprocess.run(["postqueue", "-c", self.config, "-j"], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in listing.stdout.splitlines()]

    def flush(self):
        subprocess.run(["postqueue", "-c", self.config, "-f"], check=True)

    def wait_until_idle(self, seconds=60):
        """Until every message has gone, or waits for a later try."""
        quiet = 0

        def settled():
            nonlocal quiet
            waiting = all(message["queue_name"] == "deferred" for message in self.queued())
            quiet = quiet + 1 if waiting else 0
            return quiet >= 3

        wait_until(settled, seconds, lambda: f"mail still moves:\n{self.queued()}\n{self.log_text()[-4000:]}")


def wait_until(condition, seconds, describe, pause=0.1):
    """Polls; a TimeoutError with describe()'s text after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(describe())
        time.sleep(pause)


def postmap(config, table, keys):
    """Asks a table for keys. Returns (exit code, output, complaints): 0 found some, 1 none."""
    done = subprocess.run(["postmap", "-c", config, "-q", "-", table],
                          input=b"".join(key + b"\n" for key in keys), capture_output=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def shipped_maps(text):
    """The maps of a tabled.conf in file order: {name: {option: text or list}}."""
    maps = {}
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    for name, body in re.findall(r'^map (\w+) \{((?:"[^"]*"|\{[^}]*\}|[^}"{])*)\}', text, flags=re.M):
        options = {}
        for option, quoted, members, word in re.findall(
                r'(\w+)\s*=\s*(?:"([^"]*)"|\{([^}]*)\}|(\w+))', body):
            options[option] = re.split(r"\s*,\s*", members.strip()) if members else (quoted or word)
        maps[name] = options
    return maps


def proxy_tables(directory, database, maps):
    """
    Writes Postfix's own table file for each map and returns {map: "proxy:sqlite:FILE ..."}, or pgsql
    or mysql, as the database is. A map of maps becomes the list of its members' tables.
    """
    directory.mkdir(exist_ok=True)
    tables = {}
    for name, options in maps.items():
        if "query" not in options:
            continue
        query = " ".join(options["query"].split())
        text = database.postfix_table() + f"query = {query}\n"
        text += "".join(f"{option} = {options[option]}\n" for option in ("result_format", "expansion_limit", "domain")
                        if option in options)
        (directory / f"{name}.cf").write_text(text)
        tables[name] = f"proxy:{database.kind}:{directory / name}.cf"
    for name, options in maps.items():
        if "maps" in options:
            tables[name] = " ".join(tables[member] for member in options["maps"])
    return tables
