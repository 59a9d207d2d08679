#!/usr/bin/env python3
"""Makes the source of tabled.conf(5): puts the program's own list of options into the page."""

import argparse
import os
import subprocess

PLACE = "@OPTIONS@\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", help="the page, with a line @OPTIONS@")
    parser.add_argument("tabled", help="the program, which describes its options")
    parser.add_argument("output")
    arguments = parser.parse_args()
    # The build hands over a name relative to its directory, which no search path knows.
    command = [os.path.abspath(arguments.tabled), "--describe-options"]
    options = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout
    with open(arguments.page, encoding="utf-8") as page:
        text = page.read()
    if text.count(PLACE) != 1:
        raise SystemExit(f"{arguments.page}: there should be one line {PLACE.strip()}")
    with open(arguments.output, "w", encoding="utf-8") as output:
        output.write(text.replace(PLACE, options.strip() + "\n"))


if __name__ == "__main__":
    main()
