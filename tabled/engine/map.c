#include "engine/map.h"

#include "base/memory.h"
#include "base/tabescape.h"
#include "base/utf8.h"
#include "engine/address.h"
#include "engine/address_list.h"
#include "engine/shape.h"

#include <inttypes.h>
#include <stdlib.h>

/* The words of `fold` and of `propagate_extension`; those of `parent_domains` are enum
 * plan_parents. */
enum { FOLD_AUTO, FOLD_YES, FOLD_ASCII_ONLY, FOLD_NO };
enum { PROPAGATE_AUTO, PROPAGATE_YES, PROPAGATE_NO };

/* clang-format off */
#define FIELD(name) offsetof(struct map_settings, name)
const struct setting map_setting_table[] = {
	{.name = "source", .type = SETTING_TEXT, .offset = FIELD(source),
	 .help = "The name of the source section that is asked."},
	{.name = "query", .type = SETTING_TEXT, .offset = FIELD(query),
	 .help = "The SQL template. %s is the key, %u its local part, %d its domain, %1 to %9 the labels of the "
		 "domain from the right, %% a percent sign. Write expansions inside single quotes: each such "
		 "string is bound as a parameter, never pasted into SQL."},
	{.name = "maps", .type = SETTING_LIST, .offset = FIELD(maps),
	 .help = "Instead of source and query: other maps, all of which are asked for each form of the key, in "
		 "this order, as Postfix does with several tables in one parameter."},
	{.name = "serves", .type = SETTING_TEXT, .offset = FIELD(serves),
	 .help = "The Postfix parameter or restriction that uses the map: it decides which keys are derived from "
		 "the one that Postfix sends. Default: the map's name, if it is such a parameter; else \"\", the "
		 "key as it is."},
	{.name = "result_format", .type = SETTING_TEXT, .offset = FIELD(result_format), .fallback = "%s",
	 .help = "The template for each value: %s the value, %u and %d its parts, %S %U %D and %1 to %9 the key's."},
	{.name = "domain", .type = SETTING_LIST, .offset = FIELD(domain),
	 .help = "Only keys user@domain with one of these domains are asked; !domain excludes one."},
	{.name = "expansion_limit", .type = SETTING_NUMBER, .offset = FIELD(expansion_limit), .fallback = "0",
	 .least = 0, .most = 1000000,
	 .help = "More values than this are an error (\"try later\"); 0 is no limit."},
	{.name = "recipient_delimiter", .type = SETTING_TEXT, .offset = FIELD(recipient_delimiter), .fallback = "+",
	 .help = "What begins the extension of an address: the same as Postfix's recipient_delimiter."},
	{.name = "local_domains", .type = SETTING_LIST, .offset = FIELD(local_domains),
	 .help = "The domains that are local to Postfix: its myorigin, its mydestination and, in brackets, the "
		 "addresses of its interfaces. There it asks for the local part alone, too."},
	{.name = "fold", .type = SETTING_CHOICE, .offset = FIELD(fold), .fallback = "auto", .choices = "auto|yes|ascii|no",
	 .help = "Whether keys are turned to lower case before they are asked. auto: as Postfix does for the "
		 "parameter, which is yes for nearly all; ascii: only A to Z, as with smtputf8_enable = no."},
	{.name = "parent_domains", .type = SETTING_CHOICE, .offset = FIELD(parent_domains), .fallback = "auto",
	 .choices = "auto|bare|dotted",
	 .help = "How parent domains are asked: example.com or .example.com. auto: by the default of "
		 "parent_domain_matches_subdomains."},
	{.name = "propagate_extension", .type = SETTING_CHOICE, .offset = FIELD(propagate_extension), .fallback = "auto",
	 .choices = "auto|yes|no",
	 .help = "Whether the +extension of an address that was found without it is put into the results. auto: by "
		 "the default of propagate_unmatched_extensions (canonical, virtual)."},
	{.name = "feed_tables", .type = SETTING_LIST, .offset = FIELD(feed_tables),
	 .help = "The tables that the query reads, for the change feed, where tabled can't tell them by the query: "
		 "any change of one of them makes it ask again. See THE FEED."},
	{.name = "ttl", .type = SETTING_DURATION, .offset = FIELD(ttl), .fallback = "feed", .word = "feed",
	 .help = "How long a result may be used again without asking. \"feed\": until the change feed of the source "
		 "says that it has changed; without a feed, not at all."},
	{.name = "negative_ttl", .type = SETTING_DURATION, .offset = FIELD(negative_ttl), .fallback = "feed",
	 .word = "feed", .help = "The same for \"not found\"."},
	{.name = "clock_ttl", .type = SETTING_DURATION, .offset = FIELD(clock_ttl), .fallback = "0",
	 .help = "For a query that compares with CURRENT_TIMESTAMP: how long a result or a \"not found\" that is kept as "
		 "long as the feed says may be kept all the same, since no feed tells that time has passed. 0: not at all."},
	{.name = "grace", .type = SETTING_DURATION, .offset = FIELD(grace), .fallback = "10s",
	 .help = "For so long after its ttl, but no longer than the ttl itself, an answer is still given at once, and "
		 "asked anew behind."},
	{.name = "stale_ttl", .type = SETTING_DURATION, .offset = FIELD(stale_ttl), .fallback = "1d",
	 .help = "For so long after its ttl an answer may be given if the source can't be asked. 0: never."},
	{.name = "stale_negative", .type = SETTING_CHOICE, .offset = FIELD(stale_negative), .fallback = "auto",
	 .choices = "auto|no|yes",
	 .help = "Whether \"not found\" may be given so, too, if it was sure when the source was last reached. auto: no "
		 "where Postfix then rejects a recipient or a domain, which is \"try later\" instead; yes for rewriting, "
		 "routing, copies and access. It is asked of the map that Postfix names."},
	{.name = "rejects_in", .type = SETTING_LIST, .offset = FIELD(rejects_in),
	 .help = "Maps of domains in which \"not found\" rejects an address all the same: for those a \"not found\" that is "
		 "not sure any more is \"try later\", whatever stale_negative says. They are asked for the domain of each "
		 "address that is not found, so that it is known when the source is away. Default: for "
		 "virtual_alias_maps the maps that serve virtual_alias_domains, if stale_negative = auto."},
	{.name = "cache", .type = SETTING_CHOICE, .offset = FIELD(cache), .fallback = "auto", .choices = "auto|no|yes",
	 .help = "Whether answers are kept at all. auto: yes, but not where they are passwords or keys."},
	{0}
};
#undef FIELD
/* clang-format on */

static int check_domain_list(const struct text_list *list, struct error *why)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];

		if (strpbrk(item, ":/ ,\t"))
			return error_option(why, "domain",
				"domain = \"%s\": write a list of plain domains, {\"a.example\", "
				"\"b.example\"}; tables and files are not read here",
				item);
	}
	return 0;
}

/* Time passes without a trigger, so somebody has to say how long an answer may be kept. */
static void init_reads(struct table *table)
{
	const struct map_settings *settings = table->settings;

	if (settings->feed_tables.count)
		reads_init_tables(&table->reads, &settings->feed_tables, table->backend->dialect);
	else
		reads_init(&table->reads, settings->query, table->backend->dialect);
	if (table->reads.by_clock && !settings->clock_ttl)
		reads_forget(&table->reads, "it uses CURRENT_TIMESTAMP, and there is no clock_ttl");
}

int table_init(struct table *table, const char *name, const struct map_settings *settings,
	size_t source_index, const struct backend *backend, struct error *why)
{
	struct error inner;

	*table = (struct table){.name = name,
		.source = source_index,
		.backend = backend,
		.domain = &settings->domain,
		.expansion_limit = settings->expansion_limit,
		.settings = settings};
	if (check_domain_list(&settings->domain, why) < 0)
		return -1;
	if (!*settings->result_format)
		return error_option(why, "result_format", "result_format is empty: use \"%%s\"");
	if (query_init(&table->query, settings->query, backend->dialect, &table->needs, &inner) < 0)
		return error_option(why, "query", "query: %s", inner.text);
	init_reads(table);
	if (template_init(&table->result, slice_str(settings->result_format), TEMPLATE_OF_RESULT,
		    &table->needs, &inner) < 0)
		return error_option(why, "result_format", "result_format: %s", inner.text);
	return 0;
}

void table_finish(struct table *table)
{
	/* The statement of a dictionary's table is its key's. */
	if (!table->form_parts)
		query_finish(&table->query);
	reads_finish(&table->reads);
	template_finish(&table->result);
}

void table_describe(const struct table *table, struct buf *out)
{
	buf_add_format(out, "\nquery=%s\nresult_format=%s\nexpansion_limit=%" PRId64,
		table->settings->query, table->settings->result_format, table->expansion_limit);
	if (table->shape != SHAPE_RESULT)
		buf_add_format(out, "\nshape=%d", table->shape);
}

bool table_is_secret(const struct table *table)
{
	const char *serves = table->settings->serves;
	const struct plan_parameter *parameter = plan_parameter_find(serves ? serves : table->name);

	return table->is_secret || (parameter && parameter->secret);
}

/* postfix: db_common_check_domain(), match_list.c: the first item that matches decides. */
static bool domain_is_listed(const struct text_list *list, struct slice domain)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];
		bool listed = true;

		for (; *item == '!'; item++)
			listed = !listed;
		if (utf8_equal_folded(slice_str(item), domain))
			return listed;
	}
	return false;
}

bool table_wants(const struct table *table, struct slice key)
{
	struct address_parts parts;

	if (!key.size)
		return false;
	if (!table->domain->count && !template_needs_parts(&table->needs))
		return true;
	parts = address_parts_of(key);
	if (table->domain->count) {
		if (!parts.domain.data || !parts.user.size)
			return false;
		if (!domain_is_listed(table->domain, parts.domain))
			return false;
	}
	return template_key_fits(&table->needs, &parts);
}

static int unknown_parameter(const char *serves, struct error *why)
{
	const char *closest = plan_parameter_closest(serves);

	return error_option(why, "serves",
		"serves = \"%s\" is no Postfix parameter or restriction that takes a lookup "
		"table%s%s%s; \"\" asks every key as it is",
		serves, closest ? "; did you mean \"" : "", closest ? closest : "",
		closest ? "\"?" : "");
}

static int check_parameter(
	const struct plan_parameter *parameter, const char *serves, struct error *why)
{
	if (!parameter)
		return unknown_parameter(serves, why);
	if (parameter->refusal)
		return error_option(why, "serves", "%s", parameter->refusal);
	return 0;
}

static enum plan_fold chosen_fold(int choice, enum plan_fold fallback)
{
	switch (choice) {
	case FOLD_YES:
		return FOLD_UNICODE;
	case FOLD_ASCII_ONLY:
		return FOLD_ASCII;
	case FOLD_NO:
		return FOLD_NONE;
	default:
		return fallback;
	}
}

int map_init_rule(
	struct map *map, const char *name, const struct map_settings *settings, struct error *why)
{
	const struct plan_parameter *row =
		plan_parameter_find(settings->serves ? settings->serves : name);

	if (!row && !settings->serves)
		row = plan_parameter_find("");
	if (check_parameter(row, settings->serves, why) < 0)
		return -1;
	if (settings->propagate_extension == PROPAGATE_YES && row->result != RESULT_ADDRESSES)
		return error_option(why, "propagate_extension",
			"propagate_extension: Postfix puts extensions back only into the results "
			"of virtual alias, canonical and generic maps");
	map->name = name;
	map->parameter = row;
	map->rule = (struct plan_rule){
		.forms = row->forms,
		.parents = settings->parent_domains && row->parents
				   ? (enum plan_parents)settings->parent_domains
				   : row->parents,
		.fold = chosen_fold(settings->fold, row->fold),
		.result = row->result,
		.propagates = settings->propagate_extension == PROPAGATE_AUTO
				      ? row->propagates
				      : settings->propagate_extension == PROPAGATE_YES,
		.delimiters = settings->recipient_delimiter,
		.local_domains = &settings->local_domains,
	};
	return 0;
}

static bool chosen(int choice, bool fallback)
{
	return choice == CHOICE_AUTO ? fallback : choice == CHOICE_YES;
}

static uint64_t time_to_live(int64_t setting)
{
	return setting == SETTING_WORD ? FRESHNESS_BY_FEED : (uint64_t)setting;
}

void map_init_rules(struct map *map, const struct map_settings *settings)
{
	map->settings = settings;
	map->rules = memory_new(map->table_count, sizeof(*map->rules));
	for (size_t i = 0; i < map->table_count; i++) {
		const struct table *table = map->tables[i];
		const struct map_settings *own = table->settings;

		map->rules[i] = (struct freshness_rule){
			.kept = chosen(settings->cache, !map->parameter->secret) &&
				chosen(own->cache, !table_is_secret(table)),
			.ttl = time_to_live(own->ttl),
			.negative_ttl = time_to_live(own->negative_ttl),
			.clock_ttl = table->reads.by_clock ? (uint64_t)own->clock_ttl : 0,
			.grace = (uint64_t)own->grace,
			.stale_ttl = (uint64_t)own->stale_ttl,
			.stale_negative =
				chosen(settings->stale_negative, !map->parameter->rejects)};
	}
}

void map_init_dictionary(struct map *map, const char *name, const struct map_settings *settings)
{
	map->name = name;
	map->parameter = plan_parameter_find("");
	map->rule = (struct plan_rule){.fold = FOLD_NONE,
		.delimiters = settings->recipient_delimiter,
		.local_domains = &settings->local_domains};
	map_init_rules(map, settings);
}

void map_finish(struct map *map)
{
	free(map->tables);
	free(map->rules);
	free(map->rejecting);
}

/* One value by the result format. Returns whether it counts (postfix: db_common_expand). */
static bool table_add_value(const struct table *table, struct slice cell,
	const struct address_parts *key, struct buf *out)
{
	struct address_parts value;

	if (!cell.size)
		return false;
	value = address_parts_of(cell);
	if (!template_value_fits(&table->needs, &value))
		return false;
	if (out->size)
		buf_add_byte(out, ',');
	template_expand(&table->result, &value, key, out);
	return true;
}

static enum status format_result(const struct table *table, const struct rows *rows,
	const struct address_parts *key, struct buf *out, struct error *why)
{
	size_t columns = table->backend->first_column_only && rows->columns ? 1 : rows->columns;
	int64_t values = 0;

	for (size_t row = 0; row < rows->count; row++) {
		for (size_t column = 0; column < columns; column++) {
			if (!table_add_value(table, rows_cell(rows, row, column), key, out))
				continue;
			values++;
			if (table->expansion_limit && values > table->expansion_limit) {
				error_set(why, "more values than expansion_limit = %" PRId64,
					table->expansion_limit);
				return TRY_LATER;
			}
			if (out->size > LOOKUP_TEXT_MAX) {
				error_set(
					why, "the result is longer than %d bytes", LOOKUP_TEXT_MAX);
				return BROKEN;
			}
		}
	}
	if (!out->size)
		return NOT_FOUND;
	if (memchr(out->data, '\0', out->size) || !utf8_is_valid(buf_slice(out))) {
		error_set(why, "the result is not valid UTF-8 text");
		return BROKEN;
	}
	return FOUND;
}

/* A result as a dictionary's value. */
static enum status format_text(const struct table *table, const struct rows *rows,
	const struct address_parts *key, struct buf *out, struct error *why)
{
	struct buf text = {0};
	enum status status = format_result(table, rows, key, &text, why);

	if (status == FOUND)
		tabescape_add(out, buf_slice(&text));
	buf_wipe(&text);
	return status;
}

enum status table_format(const struct table *table, const struct rows *rows,
	const struct address_parts *key, struct buf *out, struct error *why)
{
	switch (table->shape) {
	case SHAPE_RESULT:
		return format_result(table, rows, key, out, why);
	case SHAPE_TEXT:
		return format_text(table, rows, key, out, why);
	case SHAPE_VALUES:
		return shape_values(rows, out, why);
	case SHAPE_JSON:
		return shape_json(rows, out, why);
	}
	return BROKEN;
}

/* postfix: mail_addr_map_opt(): "@other" takes over the local part of the key, as it was sent. */
static void prepend_user(const struct plan *plan, struct buf *text)
{
	struct buf address = {0};

	buf_add_slice(&address, plan->user);
	buf_add_slice(&address, buf_slice(text));
	buf_clear(text);
	address_quote(buf_slice(&address), text);
	buf_finish(&address);
}

void map_restore_extension(const struct map *map, const struct plan *plan,
	const struct key_form *form, struct buf *text)
{
	struct buf extended = {0};

	if (map->rule.result != RESULT_ADDRESSES || !form->shortened)
		return;
	if (text->data[0] == '@')
		prepend_user(plan, text);
	if (!map->rule.propagates)
		return;
	/* What is no address list goes as it is: Postfix says so in its log, and defers. */
	if (address_list_extend(buf_slice(text), plan->extension, &extended) > 0) {
		buf_clear(text);
		buf_add_slice(text, buf_slice(&extended));
	}
	buf_finish(&extended);
}
