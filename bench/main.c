/*
 * tabled-bench: puts load on any server of socketmap or tcp_table and measures its answers.
 * Read options.c for what it can do, load.c for how it measures.
 */
#include "base/memory.h"
#include "idle.h"
#include "keys.h"
#include "load.h"
#include "options.h"
#include "report.h"
#include "tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { EXIT_WRONG_ANSWERS = 2 };

/* Room for standard streams, the epoll instance and what the C library opens. */
enum { OTHER_FILES = 16 };

/* Each connection is an open file, and the usual limit of 1024 is for programs that use select().
 */
static int allow_files(size_t connections, struct error *why)
{
	rlim_t wanted = connections + OTHER_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return 0;
	limit.rlim_cur = wanted;
	if (wanted > limit.rlim_max)
		limit.rlim_max = wanted; /* root may raise it */
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_set(why,
			"%zu connections need more open files than are allowed (ulimit -Hn)",
			connections);
	return 0;
}

static void wait_for(uint64_t nanoseconds)
{
	struct timespec left = {.tv_sec = (time_t)(nanoseconds / 1000000000),
		.tv_nsec = (long)(nanoseconds % 1000000000)};

	nanosleep(&left, NULL);
}

/* Idle connections first, so that the load is measured beside them. */
static int work(const struct options *options, const struct keys *keys, struct tally *tally,
	struct error *why)
{
	struct idle idle = {0};
	int result = 0;

	if (options->idle) {
		result = idle_open(&idle, options, keys, why);
		if (result == 0)
			fprintf(stderr, "tabled-bench: %zu idle connections are open\n",
				idle.count);
	}
	if (result == 0 && options->connections)
		result = load_run(options, keys, tally, why);
	else if (result == 0)
		wait_for(options->duration);
	tally->idle_open = idle_still_open(&idle);
	tally->idle_lost = idle.count - tally->idle_open;
	idle_close(&idle);
	return result;
}

static int run(const struct options *options, struct error *why)
{
	struct keys keys = {0};
	struct tally *tally = memory_new(1, sizeof(*tally));
	int result = allow_files(options->idle + options->connections, why),
	    exit_status = EXIT_SUCCESS;

	if (result == 0)
		result = keys_read(&keys, options, why);
	if (result == 0)
		result = work(options, &keys, tally, why);
	if (result == 0 || tally_replies(tally))
		report_print(options, &keys, tally);
	if (result < 0 || tally->connections_lost || tally->idle_lost)
		exit_status = EXIT_FAILURE;
	if (tally->wrong)
		exit_status = EXIT_WRONG_ANSWERS;
	if (result < 0)
		fprintf(stderr, "tabled-bench: %s: %s\n", options->address_text, why->text);
	keys_finish(&keys);
	free(tally);
	return exit_status;
}

int main(int argc, char **argv)
{
	struct options options;
	struct error why;

	switch (options_read(&options, argc, argv, &why)) {
	case OPTIONS_HELP:
		fputs(options_help, stdout);
		return EXIT_SUCCESS;
	case OPTIONS_BAD:
		fprintf(stderr, "tabled-bench: %s\n", why.text);
		return EXIT_FAILURE;
	case OPTIONS_RUN:
		break;
	}
	return run(&options, &why);
}
