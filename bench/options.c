#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	MOST_CONNECTIONS = 100000,
	MOST_IN_FLIGHT = 10000,
	MOST_KEYS = 10000000,
	MOST_SECONDS = 86400,
};

/* Options without a letter. */
enum {
	OPTION_IDLE = 256,
	OPTION_JSON,
	OPTION_EXPECT,
	OPTION_ALLOW_TEMPORARY,
	OPTION_IN_ORDER,
	OPTION_TIMEOUT,
	OPTION_WARM_UP,
};

const char *const options_help =
	"usage: tabled-bench [options] ADDRESS\n"
	"\n"
	"Puts load on a server of Postfix lookup tables and measures its answers.\n"
	"ADDRESS is unix:/path, inet:host:port or inet:[v6]:port. Any server will do.\n"
	"\n"
	"  -p PROTOCOL  socketmap (default) or tcp_table\n"
	"  -m MAP       the map to ask, for socketmap\n"
	"  -c N         connections (default 1; with --idle 0)\n"
	"  -d N         requests in flight on each connection (default 1, as Postfix does)\n"
	"  -t SECONDS   how long (default 10)\n"
	"  -n N         how many requests, instead of -t\n"
	"\n"
	"Keys, one of:\n"
	"  -k FILE      one key on each line; empty lines are left out\n"
	"  -K PATTERN   as in 'user%d@example.com': %d is 0, 1, 2 ... below -N, %08d the same\n"
	"               with eight digits; %% is %\n"
	"  -N N         how many keys the pattern makes (default 1)\n"
	"  --expect FILE\n"
	"               on each line a key, a TAB and the right result, which is empty if the\n"
	"               key must not be found. Counts wrong answers and shows the first ten.\n"
	"               Without -t and -n each key is asked once, in the file's order.\n"
	"Keys are drawn at random, all equally often, unless:\n"
	"  --in-order   they are asked one after the other, round and round\n"
	"  -z EXPONENT  they are drawn by Zipf's law: the first key most often (try 1.0)\n"
	"  -s SEED      start of the random numbers (default 1)\n"
	"\n"
	"  --allow-temporary\n"
	"               with --expect: a temporary error is not a wrong answer\n"
	"  --idle N     opens N connections more, which ask one key each if there are keys,\n"
	"               then nothing. Says on stderr when they are open, and at the end how\n"
	"               many still are. Without -c nothing else is done, for -t seconds.\n"
	"  --warm-up SECONDS\n"
	"               load before the measuring starts (default 0)\n"
	"  --timeout SECONDS\n"
	"               a reply that takes longer is lost, and its connection too (default 10)\n"
	"  --json       prints the report as one JSON object\n"
	"  -h           prints this\n"
	"\n"
	"A connection sends its next request when a reply has come. Times run from just before\n"
	"a request is written to just after its reply is read; they are exact to 0.4 %, the\n"
	"longest one to the nanosecond. Watch the last line of the report: at nearly 100 % of a\n"
	"processor it is this program that sets the rate, not the server.\n"
	"\n"
	"Exit status: 0, 1 if anything failed or was lost, 2 if answers were wrong.\n";

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"idle", required_argument, NULL, OPTION_IDLE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"expect", required_argument, NULL, OPTION_EXPECT},
	{"allow-temporary", no_argument, NULL, OPTION_ALLOW_TEMPORARY},
	{"in-order", no_argument, NULL, OPTION_IN_ORDER},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"warm-up", required_argument, NULL, OPTION_WARM_UP},
	{NULL, 0, NULL, 0},
};

/* What only matters while reading: which options were given. */
struct given {
	bool connections, duration, pattern_count;
};

static int read_count(const char *option, const char *text, uint64_t least, uint64_t most,
	uint64_t *ret_count, struct error *why)
{
	char *end;
	unsigned long long count;

	errno = 0;
	count = strtoull(text, &end, 10);
	if (end == text || *end || errno || strchr(text, '-') || count < least || count > most)
		return error_set(why, "%s %s: should be a whole number from %llu to %llu", option,
			text, (unsigned long long)least, (unsigned long long)most);
	*ret_count = count;
	return 0;
}

static int read_size(const char *option, const char *text, size_t least, size_t most,
	size_t *ret_size, struct error *why)
{
	uint64_t count = 0;

	if (read_count(option, text, least, most, &count, why) < 0)
		return -1;
	*ret_size = (size_t)count;
	return 0;
}

static int read_decimal(
	const char *option, const char *text, double most, double *ret_number, struct error *why)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end || !isfinite(number) || number < 0 || number > most)
		return error_set(why, "%s %s: should be a number from 0 to %g", option, text, most);
	*ret_number = number;
	return 0;
}

static int read_seconds(const char *option, const char *text, uint64_t *ret_ns, struct error *why)
{
	double seconds = 0;

	if (read_decimal(option, text, MOST_SECONDS, &seconds, why) < 0)
		return -1;
	*ret_ns = (uint64_t)(seconds * 1e9);
	return 0;
}

static int read_protocol(struct options *options, const char *name, struct error *why)
{
	options->wire = wire_find(name);
	if (!options->wire)
		return error_set(why, "-p %s: the protocols are socketmap and tcp_table", name);
	return 0;
}

static int read_number_option(struct options *options, int letter, struct error *why)
{
	switch (letter) {
	case 'c':
		return read_size("-c", optarg, 1, MOST_CONNECTIONS, &options->connections, why);
	case 'd':
		return read_size("-d", optarg, 1, MOST_IN_FLIGHT, &options->depth, why);
	case 't':
		return read_seconds("-t", optarg, &options->duration, why);
	case 'n':
		return read_count("-n", optarg, 1, UINT64_MAX / 2, &options->requests, why);
	case 'N':
		return read_size("-N", optarg, 1, MOST_KEYS, &options->pattern_count, why);
	case 'z':
		return read_decimal("-z", optarg, 10, &options->zipf, why);
	case 's':
		return read_count("-s", optarg, 0, UINT64_MAX, &options->seed, why);
	case OPTION_IDLE:
		return read_size("--idle", optarg, 1, MOST_CONNECTIONS, &options->idle, why);
	case OPTION_TIMEOUT:
		return read_seconds("--timeout", optarg, &options->timeout, why);
	default:
		return read_seconds("--warm-up", optarg, &options->warm_up, why);
	}
}

static int read_option(struct options *options, int letter, struct given *given, struct error *why)
{
	given->connections |= letter == 'c';
	given->duration |= letter == 't';
	given->pattern_count |= letter == 'N';
	switch (letter) {
	case 'p':
		return read_protocol(options, optarg, why);
	case 'm':
		options->map = optarg;
		return 0;
	case 'k':
		options->key_file = optarg;
		return 0;
	case 'K':
		options->key_pattern = optarg;
		return 0;
	case OPTION_EXPECT:
		options->expect_file = optarg;
		return 0;
	case OPTION_ALLOW_TEMPORARY:
		options->allow_temporary = true;
		return 0;
	case OPTION_IN_ORDER:
		options->in_order = true;
		return 0;
	case OPTION_JSON:
		options->json = true;
		return 0;
	default:
		return read_number_option(options, letter, why);
	}
}

static int check_keys(const struct options *options, const struct given *given, struct error *why)
{
	int sources = !!options->key_file + !!options->key_pattern + !!options->expect_file;

	if (sources > 1)
		return error_set(why, "-k, -K and --expect: only one of them");
	if (sources == 0 && options->connections)
		return error_set(why, "no keys: give -k FILE, -K PATTERN or --expect FILE");
	if (given->pattern_count && !options->key_pattern)
		return error_set(why, "-N belongs to -K PATTERN");
	if (options->allow_temporary && !options->expect_file)
		return error_set(why, "--allow-temporary belongs to --expect FILE");
	if (options->in_order && options->zipf > 0)
		return error_set(why, "--in-order and -z: only one of them");
	if (sources && options->wire->names_map && !options->map)
		return error_set(why, "socketmap needs the name of a map: -m MAP");
	if (options->map && !options->wire->names_map)
		return error_set(why, "-m: %s has no names of maps", options->wire->name);
	if (options->map && (!*options->map || strchr(options->map, ' ')))
		return error_set(why, "-m '%s': the name of a map has no spaces", options->map);
	return 0;
}

static int check_duration(struct options *options, const struct given *given, struct error *why)
{
	bool one_pass = options->expect_file && options->connections && !given->duration &&
			!options->requests;

	if (given->duration && options->requests)
		return error_set(why, "-t and -n: only one of them");
	if (given->duration && !options->duration)
		return error_set(why, "-t 0: should be longer");
	if (!options->timeout)
		return error_set(why, "--timeout 0: should be longer");
	if (options->requests && !options->connections)
		return error_set(why, "-n with --idle needs -c");
	if (one_pass && options->zipf > 0)
		return error_set(why, "--expect with -z needs -t or -n");
	/* The file's length is not known here: load.c asks each key once when both are 0. */
	if (one_pass)
		options->in_order = true;
	else if (!options->requests && !given->duration)
		options->duration = UINT64_C(10000000000);
	return 0;
}

enum options_outcome options_read(struct options *options, int argc, char **argv, struct error *why)
{
	struct given given = {0};
	int letter;

	*options = (struct options){.wire = wire_find("socketmap"),
		.depth = 1,
		.pattern_count = 1,
		.seed = 1,
		.timeout = UINT64_C(10000000000)};
	while ((letter = getopt_long(argc, argv, "p:m:c:d:t:n:k:K:N:z:s:h", long_options, NULL)) !=
		-1) {
		if (letter == 'h')
			return OPTIONS_HELP;
		if (letter == '?') {
			error_set(why, "see tabled-bench -h");
			return OPTIONS_BAD;
		}
		if (read_option(options, letter, &given, why) < 0)
			return OPTIONS_BAD;
	}
	if (!given.connections)
		options->connections = options->idle ? 0 : 1;
	if (argc - optind != 1) {
		error_set(
			why, "one address is needed: unix:/path or inet:host:port (-h shows all)");
		return OPTIONS_BAD;
	}
	options->address_text = argv[optind];
	if (check_keys(options, &given, why) < 0 || check_duration(options, &given, why) < 0 ||
		address_read(&options->address, options->address_text, why) < 0)
		return OPTIONS_BAD;
	return OPTIONS_RUN;
}
