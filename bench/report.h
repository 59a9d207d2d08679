/* What was measured, for people or, with --json, for programs. */
#ifndef TABLED_BENCH_REPORT_H
#define TABLED_BENCH_REPORT_H

#include "keys.h"
#include "options.h"
#include "tally.h"

void report_print(
	const struct options *options, const struct keys *keys, const struct tally *tally);

#endif
