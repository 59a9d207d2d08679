/*
 * What every fuzz target needs. A broken promise ends in abort(), which libFuzzer keeps as a
 * finding. To add a target: fuzz_NAME.c with LLVMFuzzerTestOneInput() and corpus/NAME/ with a few
 * small inputs that reach its corners.
 */
#ifndef TABLED_TESTS_FUZZ_FUZZ_H
#define TABLED_TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Like assert(), but never compiled out. */
#define FUZZ_CHECK(truth)                                                                          \
	do {                                                                                       \
		if (!(truth)) {                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #truth);        \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* A copy without a byte to spare, so that ASan sees a read beyond it. Given to the caller. */
static inline char *fuzz_copy(const void *data, size_t size)
{
	char *copy = malloc(size ? size : 1);

	FUZZ_CHECK(copy);
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/* libFuzzer calls it with one input after the other; always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
