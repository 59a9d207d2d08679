/*
 * Memory that is always there: running out of it ends the process, since every input is bounded
 * and a mail server is better served by a restart than by half an answer.
 */
#ifndef TABLED_BASE_MEMORY_H
#define TABLED_BASE_MEMORY_H

#include <stddef.h>

/* Zeroed memory for `count` objects of `size` bytes. Given to the caller, who frees it. */
void *memory_new(size_t count, size_t size);

/* realloc() that never fails. The old pointer is gone. */
void *memory_resize(void *old, size_t size);

/* A copy of a string, NULL for NULL. Given to the caller, who frees it. */
char *memory_copy_string(const char *text);

#endif
