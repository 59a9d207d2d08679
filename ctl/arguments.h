/*
 * The arguments of a command: options that begin with --, and words. An option may stand anywhere;
 * its value is the next argument, or behind a '='. After -- all are words.
 */
#ifndef TABLED_CTL_ARGUMENTS_H
#define TABLED_CTL_ARGUMENTS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* One of `value` and `flag` says where to put it. A name of NULL ends a list. */
struct argument_option {
	const char *name; /* with its -- */
	const char **value;
	bool *flag;
};

struct arguments {
	const char **words; /* owned; the strings are argv's */
	size_t count;
};

/* argv[0] is left out. Returns -1 with `why` on an option that is not in the list. */
int arguments_read(struct arguments *arguments, int argc, char **argv,
	const struct argument_option *options, struct error *why);
void arguments_finish(struct arguments *arguments);

/* "yes" or "no", and their usual twins. Returns -1 with `why`. */
int arguments_flag(const char *option, const char *text, bool *ret_flag, struct error *why);

#endif
