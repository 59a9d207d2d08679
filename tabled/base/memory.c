#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *memory_or_abort(void *pointer)
{
	if (!pointer) {
		fputs("tabled: out of memory\n", stderr);
		abort();
	}
	return pointer;
}

void *memory_new(size_t count, size_t size)
{
	return memory_or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *memory_resize(void *old, size_t size)
{
	return memory_or_abort(realloc(old, size ? size : 1));
}

char *memory_copy_string(const char *text)
{
	return text ? memory_or_abort(strdup(text)) : NULL;
}
