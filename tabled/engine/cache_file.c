#include "engine/cache_file.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

#define TITLE "tabled cache 1\n"

/* Nobody wants answers that are older: 30 days. */
#define AGE_MOST_MS ((uint64_t)30 * 24 * 3600 * 1000)

/*
 * Records. Each begins with its kind; numbers are little-endian.
 *	TIME    wall (8)
 *	SPACE   size (4), name of the source, size (4), identity; the next one in number
 *	ANSWER  see struct answer_head; form, text
 *	REACHED size (4), name of the source, age (8)
 */
enum record_kind {
	RECORD_TIME = 'T',
	RECORD_SPACE = 'S',
	RECORD_ANSWER = 'A',
	RECORD_REACHED = 'R'
};

enum { ANSWER_HEAD_BYTES = 1 + 4 + 1 + 8 + 4 + 2 + 4, IS_WATCHED = 0x80 };

/* Some records that will be a block. */
struct chunk {
	struct chunk *next;
	size_t size;
	char bytes[BLOCK_MOST];
};

/* What is written of one space. */
struct written_space {
	uint32_t number; /* in the file, from 1 on; 0: not yet */
	bool is_too_big;
};

struct saving {
	struct block_writer writer;
	struct chunk *first, *last;    /* owned: a part of the cache, until it is written */
	struct written_space *written; /* owned; by number in the cache */
	size_t written_count;
	uint32_t space_count;          /* in the file */
	const struct origin **origins; /* owned array of borrowed ones: those in the file */
	const char **names;            /* likewise */
	size_t origin_count;
	uint64_t now;
	size_t count; /* answers */
};

static void put_number(char **to, uint64_t number, size_t size)
{
	for (size_t i = 0; i < size; i++)
		*(*to)++ = (char)(number >> 8 * i);
}

static void put_slice(char **to, struct slice text)
{
	if (text.size)
		memcpy(*to, text.data, text.size);
	*to += text.size;
}

/* Room for a record. */
static char *saving_reserve(struct saving *saving, size_t size)
{
	struct chunk *chunk = saving->last;
	char *at;

	if (!chunk || BLOCK_MOST - chunk->size < size) {
		chunk = memory_new(1, sizeof(*chunk));
		if (saving->last)
			saving->last->next = chunk;
		else
			saving->first = chunk;
		saving->last = chunk;
	}
	at = chunk->bytes + chunk->size;
	chunk->size += size;
	return at;
}

static void note_origin(struct saving *saving, const struct cache_space *space, const char *name)
{
	size_t size = (saving->origin_count + 1) * sizeof(void *);

	for (size_t i = 0; i < saving->origin_count; i++)
		if (saving->origins[i] == space->origin)
			return;
	saving->origins = memory_resize(saving->origins, size);
	saving->names = memory_resize(saving->names, size);
	saving->origins[saving->origin_count] = space->origin;
	saving->names[saving->origin_count++] = name;
}

static void save_space(
	struct saving *saving, const struct cache_space *space, struct written_space *written)
{
	struct slice name = slice_str(cache_source_name(space)),
		     identity = slice_str(space->identity);
	size_t size = 1 + 4 + name.size + 4 + identity.size;
	char *at;

	written->is_too_big = size > BLOCK_MOST;
	if (written->is_too_big)
		return;
	note_origin(saving, space, name.data);
	written->number = ++saving->space_count;
	at = saving_reserve(saving, size);
	*at++ = RECORD_SPACE;
	put_number(&at, name.size, 4);
	put_slice(&at, name);
	put_number(&at, identity.size, 4);
	put_slice(&at, identity);
}

/* What is known of the space in the file; it is put there if need be. */
static const struct written_space *written_of(
	struct saving *saving, const struct cache_space *space)
{
	struct written_space *written;

	if (space->number >= saving->written_count) {
		size_t count = space->number + 16;

		saving->written = memory_resize(saving->written, count * sizeof(*saving->written));
		memset(saving->written + saving->written_count, 0,
			(count - saving->written_count) * sizeof(*saving->written));
		saving->written_count = count;
	}
	written = &saving->written[space->number];
	if (!written->number && !written->is_too_big)
		save_space(saving, space, written);
	return written;
}

/* Under a lock of the cache: it only copies. */
static void save_answer(void *context, const struct cache_entry *entry)
{
	struct saving *saving = context;
	const struct written_space *written;
	char *at;

	if (atomic_load(&entry->space->is_secret))
		return;
	written = written_of(saving, entry->space);
	if (written->is_too_big)
		return;
	at = saving_reserve(saving, ANSWER_HEAD_BYTES + entry->form.size + entry->text.size);
	*at++ = RECORD_ANSWER;
	put_number(&at, written->number, 4);
	*at++ = (char)((unsigned)entry->status | (entry->watched ? IS_WATCHED : 0));
	put_number(&at, saving->now - entry->sure, 8);
	put_number(&at, entry->hits, 4);
	put_number(&at, entry->form.size, 2);
	put_number(&at, entry->text.size, 4);
	put_slice(&at, entry->form);
	put_slice(&at, entry->text);
	saving->count++;
}

static void drop_chunk(struct saving *saving)
{
	struct chunk *chunk = saving->first;

	saving->first = chunk->next;
	if (!saving->first)
		saving->last = NULL;
	explicit_bzero(chunk->bytes, chunk->size);
	free(chunk);
}

static int write_chunks(struct saving *saving, struct error *why)
{
	for (; saving->first; drop_chunk(saving)) {
		struct slice block = slice_of(saving->first->bytes, saving->first->size);

		if (block_writer_add(&saving->writer, block, why) < 0)
			return -1;
	}
	return 0;
}

/* Last of all, so that no answer came from later. */
static void save_origins(struct saving *saving)
{
	for (size_t i = 0; i < saving->origin_count; i++) {
		struct slice name = slice_str(saving->names[i]);
		uint64_t reached = atomic_load(&saving->origins[i]->reached);
		char *at;

		if (!reached)
			continue;
		at = saving_reserve(saving, 1 + 4 + name.size + 8);
		*at++ = RECORD_REACHED;
		put_number(&at, name.size, 4);
		put_slice(&at, name);
		put_number(&at, reached < saving->now ? saving->now - reached : 0, 8);
	}
}

static int save_all(struct saving *saving, struct cache *cache, uint64_t wall, struct error *why)
{
	char *at = saving_reserve(saving, 1 + 8);

	*at++ = RECORD_TIME;
	put_number(&at, wall, 8);
	for (size_t part = 0; part < CACHE_PARTS; part++) {
		cache_each_of(cache, part, save_answer, saving, saving->now);
		if (write_chunks(saving, why) < 0)
			return -1;
	}
	save_origins(saving);
	return write_chunks(saving, why);
}

int cache_file_save(struct cache *cache, const char *path, enum block_file_kind kind, uint64_t now,
	uint64_t wall, size_t *ret_count, struct error *why)
{
	struct saving saving = {.now = now};
	int result;

	if (block_writer_open(&saving.writer, path, TITLE, why) < 0)
		return -1;
	result = save_all(&saving, cache, wall, why);
	if (result == 0)
		result = block_writer_commit(&saving.writer, kind, why);
	else
		block_writer_cancel(&saving.writer);
	while (saving.first)
		drop_chunk(&saving);
	free(saving.written);
	free(saving.origins);
	free(saving.names);
	*ret_count = saving.count;
	return result;
}

struct restoring {
	struct cache *cache;
	struct hottest *hottest;
	bool is_final;
	struct slice rest;           /* of the block */
	struct cache_space **spaces; /* owned array of borrowed ones, by number in the file */
	size_t space_count;
	bool has_time;
	uint64_t now, wall;
	uint64_t later; /* ms; how long ago the file was written */
	size_t count;
};

/* Numbers and texts from the front of what is left. They return false where too little is left. */
static bool take_number(struct slice *rest, size_t size, uint64_t *ret_number)
{
	*ret_number = 0;
	if (rest->size < size)
		return false;
	for (size_t i = 0; i < size; i++)
		*ret_number |= (uint64_t)(unsigned char)rest->data[i] << 8 * i;
	*rest = slice_from(*rest, size);
	return true;
}

static bool take_slice(struct slice *rest, uint64_t size, struct slice *ret_text)
{
	if (rest->size < size)
		return false;
	*ret_text = slice_of(rest->data, (size_t)size);
	*rest = slice_from(*rest, (size_t)size);
	return true;
}

/* A name, with its size before it. Given to the caller, or NULL. */
static char *take_text(struct slice *rest)
{
	uint64_t size;
	struct slice text;
	char *copy;

	if (!take_number(rest, 4, &size) || !take_slice(rest, size, &text) ||
		slice_find(text, '\0') >= 0)
		return NULL;
	copy = memory_new(1, text.size + 1);
	memcpy(copy, text.data, text.size);
	return copy;
}

static bool restore_time(struct restoring *restoring)
{
	uint64_t written;

	if (restoring->has_time || !take_number(&restoring->rest, 8, &written))
		return false;
	/* A clock that was put back says nothing. */
	restoring->later = restoring->wall > written ? restoring->wall - written : 0;
	restoring->has_time = true;
	return true;
}

static bool restore_space(struct restoring *restoring)
{
	char *name = take_text(&restoring->rest);
	char *identity = name ? take_text(&restoring->rest) : NULL;
	size_t size = (restoring->space_count + 1) * sizeof(struct cache_space *);

	if (identity) {
		restoring->spaces = memory_resize(restoring->spaces, size);
		restoring->spaces[restoring->space_count++] = cache_space(
			restoring->cache, identity, cache_origin(restoring->cache, name), false);
	}
	free(name);
	free(identity);
	return identity != NULL;
}

/* When something was that is so old in the file. Returns false if it is too long ago. */
static bool time_of(const struct restoring *restoring, uint64_t age, uint64_t *ret_time)
{
	if (age > AGE_MOST_MS || restoring->later > AGE_MOST_MS - age)
		return false;
	*ret_time = restoring->now - age - restoring->later;
	return true;
}

static bool restore_reached(struct restoring *restoring)
{
	char *name = take_text(&restoring->rest);
	uint64_t age, reached;
	bool is_good = name && take_number(&restoring->rest, 8, &age);

	/* Without the last word it may have been reached since. */
	if (is_good && restoring->is_final && time_of(restoring, age, &reached))
		origin_reached(cache_origin(restoring->cache, name), reached);
	free(name);
	return is_good;
}

/* What stands before an answer's form and text. */
struct answer_head {
	uint64_t space, status, age, hits, form_size, text_size;
};

static bool take_head(struct slice *rest, struct answer_head *head)
{
	return take_number(rest, 4, &head->space) && take_number(rest, 1, &head->status) &&
	       take_number(rest, 8, &head->age) && take_number(rest, 4, &head->hits) &&
	       take_number(rest, 2, &head->form_size) && take_number(rest, 4, &head->text_size);
}

static bool head_is_good(const struct restoring *restoring, const struct answer_head *head)
{
	uint64_t status = head->status & ~(uint64_t)IS_WATCHED;

	return head->space > 0 && head->space <= restoring->space_count &&
	       (status == FOUND || (status == NOT_FOUND && !head->text_size));
}

static bool restore_answer(struct restoring *restoring)
{
	struct answer_head head;
	struct cache_entry entry = {0};

	if (!take_head(&restoring->rest, &head) || !head_is_good(restoring, &head) ||
		!take_slice(&restoring->rest, head.form_size, &entry.form) ||
		!take_slice(&restoring->rest, head.text_size, &entry.text))
		return false;
	entry.space = restoring->spaces[head.space - 1];
	entry.status = (enum status)(head.status & ~(uint64_t)IS_WATCHED);
	entry.watched = head.status & IS_WATCHED;
	entry.hits = (uint32_t)head.hits;
	if (!time_of(restoring, head.age, &entry.sure))
		return true;
	cache_restore(restoring->cache, &entry);
	hottest_offer(restoring->hottest, &entry);
	restoring->count++;
	return true;
}

static bool restore_record(struct restoring *restoring)
{
	char kind = restoring->rest.data[0];

	restoring->rest = slice_from(restoring->rest, 1);
	if (kind == RECORD_TIME)
		return restore_time(restoring);
	if (!restoring->has_time)
		return false;
	switch (kind) {
	case RECORD_SPACE:
		return restore_space(restoring);
	case RECORD_ANSWER:
		return restore_answer(restoring);
	case RECORD_REACHED:
		return restore_reached(restoring);
	default:
		return false;
	}
}

static bool restore_blocks(struct restoring *restoring, struct block_reader *reader)
{
	struct buf block = {0};
	bool is_good = true;

	while (is_good && block_reader_next(reader, &block)) {
		restoring->rest = buf_slice(&block);
		while (is_good && restoring->rest.size)
			is_good = restore_record(restoring);
	}
	buf_wipe(&block);
	return is_good;
}

int cache_file_restore(struct cache *cache, const char *path, uint64_t now, uint64_t wall,
	struct hottest *hottest, size_t *ret_count, struct error *why)
{
	struct restoring restoring = {.cache = cache, .hottest = hottest, .now = now, .wall = wall};
	struct block_reader reader;
	int result = block_reader_open(&reader, path, TITLE, why);

	*ret_count = 0;
	if (result <= 0)
		return result;
	restoring.is_final = reader.kind == BLOCK_FILE_FINAL;
	if (restore_blocks(&restoring, &reader)) {
		*ret_count = restoring.count;
	} else {
		/* Its checksum is right: somebody else has written it. */
		cache_purge_all(cache);
		hottest_finish(hottest);
		result = error_set(why, "it is not written as it should be");
	}
	block_reader_close(&reader);
	free(restoring.spaces);
	return result;
}
