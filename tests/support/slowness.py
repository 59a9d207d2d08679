"""How long tests wait for what has to come."""

import os


def slowness():
    """By how much patience has to be longer than usual: a sanitizer's build is slow."""
    return float(os.environ.get("TABLED_SLOWNESS", "1"))
