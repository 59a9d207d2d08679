"""
Runs a server as long as its owner lives, and leaves nothing behind:

    keep.py OWNER PIDFILE COMMAND [ARGUMENT …]

When the process OWNER is gone, or when the server has ended, all that the server has started is
killed. Processes that lose their parent become children of this one (PR_SET_CHILD_SUBREAPER), so
none gets away; and should this one be killed, setpriv's --pdeathsig takes the server along.
"""

import ctypes
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def processes():
    """(pid, parent, state) of all that run here."""
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        yield int(path.parent.name), int(parent), state


def descendants(pid):
    """Who runs below `pid`; children before grandchildren, so that who starts new ones comes first."""
    running = [(one, parent) for one, parent, state in processes() if state not in "ZX"]
    found = [pid]
    for ancestor in found:
        found += [one for one, parent in running if parent == ancestor]
    return found[1:]


def signal_all(pid, number):
    """Sends the signal to all descendants, those that come meanwhile included."""
    told = set()
    while True:
        new = [one for one in descendants(pid) if one not in told]
        if not new:
            return
        for one in new:
            told.add(one)
            try:
                os.kill(one, number)
            except ProcessLookupError:
                pass


def kill_all(pid):
    """Ends all descendants without ceremony. They stop first, so that no new ones come."""
    while descendants(pid):
        signal_all(pid, signal.SIGSTOP)
        signal_all(pid, signal.SIGKILL)
        time.sleep(0.01)


def wait_for_either(server, owner):
    """Returns when one of the two processes has ended."""
    poll = select.poll()
    for pid in (server, owner):
        poll.register(os.pidfd_open(pid), select.POLLIN)
    poll.poll()


def main():
    owner, pid_file, command = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with subprocess.Popen(command) as server:
        pid_file.write_text(f"{os.getpid()}\n")
        try:
            wait_for_either(server.pid, owner)
        except ProcessLookupError:  # one of them was faster than we
            pass
        kill_all(os.getpid())
    return 0


if __name__ == "__main__":
    sys.exit(main())
