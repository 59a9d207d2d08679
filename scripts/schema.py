#!/usr/bin/env python3
"""
Writes schema_sql.c: the files of schema/ as lists of statements, and what tables they make.

    schema.py OUTPUT ENGINE=FILE ... --upgrades FILE ...

An upgrade is called N-FILE: it leads from version N - 1 to N. It stays as it was once it has been published,
so it says once more what FILE says of its tables; test_upgrade sees to it that both end in the same schema,
to the last default and condition. The tables are read from SQLite's file,
where columns stand on lines of their own; the tests see to it that the other files make the same.
"""

import argparse
import pathlib
import re

FEED = "-- The change feed:"
VERSION = re.compile(r"INSERT INTO schema_version \(version\) VALUES \((\d+)\)$")


def statements(text):
    """The statements of a file, without comments, transactions and what is for the databases' own programs."""
    found, lines, delimiter, in_body = [], [], ";", False
    for line in text.splitlines():
        line = re.sub(r"^\s*--.*", "", line).rstrip()
        if line.startswith("DELIMITER "):
            delimiter = line.split()[1]
            continue
        if not line.strip() or line.startswith("\\"):
            continue
        lines.append(line)
        in_body ^= line.count("$$") % 2 == 1
        is_whole = line.endswith(delimiter) and not in_body
        if delimiter == ";" and "\n".join(lines).startswith("CREATE TRIGGER") and "\nBEGIN" in "\n".join(lines):
            is_whole = is_whole and line == "END;"
        if is_whole:
            found.append("\n".join(lines)[:-len(delimiter)])
            lines = []
    assert not lines, lines
    return [one for one in found if not re.match(r"(BEGIN|COMMIT|PRAGMA foreign_keys\b.*)$", one)]


def removal(engine, statement):
    """What has to go before a statement is carried out again."""
    trigger = re.match(r"CREATE TRIGGER [\"`](\S+)[\"`] AFTER (?:.*) ON [\"`](\w+)[\"`]", statement)
    if trigger and engine == "postgresql":
        return [f'DROP TRIGGER IF EXISTS "{trigger[1]}" ON "{trigger[2]}"']
    if trigger:
        quote = '"' if engine == "sqlite" else "`"
        return [f"DROP TRIGGER IF EXISTS {quote}{trigger[1]}{quote}"]
    if statement.startswith("INSERT INTO tabled_feed "):
        tables = ", ".join(sorted(set(re.findall(r"\(('\w+'), '\w+'\)", statement))))
        return [f"DELETE FROM tabled_feed WHERE changed_table IN ({tables})"]
    function = re.match(r"CREATE FUNCTION (\w+)", statement)
    return [f"DROP FUNCTION IF EXISTS {function[1]}"] if function else []


def repeatable(engine, found):
    """The same statements, so that they can be carried out again after half of them."""
    result = []
    for one in found:
        result += [*removal(engine, one), re.sub(r"^CREATE TABLE (?!IF )", "CREATE TABLE IF NOT EXISTS ", one)]
    return result


def read_schema(engine, path):
    """Tables, feed and version of one file."""
    text = path.read_text(encoding="utf-8")
    made, feed = (statements(part) for part in (text[:text.index(FEED)], text[text.index(FEED):]))
    versions = [VERSION.match(one) for one in made if VERSION.match(one)]
    made = [one for one in made if not VERSION.match(one)]
    if engine == "mysql":
        # There each statement is a transaction of its own.
        made = repeatable(engine, made)
    return made, repeatable(engine, feed), int(versions[0][1])


def tables(text):
    """(name, [(column, is made, is a time, counts)], [key column]) of each table that holds rows."""
    for name, body in re.findall(r"^CREATE TABLE (\w+) \(\n(.*?)\n\) STRICT", text, re.MULTILINE | re.DOTALL):
        columns, keys = [], []
        for column, rest in re.findall(r"^\t(\w+) +(.*(?:\n\t\t.*)*)", body, re.MULTILINE):
            if column == "PRIMARY":
                keys = re.findall(r"\w+", rest.removeprefix("KEY"))
            elif rest.startswith(("TEXT", "INTEGER")):
                columns.append((column, "GENERATED" in rest, "datetime(" in rest, "AUTOINCREMENT" in rest))
                keys += [column] if "PRIMARY KEY" in rest else []
        if name != "schema_version" and not name.startswith("tabled_"):
            assert columns and keys, name
            yield name, columns, keys


def string(text):
    """A literal of C."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return "\n\t".join(f'"{line}\\n"' for line in escaped.split("\n"))[:-3] + '"'


def array(name, items):
    return f"static const char *const {name}[] = {{\n" + "".join(f"\t{string(one)},\n" for one in items) + "\tNULL};\n"


def write_tables(text):
    lines = []
    for name, columns, keys in tables(text):
        rows = "".join(f'\t{{"{column}", ' + ", ".join(str(flag).lower() for flag in flags) + "},\n"
                       for column, *flags in columns)
        lines.append(f"static const struct schema_column columns_of_{name}[] = {{\n{rows}\t{{0}}}};\n")
        lines.append(f"static const char *const keys_of_{name}[] = {{"
                     + "".join(f'"{key}", ' for key in keys) + "NULL};\n")
    lines.append("const struct schema_table schema_tables[] = {\n" + "".join(
        f'\t{{"{name}", columns_of_{name}, keys_of_{name}}},\n' for name, *_ in tables(text)) + "\t{0}};\n")
    return "".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--upgrades", nargs="+", default=[], type=pathlib.Path)
    arguments = parser.parse_args()
    parts, rows, sqlite, version = [], [], "", 0
    for engine, path in (pair.split("=") for pair in arguments.files):
        path = pathlib.Path(path)
        made, feed, version = read_schema(engine, path)
        sqlite = path.read_text(encoding="utf-8") if engine == "sqlite" else sqlite
        steps = {int(upgrade.name.split("-")[0]): statements(upgrade.read_text(encoding="utf-8"))
                 for upgrade in arguments.upgrades if upgrade.name.endswith(f"-{path.name}")}
        assert sorted(steps) == list(range(2, version + 1)), (engine, sorted(steps))
        parts += [array(f"{engine}_tables", made), array(f"{engine}_feed", feed)]
        parts += [array(f"{engine}_upgrade_{number}", found) for number, found in sorted(steps.items())]
        parts.append(f"static const char *const *const {engine}_upgrades[] = {{"
                     + "".join(f"{engine}_upgrade_{number}, " for number in sorted(steps)) + "NULL};\n")
        rows.append(f'\t{{"{engine}", {engine}_tables, {engine}_feed, {engine}_upgrades}},\n')
    with open(arguments.output, "w", encoding="utf-8") as output:
        output.write('#include "ctl/schema_sql.h"\n\n#include <stddef.h>\n\n' + "\n".join(parts))
        output.write(f"const struct schema_sql schema_sqls[] = {{\n{''.join(rows)}\t{{0}}}};\n\n"
                     f"const unsigned schema_version = {version};\n\n" + write_tables(sqlite))


if __name__ == "__main__":
    main()
