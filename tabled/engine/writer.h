/*
 * A writer: the connections by which one worker writes to a source. They are apart from those that
 * lookups use: they go to the primary, may change rows, and each is a transaction's alone while
 * that lasts. They are opened when there is something to write. It belongs to its worker's thread.
 */
#ifndef TABLED_ENGINE_WRITER_H
#define TABLED_ENGINE_WRITER_H

#include "engine/source.h"
#include "engine/transaction.h"

struct writer {
	struct source source; /* takes asks with transactions: source_ask() … */
	struct source_config config;
	struct server_settings server;
	struct source_settings settings; /* query_timeout: of one statement */
};

/*
 * For a source whose backend has a writer. Both are borrowed. Nothing is said to the log: what
 * can't be written is for whoever asks to tell.
 */
struct writer *writer_create(const struct source_config *config, struct connector *connector);

/* As source_finish(). Takes NULL. */
void writer_destroy(struct writer *writer);

#endif
