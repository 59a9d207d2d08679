#include "engine/line.h"

#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

enum { SPLITS_MAX = 32, ALONE_MS = 60000 };

void lines_finish(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->items[i]);
	free(lines->items);
	*lines = (struct lines){0};
}

static struct line *line_at(struct lines *lines, size_t at)
{
	while (lines->count <= at) {
		lines->items =
			memory_resize(lines->items, (lines->count + 1) * sizeof(*lines->items));
		lines->items[lines->count++] = memory_new(1, sizeof(struct line));
	}
	return lines->items[at];
}

struct line *lines_suspect(const struct lines *lines)
{
	return lines->count ? lines->items[0] : NULL;
}

/* Who is due first goes first. Mostly that is who came first, but some have spent time elsewhere.
 */
static bool is_before(const struct ask *one, const struct ask *other)
{
	return one->deadline != other->deadline ? one->deadline < other->deadline
						: one->order < other->order;
}

void lines_append(struct lines *lines, struct ask *ask, bool is_suspect)
{
	struct ask *behind;

	ask->home = line_at(lines, is_suspect ? 0 : ask->question.statement->id + 1);
	ask->line = ask->home;
	ask->order = lines->order++;
	behind = ask->line->asks ? ask->line->asks->prev : NULL; /* the last one */
	while (behind && is_before(ask, behind))
		behind = behind == ask->line->asks ? NULL : behind->prev;
	DL_APPEND_ELEM(ask->line->asks, behind, ask);
	lines->waiting++;
}

void lines_put_back(struct lines *lines, struct ask *ask, size_t share)
{
	struct ask *before;

	if (ask->share > share)
		ask->share = share;
	ask->line = ask->home;
	before = ask->line->asks;
	while (before && is_before(before, ask))
		before = before->next;
	DL_PREPEND_ELEM(ask->line->asks, before, ask);
	lines->waiting++;
}

void lines_remove(struct lines *lines, struct ask *ask)
{
	DL_DELETE(ask->line->asks, ask);
	ask->line = NULL;
	lines->waiting--;
}

static bool is_same_question(const struct question *one, const struct question *other)
{
	for (size_t i = 0; i < one->statement->params; i++)
		if (!slice_equal(one->params[i], other->params[i]))
			return false;
	return true;
}

void lines_set_aside(struct lines *lines, const struct ask *suspect)
{
	struct line *line = line_at(lines, suspect->question.statement->id + 1);
	struct ask *ask, *next;

	DL_FOREACH_SAFE (line->asks, ask, next) {
		if (ask->only_check || !is_same_question(&ask->question, &suspect->question))
			continue;
		lines_remove(lines, ask);
		ask->home = lines_suspect(lines);
		lines_put_back(lines, ask, 1);
	}
}

struct line *lines_oldest(const struct lines *lines, bool with_suspects)
{
	struct line *oldest = NULL;

	for (size_t i = !with_suspects; i < lines->count; i++) {
		struct line *line = lines->items[i];

		if (line->asks && (!oldest || is_before(line->asks, oldest->asks)))
			oldest = line;
	}
	return oldest;
}

/* What stands for a letter where collations may take it for another one (i, j, y; u, v, w). */
static char letter_class(char c)
{
	if (c >= 'A' && c <= 'Z')
		c = (char)(c - 'A' + 'a');
	if (c == 'j' || c == 'y')
		return 'i';
	return c == 'v' || c == 'w' ? 'u' : c;
}

/* May a database take both keys, which consist of plain characters, for the same? */
static bool may_be_equal(struct slice one, struct slice other)
{
	if (one.size != other.size)
		return false;
	for (size_t i = 0; i < one.size; i++)
		if (letter_class(one.data[i]) != letter_class(other.data[i]))
			return false;
	return !slice_equal(one, other);
}

/* Printable ASCII without blanks: no collation ignores a part of it. */
static bool is_plain(struct slice key)
{
	for (size_t i = 0; i < key.size; i++)
		if (key.data[i] <= ' ' || key.data[i] > '~')
			return false;
	return true;
}

/*
 * A list of keys brings rows that only their first column tells apart, and that is compared by
 * bytes. So no two keys may stand in one list that the database could take for the same.
 */
static bool may_share_list(struct ask *const *asks, size_t count, const struct ask *ask)
{
	struct slice key = ask->question.params[0];

	if (!is_plain(key) || !is_plain(asks[0]->question.params[0]))
		return false;
	for (size_t i = 0; i < count; i++)
		if (may_be_equal(asks[i]->question.params[0], key))
			return false;
	return true;
}

size_t lines_take(
	struct lines *lines, struct line *line, struct ask **asks, size_t most, uint64_t now)
{
	size_t count = 0;

	if (now < line->alone_until)
		most = 1;
	while (line->asks && count < most) {
		struct ask *ask = line->asks;

		if (ask->share < most)
			most = ask->share;
		if (count && (count >= most || (ask->question.statement->kind == STATEMENT_KEYS &&
						       !may_share_list(asks, count, ask))))
			break;
		lines_remove(lines, ask);
		asks[count++] = ask;
	}
	return count;
}

struct ask *lines_take_any(struct lines *lines)
{
	struct line *line = lines_oldest(lines, true);
	struct ask *ask = line ? line->asks : NULL;

	if (ask)
		lines_remove(lines, ask);
	return ask;
}

struct ask *lines_take_expired(struct lines *lines, uint64_t now)
{
	for (size_t i = 0; i < lines->count; i++) {
		struct ask *ask = lines->items[i]->asks;

		if (!ask || now < ask->deadline)
			continue;
		lines_remove(lines, ask);
		return ask;
	}
	return NULL;
}

uint64_t lines_next_deadline(const struct lines *lines)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < lines->count && lines->waiting; i++)
		if (lines->items[i]->asks && lines->items[i]->asks->deadline < next)
			next = lines->items[i]->asks->deadline;
	return next;
}

uint64_t lines_since(const struct lines *lines, bool with_suspects)
{
	const struct line *oldest = lines_oldest(lines, with_suspects);

	return oldest ? oldest->asks->since : UINT64_MAX;
}

bool lines_blame(struct lines *lines, const struct ask *ask, uint64_t now)
{
	struct line *line = line_at(lines, ask->question.statement->id + 1);

	if (++line->splits < SPLITS_MAX)
		return false;
	line->splits = 0;
	line->alone_until = now + ALONE_MS;
	return true;
}

void lines_forgive(struct lines *lines, const struct ask *ask)
{
	line_at(lines, ask->question.statement->id + 1)->splits = 0;
}
