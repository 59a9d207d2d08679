/*
 * Postfix's templates: text with %s %u %d %1…%9 %S %U %D and %% (mysql_table(5), QUERY and
 * RESULT_FORMAT; postfix: src/global/db_common.c). Immutable once parsed; any thread.
 */
#ifndef TABLED_ENGINE_TEMPLATE_H
#define TABLED_ENGINE_TEMPLATE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

enum { TEMPLATE_LABELS = 9 };

/* A key or value taken apart at its last '@'. All slices are borrowed from the whole. */
struct address_parts {
	struct slice whole;
	struct slice user;                    /* before the '@'; the whole if there is none */
	struct slice domain;                  /* behind it; data == NULL if there is none */
	struct slice labels[TEMPLATE_LABELS]; /* %1 is the last of the domain */
	size_t label_count;
};

struct address_parts address_parts_of(struct slice whole);

/*
 * What a table's templates ask of a key, or of a value, for the lookup to make sense. Query and
 * result format share one, as in Postfix: a result format with %U keeps "@domain" from being asked.
 */
struct template_needs {
	bool key_domain, key_user;
	bool value_domain, value_user;
	size_t labels;
};

/* Whether there is anything that a key could lack. */
static inline bool template_needs_parts(const struct template_needs *needs)
{
	return needs->key_domain || needs->key_user || needs->labels;
}

bool template_key_fits(const struct template_needs *needs, const struct address_parts *key);
bool template_value_fits(const struct template_needs *needs, const struct address_parts *value);

enum template_use { TEMPLATE_OF_QUERY, TEMPLATE_OF_RESULT };

struct template_piece;

struct template
{
	struct template_piece *pieces; /* owned */
	size_t count;
	char *text; /* owned; the pieces borrow from it */
};

/*
 * Parses `text`, adding to `needs` what it asks for. Returns -1 with `why` when it holds a % that
 * is none of the expansions.
 */
int template_init(struct template *template, struct slice text, enum template_use use,
	struct template_needs *needs, struct error *why);
void template_finish(struct template *template);

/* Whether a %-letter is an expansion; "%%" is none. */
bool template_is_expansion(char letter);

/*
 * Appends the expanded text. In a query `value` is the key as well. Both must have been found to
 * fit.
 */
void template_expand(const struct template *template, const struct address_parts *value,
	const struct address_parts *key, struct buf *out);

#endif
