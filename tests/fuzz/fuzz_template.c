/*
 * Templates and queries: whatever an administrator writes is either refused with a reason or
 * becomes a statement that says the same when it is read again, and whatever a key holds goes into
 * parameters only.
 *
 * The first byte chooses the dialect; then come query, result format and key, with a NUL between
 * them.
 */
#include "engine/query.h"
#include "fuzz/fuzz.h"

/* Cuts off what stands before the next NUL, or all. */
static struct slice take(struct slice *rest)
{
	ptrdiff_t end = rest->size ? slice_find(*rest, '\0') : -1;
	struct slice part = slice_of(rest->data, end < 0 ? rest->size : (size_t)end);

	*rest = slice_from(*rest, end < 0 ? rest->size : (size_t)end + 1);
	return part;
}

static struct dialect dialect_of(unsigned char bits)
{
	return (struct dialect){
		.placeholder = bits & 1 ? '$' : '?',
		.numbered = bits & 2,
		.backslash_escapes = bits & 4,
		.double_quoted_text = bits & 8,
		.hash_comments = bits & 16,
		.dollar_quotes = bits & 32,
		.bracket_names = bits & 64,
	};
}

/* A statement is SQL without expansions: as a template of its own it stays what it is. */
static void check_stable(const struct query *query, const struct dialect *dialect)
{
	struct template_needs needs = {0};
	struct buf doubled = {0};
	struct query again;
	struct error why;

	for (const char *c = query->statement.text; *c; c++) {
		buf_add_byte(&doubled, *c);
		if (*c == '%')
			buf_add_byte(&doubled, '%');
	}
	FUZZ_CHECK(query_init(&again, buf_string(&doubled), dialect, &needs, &why) == 0);
	FUZZ_CHECK(again.statement.params == 0);
	FUZZ_CHECK(strcmp(again.statement.text, query->statement.text) == 0);
	query_finish(&again);
	buf_finish(&doubled);
}

/* All that is bound comes from a template of `size` bytes and the key: it is at most so long. */
static void check_expansion(const struct template *template, size_t size,
	const struct address_parts *value, const struct address_parts *key)
{
	struct buf out = {0};

	template_expand(template, value, key, &out);
	FUZZ_CHECK(out.size <= size * (value->whole.size + key->whole.size + 1));
	buf_finish(&out);
}

static void check_query(const struct query *query, const struct template *result, size_t size,
	const struct template_needs *needs, struct slice key)
{
	struct address_parts parts = address_parts_of(key);

	FUZZ_CHECK(query->statement.params < STATEMENT_PARAMS_MAX);
	if (!template_key_fits(needs, &parts))
		return;
	for (size_t i = 0; i < query->statement.params; i++)
		check_expansion(&query->params[i], size, &parts, &parts);
	if (template_value_fits(needs, &parts))
		check_expansion(result, size, &parts, &parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template_needs needs = {0};
	struct dialect dialect = dialect_of(size ? data[0] : 0);
	struct slice rest = slice_of((const char *)data + (size ? 1 : 0), size ? size - 1 : 0);
	struct slice text = take(&rest), format = take(&rest);
	struct template result;
	struct query query;
	struct error why = {.text = ""};
	struct buf sql = {0};

	buf_add_slice(&sql, text);
	if (query_init(&query, buf_string(&sql), &dialect, &needs, &why) < 0) {
		FUZZ_CHECK(why.text[0]);
	} else {
		check_stable(&query, &dialect);
		if (template_init(&result, format, TEMPLATE_OF_RESULT, &needs, &why) == 0) {
			check_query(&query, &result, text.size + format.size, &needs, rest);
			template_finish(&result);
		}
		query_finish(&query);
	}
	buf_finish(&sql);
	return 0;
}
