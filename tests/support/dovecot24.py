"""
A private Dovecot 2.4: as support/dovecot.py, with the files of postfix-maps/dovecot/2.4 and tabled.lua.
"""

import os
import pwd
import re
from pathlib import Path

from support import dovecot
from support.dovecot import MAIL_USER
from support.postfix import SHIPPED

FILES = (*(SHIPPED / "dovecot" / "2.4").iterdir(), SHIPPED / "dovecot" / "tabled.lua")
PLACES = (Path("/usr/lib/dovecot"), Path("/usr/libexec/dovecot"))

# Mailboxes of tests are small: the 10 MB by which the last mail may exceed one are more than it holds.
NO_GRACE = "quota_storage_grace = 0\n"

# How doveadm knows the dictionaries: by what uses them.
FILTERS = {"quota": "quota_clone", "last_login": "last_login", "acl": "acl_sharing_map", "metadata": "mail_attribute"}


def why_not():
    """Why the shipped files cannot be run here, or None."""
    if os.geteuid() != 0:
        return "Dovecot's master needs root"
    version = dovecot.version()
    if not version:
        return "dovecot is not installed"
    if not version.startswith("2.4."):
        return f"Dovecot is {version} here, not 2.4, which the suite debian13 has"
    for name in ("imap", "lmtp", "modules/auth/libauthdb_lua.so", "modules/lib90_sieve_plugin.so"):
        if not any((place / name).exists() for place in PLACES):
            return f"Dovecot has no {name} here"
    for name in ("dovecot", "dovenull", "postfix", MAIL_USER):
        try:
            pwd.getpwnam(name)
        except KeyError:
            return f"there is no user {name}"
    return None


class Dovecot(dovecot.Dovecot):
    files = FILES

    def _at_home(self, text):
        return super()._at_home(re.sub(r"= vmail\b", f"= {MAIL_USER}", text).replace("/home/vmail/%", f"{self.mail}/%"))

    def _overrides(self):
        def login(protocol, port):
            return (f"service {protocol}-login {{\n"
                    f"\tinet_listener {protocol} {{\n\t\tlisten = 127.0.0.1\n\t\tport = {port}\n\t}}\n"
                    f"\tinet_listener {protocol}s {{\n\t\tport = 0\n\t}}\n}}\n")

        return (f"base_dir = {self.root}/run\nstate_dir = {self.root}/state\n"
                f"log_path = {self.log}\nauth_verbose = yes\n"
                f"first_valid_uid = 1\nfirst_valid_gid = 1\n{NO_GRACE}"
                # All come from one address, and some fail: nobody is to wait for that.
                "auth_failure_delay = 0\nauth_internal_failure_delay = 0\nlua_settings {\n\tconnect_timeout = 0.2\n}\n"
                "service anvil {\n\tunix_listener anvil-auth-penalty {\n\t\tmode = 0\n\t}\n}\n"
                + login("imap", self.imap_port))

    def dict(self, dictionary, word, *arguments, user=None):
        """doveadm dict WORD, by way of tabled."""
        whose = ["-u", user] if user else []
        return self.doveadm("dict", word, *whose, "--", FILTERS[dictionary], *arguments)
