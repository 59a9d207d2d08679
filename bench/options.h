/* The command line. Fields are read-only once options_read() has filled them. */
#ifndef TABLED_BENCH_OPTIONS_H
#define TABLED_BENCH_OPTIONS_H

#include "address.h"
#include "base/error.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

struct options {
	const struct wire *wire;
	const char *address_text; /* borrowed from argv, as are the other strings */
	struct address address;
	size_t connections;
	size_t depth;      /* requests in flight on each connection */
	uint64_t requests; /* 0: as many as fit into `duration` */
	uint64_t duration; /* ns; 0: until `requests` are answered */
	uint64_t warm_up;  /* ns */
	uint64_t timeout;  /* ns, for each reply */
	const char *map;
	const char *key_file;
	const char *key_pattern;
	const char *expect_file;
	size_t pattern_count;
	bool in_order;
	bool allow_temporary;
	double zipf; /* 0: all keys equally often */
	uint64_t seed;
	size_t idle;
	bool json;
};

enum options_outcome { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_BAD };

enum options_outcome options_read(
	struct options *options, int argc, char **argv, struct error *why);

/* The text of -h. Static storage. */
extern const char *const options_help;

#endif
