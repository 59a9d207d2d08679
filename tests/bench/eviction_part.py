"""Which answers a full cache should drop: see eviction.c."""

import measure
from measure import say


def measure_all(arguments, size, _directory):
    say("eviction: running traces")
    program = arguments.build / "tests" / "bench" / "eviction"
    print(f"### Eviction, {size.trace_lookups:,} lookups in each trace\n")
    print(measure.run_pinned([program, size.trace_lookups], None))
