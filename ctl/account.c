#include "ctl/account.h"

#include "ctl/column_sql.h"
#include "ctl/mail_name.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What verbs are made of */

int account_not_found(struct error *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return EXIT_NOT_FOUND;
}

struct field_value *account_value(struct account *account, const char *option)
{
	const struct field *fields = account->kind->fields;

	for (size_t i = 0; fields[i].name; i++)
		if (fields[i].option && strcmp(fields[i].option, option) == 0)
			return &account->values[i];
	return NULL;
}

void account_begin(struct account *account, struct statement_writer *writer)
{
	statement_writer_init(writer, session_dialect(&account->session));
}

uint64_t account_count(struct account *account, const char *table, const char *column,
	struct slice value, struct error *why)
{
	struct statement_writer writer;
	struct rows rows = {0};
	struct buf text = {0};
	uint64_t count = UINT64_MAX;

	account_begin(account, &writer);
	statement_write(&writer, "SELECT count(*) FROM %s WHERE %s = ", table, column);
	statement_write_value(&writer, value);
	if (session_ask(&account->session, &writer, &rows, why) == FOUND) {
		buf_add_slice(&text, rows_cell(&rows, 0, 0));
		count = strtoull(buf_string(&text), NULL, 10);
	}
	buf_finish(&text);
	rows_finish(&rows);
	return count;
}

int account_has(struct account *account, const char *table, const char *column, struct slice value,
	struct error *why)
{
	uint64_t count = account_count(account, table, column, value, why);

	return count == UINT64_MAX ? -1 : count > 0;
}

int account_delete(struct account *account, const char *table, const char *column,
	struct slice value, uint64_t *ret_count, struct error *why)
{
	struct statement_writer writer;

	account_begin(account, &writer);
	statement_write(&writer, "DELETE FROM %s WHERE %s = ", table, column);
	statement_write_value(&writer, value);
	return session_change(&account->session, &writer, ret_count, why);
}

static void give_value(
	struct statement_writer *writer, const struct field *field, const struct field_value *value)
{
	struct slice text = value->is_null ? (struct slice){0} : buf_slice(&value->text);

	column_give(writer, text, field->type == FIELD_TIME);
}

void account_write_values(struct account *account, struct statement_writer *writer)
{
	const struct field *fields = account->kind->fields;

	for (size_t i = 0; fields[i].name; i++) {
		if (!account->values[i].is_set)
			continue;
		statement_write(writer, ", ");
		give_value(writer, &fields[i], &account->values[i]);
	}
}

int account_insert(struct account *account, struct error *why)
{
	const struct field *fields = account->kind->fields;
	struct statement_writer writer;

	account_begin(account, &writer);
	statement_write(&writer, "INSERT INTO %s (%s", account->kind->table, account->kind->key);
	for (size_t i = 0; fields[i].name; i++)
		if (account->values[i].is_set)
			statement_write(&writer, ", %s", fields[i].column);
	statement_write(&writer, ") VALUES (");
	statement_write_value(&writer, buf_slice(&account->key));
	account_write_values(account, &writer);
	statement_write(&writer, ")");
	return session_change(&account->session, &writer, NULL, why);
}

size_t account_write_set(struct account *account, struct statement_writer *writer)
{
	const struct field *fields = account->kind->fields;
	size_t count = 0;

	for (size_t i = 0; fields[i].name; i++) {
		if (!account->values[i].is_set)
			continue;
		statement_write(writer, "%s %s = ", count++ ? "," : " SET", fields[i].column);
		give_value(writer, &fields[i], &account->values[i]);
	}
	return count;
}

int account_change(struct account *account, struct error *why)
{
	const struct account_kind *kind = account->kind;
	struct statement_writer writer;
	uint64_t changed;
	size_t count;

	account_begin(account, &writer);
	statement_write(&writer, "UPDATE %s", kind->table);
	count = account_write_set(account, &writer);
	statement_write(&writer, " WHERE %s = ", kind->key);
	statement_write_value(&writer, buf_slice(&account->key));
	if (!count) {
		statement_writer_finish(&writer);
		error_set(why, "there is nothing to change: name an option");
		return EXIT_ERROR;
	}
	if (session_change(&account->session, &writer, &changed, why) < 0)
		return EXIT_ERROR;
	return changed ? EXIT_FOUND
		       : account_not_found(
				 why, "there is no %s %s", kind->name, buf_string(&account->key));
}

enum status account_rows(
	struct account *account, const char *column, struct rows *rows, struct error *why)
{
	const struct account_kind *kind = account->kind;
	struct statement_writer writer;

	account_begin(account, &writer);
	statement_write(&writer, "SELECT ");
	fields_ask(kind->fields, &writer);
	statement_write(&writer, " FROM %s", kind->table);
	if (column) {
		statement_write(&writer, " WHERE %s = ", column);
		statement_write_value(&writer, buf_slice(&account->key));
	}
	statement_write(&writer, " ORDER BY %s", kind->order);
	return session_ask(&account->session, &writer, rows, why);
}

int account_list(struct account *account, struct error *why)
{
	bool is_part = account->arguments.count > 1;
	struct rows rows = {0};
	enum status status;

	if (is_part && mail_domain(account->arguments.words[1], &account->key, why) < 0)
		return EXIT_ERROR;
	status = account_rows(account, is_part ? "domain" : NULL, &rows, why);
	if (status == FOUND || status == NOT_FOUND)
		fields_list(account->kind->fields, &rows, account->json);
	rows_finish(&rows);
	return status == FOUND || status == NOT_FOUND ? EXIT_FOUND : EXIT_ERROR;
}

int account_show(struct account *account, struct error *why)
{
	const struct account_kind *kind = account->kind;
	struct rows rows = {0};
	enum status status = account_rows(account, kind->key, &rows, why);

	if (status == FOUND)
		fields_show(kind->fields, &rows, account->json);
	rows_finish(&rows);
	if (status == NOT_FOUND)
		return account_not_found(
			why, "there is no %s %s", kind->name, buf_string(&account->key));
	return status == FOUND ? EXIT_FOUND : EXIT_ERROR;
}

int account_domain_class(struct account *account, struct slice domain, enum domain_class *ret_class,
	struct buf *ret_target, struct error *why)
{
	struct statement_writer writer;
	struct rows rows = {0};
	enum status status;

	*ret_class = DOMAIN_UNKNOWN;
	account_begin(account, &writer);
	statement_write(&writer, "SELECT CASE backup_mx WHEN 1 THEN 'b' ELSE 'o' END, '' FROM "
				 "domain WHERE domain = ");
	statement_write_value(&writer, domain);
	statement_write(&writer, " UNION ALL SELECT 'a', target_domain FROM alias_domain WHERE "
				 "alias_domain = ");
	statement_write_value(&writer, domain);
	statement_write(&writer, " UNION ALL SELECT 'r', '' FROM relay_domain WHERE domain = ");
	statement_write_value(&writer, domain);
	status = session_ask(&account->session, &writer, &rows, why);
	if (status == FOUND) {
		char mark = rows_cell(&rows, 0, 0).data[0];

		*ret_class = mark == 'o'   ? DOMAIN_OURS
			     : mark == 'b' ? DOMAIN_BACKUP
			     : mark == 'a' ? DOMAIN_ALIAS
					   : DOMAIN_RELAY;
		if (ret_target)
			buf_add_slice(ret_target, rows_cell(&rows, 0, 1));
	}
	rows_finish(&rows);
	return status == FOUND || status == NOT_FOUND ? 0 : -1;
}

int account_check_domain(struct account *account, bool may_be_backup, struct error *why)
{
	struct slice domain = mail_domain_of(buf_slice(&account->key));
	struct buf target = {0};
	enum domain_class class;
	int result = account_domain_class(account, domain, &class, &target, why);

	if (result == 0 && class == DOMAIN_ALIAS)
		result = error_set(why, "%.*s is another name of %s: the %s belongs there",
			SLICE_ARGS(domain), buf_string(&target), account->kind->name);
	else if (result == 0 && class == DOMAIN_BACKUP && !may_be_backup)
		result = error_set(why, "the mail of %.*s ends on another server (backup_mx)",
			SLICE_ARGS(domain));
	else if (result == 0 && class != DOMAIN_OURS && class != DOMAIN_BACKUP)
		result = error_set(why, "%.*s is none of our domains: tabledctl domain add %.*s",
			SLICE_ARGS(domain), SLICE_ARGS(domain));
	buf_finish(&target);
	return result;
}

/* --- The command */

static int show_verbs(const struct account_kind *kind, struct error *why)
{
	char text[128] = "";

	for (const struct account_verb *verb = kind->verbs; verb->name; verb++)
		strcat(strcat(text, *text ? "|" : ""), verb->name);
	error_set(why, "%s %s: see tabledctl -h", kind->name, text);
	return -1;
}

static const struct account_verb *find_verb(const struct account *account, struct error *why)
{
	const struct arguments *arguments = &account->arguments;
	const struct account_verb *verb = account->kind->verbs;

	while (verb->name && (!arguments->count || strcmp(verb->name, arguments->words[0]) != 0))
		verb++;
	if (verb->name && arguments->count - 1 >= verb->least && arguments->count - 1 <= verb->most)
		return verb;
	if (verb->name)
		error_set(why, "%s %s: there are too %s words", account->kind->name, verb->name,
			arguments->count - 1 < verb->least ? "few" : "many");
	else
		show_verbs(account->kind, why);
	return NULL;
}

/* Sorts the arguments into options, whose texts stand beside the fields, and words. */
static int read_arguments(
	struct account *account, int argc, char **argv, const char **texts, struct error *why)
{
	struct argument_option options[ACCOUNT_FIELDS_MOST + 7] = {
		{"--source", &account->source, NULL}, {"--json", NULL, &account->json}};
	const struct field *fields = account->kind->fields;
	size_t count = 2;
	bool has_password = strcmp(account->kind->name, "mailbox") == 0;

	options[count++] = (struct argument_option){"--force", NULL, &account->force};
	if (has_password) {
		options[count++] = (struct argument_option){"--password", NULL, &account->password};
		options[count++] =
			(struct argument_option){"--no-password", NULL, &account->no_password};
		options[count++] = (struct argument_option){"--scheme", &account->scheme, NULL};
	}
	for (size_t i = 0; fields[i].name; i++)
		if (fields[i].option)
			options[count++] =
				(struct argument_option){fields[i].option, &texts[i], NULL};
	return arguments_read(&account->arguments, argc, argv, options, why);
}

static int read_values(struct account *account, const struct account_verb *verb,
	const char *const *texts, struct error *why)
{
	const struct field *fields = account->kind->fields;

	for (size_t i = 0; fields[i].name; i++) {
		if (!texts[i])
			continue;
		if (!verb->sets)
			return error_set(why, "%s says nothing to %s %s", fields[i].option,
				account->kind->name, verb->name);
		if (field_read(&fields[i], texts[i], &account->values[i], why) < 0)
			return -1;
	}
	return 0;
}

/* In one transaction, if it writes. */
static int run_verb(struct account *account, const struct account_verb *verb, struct error *why)
{
	struct database *database = &account->session.database;
	int status;

	if (!verb->writes)
		return verb->run(account, why);
	if (database_begin(database, why) < 0)
		return EXIT_ERROR;
	status = verb->run(account, why);
	if (status == EXIT_FOUND && database_do(database, "COMMIT", why) < 0)
		status = EXIT_ERROR;
	if (status != EXIT_FOUND)
		database_do(database, "ROLLBACK", NULL);
	return status;
}

static int run_command(
	struct account *account, const char *path, int argc, char **argv, struct error *why)
{
	const char *texts[ACCOUNT_FIELDS_MOST] = {NULL};
	const struct account_verb *verb;

	if (read_arguments(account, argc, argv, texts, why) < 0)
		return EXIT_ERROR;
	verb = find_verb(account, why);
	if (!verb || read_values(account, verb, texts, why) < 0)
		return EXIT_ERROR;
	if (session_find(&account->session, path, account->source, why) < 0)
		return EXIT_ERROR;
	if (verb->prepare && verb->prepare(account, why) < 0)
		return EXIT_ERROR;
	if (session_connect(&account->session, verb->writes, why) < 0)
		return EXIT_ERROR;
	return run_verb(account, verb, why);
}

int account_run(const struct account_kind *kind, const char *path, int argc, char **argv)
{
	struct account account = {.kind = kind};
	struct error why = {0};
	int status = run_command(&account, path, argc, argv, &why);

	if (status != EXIT_FOUND && *why.text)
		session_fail(&why);
	for (size_t i = 0; i < ACCOUNT_FIELDS_MOST; i++)
		buf_wipe(&account.values[i].text);
	buf_finish(&account.key);
	buf_wipe(&account.hash);
	arguments_finish(&account.arguments);
	session_close(&account.session);
	return status;
}
