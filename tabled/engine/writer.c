#include "engine/writer.h"

#include "base/memory.h"

#include <stdlib.h>

/* What has no hosts has one connection: a database that is no server takes one writer at a time. */
static void make_settings(struct writer *writer, const struct source_config *config)
{
	settings_init(server_setting_table, &writer->server);
	if (config->server)
		writer->server = *config->server; /* borrowed */
	else
		writer->server.pool = 1;
	writer->server.read_only = false;
	writer->server.role = config->server ? ROLE_PRIMARY : ROLE_ANY;
}

/*
 * A statement that waits for a lock ends before whoever asks gives up: so it is known that it has
 * not happened. Else one that commits itself would often be unsure.
 */
static void make_time_limit(struct writer *writer, const struct source_config *config)
{
	writer->settings = *config->settings;
	writer->settings.query_timeout -= writer->settings.query_timeout / 4;
}

struct writer *writer_create(const struct source_config *config, struct connector *connector)
{
	struct writer *writer = memory_new(1, sizeof(*writer));

	make_settings(writer, config);
	make_time_limit(writer, config);
	writer->config = *config;
	writer->config.backend = config->backend->writer;
	writer->config.server = &writer->server;
	writer->config.settings = &writer->settings;
	source_init(&writer->source, &writer->config, connector);
	writer->source.quiet = true;
	return writer;
}

void writer_destroy(struct writer *writer)
{
	if (!writer)
		return;
	source_finish(&writer->source);
	free(writer);
}
