/*
 * What a query reads: whatever is written, it is unknown with a reason, or a list of items that are
 * whole. What means the same is read the same: without its comments, and twice in a UNION.
 *
 * The first byte chooses the dialect; the rest is the query.
 */
#include "engine/reads.h"
#include "engine/sql.h"
#include "fuzz/fuzz.h"

static const struct dialect dialects[] = {
	{.placeholder = '?', .numbered = true, .double_quoted_text = true, .bracket_names = true},
	{.placeholder = '$', .numbered = true, .dollar_quotes = true},
	{.placeholder = '?',
		.backslash_escapes = true,
		.double_quoted_text = true,
		.hash_comments = true},
};

static void check_item(const struct read *item)
{
	FUZZ_CHECK(item->table && *item->table);
	FUZZ_CHECK(!item->column == (item->kind == READ_ANY));
	FUZZ_CHECK(!item->literal == (item->kind != READ_LITERAL));
}

static void show(const struct reads *reads, struct buf *out)
{
	FUZZ_CHECK(!reads->unknown || (*reads->unknown && !reads->count));
	for (size_t i = 0; i < reads->count; i++) {
		check_item(&reads->items[i]);
		read_show(&reads->items[i], out);
		buf_add_byte(out, '\n');
	}
	buf_string(out);
}

/* The query without comments and without what stands behind it. */
static void strip(const char *query, const struct dialect *dialect, struct buf *out)
{
	struct sql_token token;

	while (sql_next(&query, dialect, &token)) {
		if (token.kind == SQL_COMMENT)
			buf_add_byte(out, ' ');
		else
			buf_add_slice(out, token.text);
	}
	while (out->size && strchr("; \t\r\n\f\v", out->data[out->size - 1]))
		out->size--;
}

/* Something that means the same has to be read the same, or to be too deep. */
static void check_same(struct buf *query, const struct dialect *dialect, const struct buf *should)
{
	struct reads reads;
	struct buf shown = {0};

	reads_init(&reads, buf_string(query), dialect);
	show(&reads, &shown);
	if (!reads.unknown)
		FUZZ_CHECK(slice_equal(buf_slice(&shown), buf_slice(should)));
	else
		FUZZ_CHECK(strstr(reads.unknown, "too many parentheses"));
	buf_finish(&shown);
	reads_finish(&reads);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dialect *dialect = &dialects[size ? data[0] % 3 : 0];
	struct reads reads;
	struct buf query = {0}, plain = {0}, twice = {0}, shown = {0};

	if (size)
		buf_add(&query, data + 1, size - 1);
	reads_init(&reads, buf_string(&query), dialect);
	show(&reads, &shown);
	strip(buf_string(&query), dialect, &plain);
	/* Where a comment was, two signs of MySQL's may have come together to begin another one. */
	if (!reads.unknown && !strstr(buf_string(&plain), "--")) {
		check_same(&plain, dialect, &shown);
		buf_add_format(&twice, "(%s) UNION (%s)", buf_string(&plain), buf_string(&plain));
		check_same(&twice, dialect, &shown);
	}
	buf_finish(&query);
	buf_finish(&plain);
	buf_finish(&twice);
	buf_finish(&shown);
	reads_finish(&reads);
	return 0;
}
