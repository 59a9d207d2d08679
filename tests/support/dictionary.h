/*
 * A dictionary over a real SQLite file, with its engine and its cache, for the tests of what is
 * done with dictionaries. What the test itself writes to the file, by ground_sql(), the engine does
 * not see while it has an answer in its cache.
 */
#ifndef TABLED_TESTS_SUPPORT_DICTIONARY_H
#define TABLED_TESTS_SUPPORT_DICTIONARY_H

#include "engine/dictionary_commit.h"
#include "engine/dictionary_iteration.h"
#include "engine/dictionary_lookup.h"
#include "support/log.h"
#include "support/map.h"
#include "support/place.h"
#include "support/poller.h"
#include "support/text.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <unistd.h>

extern const struct backend sqlite_backend;

struct ground {
	char directory[64], path[96];
	sqlite3 *file; /* the test's own */
	struct setup setup;
	void *own[2]; /* the options of two sources on the same file */
	struct cache *cache;
	struct poller poller;
	struct engine *engine;
	const struct dictionary *dictionary;
	struct log_capture capture;
};

static struct ground ground;

static inline void ground_sql(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void ground_sql(const char *format, ...)
{
	char *text, *why = NULL;
	va_list arguments;

	va_start(arguments, format);
	ck_assert_int_ge(vasprintf(&text, format, arguments), 0);
	va_end(arguments);
	ck_assert_msg(sqlite3_exec(ground.file, text, NULL, NULL, &why) == SQLITE_OK, "%s: %s", why,
		text);
	free(text);
}

/* What the file itself says: the first cell, "(none)" without a row, "(null)" for NULL. */
static inline const char *ground_ask(const char *sql)
{
	static char text[256];
	sqlite3_stmt *statement;

	ck_assert_msg(sqlite3_prepare_v2(ground.file, sql, -1, &statement, NULL) == SQLITE_OK,
		"%s: %s", sqlite3_errmsg(ground.file), sql);
	snprintf(text, sizeof(text), "(none)");
	if (sqlite3_step(statement) == SQLITE_ROW)
		snprintf(text, sizeof(text), "%s",
			sqlite3_column_type(statement, 0) == SQLITE_NULL
				? "(null)"
				: (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return text;
}

static inline void ground_source(const char *name, size_t at)
{
	const char *item = ground.path;

	ground.own[at] = calloc(1, sqlite_backend.config_size);
	settings_init(sqlite_backend.settings, ground.own[at]);
	ck_assert_int_eq(setting_set(setting_find(sqlite_backend.settings, "path"), ground.own[at],
				 &item, 1, &ground.setup.why),
		0);
	setup_source(&ground.setup, name, &sqlite_backend, ground.own[at]);
}

/* The file, and the sources "mail" and "other"; maps and keys are up to the test. */
static inline void ground_begin(const char *schema)
{
	log_capture_begin(&ground.capture);
	snprintf(ground.directory, sizeof(ground.directory), "%s/tabled-dictionary-XXXXXX",
		place_without_disk());
	ck_assert_ptr_nonnull(mkdtemp(ground.directory));
	snprintf(ground.path, sizeof(ground.path), "%s/mail.db", ground.directory);
	ck_assert_int_eq(sqlite3_open(ground.path, &ground.file), SQLITE_OK);
	ground_sql("PRAGMA synchronous = OFF; %s", schema);
	setup_begin(&ground.setup);
	ground_source("mail", 0);
	ground_source("other", 1);
}

/* Sets options of the last key, "name=value", parted by ';'; items of lists by '|'. */
static inline void ground_set(const char *options)
{
	char *copy = strdup(options), *at = copy;

	while (at && *at) {
		char *option = strsep(&at, ";"), *equal = strchr(option, '=');

		*equal = '\0';
		setup_key_set(&ground.setup, option, equal + 1);
	}
	free(copy);
}

/* Adds a key; of a table it is kept for an hour. */
static inline void ground_key(const char *pattern, const char *options)
{
	setup_key(&ground.setup, pattern);
	ground_set(options);
	if (strstr(options, "table="))
		ground_set("ttl=1h;negative_ttl=1h");
}

/* Adds a map that is kept for an hour. */
static inline void ground_map(const char *name, const char *query)
{
	setup_map(&ground.setup, name, "mail", query);
	setup_set(&ground.setup, "ttl", "1h");
	setup_set(&ground.setup, "negative_ttl", "1h");
}

static inline void ground_start(void)
{
	ck_assert_msg(setup_compile(&ground.setup), "%s", ground.setup.why.text);
	poller_init(&ground.poller);
	ground.cache = cache_create(1 << 20);
	ground.engine =
		engine_create(ground.setup.catalog, ground.cache, NULL, &ground.poller.connector);
	ground.dictionary = &ground.setup.catalog->dictionaries[0];
}

static inline void ground_turn(void)
{
	poller_turn(&ground.poller, ground.engine);
}

/* Until nothing is under way. */
static inline void ground_settle(void)
{
	for (int i = 0; engine_pending(ground.engine); i++) {
		ck_assert_msg(i < 20000, "something never ends");
		ground_turn();
	}
}

static inline void ground_end(void)
{
	char name[128];
	static const char *const behind[] = {"", "-journal", "-wal", "-shm"};

	if (ground.engine) {
		engine_abandon(ground.engine);
		ground_settle();
		engine_destroy(ground.engine);
		cache_destroy(ground.cache);
	}
	setup_end(&ground.setup);
	for (size_t i = 0; i < 2; i++) {
		settings_finish(sqlite_backend.settings, ground.own[i]);
		free(ground.own[i]);
	}
	sqlite3_close(ground.file);
	for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", ground.path, behind[i]);
		unlink(name);
	}
	rmdir(ground.directory);
	log_capture_end(&ground.capture);
	ground = (struct ground){.engine = NULL};
}

#endif
