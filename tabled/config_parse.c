#include "config_parse.h"

#include "config_text.h"

#include "base/memory.h"

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

/*
 * libConfuse hands no context to its callbacks. This is it, for the time of one cfg_parse() on
 * this thread.
 */
static _Thread_local struct config_parse *current_parse;

/* The first mistake is the one to tell; later ones may come from it. */
static void blame(struct config_parse *parse, int line, const char *text)
{
	if (line > parse->last_line)
		line = parse->last_line; /* of what is put behind the file */
	if (!parse->failed)
		error_set(parse->why, "%s:%d: %s", parse->path, line, text);
	parse->failed = true;
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
	blame(current_parse, section->line, buf_string(&text));
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
	struct config_parse *parse = current_parse;

	for (size_t i = 0; i < parse->mark_count; i++) {
		if (parse->marks[i].option != option)
			continue;
		if (list_goes_on(&parse->marks[i]))
			return 0;
		cfg_error(section, "%s is set twice", option->name);
		return -1;
	}
	parse->marks = memory_resize(parse->marks, (parse->mark_count + 1) * sizeof(*parse->marks));
	parse->marks[parse->mark_count++] =
		(struct mark){option, section->line, cfg_opt_size(option), false};
	return 0;
}

int config_parse_line(const struct config_parse *parse, const cfg_opt_t *option)
{
	for (size_t i = 0; i < parse->mark_count; i++)
		if (parse->marks[i].option == option)
			return parse->marks[i].line;
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

/* Adds the sections that may stand in one of kind `at`. Theirs are there already: they come later.
 */
static void build_sections(struct config_parse *parse, size_t at)
{
	size_t count = count_options(&parse->kinds[at]);

	for (size_t i = at + 1; i < parse->kind_count; i++) {
		const struct config_kind *kind = &parse->kinds[i];
		cfg_flag_t flags = CFGF_MULTI;

		if (!config_kind_stands_in(kind, &parse->kinds[at]))
			continue;
		if (kind->title)
			flags |= CFGF_TITLE | CFGF_NO_TITLE_DUPES;
		cfg_opt_t section = CFG_SEC(kind->keyword, parse->options[i], flags);
		parse->options[at][count++] = section;
	}
	if (at == 0) {
		cfg_opt_t end = CFG_STR(END_OF_FILE, NULL, CFGF_NODEFAULT);

		parse->options[at][count] = end;
	}
}

static void build_options(struct config_parse *parse)
{
	parse->kind_count = config_list_kinds(parse->kinds);
	for (size_t i = parse->kind_count; i-- > 0;) {
		parse->options[i] = options_of(&parse->kinds[i], parse->kind_count);
		build_sections(parse, i);
	}
}

static void read_text(struct config_parse *parse, const char *text)
{
	int code;

	build_options(parse);
	parse->root = cfg_init(parse->options[0], CFGF_NONE);
	cfg_set_error_function(parse->root, on_error);
	current_parse = parse;
	code = cfg_parse_buf(parse->root, text);
	current_parse = NULL;
	if (code != CFG_SUCCESS)
		blame(parse, parse->root->line, "this can't be read");
	else if (!cfg_size(parse->root, END_OF_FILE))
		blame(parse, parse->root->line, "the file ends inside a string or a comment");
}

int config_parse(struct config_parse *parse, const char *path, struct error *why)
{
	struct buf text = {0};

	*parse = (struct config_parse){.path = path, .last_line = 1, .why = why};
	if (config_text_load(path, &text, why) == 0) {
		parse->last_line = config_text_lines(buf_slice(&text));
		buf_add_string(&text, "\n" END_OF_FILE " = yes\n");
		buf_string(&text);
		config_text_blank_comments(text.data);
		read_text(parse, text.data);
	} else {
		parse->failed = true;
	}
	buf_wipe(&text);
	return parse->failed ? -1 : 0;
}

void config_parse_finish(struct config_parse *parse)
{
	cfg_free(parse->root);
	for (size_t i = 0; i < parse->kind_count; i++)
		free(parse->options[i]);
	free(parse->marks);
}
