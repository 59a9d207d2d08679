#include "pgsql_statement.h"

#include "base/memory.h"

#include <sodium.h>
#include <stdlib.h>

/* Types that there are no arrays of, such as arrays, are left out: then there is no SQL for many.
 */
const char pgsql_types_sql[] =
	"SELECT format('%I.%I', nspname, typname) FROM unnest($1::oid[]) WITH ORDINALITY AS given "
	"(type, n) JOIN pg_type t ON t.oid = type JOIN pg_namespace s ON s.oid = typnamespace "
	"WHERE typarray <> 0 ORDER BY n";

struct pgsql_statement *pgsql_statement_create(const struct statement *statement)
{
	struct pgsql_statement *made = memory_new(1, sizeof(*made));

	made->statement = statement;
	made->params = statement->part_count - 1;
	made->is_text = memory_new(made->params, sizeof(bool));
	return made;
}

void pgsql_statement_destroy(struct pgsql_statement *statement)
{
	if (!statement)
		return;
	buf_finish(&statement->alone.text);
	buf_finish(&statement->many.text);
	buf_finish(&statement->types);
	free(statement->is_text);
	free(statement);
}

/*
 * Names it by its text: behind a pooler, the server may know the name from somebody else, and then
 * it has to mean the same. Two maps may have the same text, but each prepares and forgets its own.
 */
static void finish_sql(
	const struct pgsql_statement *statement, struct pgsql_sql *sql, struct slice settings)
{
	size_t id = statement->statement->id;
	const unsigned char *text = (const unsigned char *)buf_string(&sql->text);
	unsigned char hash[PGSQL_HASH_SIZE];
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof(hash));
	crypto_generichash_update(&state, (const unsigned char *)&id, sizeof(id));
	crypto_generichash_update(&state, (const unsigned char *)settings.data, settings.size);
	crypto_generichash_update(&state, text, sql->text.size);
	crypto_generichash_final(&state, hash, sizeof(hash));
	memcpy(sql->name, PGSQL_NAME, sizeof(PGSQL_NAME));
	sodium_bin2hex(
		sql->name + sizeof(PGSQL_NAME) - 1, 2 * sizeof(hash) + 1, hash, sizeof(hash));
}

/*
 * Each place has a parameter of its own, even if two have the same value: one parameter has one
 * type, and two literals may have two (citext and text compare differently).
 */
void pgsql_statement_make_alone(struct pgsql_statement *statement, struct slice settings)
{
	const struct statement_part *parts = statement->statement->parts;
	struct buf *text = &statement->alone.text;

	buf_clear(text);
	for (size_t i = 0; i < statement->params; i++) {
		buf_add_slice(text, parts[i].sql);
		buf_add_format(text, "$%zu%s", i + 1, statement->is_text[i] ? "::text" : "");
	}
	buf_add_slice(text, parts[statement->params].sql);
	finish_sql(statement, &statement->alone, settings);
}

void pgsql_statement_take_types(struct pgsql_statement *statement, const PGresult *described)
{
	struct buf *types = &statement->types;

	if (PQnfields(described) == 0)
		return;
	buf_add_byte(types, '{');
	for (int i = 0; i < PQnparams(described); i++)
		buf_add_format(types, "%s%u", i ? "," : "", PQparamtype(described, i));
	buf_add_byte(types, '}');
	buf_string(types);
}

/*
 * The query becomes a lateral subquery of the list of keys. Each parameter is an array of the very
 * type that was inferred for the literal, so the same input function reads the keys. The SELECT
 * around it hides its length, which is not worth a plan of its own for each batch. OFFSET 0 keeps
 * the planner from merging the two queries: each key gets the plan and the order of rows of a query
 * of its own.
 */
void pgsql_statement_make_many(
	struct pgsql_statement *statement, const PGresult *types, struct slice settings)
{
	const struct statement_part *parts = statement->statement->parts;
	struct buf *text = &statement->many.text;
	int params = (int)statement->params;

	if (PQntuples(types) != params || PQnfields(types) != 1)
		return;
	buf_add_string(text, "SELECT tabled_key.n, tabled_row.* FROM unnest(");
	for (int i = 0; i < params; i++)
		buf_add_format(text, "%s(SELECT $%d::%s[])", i ? ", " : "", i + 1,
			PQgetvalue(types, i, 0));
	buf_add_string(text, ") WITH ORDINALITY AS tabled_key (");
	for (int i = 0; i < params; i++)
		buf_add_format(text, "p%d, ", i);
	buf_add_string(text, "n), LATERAL (SELECT * FROM (");
	for (int i = 0; i < params; i++) {
		buf_add_slice(text, parts[i].sql);
		buf_add_format(text, "tabled_key.p%d", i);
	}
	buf_add_slice(text, parts[params].sql);
	buf_add_string(text, ") AS tabled_query OFFSET 0) AS tabled_row");
	finish_sql(statement, &statement->many, settings);
}

/* Of concat('%s') PostgreSQL can't tell; a literal there is text. */
bool pgsql_statement_declare(struct pgsql_statement *statement, const PGresult *error)
{
	const char *state = PQresultErrorField(error, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
	const char *dollar = message ? strchr(message, '$') : NULL;
	size_t param = dollar ? strtoul(dollar + 1, NULL, 10) : 0;

	if (!state || strcmp(state, "42P18") != 0 || param < 1 || param > statement->params ||
		statement->is_text[param - 1])
		return false;
	statement->is_text[param - 1] = true;
	return true;
}

bool pgsql_has_nul(const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		for (size_t j = 0; j < batch->questions[i].statement->params; j++)
			if (slice_find(batch->questions[i].params[j], '\0') >= 0)
				return true;
	return false;
}

/* A quote or a backslash would end a quoted element, or escape: each gets a backslash before it. */
static void add_element(struct buf *out, struct slice value)
{
	size_t from = 0;

	for (size_t at = 0; at < value.size; at++) {
		if (value.data[at] != '"' && value.data[at] != '\\')
			continue;
		buf_add(out, value.data + from, at - from);
		buf_add_byte(out, '\\');
		from = at;
	}
	buf_add(out, value.data + from, value.size - from);
}

/* A parameter's values of all questions: {"one","two"}. */
static void add_array(struct buf *out, const struct batch *batch, size_t param)
{
	for (size_t i = 0; i < batch->count; i++) {
		buf_add_string(out, i ? "\",\"" : "{\"");
		add_element(out, batch->questions[i].params[param]);
	}
	buf_add_string(out, "\"}");
}

const char *const *pgsql_statement_values(const struct pgsql_statement *statement,
	const struct batch *batch, struct buf *text, struct buf *pointers)
{
	const char *value;

	buf_clear(text);
	for (size_t i = 0; i < statement->params; i++) {
		size_t param = statement->statement->parts[i].param - 1;

		if (batch->count == 1)
			buf_add_slice(text, batch->questions[0].params[param]);
		else
			add_array(text, batch, param);
		buf_add_byte(text, '\0');
	}
	buf_clear(pointers);
	value = text->data;
	for (size_t i = 0; i < statement->params; i++) {
		buf_add(pointers, &value, sizeof(value));
		value += strlen(value) + 1;
	}
	return (const char *const *)pointers->data;
}
