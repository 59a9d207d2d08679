#include "engine/line.h"

#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

enum {
	SPLITS_MAX = 32,
	ALONE_MS = 60000,
	NUMBER_DIGITS_MAX = 15, /* of which a double keeps each */
};

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

/* What stands for a letter where collations may take it for another one (i, j, y; u, v, w). */
static char letter_class(char c)
{
	if (c >= 'A' && c <= 'Z')
		c = (char)(c - 'A' + 'a');
	if (c == 'j' || c == 'y')
		return 'i';
	return c == 'v' || c == 'w' ? 'u' : c;
}

/* FNV-1a, of printable ASCII; 0: there is something else in it. */
static uint64_t letters_hash(struct slice key)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < key.size; i++) {
		if (key.data[i] <= ' ' || key.data[i] > '~')
			return 0;
		hash = (hash ^ (unsigned char)letter_class(key.data[i])) * 0x100000001b3;
	}
	return hash ? hash : 1;
}

static size_t skip_digits(struct slice key, size_t at)
{
	while (at < key.size && key.data[at] >= '0' && key.data[at] <= '9')
		at++;
	return at;
}

/*
 * To a column of numbers 1, 01, +1, 1.0 and, for MariaDB, 1a are the same: so what counts is the
 * whole number that a key begins with, or 0 for one that is too long or has an exponent.
 */
static uint64_t number_class(struct slice key, size_t start)
{
	size_t end = skip_digits(key, start), after = end;

	while (start < end && key.data[start] == '0')
		start++;
	if (after < key.size && key.data[after] == '.')
		after = skip_digits(key, after + 1);
	if (end - start > NUMBER_DIGITS_MAX ||
		(after < key.size && (key.data[after] == 'e' || key.data[after] == 'E')))
		return 0;
	return letters_hash(slice_of(key.data + start, end - start));
}

/*
 * A number that two keys share if a database may take them for the same. 0: there is no telling,
 * since a collation may ignore what is not printable ASCII, and blanks.
 */
static uint64_t key_class(struct slice key)
{
	uint64_t hash = letters_hash(key);
	size_t start = key.size && (key.data[0] == '+' || key.data[0] == '-');

	if (!hash || start == key.size)
		return hash;
	return key.data[start] == '.' || skip_digits(key, start) > start ? number_class(key, start)
									 : hash;
}

void lines_append(struct lines *lines, struct ask *ask, bool is_suspect)
{
	struct ask *behind;

	ask->home = line_at(lines, is_suspect ? 0 : ask->question.statement->id + 1);
	ask->line = ask->home;
	ask->order = lines->order++;
	if (ask->question.statement->kind == STATEMENT_KEYS && !ask->only_check)
		ask->key_class = key_class(ask->question.params[0]);
	behind = ask->line->asks ? ask->line->asks->prev : NULL; /* the last one */
	while (behind && is_before(ask, behind))
		behind = behind == ask->line->asks ? NULL : behind->prev;
	DL_APPEND_ELEM(ask->line->asks, behind, ask);
	lines->waiting++;
	lines->suspects += ask->line == lines_suspect(lines);
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
	lines->suspects += ask->line == lines_suspect(lines);
}

void lines_remove(struct lines *lines, struct ask *ask)
{
	DL_DELETE(ask->line->asks, ask);
	lines->waiting--;
	lines->suspects -= ask->line == lines_suspect(lines);
	ask->line = NULL;
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

/*
 * A list of keys brings rows that only their first column tells apart, and that is compared by
 * bytes. So no two keys may stand in one list that the database could take for the same.
 */
static bool may_share_list(struct ask *const *asks, size_t count, const struct ask *ask)
{
	if (!ask->key_class || !asks[0]->key_class)
		return false;
	for (size_t i = 0; i < count; i++)
		if (asks[i]->key_class == ask->key_class &&
			!slice_equal(asks[i]->question.params[0], ask->question.params[0]))
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
