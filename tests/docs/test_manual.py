"""The manual and the pages beside it say what is true of the programs and the tree."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TABLED_BUILD", SOURCE / "build")).resolve()
PAGES = sorted(path.name.removesuffix(".scd") for path in (SOURCE / "man").glob("*.scd"))
TEXTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "postfix-maps/README.md"]

# As usage texts write it.
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


def run(*command, **options):
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False, **options)


def page_source(page, directory):
    """The page as scdoc reads it, with the list of options that the program prints."""
    source = SOURCE / "man" / f"{page}.scd"
    if page != "tabled.conf.5":
        return source.read_text(encoding="utf-8")
    output = directory / page
    made = run("python3", SOURCE / "scripts/manual.py", source, BUILD / "tabled", output)
    assert made.returncode == 0, made.stderr
    return output.read_text(encoding="utf-8")


@pytest.fixture
def roff(tmp_path):
    if not shutil.which("scdoc"):
        pytest.skip("scdoc is not installed")

    def make(page):
        made = run("scdoc", input=page_source(page, tmp_path))
        assert (made.returncode, made.stderr) == (0, "")
        return made.stdout

    return make


@pytest.mark.parametrize("page", PAGES)
def test_page_is_made_without_a_warning(roff, page):
    text = roff(page)
    if not shutil.which("groff"):
        pytest.skip("groff is not installed, so the made page is not read")
    read = run("groff", "-man", "-t", "-Tutf8", "-Kutf8", "-ww", "-z", input=text)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("program, page", [
    ("tabled", "tabled.8"),
    ("tabledctl", "tabledctl.1"),
    ("tabled-bench", "tabled-bench.1"),
])
def test_every_option_of_a_program_is_in_its_page(program, page):
    usage = run(BUILD / program, "-h")
    assert usage.returncode == 0
    options = set(OPTION.findall(usage.stdout))
    assert options
    source = (SOURCE / "man" / f"{page}.scd").read_text(encoding="utf-8")
    named = set(re.findall(r"\*(--?[\w-]+)\*", source))
    assert options - named == set()


def test_every_option_of_the_configuration_is_in_the_page(tmp_path):
    described = run(BUILD / "tabled", "--describe-options").stdout
    options = re.findall(r"^\*(\w+)\*", described, re.MULTILINE)
    assert "query" in options and "listen" in options
    text = page_source("tabled.conf.5", tmp_path)
    assert [name for name in options if f"\n*{name}*" not in text] == []


def test_the_page_has_the_postfix_parameters_that_tabled_knows():
    rows = (SOURCE / "tabled/engine/parameters.c").read_text(encoding="utf-8")
    known = set(re.findall(r'\{\.name = "(\w+)"', rows))
    assert len(known) > 100
    page = (SOURCE / "man/tabled.conf.5.scd").read_text(encoding="utf-8")
    keys = page[page.index("# KEYS"):page.index("# OPTIONS")]
    lists = "\n".join(line for line in keys.splitlines() if line.startswith("*"))
    named = re.findall(r"\*(\w+)\*", lists)
    assert len(named) == len(set(named)), "a parameter stands in two lists"
    assert set(named) == known


def paths_in(text):
    """What stands in `backquotes` or as a link and looks like a path of the tree."""
    code = re.findall(r"`([\w.-]+(?:/[\w.-]*)+)`", text)
    links = re.findall(r"\]\(([\w./-]+)\)", text)
    # NAME is for the reader to fill in; what is built, and Postfix's own files, are not in the tree.
    elsewhere = re.compile(r"^/|^build/|^private/|NAME")
    return {path for path in code + links if not elsewhere.search(path)}


def exists(path, beside):
    """A folder's own files are also named by what follows tabled/, as in includes."""
    places = (SOURCE, SOURCE / "tabled", beside)
    return any((place / path).exists() for place in places)


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_a_text_names_are_there(name):
    text = (SOURCE / name).read_text(encoding="utf-8")
    beside = (SOURCE / name).parent
    assert [path for path in sorted(paths_in(text)) if not exists(path, beside)] == []


def test_functions_that_the_architecture_names_are_there():
    text = (SOURCE / "ARCHITECTURE.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(\w+)\(\)`", text))
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("tabled", "backends", "ctl")
        for path in (SOURCE / folder).rglob("*.[ch]")
    )
    assert len(names) > 20
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", code)] == []


def test_every_source_has_its_place_in_the_architecture():
    """By its own name, or by that of the file which its name begins with."""
    text = (SOURCE / "ARCHITECTURE.md").read_text(encoding="utf-8")
    house = text[text.index("## The house"):text.index("## The way of one lookup")]
    words = set(re.findall(r"\w+", house))
    names = {path.stem for folder in ("tabled", "backends", "ctl", "bench") for path in (SOURCE / folder).rglob("*.[ch]")}
    assert len(names) > 100

    def has_place(name):
        parts = name.split("_")
        return not (words & names).isdisjoint("_".join(parts[:count]) for count in range(1, len(parts) + 1))

    assert [name for name in sorted(names) if not has_place(name)] == []


def test_the_readme_shows_what_quickstart_asks():
    """Each question of ./quickstart stands in the README with the answer it expects."""
    script = (SOURCE / "quickstart").read_text(encoding="utf-8")
    asked = re.findall(r"^\task '([^']+)' (\S+) (\S+) '?([^'\n]+)'?$", script, re.MULTILINE)
    assert len(asked) >= 10
    readme = (SOURCE / "README.md").read_text(encoding="utf-8")
    rows = [" ".join(line.split()) for line in readme.splitlines()]
    assert [row for row in asked if " ".join(row) not in rows] == []
