/*
 * A map: what clients ask by name. It has the rule by which keys are derived and one or more
 * tables, each a query on a source. All of it is made from the configuration and then immutable;
 * any thread may read it. To add an option for maps: one field here, one row in map.c.
 */
#ifndef TABLED_ENGINE_MAP_H
#define TABLED_ENGINE_MAP_H

#include "engine/freshness.h"
#include "engine/plan.h"
#include "engine/query.h"
#include "engine/reads.h"

/* The options of a `map` section. */
struct map_settings {
	char *source;
	char *query;
	struct text_list maps;
	char *serves;
	char *result_format;
	struct text_list domain;
	int64_t expansion_limit;
	char *recipient_delimiter;
	struct text_list local_domains;
	int fold;
	int parent_domains;
	int propagate_extension;
	struct text_list feed_tables;
	int64_t ttl, negative_ttl; /* ms, or SETTING_WORD: as long as the feed says … */
	int64_t clock_ttl;         /* … but so long (ms), if the query asks for the time */
	int64_t grace, stale_ttl;  /* ms */
	int cache, stale_negative; /* auto, yes or no */
	struct text_list rejects_in;
};

extern const struct setting map_setting_table[];

/* The words of `cache` and `stale_negative`. */
enum map_choice { CHOICE_AUTO, CHOICE_NO, CHOICE_YES };

/* What the rows of a table become: see shape.h. */
enum table_shape {
	SHAPE_RESULT, /* Postfix's result: every value by the result format, joined by commas */
	SHAPE_TEXT,   /* the same as a dictionary's value */
	SHAPE_VALUES, /* a dictionary's values: the columns of the first row */
	SHAPE_JSON,   /* a dictionary's value: the only row, as an object */
};

/* One query on one source: what Postfix would call a table. */
struct table {
	const char *name; /* of its map; borrowed from the configuration */
	size_t source;    /* index in the catalog */
	const struct backend *backend;
	struct query query;
	struct template result;
	struct template_needs needs;
	struct reads reads;             /* which rows an answer depends on */
	const struct text_list *domain; /* borrowed */
	int64_t expansion_limit;        /* values; 0: any number */
	enum table_shape shape;
	size_t form_parts; /* of a dictionary: parameters are the parts of a key form; 0: templates
			    */
	bool is_secret;    /* whatever it serves */
	const struct map_settings *settings; /* of its map; borrowed from the configuration */
};

/* Compiles a table. `source_index` and `backend` are those of settings->source. */
int table_init(struct table *table, const char *name, const struct map_settings *settings,
	size_t source_index, const struct backend *backend, struct error *why);
void table_finish(struct table *table);

/* Appends a text that is the same for two tables of a source only if all their answers are. */
void table_describe(const struct table *table, struct buf *out);

/* Whether its answers are passwords or keys. */
bool table_is_secret(const struct table *table);

/* Whether the table is to be asked for a key at all, or has nothing by Postfix's rules. */
bool table_wants(const struct table *table, struct slice key);

struct map;

/* One of a map's tables. */
struct map_table {
	const struct map *map;
	size_t at;
};

struct map {
	const char *name; /* borrowed from the configuration */
	size_t index;     /* in the catalog: for counters */
	struct plan_rule rule;
	const struct plan_parameter *parameter;
	const struct table *
		*tables; /* owned array of borrowed tables, in the order they are asked */
	size_t table_count;
	struct freshness_rule *rules; /* owned; one for each of the tables */
	struct map_table *rejecting;  /* owned; those of domains in which "not found" rejects */
	size_t rejecting_count;
	const struct map_settings *settings; /* borrowed from the configuration */
};

/*
 * How long the answers of each of its tables are kept for this map. Once the map and all of its
 * tables are there.
 */
void map_init_rules(struct map *map, const struct map_settings *settings);
void map_finish(struct map *map);

/* Makes it a map of a dictionary's keys, which are asked as they are. Its tables are there. */
void map_init_dictionary(struct map *map, const char *name, const struct map_settings *settings);

/* Fills the rule of a map. Returns -1 with `why` when the parameter is none that can be served. */
int map_init_rule(
	struct map *map, const char *name, const struct map_settings *settings, struct error *why);

/*
 * Appends to `out` what the rows of one table are as a result for `key`, by the table's shape.
 * FOUND, or NOT_FOUND if no value is left, or TRY_LATER or BROKEN with `why`.
 */
enum status table_format(const struct table *table, const struct rows *rows,
	const struct address_parts *key, struct buf *out, struct error *why);

/* Turns the result for a shortened key form into the one for the whole key, as Postfix would. */
void map_restore_extension(const struct map *map, const struct plan *plan,
	const struct key_form *form, struct buf *text);

#endif
