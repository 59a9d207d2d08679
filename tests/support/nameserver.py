"""
DNS for a world of two hosts (netns.py): one name server, NSD, that is the root and knows everything. What it
does not know does not exist.
"""

import contextlib
import ipaddress
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile

from support.netns import GATEWAY, OUTSIDE_NETWORKS, SERVER
from support.postfix import wait_until

ADDRESS = "192.0.2.53"
MX = "192.0.2.26"             # takes mail for elsewhere.example and all others outside
NAMELESS = "203.0.113.250"    # a client without a name
LISTED = "203.0.113.66"       # a client that is known for spam
OUR_DOMAINS = ("example.com", "example.net", "example.org", "bulk.example", "branch.example")
# What else sends mail: domain: what it says about its senders (SPF).
SENDERS = {
    "elsewhere.example": "v=spf1 ip4:203.0.113.0/24 ip4:198.51.100.0/24 ip4:198.18.0.0/22 -all",
    "strict.example": "v=spf1 ip4:203.0.113.99 -all",
    "soft.example": "v=spf1 ip4:203.0.113.99 ~all",
    "plain.example": None,
    "spam.example": None,
    "shady.badtld": None,
    "listed.example": None,
    "unlisted.example": None,
    "far.example": None,
}


def why_not():
    path = os.environ["PATH"] + ":/usr/sbin"
    return None if shutil.which("nsd", path=path) else "nsd is not installed"


def client_name(address):
    """What a client's address is called, and what leads back to it."""
    return f"host-{address.replace('.', '-')}.elsewhere.example"


def zone():
    """The file of the root zone."""
    lines = ["$TTL 60", ". IN SOA ns.root. hostmaster.root. 1 60 60 600 5", ". IN NS ns.root.",
             f"ns.root. IN A {ADDRESS}", f"mx.elsewhere.example. IN A {MX}", *_host("mail.example.com", SERVER),
             *_host("gateway.elsewhere.example", GATEWAY)]
    for domain in OUR_DOMAINS:
        lines += [f"{domain}. IN MX 10 mail.example.com.", f'{domain}. IN TXT "v=spf1 mx -all"']
    for domain, policy in SENDERS.items():
        lines.append(f"{domain}. IN MX 10 mx.elsewhere.example.")
        lines += [f'{domain}. IN TXT "{policy}"'] if policy else []
    # It says that it takes no mail (RFC 7505).
    lines.append("silent.example. IN MX 0 .")
    # What a list of spammers answers: yes; and "do not ask me".
    lines += ["listed.example.dbl.spamhaus.org. IN A 127.0.1.2", "unlisted.example.dbl.spamhaus.org. IN A 127.255.255.254"]
    lines.append(f"{'.'.join(reversed(LISTED.split('.')))}.zen.spamhaus.org. IN A 127.0.0.4")
    for network in OUTSIDE_NETWORKS:
        for address in map(str, ipaddress.ip_network(network)):
            lines += _host(client_name(address), address) if address != NAMELESS else []
    return "\n".join(lines) + "\n"


def _host(name, address):
    return [f"{name}. IN A {address}", f"{ipaddress.ip_address(address).reverse_pointer}. IN PTR {name}."]


@contextlib.contextmanager
def running(network):
    """The name server, outside."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tabled-dns-"))
    try:
        (directory / "root.zone").write_text(zone())
        (directory / "nsd.conf").write_text(
            f'server:\n ip-address: {ADDRESS}\n server-count: 1\n username: ""\n chroot: ""\n zonesdir: "{directory}"\n'
            f' database: ""\n pidfile: "{directory}/pid"\n xfrdfile: "{directory}/xfrd"\n xfrdir: "{directory}"\n'
            f' zonelistfile: "{directory}/zones"\n rrl-ratelimit: 0\n'
            'remote-control:\n control-enable: no\nzone:\n name: "."\n zonefile: "root.zone"\n')
        nsd = shutil.which("nsd", path=os.environ["PATH"] + ":/usr/sbin")
        with open(directory / "log", "wb") as log, network.outside():
            process = subprocess.Popen(["setpriv", "--pdeathsig=TERM", "--", nsd, "-d", "-c", directory / "nsd.conf"],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        try:
            wait_until(lambda: _answers(network), 30, lambda: (directory / "log").read_text())
            yield
        finally:
            process.terminate()
            process.wait(20)
    finally:
        shutil.rmtree(directory)


def _answers(network):
    """Whether it says anything to the question for the root's SOA."""
    with network.outside(), socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.sendto(struct.pack(">6HBHH", 1, 0, 1, 0, 0, 0, 0, 6, 1), (ADDRESS, 53))
            return len(client.recv(512)) > 12
        except OSError:
            return False
