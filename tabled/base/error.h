/*
 * Why something failed: one sentence for a person, in storage that the caller owns. A function
 * that returns -1 has filled it; it has not logged it.
 */
#ifndef TABLED_BASE_ERROR_H
#define TABLED_BASE_ERROR_H

struct error {
	char text[512];
	const char *option; /* name of the option at fault, or NULL; borrowed, static storage */
};

/* Fills `why` (which may be NULL) and returns -1, so that one can `return error_set(...)`. */
int error_set(struct error *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, and names the option that the user has to change. */
int error_option(struct error *why, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
