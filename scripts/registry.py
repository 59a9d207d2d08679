#!/usr/bin/env python3
"""Writes registry.c: the arrays `backends` and `protos` of what is built in."""

import argparse


def array(kind, variable, names):
    lines = [f"extern const struct {kind} {name}_{kind};" for name in names]
    entries = "".join(f"&{name}_{kind}, " for name in names)
    lines.append(f"const struct {kind} *const {variable}[] = {{{entries}NULL}};")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output")
    parser.add_argument("--backends", nargs="*", default=[])
    parser.add_argument("--protos", nargs="*", default=[])
    arguments = parser.parse_args()
    with open(arguments.output, "w", encoding="utf-8") as output:
        output.write('#include "backend.h"\n#include "proto.h"\n\n')
        output.write(array("backend", "backends", arguments.backends))
        output.write("\n" + array("proto", "protos", arguments.protos))


if __name__ == "__main__":
    main()
