"""
The cache as administrators meet it: how long answers are given, what is given while the database is
away, what is flushed, shown and saved, and that a restart in the middle of an outage costs nothing.
"""

import json
import os
import pwd
import re
import sqlite3
import stat
import subprocess
import time

import pytest

from support.client import CONTROL, Client, answer, listener_status, status, wait_until
from support.daemon import Daemon, program
from support.databases import MariaDB, PostgreSQL

QUERY = "SELECT goto FROM alias WHERE address = '%s'"
LISTENERS = """
socketmap { listen = "unix:@DIR@/socketmap" }
control { listen = "unix:@DIR@/control" }
"""
SAVED = 'cache { save = "@DIR@/saved"  save_interval = "1h" }\n'
NOT_FOUND, TEMPORARY = "NOTFOUND ", "TEMP"


def sqlite_config(*maps, more=""):
    """Maps, each a name and its options, on one file. Their queries differ: each has answers of its own."""
    sections = "".join(f'map {name} {{ source = mail  query = "{QUERY} AND {at} = {at}"  {options} }}\n'
                       for at, (name, options) in enumerate(maps))
    return f'sqlite mail {{ path = "@DIR@/mail.db"  query_timeout = "1s" }}\n{sections}{more}{LISTENERS}'


def make_daemon(*maps, more=""):
    """A daemon that is not started yet; a@ is in its database."""
    daemon = Daemon(sqlite_config(*maps, more=more))
    execute(daemon, "CREATE TABLE alias (address text PRIMARY KEY, goto text)")
    put(daemon, "a@d.ex", "one@e.ex")
    return daemon


def execute(daemon, sql, *values):
    connection = sqlite3.connect(daemon.path("mail.db"))
    with connection:
        connection.execute(sql, values)
    connection.close()


def put(daemon, address, goto):
    execute(daemon, "INSERT OR REPLACE INTO alias VALUES (?, ?)", address, goto)


class Away:
    """The database is not there while the block runs."""

    def __init__(self, daemon):
        self.here, self.away = daemon.path("mail.db"), daemon.path("away.db")

    def __enter__(self):
        self.here.rename(self.away)

    def __exit__(self, *_):
        self.away.rename(self.here)


def ctl(daemon, *arguments):
    return subprocess.run([program("tabledctl"), "-c", daemon.config_path, *arguments], capture_output=True,
                          encoding="utf-8", check=False)


def report(daemon):
    done = ctl(daemon, "cache", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def counts(daemon, name):
    return next(one for one in report(daemon)["maps"] if one["name"] == name)


def wait_for_source(daemon, name):
    """A source that is back is asked again a moment later."""
    wait_until(lambda: answer(daemon, name, "a@d.ex") == "OK one@e.ex", "the source is back")


def assert_temporary(reply):
    assert reply.startswith(TEMPORARY), reply


# How long answers are given.

def test_within_its_ttl_nothing_is_asked():
    with make_daemon(("kept", 'ttl = "1h"  negative_ttl = "1h"')) as daemon:
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        assert answer(daemon, "kept", "b@d.ex") == NOT_FOUND
        put(daemon, "a@d.ex", "two@e.ex")
        put(daemon, "b@d.ex", "three@e.ex")
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        assert answer(daemon, "kept", "b@d.ex") == NOT_FOUND
        kept = counts(daemon, "kept")
        assert (kept["entries"], kept["hits"], kept["misses"], kept["stale"]) == (2, 2, 2, 0)


def test_without_a_feed_and_a_ttl_everything_is_asked():
    with make_daemon(("plain", "")) as daemon:
        assert answer(daemon, "plain", "a@d.ex") == "OK one@e.ex"
        assert answer(daemon, "plain", "b@d.ex") == NOT_FOUND
        put(daemon, "a@d.ex", "two@e.ex")
        put(daemon, "b@d.ex", "three@e.ex")
        assert answer(daemon, "plain", "a@d.ex") == "OK two@e.ex"
        assert answer(daemon, "plain", "b@d.ex") == "OK three@e.ex"
        plain = counts(daemon, "plain")
        assert (plain["hits"], plain["misses"]) == (0, 4)


def test_after_its_ttl_it_is_asked_again():
    with make_daemon(("short", 'ttl = "300ms"  negative_ttl = "300ms"  grace = "0"')) as daemon:
        assert answer(daemon, "short", "a@d.ex") == "OK one@e.ex"
        assert answer(daemon, "short", "b@d.ex") == NOT_FOUND
        put(daemon, "a@d.ex", "two@e.ex")
        put(daemon, "b@d.ex", "three@e.ex")
        wait_until(lambda: answer(daemon, "short", "a@d.ex") == "OK two@e.ex", "the new answer")
        wait_until(lambda: answer(daemon, "short", "b@d.ex") == "OK three@e.ex", "the one that was not there")
        assert counts(daemon, "short")["stale"] == 0


def test_in_its_grace_the_old_answer_is_given_and_asked_behind():
    with make_daemon(("graceful", 'ttl = "5s"  grace = "5s"')) as daemon:
        assert answer(daemon, "graceful", "a@d.ex") == "OK one@e.ex"
        put(daemon, "a@d.ex", "two@e.ex")
        time.sleep(5.5)
        assert answer(daemon, "graceful", "a@d.ex") == "OK one@e.ex"
        assert counts(daemon, "graceful")["stale"] == 1
        wait_until(lambda: answer(daemon, "graceful", "a@d.ex") == "OK two@e.ex", "the answer that was asked behind")


def test_cache_no():
    with make_daemon(("never", 'ttl = "1h"  cache = no')) as daemon:
        assert answer(daemon, "never", "a@d.ex") == "OK one@e.ex"
        put(daemon, "a@d.ex", "two@e.ex")
        assert answer(daemon, "never", "a@d.ex") == "OK two@e.ex"
        never = counts(daemon, "never")
        assert (never["entries"], never["hits"], never["misses"]) == (0, 0, 2)
        with Away(daemon):
            assert_temporary(answer(daemon, "never", "a@d.ex"))


# While the database is away.

def test_stale():
    with make_daemon(("short", 'ttl = "100ms"'), ("never", 'ttl = "100ms"  stale_ttl = "0"')) as daemon:
        for name in ("short", "never"):
            assert answer(daemon, name, "a@d.ex") == "OK one@e.ex"
        time.sleep(0.3)
        with Away(daemon):
            assert answer(daemon, "short", "a@d.ex") == "OK one@e.ex"
            assert_temporary(answer(daemon, "short", "other@d.ex"))
            assert_temporary(answer(daemon, "never", "a@d.ex"))
            put_while_away = ctl(daemon, "get", "--explain", "short", "a@d.ex")
            assert "old, but the best there is" in put_while_away.stdout
        assert counts(daemon, "short")["stale"] >= 2
        put(daemon, "a@d.ex", "two@e.ex")
        wait_until(lambda: answer(daemon, "short", "a@d.ex") == "OK two@e.ex", "the source is asked again")


def test_stale_not_found_by_the_kind_of_map():
    """It would reject a recipient or a domain in the one, and is the usual answer in the other."""
    maps = ["virtual_mailbox_domains", "virtual_mailbox_maps", "relay_domains", "virtual_alias_maps",
            "transport_maps", "sender_bcc_maps"]
    options = 'negative_ttl = "3s"  grace = "0"'
    with make_daemon(*((name, options) for name in maps),
                     ("told", f"serves = virtual_mailbox_domains  stale_negative = yes  {options}"),
                     ("forbidden", f"serves = virtual_alias_maps  stale_negative = no  {options}")) as daemon:
        # All together, so that each is still sure when the source is last reached.
        names = [*maps, "told", "forbidden"]
        with Client(daemon) as client:
            for name in names:
                client.ask(name, "nobody.example")
            assert {client.reply() for _ in names} == {NOT_FOUND}
        with Away(daemon):
            time.sleep(4)
            seen = {name: answer(daemon, name, "nobody.example") for name in names}
        rejecting = {"virtual_mailbox_domains", "virtual_mailbox_maps", "relay_domains", "forbidden"}
        assert {name for name in names if seen[name].startswith(TEMPORARY)} == rejecting, seen
        assert {name for name in names if seen[name] == NOT_FOUND} == set(names) - rejecting, seen


# Flushing.

def fill(daemon):
    for name in ("virtual_alias_maps", "other"):
        assert answer(daemon, name, "a@d.ex") == "OK one@e.ex"
    assert answer(daemon, "virtual_alias_maps", "A+Tag@D.ex") == "OK one+Tag@e.ex"
    put(daemon, "a@d.ex", "two@e.ex")


FLUSHED = ("virtual_alias_maps", 'ttl = "1h"  negative_ttl = "1h"'), ("other", 'ttl = "1h"')


@pytest.mark.parametrize("arguments, old", [
    ([], set()),
    (["virtual_alias_maps"], {"other"}),
    (["virtual_alias_maps", "A+else@d.EX"], {"other"}),
    (["virtual_alias_maps", "b@d.ex"], {"virtual_alias_maps", "other"}),
    (["other", "a@d.ex"], {"virtual_alias_maps"}),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_flush(arguments, old):
    with make_daemon(*FLUSHED) as daemon:
        fill(daemon)
        done = ctl(daemon, "flush", *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        for name in ("virtual_alias_maps", "other"):
            assert answer(daemon, name, "a@d.ex") == ("OK one@e.ex" if name in old else "OK two@e.ex")


def test_flushed_is_not_good_as_stale_and_not_in_the_file():
    with make_daemon(("kept", 'ttl = "1h"'), more=SAVED) as daemon:
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        daemon.stop()
        assert b"one@e.ex" in daemon.path("saved").read_bytes()
        daemon.start()
        assert ctl(daemon, "flush", "kept", "a@d.ex").returncode == 0
        wait_until(lambda: b"one@e.ex" not in daemon.path("saved").read_bytes(), "the file is written anew")
        with Away(daemon):
            assert_temporary(answer(daemon, "kept", "a@d.ex"))
        wait_for_source(daemon, "kept")
        assert ctl(daemon, "flush").returncode == 0
        wait_until(lambda: counts(daemon, "kept")["entries"] == 0, "the memory is given back")


@pytest.mark.parametrize("arguments, text", [
    (["nix"], 'there is no map "nix"; these exist: kept'),
    (["nix", "a@d.ex"], 'there is no map "nix"'),
    (["kept", ""], "the key is empty"),
    (["kept", "x" * 10001], "the key is longer than 10000 bytes"),
    (["kept", b"a\xff@d.ex"], "not valid UTF-8"),
    (["kept", "a", "b"], "at most a map and a key"),
    (["--all"], "flush has no options"),
], ids=lambda value: None)
def test_what_can_not_be_flushed(arguments, text):
    with make_daemon(("kept", 'ttl = "1h"')) as daemon:
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        done = ctl(daemon, "flush", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert text in done.stderr
        assert counts(daemon, "kept")["entries"] == 1


def test_flush_takes_no_key_without_a_map():
    with make_daemon(("kept", 'ttl = "1h"')) as daemon, Client(daemon, CONTROL) as client:
        said = client.command(command="flush", key="a@d.ex")
        assert said["status"] == "error" and '"map" and "key"' in said["text"]
        assert client.command(command="flush", map=3)["status"] == "error"


# What is shown.

def test_hits_are_counted_over_all_workers():
    with make_daemon(("kept", 'ttl = "1h"'), more="workers = 2\n") as daemon:
        wait_until(lambda: listener_status(daemon)["connections"] == 0, "nobody is left of the start")
        with Client(daemon) as one, Client(daemon) as other:
            for client in (one, other):
                for _ in range(5):
                    assert client.ask("kept", "a@d.ex").reply() == "OK one@e.ex"
            assert min(status(daemon)["clients"]) > 0
        kept = counts(daemon, "kept")
        assert (kept["hits"], kept["misses"], kept["entries"]) == (9, 1, 1)
        assert report(daemon)["hottest"] == [{"map": "kept", "key": "a@d.ex", "hits": 9}]


def test_what_tabledctl_prints():
    with make_daemon(("virtual_alias_maps", 'ttl = "1h"  negative_ttl = "1h"'), ("empty", "")) as daemon:
        for key in ("a@d.ex", "a@d.ex", "a@d.ex", "nobody@d.ex"):
            answer(daemon, "virtual_alias_maps", key)
        done = ctl(daemon, "cache")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert re.fullmatch(r"\d+\.\d[KM] of 64\.0M in use", lines[0])
        head = lines[2].split()
        assert head == ["entries", "bytes", "hits", "stale", "joined", "misses", "evicted", "map"]
        row = dict(zip(head, lines[3].split()))
        assert row.pop("bytes").isdigit()
        assert row == {"map": "virtual_alias_maps", "entries": "3", "hits": "2", "stale": "0", "joined": "0",
                       "misses": "3", "evicted": "0"}
        assert lines[4].split() == ["0"] * 7 + ["empty"]
        assert [line.split() for line in lines[6:]] == [["hits", "hottest", "keys"],
                                                        ["2", "virtual_alias_maps", "a@d.ex"]]
        shown = ctl(daemon, "status").stdout
        assert re.search(r"^map virtual_alias_maps:  hits=2  ", shown, re.MULTILINE)
        assert ctl(daemon, "cache", "--nix").returncode == 2


def test_secrets_are_neither_shown_nor_saved():
    secret = 'cache = yes  ttl = "1h"'
    with make_daemon(("smtp_sasl_password_maps", secret), more=SAVED + f"""
            map plain {{ source = mail  query = "{QUERY}"  ttl = "1h" }}
            map made_of_it {{ maps = {{plain}}  serves = lmtp_sasl_password_maps  cache = yes }}
            """) as daemon:
        put(daemon, "relay.example", "user:hunter2")
        for _ in range(3):
            for name in ("smtp_sasl_password_maps", "made_of_it", "plain"):
                assert answer(daemon, name, "relay.example") == "OK user:hunter2"
        assert counts(daemon, "smtp_sasl_password_maps")["hits"] == 2
        assert "relay.example" not in ctl(daemon, "cache", "--json").stdout + ctl(daemon, "cache").stdout
        daemon.stop()
        assert "0 answers saved" in daemon.log()
        saved = daemon.path("saved").read_bytes()
        assert b"hunter2" not in saved and b"relay.example" not in saved
        daemon.start()


# The file.

def restart(daemon, end):
    end()
    skip = len(daemon.log())
    daemon.start()
    return skip


def test_restored_answers_are_old_and_asked_again_behind():
    with make_daemon(("kept", 'ttl = "1h"'), more=SAVED) as daemon:
        for _ in range(2):
            assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        with Away(daemon):
            skip = restart(daemon, daemon.stop)
            daemon.wait_for_log(r"cache: 1 answers restored from", skip=skip)
            assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
            assert counts(daemon, "kept")["stale"] == 1
        put(daemon, "a@d.ex", "two@e.ex")
        # Nobody needs to ask for that very key.
        answer(daemon, "kept", "b@d.ex")
        wait_until(lambda: "two@e.ex" in ctl(daemon, "get", "kept", "a@d.ex").stdout, "the new answer")


def test_restored_answers_are_asked_before_they_are_given():
    with make_daemon(("kept", 'ttl = "1h"  negative_ttl = "1h"'), more=SAVED) as daemon:
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        assert answer(daemon, "kept", "b@d.ex") == NOT_FOUND
        daemon.stop()
        put(daemon, "a@d.ex", "two@e.ex")
        put(daemon, "b@d.ex", "three@e.ex")
        daemon.start()
        assert answer(daemon, "kept", "a@d.ex") == "OK two@e.ex"
        assert answer(daemon, "kept", "b@d.ex") == "OK three@e.ex"


def test_the_warmer_asks_all_of_them():
    keys = [f"k{number}@d.ex" for number in range(40)]
    with make_daemon(("kept", 'ttl = "1h"'), more=SAVED) as daemon:
        for key in keys:
            put(daemon, key, f"{key}.old")
        with Client(daemon) as client:
            for key in keys:
                assert client.ask("kept", key).reply() == f"OK {key}.old"
        daemon.stop()
        execute(daemon, "UPDATE alias SET goto = address || '.new'")
        daemon.start()
        answer(daemon, "kept", "a@d.ex")

        def all_are_new():
            """As the file would have them: looking must not make them new."""
            assert ctl(daemon, "flush", "kept", "nobody").returncode == 0
            saved = daemon.path("saved").read_bytes()
            return all(f"{key}.new".encode() in saved for key in keys)

        wait_until(all_are_new, "all answers are new")
        misses = counts(daemon, "kept")["misses"]
        assert misses == 1


def test_after_a_crash_the_last_file_counts():
    more = SAVED.replace("1h", "1s")
    with make_daemon(("virtual_alias_maps", 'ttl = "1h"  negative_ttl = "1h"'), more=more) as daemon:
        assert answer(daemon, "virtual_alias_maps", "a@d.ex") == "OK one@e.ex"
        assert answer(daemon, "virtual_alias_maps", "nobody@d.ex") == NOT_FOUND
        saved = daemon.path("saved")
        wait_until(lambda: saved.exists() and b"nobody@d.ex" in saved.read_bytes(), "it is saved now and then")
        with Away(daemon):
            restart(daemon, daemon.kill)
            assert answer(daemon, "virtual_alias_maps", "a@d.ex") == "OK one@e.ex"
            # Nobody knows whether the source was reached since.
            assert_temporary(answer(daemon, "virtual_alias_maps", "nobody@d.ex"))
            restart(daemon, daemon.kill)
            assert answer(daemon, "virtual_alias_maps", "a@d.ex") == "OK one@e.ex"


def test_the_file_is_nobody_elses():
    with make_daemon(("kept", 'ttl = "1h"'), more=SAVED) as daemon:
        saved = daemon.path("saved")
        os.umask(os.umask(0))
        restart(daemon, daemon.stop)
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600
        assert not daemon.path("saved.new").exists()
        saved.chmod(0o666)
        daemon.kill()
        skip = len(daemon.log())
        daemon.start()
        daemon.wait_for_log(r"saved is not used: others than the user of tabled may write it", skip=skip)


@pytest.mark.parametrize("damage, text", [
    (lambda saved: saved[:-1], "it is damaged, or was cut off"),
    (lambda saved: saved[:len(saved) // 2], "it is damaged, or was cut off"),
    (lambda saved: saved.replace(b"one@e.ex", b"ONE@e.ex"), "it is damaged"),
    (lambda saved: saved.replace(b"tabled cache 1", b"tabled cache 9"), "it was written by another version"),
    (lambda saved: b"", "it is not a file of this kind"),
], ids=["byte", "half", "changed", "newer", "empty"])
def test_a_damaged_file(damage, text):
    with make_daemon(("kept", 'ttl = "1h"'), more=SAVED) as daemon:
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        daemon.stop()
        saved = daemon.path("saved")
        saved.write_bytes(damage(saved.read_bytes()))
        skip = len(daemon.log())
        daemon.start()
        daemon.wait_for_log(f"cache: .*/saved is not used: {text}.*; tabled begins with an empty cache", skip=skip)
        with Away(daemon):
            assert_temporary(answer(daemon, "kept", "a@d.ex"))
        wait_for_source(daemon, "kept")
        # The next one is good again.
        skip = restart(daemon, daemon.stop)
        daemon.wait_for_log(r"cache: 1 answers restored", skip=skip)


def test_somebody_elses_file_is_left_alone():
    with make_daemon(("kept", 'ttl = "1h"'), more=SAVED) as daemon:
        daemon.stop()
        daemon.path("saved").write_text("my only copy of something else\n")
        daemon.start()
        daemon.wait_for_log("saved is not used: it is not a file of this kind")
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        daemon.stop()
        daemon.wait_for_log("not saved: .*there is something else; remove it, or choose another name")
        assert daemon.path("saved").read_text() == "my only copy of something else\n"
        daemon.start()


def test_a_directory_that_can_not_be_written_is_told_at_start():
    more = 'cache { save = "@DIR@/missing/saved"  save_interval = "1s" }\n'
    with make_daemon(("kept", 'ttl = "1h"'), more=more) as daemon:
        daemon.wait_for_log(r"<4>cache: save = .*missing/saved.*can't write to .*missing \(No such file or directory\)")
        daemon.wait_for_log(r"<4>cache: not saved: .*missing/saved.new can't be written")
        daemon.path("missing").mkdir()
        daemon.wait_for_log(r"<6>cache: saved to .*missing/saved again")
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        assert len(re.findall("not saved", daemon.log())) == 1


def test_that_it_is_not_saved_is_told_of_each_place():
    """The second place is wrong, too, in a way that only saving finds out."""
    more = 'cache { save = "@DIR@/missing/saved"  save_interval = "1s" }\n'
    with make_daemon(("kept", 'ttl = "1h"'), more=more) as daemon:
        daemon.path("taken").write_text("my only copy of something else\n")
        daemon.wait_for_log(r"not saved: .*missing/saved.new")
        daemon.write_config(daemon.config.replace("/missing/saved", "/taken"))
        daemon.reload()
        daemon.wait_for_log(r"not saved: .*taken.* there is something else")


def test_a_reload_may_change_where_it_is_saved():
    with make_daemon(("kept", 'ttl = "1h"')) as daemon:
        assert answer(daemon, "kept", "a@d.ex") == "OK one@e.ex"
        text = daemon.config
        daemon.write_config(text + SAVED.replace("1h", "1s"))
        assert ctl(daemon, "reload").returncode == 0
        assert counts(daemon, "kept")["entries"] == 1
        wait_until(daemon.path("saved").exists, "the file")
        daemon.write_config(text)
        assert ctl(daemon, "reload").returncode == 0
        daemon.path("saved").unlink()
        daemon.stop()
        assert not daemon.path("saved").exists()
        daemon.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_file_belongs_to_the_user_that_tabled_becomes():
    nobody = pwd.getpwnam("nobody")
    with make_daemon(("kept", 'ttl = "1h"'), more="user = nobody\n" + SAVED) as daemon:
        daemon.wait_for_log(r"<4>cache: save = .*/saved.*can't write to .* \(Permission denied\)")
        for path in (daemon.directory, daemon.path("mail.db"), daemon.config_path):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        wait_for_source(daemon, "kept")
        skip = restart(daemon, daemon.stop)
        assert daemon.path("saved").stat().st_uid == nobody.pw_uid
        daemon.wait_for_log(r"cache: 1 answers restored", skip=skip)


# A restart in the middle of an outage.

SERVERS = [PostgreSQL, MariaDB]
COUNT = 1500


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.kind)
def test_a_restart_in_an_outage_costs_nothing(kind):
    reason = kind.why_not()
    if reason:
        pytest.skip(reason)
    with kind() as server:
        server.execute("CREATE TABLE alias (address varchar(100) PRIMARY KEY, goto varchar(100))")
        server.load_rows("alias", ("address", "goto"),
                         ((f"u{number}@d.ex", f"v{number}@e.ex") for number in range(COUNT)))
        maps = f'map virtual_alias_maps {{ source = mail  query = "{QUERY}"  ttl = "1h"  negative_ttl = "1h" }}\n'
        with Daemon(server.tabled_source('query_timeout = "5s"') + maps + SAVED + LISTENERS) as daemon:
            check_restart(daemon, server)


def ask_all(daemon):
    """Every address, every third one with an extension, which needs "not found" of the whole to be known."""
    keys = [f"u{number}{'+x' if number % 3 == 0 else ''}@d.ex" for number in range(COUNT)]
    with Client(daemon) as client:
        client.ask("virtual_alias_maps", *keys)
        return {key: client.reply() for key in keys}


def check_restart(daemon, server):
    before = ask_all(daemon)
    assert before["u1@d.ex"] == "OK v1@e.ex" and before["u3+x@d.ex"] == "OK v3+x@e.ex"
    assert all(reply.startswith("OK v") for reply in before.values())
    server.kill()
    assert ask_all(daemon) == before
    for _ in range(2):
        restart(daemon, daemon.stop)
        assert ask_all(daemon) == before
        assert_temporary(answer(daemon, "virtual_alias_maps", "never-asked@d.ex"))
    server.start()
    server.execute("UPDATE alias SET goto = 'changed@e.ex' WHERE address = 'u7@d.ex'")
    wait_until(lambda: answer(daemon, "virtual_alias_maps", "u7@d.ex") == "OK changed@e.ex", "the source is back")
    assert answer(daemon, "virtual_alias_maps", "never-asked@d.ex") == NOT_FOUND
