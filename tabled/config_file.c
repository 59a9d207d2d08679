/*
 * Reads a configuration file by libConfuse into a snapshot. libConfuse is only told the names of
 * sections and options; what their values mean is said by the rows of setting.h.
 */
#include "config_internal.h"
#include "config_text.h"

#include "base/log.h"
#include "base/memory.h"
#include "net/endpoint.h"

#include <confuse.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES_MAX = 128 };

/*
 * libConfuse takes the end of the file for the end of all sections, so that half a file would pass
 * for a whole one. An option of this name, behind the last line, shows whether all are closed.
 */
#define END_OF_FILE "__end_of_file__"

/* Where libConfuse saw an option: it keeps lines only while it reads. */
struct mark {
	const cfg_opt_t *option;
	int line;
	unsigned count; /* values so far */
	bool ended;     /* the list's } was seen */
};

/* One file being read. */
struct reader {
	const char *path;
	int last_line;
	struct config_kind kinds[CONFIG_KINDS_MAX];
	size_t kind_count;
	cfg_opt_t *options[CONFIG_KINDS_MAX]; /* owned; what libConfuse is told of each kind */
	struct mark *marks;                   /* owned */
	size_t mark_count;
	struct error *why;
	bool failed;
	struct config *config;
};

/*
 * libConfuse hands no context to its callbacks. This is it, for the time of one cfg_parse() on
 * this thread.
 */
static _Thread_local struct reader *current_reader;

/* The first mistake is the one to tell; later ones may come from it. */
static int blame(struct reader *reader, int line, const char *text)
{
	if (line > reader->last_line)
		line = reader->last_line; /* of what is put behind the file */
	if (!reader->failed)
		error_set(reader->why, "%s:%d: %s", reader->path, line, text);
	reader->failed = true;
	return -1;
}

/* Names that may stand where libConfuse found one that it does not know. */
static void list_names(const cfg_t *section, const char **names)
{
	size_t count = 0;

	for (const cfg_opt_t *option = section->opts; option->name && count < NAMES_MAX; option++)
		if (strcmp(option->name, END_OF_FILE) != 0)
			names[count++] = option->name;
	names[count] = NULL;
}

/* The word in quotes of a message of libConfuse's, "no such option 'qery'". */
static bool quoted_word(const char *text, char *word, size_t room)
{
	const char *open = strchr(text, '\'');
	const char *close = open ? strrchr(open + 1, '\'') : NULL;

	if (!close || (size_t)(close - open) > room)
		return false;
	snprintf(word, room, "%.*s", (int)(close - open - 1), open + 1);
	return true;
}

/* Says what would be right in place of a name that libConfuse does not know. */
static void add_hint(struct buf *text, const cfg_t *section)
{
	static const char unknown[] = "no such option";
	const char *names[NAMES_MAX + 1], *closest;
	char word[100];

	list_names(section, names);
	if (strncmp(buf_string(text), unknown, sizeof(unknown) - 1) != 0 ||
		!quoted_word(buf_string(text), word, sizeof(word)))
		return;
	closest = setting_closest(word, names);
	if (closest)
		buf_add_format(text, "; did you mean \"%s\"?", closest);
	else
		buf_add_byte(text, '.');
	buf_add_string(text, " These are known here:");
	for (size_t i = 0; names[i]; i++)
		buf_add_format(text, " %s", names[i]);
}

static void on_error(cfg_t *section, const char *format, va_list arguments)
{
	char message[300];
	struct buf text = {0};

	vsnprintf(message, sizeof(message), format, arguments);
	if (strstr(message, END_OF_FILE)) {
		buf_add_string(&text, "the file ends inside a section: a } is missing");
	} else {
		buf_add_string(&text, message);
		add_hint(&text, section);
	}
	blame(current_reader, section->line, buf_string(&text));
	buf_finish(&text);
}

/* Whether a list that was seen before goes on: its next item, its end, or items behind a "+=". */
static bool list_goes_on(struct mark *mark)
{
	unsigned count = cfg_opt_size((cfg_opt_t *)mark->option);

	if (!(mark->option->flags & CFGF_LIST) || count < mark->count ||
		(count == mark->count && mark->ended))
		return false;
	mark->ended = count == mark->count;
	mark->count = count;
	return true;
}

/* Called after each option's value: remembers the line, refuses a second value. */
static int on_option(cfg_t *section, cfg_opt_t *option)
{
	struct reader *reader = current_reader;

	for (size_t i = 0; i < reader->mark_count; i++) {
		if (reader->marks[i].option != option)
			continue;
		if (list_goes_on(&reader->marks[i]))
			return 0;
		cfg_error(section, "%s is set twice", option->name);
		return -1;
	}
	reader->marks =
		memory_resize(reader->marks, (reader->mark_count + 1) * sizeof(*reader->marks));
	reader->marks[reader->mark_count++] =
		(struct mark){option, section->line, cfg_opt_size(option), false};
	return 0;
}

static int mark_line(const struct reader *reader, const cfg_opt_t *option)
{
	for (size_t i = 0; i < reader->mark_count; i++)
		if (reader->marks[i].option == option)
			return reader->marks[i].line;
	return 0;
}

/* What libConfuse is to know of an option: values are read by setting.c, from their text. */
static cfg_opt_t option_of(const struct setting *row)
{
	cfg_opt_t text = CFG_STR(row->name, NULL, CFGF_NODEFAULT);
	cfg_opt_t list = CFG_STR_LIST(row->name, NULL, CFGF_NODEFAULT);
	cfg_opt_t option = row->type == SETTING_LIST ? list : text;

	option.validcb = on_option;
	return option;
}

static size_t count_options(const struct config_kind *kind)
{
	size_t count = 0;

	for (size_t part = 0; part < CONFIG_PARTS; part++)
		count += setting_count(kind->parts[part].table);
	return count;
}

static cfg_opt_t *options_of(const struct config_kind *kind, size_t more)
{
	cfg_opt_t end = CFG_END();
	size_t count = 0, room = count_options(kind) + more + 1;
	cfg_opt_t *options = memory_new(room, sizeof(*options));

	for (size_t part = 0; part < CONFIG_PARTS; part++)
		for (size_t i = 0; i < setting_count(kind->parts[part].table); i++)
			options[count++] = option_of(&kind->parts[part].table[i]);
	for (; count < room; count++)
		options[count] = end;
	return options;
}

/* Whether a kind of section stands in another one. The first kind is the file itself. */
static bool stands_in(const struct config_kind *kind, const struct config_kind *other)
{
	if (!kind->keyword)
		return false;
	return kind->inside ? other->keyword && strcmp(kind->inside, other->keyword) == 0
			    : !other->keyword;
}

/* Adds the sections that may stand in one of kind `at`. Theirs are there already: they come later.
 */
static void build_sections(struct reader *reader, size_t at)
{
	size_t count = count_options(&reader->kinds[at]);

	for (size_t i = at + 1; i < reader->kind_count; i++) {
		const struct config_kind *kind = &reader->kinds[i];
		cfg_flag_t flags = CFGF_MULTI;

		if (!stands_in(kind, &reader->kinds[at]))
			continue;
		if (kind->title)
			flags |= CFGF_TITLE | CFGF_NO_TITLE_DUPES;
		cfg_opt_t section = CFG_SEC(kind->keyword, reader->options[i], flags);
		reader->options[at][count++] = section;
	}
	if (at == 0) {
		cfg_opt_t end = CFG_STR(END_OF_FILE, NULL, CFGF_NODEFAULT);

		reader->options[at][count] = end;
	}
}

static void build_options(struct reader *reader)
{
	reader->kind_count = config_list_kinds(reader->kinds);
	for (size_t i = reader->kind_count; i-- > 0;) {
		reader->options[i] = options_of(&reader->kinds[i], reader->kind_count);
		build_sections(reader, i);
	}
}

static void section_init(
	struct config_section *section, const struct config_kind *kind, const cfg_t *from)
{
	*section = (struct config_section){.kind = *kind, .line = from ? from->line : 0};
	section->title = memory_copy_string(kind->title ? cfg_title((cfg_t *)from) : NULL);
	for (size_t part = 0; part < CONFIG_PARTS; part++) {
		const struct setting *table = kind->parts[part].table;

		if (!table)
			continue;
		section->values[part] = memory_new(1, kind->parts[part].size);
		section->lines[part] = memory_new(setting_count(table), sizeof(int));
		settings_init(table, section->values[part]);
	}
}

/* Takes over an option that the file sets. */
static int take_option(struct reader *reader, struct config_section *section, size_t part,
	const struct setting *row, cfg_opt_t *option)
{
	int *line = &section->lines[part][row - section->kind.parts[part].table];
	unsigned count = cfg_opt_size(option);
	const char **items;
	struct error why;
	int result;

	*line = mark_line(reader, option);
	if (!count || !*line)
		return 0; /* an empty list is as good as none */
	items = memory_new(count, sizeof(*items));
	for (unsigned i = 0; i < count; i++)
		items[i] = cfg_opt_getnstr(option, i);
	result = setting_set(row, section->values[part], items, count, &why);
	free(items);
	if (result < 0)
		return blame(reader, *line, why.text);
	if (row->unused)
		log_warning("%s:%d: %s has no effect here: %s", reader->path, *line, row->name,
			row->help);
	return 0;
}

static int take_options(struct reader *reader, struct config_section *section, cfg_t *from)
{
	for (size_t part = 0; part < CONFIG_PARTS; part++) {
		const struct setting *table = section->kind.parts[part].table;

		for (size_t i = 0; i < setting_count(table); i++) {
			char text[200];

			if (take_option(reader, section, part, &table[i],
				    cfg_getopt(from, table[i].name)) < 0)
				return -1;
			if (!table[i].required || section->lines[part][i])
				continue;
			snprintf(text, sizeof(text), "%s is missing: %s", table[i].name,
				table[i].help);
			return blame(reader, section->line, text);
		}
	}
	return 0;
}

/* What the rows of its options can't say. */
static int check_source(const struct config_section *section, struct error *why)
{
	const struct backend *backend = section->kind.backend;

	why->option = NULL;
	if (backend->is_server && server_settings_check(section->values[2], why) < 0)
		return -1;
	return backend->check ? backend->check(section->values[0], why) : 0;
}

/* A map, a dictionary, or a key of the dictionary that came last. */
static void file_named(struct config *config, struct config_section *section)
{
	const char *keyword = section->kind.keyword;

	if (strcmp(keyword, "map") == 0) {
		config->maps[config->map_count++] =
			(struct map_config){section->title, section->values[0]};
	} else if (strcmp(keyword, "dictionary") == 0) {
		config->dictionaries[config->dictionary_count++] = (struct dictionary_config){
			section->title, &config->keys[config->key_count], 0};
	} else {
		config->dictionaries[config->dictionary_count - 1].key_count++;
		config->keys[config->key_count++] =
			(struct key_config){section->title, section->values[0]};
	}
}

static struct listener_config listener_of(const struct config_section *section)
{
	const struct proto *proto = section->kind.proto;
	const struct listener_map_settings *map = section->values[1];
	const struct listener_dictionary_settings *dictionaries = section->values[1];

	return (struct listener_config){.proto = proto,
		.settings = section->values[0],
		.map = proto->kind == PROTO_ONE_MAP ? map->map : NULL,
		.dictionaries = proto->kind == PROTO_SESSION ? &dictionaries->dictionaries : NULL};
}

/* Passes a section's values on to where they belong. */
static int file_section(struct reader *reader, struct config_section *section)
{
	struct config *config = reader->config;
	const struct config_kind *kind = &section->kind;
	struct error why;

	if (kind->backend) {
		for (size_t i = 0; i < config->source_count; i++)
			if (strcmp(config->sources[i].name, section->title) == 0)
				return blame(reader, section->line,
					"there is another source of this name");
		if (check_source(section, &why) < 0)
			return blame(reader, config_line_of(section, why.option), why.text);
		config->sources[config->source_count++] = (struct source_config){section->title,
			kind->backend, section->values[1], section->values[0],
			kind->backend->is_server ? section->values[2] : NULL};
	} else if (kind->proto) {
		config->listeners[config->listener_count++] = listener_of(section);
	} else if (kind->is_single) {
		if (config->cache)
			return blame(reader, section->line, "there is a cache section already");
		config->cache = section->values[0];
	} else {
		file_named(config, section);
	}
	return 0;
}

/* A map's name stands between blanks and colons, in what Postfix sends and in its main.cf. */
static int check_title(struct reader *reader, const struct config_section *section)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.";
	const char *title = section->title;
	char text[200];

	/* A key's is a pattern, which is looked at when it is compiled. */
	if (!title || section->kind.inside || (*title && !title[strspn(title, legal)]))
		return 0;
	snprintf(text, sizeof(text),
		"\"%.100s\": a name is made of letters, digits and any of - _ .", title);
	return blame(reader, section->line, text);
}

static int take_sections(struct reader *reader, const struct config_kind *parent, cfg_t *from);

static int take_section(struct reader *reader, const struct config_kind *kind, cfg_t *from)
{
	struct config *config = reader->config;
	struct config_section *section = &config->sections[config->section_count++];

	section_init(section, kind, from);
	if (check_title(reader, section) < 0)
		return -1;
	if (from && take_options(reader, section, from) < 0)
		return -1;
	if (!kind->keyword) {
		/* The first section holds them, and frees them. */
		config->global = *(struct global_settings *)section->values[0];
		return 0;
	}
	if (file_section(reader, section) < 0)
		return -1;
	return from ? take_sections(reader, kind, from) : 0;
}

/* All sections that stand in one, or in the file. */
static int take_sections(struct reader *reader, const struct config_kind *parent, cfg_t *from)
{
	for (size_t i = 1; i < reader->kind_count; i++) {
		const struct config_kind *kind = &reader->kinds[i];

		if (!stands_in(kind, parent))
			continue;
		if (kind->is_single && !cfg_size(from, kind->keyword) &&
			take_section(reader, kind, NULL) < 0)
			return -1;
		for (unsigned at = 0; at < cfg_size(from, kind->keyword); at++)
			if (take_section(reader, kind, cfg_getnsec(from, kind->keyword, at)) < 0)
				return -1;
	}
	return 0;
}

/* How many sections there are, at most. */
static size_t count_sections(
	const struct reader *reader, const struct config_kind *parent, cfg_t *from)
{
	size_t count = 0;

	for (size_t i = 1; i < reader->kind_count; i++) {
		const struct config_kind *kind = &reader->kinds[i];

		if (!stands_in(kind, parent))
			continue;
		count += cfg_size(from, kind->keyword) + kind->is_single;
		for (unsigned at = 0; at < cfg_size(from, kind->keyword); at++)
			count += count_sections(reader, kind, cfg_getnsec(from, kind->keyword, at));
	}
	return count;
}

static int take_all(struct reader *reader, cfg_t *root)
{
	struct config *config = reader->config;
	const struct config_kind *file = &reader->kinds[0];
	size_t room = 1 + count_sections(reader, file, root);

	config->sections = memory_new(room, sizeof(*config->sections));
	config->sources = memory_new(room, sizeof(*config->sources));
	config->maps = memory_new(room, sizeof(*config->maps));
	config->dictionaries = memory_new(room, sizeof(*config->dictionaries));
	config->keys = memory_new(room, sizeof(*config->keys));
	config->listeners = memory_new(room, sizeof(*config->listeners));
	return take_section(reader, file, root) < 0 ? -1 : take_sections(reader, file, root);
}

/* A map whose name is nearly that of a parameter would be asked every key as it is. */
static void warn_of_name(const struct reader *reader, const struct map *map,
	const struct config_section *section, const struct map_settings *settings)
{
	const char *closest = settings->serves || *map->parameter->name
				      ? NULL
				      : plan_parameter_closest(map->name);

	if (closest)
		log_warning("%s:%d: map %s is asked every key as it is, since this is no Postfix "
			    "parameter; did you mean \"%s\"? (serves = \"\" if not)",
			reader->path, section->line, map->name, closest);
}

static void warn_of_map(
	const struct reader *reader, const struct map *map, const struct map_config *from)
{
	const struct config_section *section = config_section_of(reader->config, from->settings);

	warn_of_name(reader, map, section, from->settings);
	if (map->parameter->caution)
		log_info("%s:%d: map %s: %s", reader->path, section->line, map->name,
			map->parameter->caution);
}

/* What goes in the clear is for the administrator to decide, but not by oversight. */
static void warn_of_source(const struct reader *reader, const struct source_config *source)
{
	const struct config_section *section = config_section_of(reader->config, source->own);
	const char *host = source->server ? server_host_in_clear(source->server) : NULL;

	if (host)
		log_warning("%s:%d: source %s: host %s: passwords and answers go over the network "
			    "in the clear, unless conninfo or option_file say otherwise: write tls "
			    "= verify-full (or tls = off, if that is meant)",
			reader->path, config_line_of(section, "hosts"), source->name, host);
}

static int compile_catalog(struct reader *reader)
{
	struct config *config = reader->config;
	const struct catalog_config all = {config->sources, config->source_count, config->maps,
		config->map_count, config->dictionaries, config->dictionary_count};
	const void *culprit = NULL;
	struct error why;

	config->catalog = catalog_create(&all, &culprit, &why);
	if (!config->catalog) {
		const struct config_section *section = config_section_of(config, culprit);
		char text[sizeof(why.text)];

		snprintf(text, sizeof(text), "%.16s %.90s: %.390s", section->kind.keyword,
			section->title, why.text);
		return blame(reader, config_line_of(section, why.option), text);
	}
	for (size_t i = 0; i < config->source_count; i++)
		warn_of_source(reader, &config->sources[i]);
	for (size_t i = 0; i < config->map_count; i++)
		warn_of_map(reader, &config->catalog->maps[i], &config->maps[i]);
	return 0;
}

/* Two listeners of one address: the second could never be opened. */
static bool is_listed_before(const struct config *config, const struct listener_config *listener)
{
	for (const struct listener_config *other = config->listeners; other < listener; other++)
		if (strcmp(other->settings->listen, listener->settings->listen) == 0)
			return true;
	return false;
}

static int check_listener(struct reader *reader, const struct listener_config *listener)
{
	struct config *config = reader->config;
	const struct config_section *section = config_section_of(config, listener->settings);
	struct endpoint endpoint;
	struct error why;

	if (endpoint_parse(listener->settings->listen, &endpoint, &why) < 0)
		return blame(reader, config_line_of(section, "listen"), why.text);
	if (listener->proto->kind == PROTO_SESSION && !endpoint.is_unix) {
		error_set(&why,
			"listen = \"%s\": Dovecot's clients know only Unix sockets, and nobody "
			"else is to write: \"unix:/run/tabled/dict\"",
			listener->settings->listen);
		return blame(reader, config_line_of(section, "listen"), why.text);
	}
	if (is_listed_before(config, listener)) {
		error_set(&why, "listen = \"%s\": another section listens there already",
			listener->settings->listen);
		return blame(reader, config_line_of(section, "listen"), why.text);
	}
	if (listener->map && !catalog_find(config->catalog, slice_str(listener->map))) {
		error_set(&why, "map = \"%s\": there is no such map", listener->map);
		return blame(reader, config_line_of(section, "map"), why.text);
	}
	return 0;
}

static int check_dictionaries(struct reader *reader, const struct listener_config *listener)
{
	const struct config *config = reader->config;
	const struct text_list *names = listener->dictionaries;
	struct error why;

	for (size_t i = 0; names && i < names->count; i++) {
		if (catalog_find_dictionary(config->catalog, slice_str(names->items[i])))
			continue;
		error_set(&why, "dictionaries: there is no dictionary \"%s\"", names->items[i]);
		return blame(reader,
			config_line_of(
				config_section_of(config, listener->settings), "dictionaries"),
			why.text);
	}
	return 0;
}

static int check_all(struct reader *reader)
{
	if (compile_catalog(reader) < 0)
		return -1;
	if (!reader->config->listener_count)
		log_warning("%s: no section listens for clients, such as socketmap { listen = "
			    "\"unix:/var/spool/postfix/private/tabled\" }",
			reader->path);
	for (size_t i = 0; i < reader->config->listener_count; i++)
		if (check_listener(reader, &reader->config->listeners[i]) < 0 ||
			check_dictionaries(reader, &reader->config->listeners[i]) < 0)
			return -1;
	return 0;
}

static void parse(struct reader *reader, const char *text)
{
	cfg_t *root;
	int code;

	build_options(reader);
	root = cfg_init(reader->options[0], CFGF_NONE);
	cfg_set_error_function(root, on_error);
	current_reader = reader;
	code = cfg_parse_buf(root, text);
	current_reader = NULL;
	if (code != CFG_SUCCESS)
		blame(reader, root->line, "this can't be read");
	else if (!cfg_size(root, END_OF_FILE))
		blame(reader, root->line, "the file ends inside a string or a comment");
	else if (take_all(reader, root) == 0)
		check_all(reader);
	cfg_free(root);
}

static void read_file(struct reader *reader)
{
	struct buf text = {0};

	if (config_text_load(reader->path, &text, reader->why) == 0) {
		reader->last_line = config_text_lines(buf_slice(&text));
		buf_add_string(&text, "\n" END_OF_FILE " = yes\n");
		buf_string(&text);
		config_text_blank_comments(text.data);
		parse(reader, text.data);
	} else {
		reader->failed = true;
	}
	buf_wipe(&text);
}

struct config *config_read(const char *path, struct error *why)
{
	struct config *config = config_hold(memory_new(1, sizeof(*config)));
	struct reader reader = {.path = path, .last_line = 1, .why = why, .config = config};

	config->path = memory_copy_string(path);
	read_file(&reader);
	for (size_t i = 0; i < reader.kind_count; i++)
		free(reader.options[i]);
	free(reader.marks);
	if (!reader.failed)
		return config;
	config_destroy(config);
	return NULL;
}
