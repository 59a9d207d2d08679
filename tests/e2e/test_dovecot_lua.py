"""
postfix-maps/dovecot/tabled.lua in a real Dovecot 2.3, in place of its driver dict: what it does differently
from 2.4, where tests/e2e/test_dovecot24.py has it do all.
"""

import re
import shutil

import pytest

from support import dovecot, mail
from support.daemon import Daemon
from support.databases import Sqlite
from support.dovecot import LIBEXEC, NO_USER, OK, TEMPORARY
from support.postfix import SHIPPED, public_directory

ALICE, WONDERLAND = "alice@example.com", "wonderland"  # of schema/sample.sql


def why_not():
    if not (LIBEXEC / "modules" / "auth" / "libauthdb_lua.so").exists():
        return "Dovecot has no Lua (Debian: dovecot-auth-lua)"
    return dovecot.why_not()


class DovecotWithLua(dovecot.Dovecot):
    def _lay_out(self, parts, settings):
        super()._lay_out(parts, settings)
        script = self.config.parent / "tabled.lua"
        script.write_text(self._at_home((SHIPPED / "dovecot" / "tabled.lua").read_text()))
        text, count = re.subn(r"driver = dict\n\targs = \S+", f"driver = lua\n\targs = file={script}",
                              self.config.read_text())
        assert count == 2, "dovecot.conf has not one passdb and one userdb by dict"
        self.config.write_text(text)


@pytest.fixture(scope="module")
def site():
    if why_not():
        pytest.skip(why_not())
    directory = public_directory("tabled-dovecot-db-")
    try:
        database = Sqlite(directory / "mail.db")
        mail.make_database(database)
        server = DovecotWithLua()
        conf = mail.shipped_tabled_conf("@DIR@/socketmap", database, "@DIR@/control", dict_socket=server.dict_socket)
        with Daemon(conf) as daemon, server:
            yield daemon, server
    finally:
        shutil.rmtree(directory)


def answers(server, user, password, service):
    """"yes", "no" or "temporary": doveadm auth test."""
    done = server.doveadm("auth", "test", "-x", f"service={service}", user, password)
    if done.status == OK:
        return "yes"
    return "temporary" if "temp_fail" in done.out else "no"


@pytest.mark.parametrize("user, password, service, answer", [
    (ALICE, WONDERLAND, "imap", "yes"), (ALICE, WONDERLAND, "smtp", "yes"), (ALICE, "x", "imap", "no"),
    (ALICE, "", "imap", "no"), ("nobody@example.com", WONDERLAND, "imap", "no"),
    (ALICE, WONDERLAND, "gopher", "temporary"),
])
def test_logins(site, user, password, service, answer):
    assert answers(site[1], user, password, service) == answer, site[1].log_text()


def test_users(site):
    server = site[1]
    done = server.doveadm("user", ALICE)
    assert done.status == OK and f"home\t{server.mail}/example.com/alice" in done.lines(), done
    assert server.doveadm("user", "nobody@example.com").status == NO_USER
    assert ALICE in server.doveadm("user", "*").lines()


def test_imap_and_lmtp(site):
    server = site[1]
    assert server.deliver(ALICE, "Subject: x\r\n\r\ntext\r\n")[0] == 250
    with server.imap(ALICE, WONDERLAND) as client:
        assert client.select("INBOX") == ("OK", [b"1"])


def test_tabled_away(site):
    """And back: the connection that the script has kept is of no use then."""
    daemon, server = site
    for end in (daemon.stop, daemon.kill):
        end()
        try:
            assert answers(server, ALICE, WONDERLAND, "imap") == "temporary"
            assert server.doveadm("user", "nobody@example.com").status == TEMPORARY
            assert server.doveadm("user", "*").status == TEMPORARY
        finally:
            daemon.start()
        assert answers(server, ALICE, WONDERLAND, "imap") == "yes"
        assert server.doveadm("user", "nobody@example.com").status == NO_USER
