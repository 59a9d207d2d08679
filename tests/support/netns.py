"""
A world of two hosts on this machine, which sees nothing of the real one: a mail server with files,
processes and addresses of its own, and an outside with as many addresses as a test likes.

    with Network() as network:
        machine = network.machine
        machine.run("postfix", "start")
        with network.outside():
            socket.create_connection((SERVER, 25))

Linux namespaces do it, so root is needed. Sockets belong to where they were made: what a thread makes
inside of `with network.outside()` is outside for good. Both hosts end with the process that made them,
however that ends, and all of their processes with them.
"""

import contextlib
import ctypes
import ipaddress
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

SERVER = "192.0.2.1"
GATEWAY = "192.0.2.2"  # the outside's own address on the cable
# What the outside listens on, and where its clients come from: all of them are its own.
OUTSIDE_HOSTS = ("192.0.2.25", "192.0.2.26", "192.0.2.53")
OUTSIDE_NETWORKS = ("203.0.113.0/24", "198.51.100.0/24", "198.18.0.0/22")

CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

# The server's own directories; everything else is the real machine's.
OWN = ("etc", "var", "run", "home")

# Process 1 of the server: whoever loses his parent becomes its child, and is not mourned.
_INIT = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print(flush=True)\nwhile True: signal.pause()"


def why_not():
    """Why there can be no such world here, or None."""
    if os.geteuid() != 0:
        return "namespaces need root"
    for program in ("unshare", "nsenter", "setpriv", "ip", "mount"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return f"{program} is not installed"
    done = subprocess.run(["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "mount", "-t", "proc", "proc",
                           "/proc"], capture_output=True, text=True)
    if done.returncode != 0:
        return f"namespaces can't be made here: {done.stderr.strip()}"
    done = subprocess.run(["unshare", "--net", "ip", "link", "add", "tabled0", "type", "veth", "peer", "name", "tabled1"],
                          capture_output=True, text=True)
    return f"there is no cable for namespaces (veth): {done.stderr.strip()}" if done.returncode != 0 else None


def _held(*command):
    """Starts a process that is killed with this one."""
    return subprocess.Popen(["setpriv", "--pdeathsig=KILL", "--", *command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, text=True, cwd="/")


def _enter(namespace):
    if _LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """Both hosts and the cable between them, from `with` to its end."""

    def __init__(self):
        self._stack = contextlib.ExitStack()
        self.machine = None

    def __enter__(self):
        with self._stack:
            self._outside = self._started(_held("unshare", "--net", "sh", "-c", "echo; exec sleep infinity"))
            self.machine = self._stack.enter_context(Machine())
            self._lay_cable()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _started(self, process):
        self._stack.callback(_end, process)
        process.stdout.readline()
        return process

    def _lay_cable(self):
        def outside(*words):
            subprocess.run(["nsenter", f"--net=/proc/{self._outside.pid}/ns/net", "ip", *words], check=True)

        outside("link", "add", "cable", "type", "veth", "peer", "name", "eth0", "netns", str(self.machine.pid))
        outside("link", "set", "lo", "up")
        outside("addr", "add", f"{GATEWAY}/24", "dev", "cable")
        for host in OUTSIDE_HOSTS:
            outside("addr", "add", f"{host}/24", "dev", "cable")
        outside("link", "set", "cable", "up")
        for network in OUTSIDE_NETWORKS:
            outside("route", "add", "local", network, "dev", "lo")
        for words in (f"addr add {SERVER}/24 dev eth0", "link set lo up", "link set eth0 up",
                      f"route add default via {GATEWAY}"):
            self.machine.run("ip", *words.split())

    @contextlib.contextmanager
    def outside(self):
        """This thread is outside meanwhile, as far as sockets go."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{self._outside.pid}/ns/net", "rb") as outside:
            _enter(outside)
            try:
                yield
            finally:
                _enter(home)


class Machine:
    """
    The mail server's host. Below `root` are its own /etc (a copy of the real one), /var, /run and
    /home; path() leads there.
    """

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="tabled-machine-"))
        self.root.chmod(0o755)
        self._init = None
        self.pid = None

    def path(self, path):
        """Where the host's own file is for us."""
        assert path.split("/")[1] in OWN, path
        return self.root / path.lstrip("/")

    def __enter__(self):
        try:
            self._make_directories()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._init:
            _end(self._init)
        shutil.rmtree(self.root, ignore_errors=True)

    def _make_directories(self):
        shutil.copytree("/etc", self.root / "etc", symlinks=True)
        for name in ("var/spool", "var/lib", "var/log", "var/tmp", "run", "home"):
            (self.root / name).mkdir(parents=True)
        (self.root / "var" / "tmp").chmod(0o1777)
        (self.root / "var" / "run").symlink_to("/run")
        for name in ("resolv.conf", "hostname", "hosts"):
            (self.root / "etc" / name).unlink(missing_ok=True)  # it may be a link to somewhere else

    def _start(self):
        script = "".join(f"mount --bind {self.root}/{name} /{name} && " for name in OWN)
        self._init = _held("unshare", "--net", "--mount", "--propagation=private", "--uts", "--ipc", "--pid", "--fork",
                           "--kill-child", "sh", "-c", script + 'mount -t proc proc /proc && exec "$@"', "init",
                           "/usr/bin/python3", "-c", _INIT)
        if not self._init.stdout.readline():
            raise RuntimeError(f"the namespaces of {self.root} were not made")
        children = pathlib.Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children")
        self.pid = int(children.read_text())

    def command(self, *words):
        """The words that run a program on this host. Its root is ours, which may be a chroot's."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--uts", "--ipc", "--pid", "--root", "--",
                *map(str, words)]

    def run(self, *words, text=None, check=True, seconds=120):
        """Runs a program there to its end."""
        done = subprocess.run(self.command(*words), input=text, capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL if text is None else None)
        if check and done.returncode != 0:
            raise RuntimeError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, *words, log):
        """Starts a program there: a Process."""
        with open(log, "ab") as output:
            return Process(subprocess.Popen(self.command(*words), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            cwd="/"))


class Process:
    """What Machine.start() has started, to be used as a subprocess.Popen. Signals go to the program itself."""

    def __init__(self, nsenter):
        self._nsenter = nsenter

    def poll(self):
        return self._nsenter.poll()

    def wait(self, seconds=None):
        return self._nsenter.wait(seconds)

    def send_signal(self, number):
        children = pathlib.Path(f"/proc/{self._nsenter.pid}/task/{self._nsenter.pid}/children")
        with contextlib.suppress(OSError):  # it has ended meanwhile
            for pid in children.read_text().split():
                os.kill(int(pid), number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def host_of(network, number):
    """The so-many-th address of a network."""
    return str(ipaddress.ip_network(network)[number])


def _end(process):
    process.kill()
    process.wait()
    process.stdout.close()
