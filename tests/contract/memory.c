#include "contract/contract.h"

#include <stdlib.h>

extern const struct backend memory_backend;

/* The columns k and v are a table of their own, as rows of this backend have one key. */
static char *row_text(const char *table, const struct contract_row *row, const char *columns)
{
	struct buf text = {0};

	buf_add_format(&text, "%s %s", table, row->key);
	if (row->value)
		buf_add_format(&text, " %s%s%s", columns, *columns ? "\t" : "", row->value);
	buf_string(&text);
	return text.data;
}

static void prepare(void *config)
{
	const struct setting *setting = setting_find(memory_backend.settings, "rows");
	const char *items[64];
	struct error why;
	size_t count = 0;

	for (const struct contract_row *row = contract_rows; row->key; row++) {
		items[count++] = row_text("contract", row, "");
		items[count++] = row_text("both", row, row->value ? row->key : "");
	}
	if (setting_set(setting, config, items, count, &why) < 0)
		abort();
	while (count)
		free((char *)items[--count]);
}

static void nothing_to_remove(void *config)
{
	(void)config;
}

const struct contract_backend memory_contract = {
	.backend = &memory_backend,
	.queries = {.value = "contract '%s'",
		.both = "both '%s'",
		.nonsense = "SELECT v FROM contract WHERE k = '%s'"},
	.empty_is_null = true,
	.prepare = prepare,
	.remove = nothing_to_remove,
};
