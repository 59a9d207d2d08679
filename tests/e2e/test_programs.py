"""
The command lines: what they print, where, and with which status they end. Scripts and people rely
on all three.
"""

import json
import os
import sqlite3
import subprocess

import pytest

from support.daemon import Daemon, program, sanitizer_environment

PATIENCE = 60  # seconds; never a promise of speed

CONFIG = """
sqlite mail { path = "@DIR@/mail.db" }
memory demo { rows = { "alias alice@example.com bob@example.com", "alias @example.com all@example.com" } }
map virtual_alias_maps { source = demo  query = "alias '%s'" }
map one { source = mail  query = "SELECT value FROM one WHERE key = '%s'" }
map broken { source = mail  query = "SELECT value FROM nowhere WHERE key = '%s'" }
map away { source = gone  query = "SELECT value FROM one WHERE key = '%s'" }
sqlite gone { path = "@DIR@/gone.db" }
map both { maps = { one, virtual_alias_maps } }
socketmap { listen = "unix:@DIR@/socketmap" }
control { listen = "unix:@DIR@/control" }
"""


def run(name, *arguments, text=None):
    done = subprocess.run([program(name), *arguments], input=text, capture_output=True, text=True,
                          env=sanitizer_environment(), timeout=PATIENCE, check=False)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def daemon():
    with make_daemon() as running:
        yield running


def make_daemon():
    running = Daemon(CONFIG)
    with sqlite3.connect(running.path("mail.db")) as database:
        database.execute("CREATE TABLE one (key TEXT, value TEXT)")
        database.executemany("INSERT INTO one VALUES (?, ?)", [
            ("key", "value"), ("gr\u00fcn", "\u2713"), ("many", "1"), ("many", "2"), ("null", None)])
    database.close()
    return running


@pytest.fixture
def ctl(daemon):
    return lambda *arguments, text=None: run("tabledctl", "-c", daemon.config_path, *arguments, text=text)


# tabled -t, -T

def check(tmp_path, text, *options):
    path = tmp_path / "tabled.conf"
    path.write_text(text)
    return run("tabled", *(options or ["-t"]), "-c", path)


GOOD = """
memory d { rows = { "a b c" } }
map m { source = d  query = "a '%s'" }
socketmap { listen = "unix:/nowhere/at/all" }
"""


def test_check_of_a_good_file(tmp_path):
    done = check(tmp_path, GOOD)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"<6>{tmp_path}/tabled.conf is good\n"


@pytest.mark.parametrize("text, line, parts", [
    ("map m {\n qery = 'x'\n}\n", 2, ["qery", "query"]),
    ("\nworkers = many\n", 2, ["workers", "whole number"]),
    ("memory d { }\nmap m {\n source = e\n query = \"a '%s'\"\n}\n", 3, ["no such source", "\"d\""]),
    (GOOD + "map m { source = d  query = \"a '%s'\" }\n", 5, ["duplicate", "m"]),
    ("sqlite m {\n}\n", 2, ["path is missing"]),
    ("memory d { }\nmap m {\n source = d\n query = \"a %s\"\n}\n", 4, ["'%s'", "single quotes"]),
    ("memory d { }\nmap m {\n source = d\n query = \"a '%s'\"\n serves = alias_maps\n}\n", 5,
     ["local(8)", "virtual_alias_maps"]),
    ("socketmap {\n listen = \"inet:x\"\n}\n", 2, ["inet:host:port"]),
])
def test_check_of_a_bad_file(tmp_path, text, line, parts):
    done = check(tmp_path, text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"<3>{tmp_path}/tabled.conf:{line}: "), done.stderr
    assert done.stderr.count("\n") == 1
    for part in parts:
        assert part in done.stderr
    # The daemon itself says the same and does not start.
    again = run("tabled", "-c", tmp_path / "tabled.conf")
    assert (again.returncode, again.stdout, again.stderr) == (1, "", done.stderr)


@pytest.mark.parametrize("option", ["owner", "group"])
def test_check_names_who_is_missing(tmp_path, option):
    """It may be another machine's file; here tabled would not start."""
    text = GOOD.replace("at/all\" }", f"at/all\"\n    {option} = nobody-of-that-name }}")
    done = check(tmp_path, text)
    what = "user" if option == "owner" else "group"
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        f'<4>{tmp_path}/tabled.conf:5: {option} = "nobody-of-that-name": there is no such {what}: '
        "without it tabled does not start here", f"<6>{tmp_path}/tabled.conf is good"]


def test_show(tmp_path):
    done = check(tmp_path, GOOD, "-T")
    assert done.returncode == 0
    for part in ('log_level = info', 'query_timeout = "5s"', 'result_format = "%s"', 'mode = "0660"',
                 'recipient_delimiter = "+"'):
        assert part in done.stdout
    again = check(tmp_path, done.stdout, "-T")
    assert (again.returncode, again.stdout) == (0, done.stdout)


@pytest.mark.parametrize("options", [["-tv"], ["-vt"], ["-v", "-t"]])
def test_check_with_the_sql_of_dictionaries(tmp_path, options):
    done = check(tmp_path, 'sqlite m { path = "/nowhere.db" }\nsocketmap { listen = "unix:/nowhere/s" }\n'
                 'dictionary d { key "shared/$k" { source = m  table = t  value_field = v  fields = {"k = $k"} } }\n',
                 *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("d shared/$k, source m (sqlite)\n    lookup     SELECT [v] FROM [t] WHERE [k] = ?1\n")
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [
        "lookup", "set", "unset", "increment", "iterate"]


def test_check_needs_no_database_and_no_socket(tmp_path):
    done = check(tmp_path, 'sqlite m { path = "/nowhere.db" }\n'
                 'map m { source = m  query = "SELECT 1" }\nsocketmap { listen = "unix:/nowhere/s" }\n')
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments, status, where", [
    (["-h"], 0, "stdout"), (["--help"], 0, "stdout"), (["-x"], 1, "stderr"), (["extra"], 1, "stderr"),
    (["-c"], 1, "stderr"), (["-v"], 1, "stderr")])
def test_usage_of_tabled(arguments, status, where):
    done = run("tabled", *arguments)
    assert done.returncode == status
    assert "usage: tabled" in getattr(done, where)


def test_version():
    done = run("tabled", "-V")
    assert done.returncode == 0 and done.stdout.startswith("tabled ")


def test_no_file():
    done = run("tabled", "-t", "-c", "/nowhere/tabled.conf")
    assert (done.returncode, done.stderr) == (1, "<3>/nowhere/tabled.conf: No such file or directory\n")


@pytest.mark.parametrize("option, part", [
    ('\nuser = "nobody-of-this-name"', "tabled.conf:2: user = \"nobody-of-this-name\": there is no such user"),
    ('user = nobody\n\ngroup = "nobody-of-this-name"',
     "tabled.conf:3: group = \"nobody-of-this-name\": there is no such group")])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start tabled as another user")
def test_unknown_user(tmp_path, option, part):
    path = tmp_path / "tabled.conf"
    path.write_text(f'{option}\ncontrol {{ listen = "unix:{tmp_path}/control" }}\n')
    done = run("tabled", "-c", path)
    assert done.returncode == 1 and part in done.stderr
    assert not (tmp_path / "control").exists()


# tabledctl get

@pytest.mark.parametrize("keys, status, stdout", [
    (["key"], 0, "value\n"),
    (["many"], 0, "1,2\n"),
    (["gr\u00fcn"], 0, "\u2713\n"),
    (["nothing"], 1, ""),
    (["null"], 1, ""),
    (["key", "nothing", "many"], 0, "key\tvalue\nmany\t1,2\n"),
    (["nothing", "key"], 0, "key\tvalue\n"),
    (["nothing", "more"], 1, ""),
])
def test_get(ctl, keys, status, stdout):
    done = ctl("get", "one", *keys)
    assert (done.returncode, done.stdout, done.stderr) == (status, stdout, "")


@pytest.mark.parametrize("table, part", [
    ("broken", "no such table: nowhere"), ("away", "No such file"), ("nosuchmap", "no map \"nosuchmap\"")])
def test_get_fails(ctl, table, part):
    done = ctl("get", table, "key")
    assert (done.returncode, done.stdout) == (2, "")
    assert part in done.stderr
    assert ctl("get", table, "key", "nothing").returncode == 2


def test_get_from_standard_input(ctl):
    done = ctl("get", "one", "-", text="key\nnothing\nmany")
    assert (done.returncode, done.stdout) == (0, "key\tvalue\nmany\t1,2\n")
    assert ctl("get", "one", "-", text="nothing\n").returncode == 1
    assert ctl("get", "one", "-", text="").returncode == 1


def test_get_many_from_standard_input(ctl):
    keys = "".join(f"{name}\n" for number in range(2000) for name in ("key", f"nothing{number}"))
    done = ctl("get", "one", "-", text=keys)
    assert (done.returncode, done.stdout) == (0, "key\tvalue\n" * 2000)


@pytest.mark.parametrize("place", ["first", "last"])
def test_explain(ctl, place):
    words = ["virtual_alias_maps", "Nobody+x@Example.com"]
    words = ["--explain", *words] if place == "first" else [*words, "--explain"]
    done = ctl("get", *words)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "found: all@example.com" in lines[0]
    forms = [line.split("\t")[0].strip() for line in lines[1:]]
    assert forms == ["nobody+x@example.com", "nobody@example.com", "@example.com"]
    assert "not found" in lines[1] and lines[3].endswith("found") and "not" not in lines[3]


def test_explain_what_is_not_asked_and_what_fails(ctl):
    done = ctl("get", "--explain", "broken", "key")
    assert done.returncode == 2 and "no such table" in done.stdout
    done = ctl("get", "--explain", "both", "nothing")
    assert done.returncode == 1 and "not found" in done.stdout
    assert "table one" in done.stdout and "table virtual_alias_maps" in done.stdout


@pytest.mark.parametrize("arguments", [
    [], ["frobnicate"], ["get"], ["get", "one"], ["get", "--wrong", "one", "key"], ["status", "x"],
    ["reload", "x"]])
def test_usage_of_tabledctl(ctl, arguments):
    done = ctl(*arguments)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_get_when_nobody_listens(tmp_path):
    for arguments in (["-s", f"{tmp_path}/none"], ["-s", f"unix:{tmp_path}/none"],
                      ["-c", f"{tmp_path}/none.conf"]):
        done = run("tabledctl", *arguments, "get", "one", "key")
        assert done.returncode == 2 and "No such file" in done.stderr, done


def test_no_control_section(tmp_path):
    (tmp_path / "tabled.conf").write_text("")
    done = run("tabledctl", "-c", tmp_path / "tabled.conf", "status")
    assert done.returncode == 2 and "no control section" in done.stderr


def test_by_socket(daemon):
    for address in (f"{daemon.directory}/control", f"unix:{daemon.directory}/control"):
        assert run("tabledctl", "-s", address, "get", "one", "key").stdout == "value\n"


# tabledctl status, reload

def test_status(ctl, daemon):
    ctl("get", "away", "key")
    done = ctl("status")
    assert done.returncode == 0
    for part in (f"pid {daemon.process.pid}", "source mail (sqlite): up", "source gone (sqlite): down",
                 "map one:", f"socketmap unix:{daemon.directory}/socketmap:"):
        assert part in done.stdout, done.stdout
    answer = json.loads(ctl("status", "--json").stdout)
    assert answer["pid"] == daemon.process.pid
    assert {item["name"] for item in answer["sources"]} == {"mail", "demo", "gone"}
    assert "gone.db" in next(item["reason"] for item in answer["sources"] if item["name"] == "gone")


def test_status_counts(ctl):
    def count():
        maps = json.loads(ctl("status", "--json").stdout)["maps"]
        return next(item for item in maps if item["name"] == "one")
    before = count()
    ctl("get", "one", "key", "nothing", "key")
    after = count()
    assert after["found"] == before["found"] + 2
    assert after["not found"] == before["not found"] + 1


def test_reload():
    with make_daemon() as daemon:
        def ctl(*arguments):
            return run("tabledctl", "-s", daemon.path("control"), *arguments)
        assert ctl("get", "new", "alice@example.com").returncode == 2
        old = daemon.config
        daemon.write_config(old + "map new { source = demo  query = \"alias '%s'\" }\n")
        assert ctl("reload").returncode == 0
        assert ctl("get", "new", "alice@example.com").stdout == "bob@example.com\n"
        daemon.write_config(old + "\nmap new { sorce = demo }\n")
        done = ctl("reload")
        line = daemon.config.count("\n")
        assert done.returncode == 2 and f"tabled.conf:{line}: " in done.stderr and "sorce" in done.stderr
        assert ctl("get", "new", "alice@example.com").stdout == "bob@example.com\n"
