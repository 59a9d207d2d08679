#include "config_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>

/* clang-format off */
#define FIELD(name) offsetof(struct global_settings, name)
static const struct setting global_setting_table[] = {
	{.name = "user", .type = SETTING_TEXT, .offset = FIELD(user),
	 .help = "The user that tabled becomes when it is started as root, once its sockets are open."},
	{.name = "group", .type = SETTING_TEXT, .offset = FIELD(group), .help = "The group. Default: the user's."},
	{.name = "log", .type = SETTING_CHOICE, .offset = FIELD(log), .fallback = "stderr",
	 .choices = "stderr|syslog", .help = "Where the log goes. On stderr each line begins with its level, such as <4>, which journald understands."},
	{.name = "log_level", .type = SETTING_CHOICE, .offset = FIELD(log_level), .fallback = "info",
	 .choices = "error|warning|info|debug", .help = "Lines less important than this are left out."},
	{.name = "workers", .type = SETTING_NUMBER, .offset = FIELD(workers), .fallback = "0", .least = 0, .most = 64,
	 .help = "Threads that answer lookups, each with its own clients and its own connections to databases. "
		 "0: as many as there are processors for tabled, at most 4. Needs a restart to change."},
	{0}
};
#undef FIELD
/* clang-format on */

size_t setting_count(const struct setting *table)
{
	size_t count = 0;

	while (table && table[count].name)
		count++;
	return count;
}

bool config_kind_stands_in(const struct config_kind *kind, const struct config_kind *other)
{
	if (!kind->keyword)
		return false;
	return kind->inside ? other->keyword && strcmp(kind->inside, other->keyword) == 0
			    : !other->keyword;
}

size_t config_list_kinds(struct config_kind kinds[CONFIG_KINDS_MAX])
{
	size_t count = 0;

	kinds[count++] = (struct config_kind){
		.parts = {{global_setting_table, sizeof(struct global_settings)}}};
	for (const struct backend *const *backend = backends; *backend; backend++)
		kinds[count++] = (struct config_kind){.keyword = (*backend)->name,
			.title = "NAME",
			.help = "A source: a database that maps ask.",
			.parts = {{(*backend)->settings, (*backend)->config_size},
				{source_setting_table, sizeof(struct source_settings)},
				{(*backend)->is_server ? server_setting_table : local_setting_table,
					sizeof(struct server_settings)}},
			.backend = *backend};
	kinds[count++] = (struct config_kind){.keyword = "map",
		.title = "NAME",
		.help = "A map: what clients ask by this name.",
		.parts = {{map_setting_table, sizeof(struct map_settings)}}};
	kinds[count++] = (struct config_kind){.keyword = "dictionary",
		.title = "NAME",
		.help = "A dictionary of Dovecot's: its keys, the first of which that fits is the "
			"one "
			"that is meant."};
	kinds[count++] = (struct config_kind){.keyword = "key",
		.inside = "dictionary",
		.title = "\"PATTERN\"",
		.help = "A key of a dictionary: \"shared/last-login/$user\". $NAME stands for what "
			"comes up "
			"to the next '/', at the end of a pattern for all the rest. Keys in priv/ "
			"are "
			"those of a user. A key has either a map, or a source and a table.",
		.parts = {{key_setting_table, sizeof(struct key_settings)}}};
	kinds[count++] = (struct config_kind){.keyword = "cache",
		.is_single = true,
		.help = "The cache of all maps.",
		.parts = {{cache_setting_table, sizeof(struct cache_settings)}}};
	for (const struct proto *const *proto = protos; *proto; proto++) {
		struct config_kind kind = {.keyword = (*proto)->name,
			.help = "A listener: where clients of this protocol come in.",
			.parts = {{listener_setting_table, sizeof(struct listener_settings)}},
			.proto = *proto};

		if ((*proto)->kind == PROTO_ONE_MAP) {
			kind.parts[1].table = listener_map_setting_table;
			kind.parts[1].size = sizeof(struct listener_map_settings);
		}
		if ((*proto)->kind == PROTO_SESSION) {
			kind.parts[1].table = listener_dictionary_setting_table;
			kind.parts[1].size = sizeof(struct listener_dictionary_settings);
		}
		kinds[count++] = kind;
	}
	assert(count <= CONFIG_KINDS_MAX);
	return count;
}

const struct config_section *config_section_of(const struct config *config, const void *values)
{
	for (size_t i = 0; i < config->section_count; i++)
		if (config->sections[i].values[0] == values)
			return &config->sections[i];
	assert(!"values come from a section");
	return NULL;
}

int config_line_of(const struct config_section *section, const char *option)
{
	for (size_t part = 0; option && part < CONFIG_PARTS; part++) {
		const struct setting *table = section->kind.parts[part].table;
		const struct setting *row = table ? setting_find(table, option) : NULL;

		if (row && section->lines[part][row - table])
			return section->lines[part][row - table];
	}
	return section->line;
}

static void section_finish(struct config_section *section)
{
	for (size_t part = 0; part < CONFIG_PARTS; part++) {
		if (section->kind.parts[part].table && section->values[part])
			settings_finish(section->kind.parts[part].table, section->values[part]);
		free(section->values[part]);
		free(section->lines[part]);
	}
	free(section->title);
}

void config_destroy(struct config *config)
{
	if (!config)
		return;
	catalog_destroy(config->catalog);
	for (size_t i = 0; i < config->section_count; i++)
		section_finish(&config->sections[i]);
	free(config->sections);
	free(config->sources);
	free(config->maps);
	free(config->dictionaries);
	free(config->keys);
	free(config->listeners);
	free(config->path);
	free(config);
}

struct config *config_hold(struct config *config)
{
	atomic_fetch_add(&config->users, 1);
	return config;
}

void config_release(struct config *config)
{
	if (atomic_fetch_sub(&config->users, 1) == 1)
		config_destroy(config);
}

unsigned config_workers(const struct config *config)
{
	enum { DEFAULT_MOST = 4 };
	cpu_set_t processors;
	int count;

	if (config->global.workers)
		return (unsigned)config->global.workers;
	/* Not those that the machine has: a service may be kept to some of them. */
	if (sched_getaffinity(0, sizeof(processors), &processors) < 0)
		return DEFAULT_MOST; /* there are more than a set can hold */
	count = CPU_COUNT(&processors);
	return (unsigned)(count < DEFAULT_MOST ? count : DEFAULT_MOST);
}

static void show_options(const struct config_section *section, const char *indent, struct buf *out)
{
	for (size_t part = 0; part < CONFIG_PARTS; part++) {
		const struct setting *table = section->kind.parts[part].table;

		for (size_t i = 0; i < setting_count(table); i++) {
			if (table[i].unused || !setting_is_set(&table[i], section->values[part]))
				continue;
			buf_add_format(out, "%s%s = ", indent, table[i].name);
			setting_show(&table[i], section->values[part], out);
			buf_add_byte(out, '\n');
		}
	}
}

/* A section inside of another one is closed by itself, the other one after the last of these. */
static void show_section(const struct config_section *section, struct buf *out)
{
	bool is_inside = section->kind.inside;

	buf_add_format(out, "%s%s", is_inside ? "    " : "\n", section->kind.keyword);
	if (section->title && is_inside) {
		buf_add_byte(out, ' ');
		setting_show_text(section->title, out);
	} else if (section->title) {
		buf_add_format(out, " %s", section->title);
	}
	buf_add_string(out, " {\n");
	show_options(section, is_inside ? "        " : "    ", out);
	if (is_inside)
		buf_add_string(out, "    }\n");
}

static bool is_followed_inside(const struct config *config, size_t at)
{
	return at + 1 < config->section_count && config->sections[at + 1].kind.inside;
}

void config_show_sql(const struct config *config, struct buf *out)
{
	for (size_t i = 0; i < config->catalog->dictionary_count; i++)
		dictionary_show_sql(&config->catalog->dictionaries[i], config->sources, out);
}

void config_show(const struct config *config, struct buf *out)
{
	for (size_t i = 0; i < config->section_count; i++) {
		const struct config_section *section = &config->sections[i];

		if (!section->kind.keyword) {
			show_options(section, "", out);
			continue;
		}
		show_section(section, out);
		if (!is_followed_inside(config, i))
			buf_add_string(out, "}\n");
	}
}

int config_blame(
	const struct config *config, const struct config_section *section, struct error *why)
{
	return error_set(
		why, "%s:%d: %s", config->path, config_line_of(section, why->option), why->text);
}

void config_blame_listener(const struct config *config, size_t listener, struct error *why)
{
	/* What is said of no option, such as that the port is in use, is said of the address. */
	if (!why->option)
		why->option = "listen";
	config_blame(config, config_section_of(config, config->listeners[listener].settings), why);
}

void config_blame_global(const struct config *config, struct error *why)
{
	config_blame(config, &config->sections[0], why);
}

static void describe_row(const struct setting *row, struct buf *out)
{
	buf_add_format(out, "*%s*", row->name);
	if (row->required)
		buf_add_string(out, " (required)");
	else if (row->fallback && *row->fallback)
		buf_add_format(out, " (default: %s)", row->fallback);
	if (row->choices)
		buf_add_format(out, " (one of: %s)", row->choices);
	buf_add_string(out, "\n\t");
	for (const char *c = row->help; *c; c++) {
		if (strchr("_*\\", *c))
			buf_add_byte(out, '\\');
		buf_add_byte(out, *c);
	}
	buf_add_string(out, "\n\n");
}

void config_describe(struct buf *out)
{
	struct config_kind kinds[CONFIG_KINDS_MAX];
	size_t count = config_list_kinds(kinds);

	for (size_t i = 0; i < count; i++) {
		const struct config_kind *kind = &kinds[i];

		if (kind->keyword)
			buf_add_format(out, "## %s%s%s\n\n%s\n\n", kind->keyword,
				kind->title ? " " : "", kind->title ? kind->title : "", kind->help);
		else
			buf_add_string(out, "## Outside of sections\n\n");
		for (size_t part = 0; part < CONFIG_PARTS; part++)
			for (size_t row = 0; row < setting_count(kind->parts[part].table); row++)
				describe_row(&kind->parts[part].table[row], out);
	}
}
