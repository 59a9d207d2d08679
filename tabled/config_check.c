/*
 * What the rows of the options can't say: whether the sections of a file are right together.
 */
#include "config_internal.h"

#include "base/log.h"
#include "net/endpoint.h"

/* A map whose name is nearly that of a parameter would be asked every key as it is. */
static void warn_of_name(const struct config *config, const struct map *map,
	const struct config_section *section, const struct map_settings *settings)
{
	const char *closest = settings->serves || *map->parameter->name
				      ? NULL
				      : plan_parameter_closest(map->name);

	if (closest)
		log_warning("%s:%d: map %s is asked every key as it is, since this is no Postfix "
			    "parameter; did you mean \"%s\"? (serves = \"\" if not)",
			config->path, section->line, map->name, closest);
}

static void warn_of_map(
	const struct config *config, const struct map *map, const struct map_config *from)
{
	const struct config_section *section = config_section_of(config, from->settings);

	warn_of_name(config, map, section, from->settings);
	if (map->parameter->caution)
		log_info("%s:%d: map %s: %s", config->path, section->line, map->name,
			map->parameter->caution);
}

/* What goes in the clear is for the administrator to decide, but not by oversight. */
static void warn_of_source(const struct config *config, const struct source_config *source)
{
	const struct config_section *section = config_section_of(config, source->own);
	const char *host = source->server ? server_host_in_clear(source->server) : NULL;

	if (host)
		log_warning("%s:%d: source %s: host %s: passwords and answers go over the network "
			    "in the clear, unless conninfo or option_file say otherwise: write tls "
			    "= verify-full (or tls = off, if that is meant)",
			config->path, config_line_of(section, "hosts"), source->name, host);
}

/* A map's name stands between blanks and colons, in what Postfix sends and in its main.cf. */
static int check_title(
	const struct config *config, const struct config_section *section, struct error *why)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.";
	const char *title = section->title;

	/* A key's is a pattern, which is looked at when it is compiled. */
	if (!title || section->kind.inside || (*title && !title[strspn(title, legal)]))
		return 0;
	error_set(why, "\"%.100s\": a name is made of letters, digits and any of - _ .", title);
	return config_blame(config, section, why);
}

/* All kinds of sources have one set of names. */
static int check_source_alone(
	const struct config *config, const struct source_config *source, struct error *why)
{
	for (const struct source_config *other = config->sources; other < source; other++)
		if (strcmp(other->name, source->name) == 0)
			return error_set(why, "there is another source of this name");
	if (source->server && server_settings_check(source->server, why) < 0)
		return -1;
	return source->backend->check ? source->backend->check(source->own, why) : 0;
}

static int check_source(
	const struct config *config, const struct source_config *source, struct error *why)
{
	if (check_source_alone(config, source, why) == 0)
		return 0;
	return config_blame(config, config_section_of(config, source->own), why);
}

static int compile_catalog(struct config *config, struct error *why)
{
	const struct catalog_config all = {config->sources, config->source_count, config->maps,
		config->map_count, config->dictionaries, config->dictionary_count};
	const struct config_section *section;
	const void *culprit = NULL;

	config->catalog = catalog_create(&all, &culprit, why);
	if (config->catalog)
		return 0;
	section = config_section_of(config, culprit);
	error_option(why, why->option, "%.16s %.90s: %.390s", section->kind.keyword, section->title,
		why->text);
	return config_blame(config, section, why);
}

/* Two listeners of one address: the second could never be opened. */
static bool is_listed_before(const struct config *config, const struct listener_config *listener)
{
	for (const struct listener_config *other = config->listeners; other < listener; other++)
		if (strcmp(other->settings->listen, listener->settings->listen) == 0)
			return true;
	return false;
}

static int check_address(
	const struct config *config, const struct listener_config *listener, struct error *why)
{
	const char *address = listener->settings->listen;
	struct endpoint endpoint;

	if (endpoint_parse(address, &endpoint, why) < 0)
		return -1;
	if (listener->proto->kind == PROTO_SESSION && !endpoint.is_unix)
		return error_option(why, "listen",
			"listen = \"%s\": Dovecot's clients know only Unix sockets, and nobody "
			"else is to write: \"unix:/run/tabled/dict\"",
			address);
	if (is_listed_before(config, listener))
		return error_option(why, "listen",
			"listen = \"%s\": another section listens there already", address);
	return 0;
}

/* Whether what it serves is there. */
static int check_service(
	const struct config *config, const struct listener_config *listener, struct error *why)
{
	const struct text_list *names = listener->dictionaries;

	if (listener->map && !catalog_find(config->catalog, slice_str(listener->map)))
		return error_option(
			why, "map", "map = \"%s\": there is no such map", listener->map);
	for (size_t i = 0; names && i < names->count; i++)
		if (!catalog_find_dictionary(config->catalog, slice_str(names->items[i])))
			return error_option(why, "dictionaries",
				"dictionaries: there is no dictionary \"%s\"", names->items[i]);
	return 0;
}

static int check_listeners(const struct config *config, struct error *why)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *listener = &config->listeners[i];

		if (check_address(config, listener, why) == 0 &&
			check_service(config, listener, why) == 0)
			continue;
		config_blame_listener(config, i, why);
		return -1;
	}
	return 0;
}

/* Without them tabled can't listen there; but the file may be checked on another machine. */
static void warn_of_owner(const struct config *config, size_t listener)
{
	const struct listener_config *from = &config->listeners[listener];
	struct endpoint_access access = {from->settings->owner, from->settings->group, 0};
	struct error why;

	if (endpoint_check_access(&access, &why) == 0)
		return;
	config_blame_listener(config, listener, &why);
	log_warning("%s: without it tabled does not start here", why.text);
}

/* What is legal, but may not be what was meant. */
static void warn_of_all(const struct config *config)
{
	for (size_t i = 0; i < config->source_count; i++)
		warn_of_source(config, &config->sources[i]);
	for (size_t i = 0; i < config->map_count; i++)
		warn_of_map(config, &config->catalog->maps[i], &config->maps[i]);
	for (size_t i = 0; i < config->listener_count; i++)
		warn_of_owner(config, i);
	if (!config->listener_count)
		log_warning("%s: no section listens for clients, such as socketmap { listen = "
			    "\"unix:/var/spool/postfix/private/tabled\" }",
			config->path);
}

int config_check(struct config *config, struct error *why)
{
	for (size_t i = 0; i < config->section_count; i++)
		if (check_title(config, &config->sections[i], why) < 0)
			return -1;
	for (size_t i = 0; i < config->source_count; i++)
		if (check_source(config, &config->sources[i], why) < 0)
			return -1;
	if (compile_catalog(config, why) < 0 || check_listeners(config, why) < 0)
		return -1;
	warn_of_all(config);
	return 0;
}
