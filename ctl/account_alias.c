/*
 * tabledctl alias. An alias has a row for each address that it leads to.
 */
#include "base/memory.h"
#include "base/utf8.h"
#include "ctl/account.h"
#include "ctl/mail_name.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TARGETS_MOST = 1000 };

static const struct field fields[] = {{"alias", "address", FIELD_TEXT, true, NULL},
	{"goto", "goto", FIELD_TEXT, true, NULL},
	{"active", "active", FIELD_FLAG, true, "--active"},
	{"expires", "expires", FIELD_TIME, true, "--expires"}, {0}};

static int read_key(struct account *account, struct error *why)
{
	return mail_address(account->arguments.words[1], true, &account->key, why);
}

/* --- Where mail goes */

/* Is there a mailbox or alias by that name, or one for the rest of its domain? */
static int has_target(
	struct account *account, struct slice address, struct slice domain, struct error *why)
{
	struct buf rest = {0};
	int found = account_has(account, "mailbox", "username", address, why);

	if (found == 0)
		found = account_has(account, "alias", "address", address, why);
	if (found == 0) {
		buf_add_byte(&rest, '@');
		buf_add_slice(&rest, domain);
		found = account_has(account, "alias", "address", buf_slice(&rest), why);
	}
	buf_finish(&rest);
	return found;
}

/* The same for user+tag as for user, where there is no such mailbox. */
static int has_extended_target(
	struct account *account, struct slice local, struct slice domain, struct error *why)
{
	ptrdiff_t plus = slice_find(local, '+');
	struct buf address = {0};
	int found;

	buf_add_format(&address, "%.*s@%.*s", SLICE_ARGS(local), SLICE_ARGS(domain));
	found = has_target(account, buf_slice(&address), domain, why);
	if (found == 0 && plus > 0) {
		buf_clear(&address);
		buf_add_format(&address, "%.*s@%.*s", (int)plus, local.data, SLICE_ARGS(domain));
		found = has_target(account, buf_slice(&address), domain, why);
	}
	buf_finish(&address);
	return found;
}

/* Here it has to be somebody: `domain` is ours, whatever the address says. */
static int check_target(
	struct account *account, struct slice address, struct slice domain, struct error *why)
{
	struct slice local =
		slice_of(address.data, address.size - mail_domain_of(address).size - 1);
	int found = has_extended_target(account, local, domain, why);

	if (found == 0 && !account->force)
		return error_set(why,
			"an alias to nowhere: %.*s is neither a mailbox nor an alias (--force adds "
			"it all the same)",
			SLICE_ARGS(address));
	return found < 0 ? -1 : 0;
}

/*
 * Folded and checked where it is ours. Elsewhere is not our affair, and the case of a local part
 * may matter there.
 */
static int read_target(
	struct account *account, const char *text, struct buf *out, struct error *why)
{
	struct buf folded = {0}, real = {0};
	struct slice address, domain;
	enum domain_class class;
	int result = mail_address(text, false, &folded, why);

	address = buf_slice(&folded);
	domain = mail_domain_of(address);
	if (result == 0)
		result = account_domain_class(account, domain, &class, &real, why);
	if (result == 0 && (class == DOMAIN_OURS || class == DOMAIN_ALIAS)) {
		buf_add_slice(out, address);
		result = check_target(
			account, address, class == DOMAIN_ALIAS ? buf_slice(&real) : domain, why);
	} else if (result == 0) {
		buf_add_string(out, text);
	}
	buf_finish(&folded);
	buf_finish(&real);
	return result;
}

/* --- Rows */

/* Writes " WHERE address = … AND goto = …"; all of the alias if there is no target. */
static void write_row(struct account *account, struct statement_writer *writer, struct slice target)
{
	statement_write(writer, " WHERE address = ");
	statement_write_value(writer, buf_slice(&account->key));
	if (!target.data)
		return;
	statement_write(writer, " AND goto = ");
	statement_write_value(writer, target);
}

/* Returns 1 or 0; -1 with `why`. */
static int has_row(struct account *account, struct slice target, struct error *why)
{
	struct statement_writer writer;
	struct rows rows = {0};
	enum status status;

	account_begin(account, &writer);
	statement_write(&writer, "SELECT 1 FROM alias");
	write_row(account, &writer, target);
	status = session_ask(&account->session, &writer, &rows, why);
	rows_finish(&rows);
	return status == FOUND ? 1 : status == NOT_FOUND ? 0 : -1;
}

static int insert_row(struct account *account, struct slice target, struct error *why)
{
	struct statement_writer writer;

	account_begin(account, &writer);
	statement_write(&writer, "INSERT INTO alias (address, goto");
	for (size_t i = 0; fields[i].name; i++)
		if (account->values[i].is_set)
			statement_write(&writer, ", %s", fields[i].column);
	statement_write(&writer, ") VALUES (");
	statement_write_value(&writer, buf_slice(&account->key));
	statement_write(&writer, ", ");
	statement_write_value(&writer, target);
	account_write_values(account, &writer);
	statement_write(&writer, ")");
	return session_change(&account->session, &writer, NULL, why);
}

static int add_target(struct account *account, const char *text, struct error *why)
{
	struct buf target = {0};
	int result = read_target(account, text, &target, why), found;

	if (result == 0) {
		found = has_row(account, buf_slice(&target), why);
		if (found > 0)
			error_set(why, "%s leads to %s already", buf_string(&account->key),
				buf_string(&target));
		result = found ? -1 : insert_row(account, buf_slice(&target), why);
	}
	buf_finish(&target);
	return result;
}

/* --- The verbs */

/* Said, since people may not expect it; and a list may want it. */
static int note_mailbox(struct account *account, struct error *why)
{
	struct slice address = buf_slice(&account->key);
	int found = account_has(account, "mailbox", "username", address, why);
	int leads = found > 0 ? has_row(account, address, why) : 0;

	if (found < 0 || leads < 0)
		return EXIT_ERROR;
	if (found && !leads)
		fprintf(stderr,
			"tabledctl: note: there is a mailbox %s, which gets no mail now: add it to "
			"the alias if it should\n",
			buf_string(&account->key));
	return EXIT_FOUND;
}

static int run_add(struct account *account, struct error *why)
{
	const struct arguments *arguments = &account->arguments;

	if (read_key(account, why) < 0 || account_check_domain(account, true, why) < 0)
		return EXIT_ERROR;
	for (size_t i = 2; i < arguments->count; i++)
		if (add_target(account, arguments->words[i], why) < 0)
			return EXIT_ERROR;
	return note_mailbox(account, why);
}

static int run_show(struct account *account, struct error *why)
{
	struct rows rows = {0};
	enum status status;

	if (read_key(account, why) < 0)
		return EXIT_ERROR;
	status = account_rows(account, "address", &rows, why);
	if (status == FOUND)
		fields_list(fields, &rows, account->json);
	rows_finish(&rows);
	if (status == NOT_FOUND)
		return account_not_found(why, "there is no alias %s", buf_string(&account->key));
	return status == FOUND ? EXIT_FOUND : EXIT_ERROR;
}

/* Does something to the rows of a target, or to all of the alias, and counts them. */
typedef int change_rows(
	struct account *account, struct slice target, uint64_t *ret_count, struct error *why);

/* The row may have been added in another case: as it is written, else folded. */
static int change_target(
	struct account *account, const char *text, change_rows *change, struct error *why)
{
	struct buf folded = {0};
	struct error no_address;
	uint64_t count = 0;
	int result = change(account, slice_str(text), &count, why);

	if (result == 0 && !count && mail_address(text, false, &folded, &no_address) == 0)
		result = change(account, buf_slice(&folded), &count, why);
	buf_finish(&folded);
	if (result < 0)
		return EXIT_ERROR;
	if (!count)
		return account_not_found(
			why, "%s does not lead to %s", buf_string(&account->key), text);
	return EXIT_FOUND;
}

static int change_all(struct account *account, change_rows *change, struct error *why)
{
	uint64_t count;

	if (change(account, (struct slice){0}, &count, why) < 0)
		return EXIT_ERROR;
	if (!count)
		return account_not_found(why, "there is no alias %s", buf_string(&account->key));
	return EXIT_FOUND;
}

static int each_target(struct account *account, change_rows *change, struct error *why)
{
	const struct arguments *arguments = &account->arguments;
	int result = EXIT_FOUND;

	if (read_key(account, why) < 0)
		return EXIT_ERROR;
	if (arguments->count == 2)
		return change_all(account, change, why);
	for (size_t i = 2; i < arguments->count && result == EXIT_FOUND; i++)
		result = change_target(account, arguments->words[i], change, why);
	return result;
}

static int change_row(
	struct account *account, struct slice target, uint64_t *ret_count, struct error *why)
{
	struct statement_writer writer;
	size_t count;

	account_begin(account, &writer);
	statement_write(&writer, "UPDATE alias");
	count = account_write_set(account, &writer);
	write_row(account, &writer, target);
	if (count)
		return session_change(&account->session, &writer, ret_count, why);
	statement_writer_finish(&writer);
	return error_set(why, "there is nothing to change: name an option");
}

static int delete_row(
	struct account *account, struct slice target, uint64_t *ret_count, struct error *why)
{
	struct statement_writer writer;

	account_begin(account, &writer);
	statement_write(&writer, "DELETE FROM alias");
	write_row(account, &writer, target);
	return session_change(&account->session, &writer, ret_count, why);
}

static int run_change(struct account *account, struct error *why)
{
	return each_target(account, change_row, why);
}

static int run_delete(struct account *account, struct error *why)
{
	return each_target(account, delete_row, why);
}

static const struct account_verb verbs[] = {{"add", run_add, true, true, 2, TARGETS_MOST, NULL},
	{"list", account_list, false, false, 0, 1, NULL},
	{"show", run_show, false, false, 1, 1, NULL},
	{"change", run_change, true, true, 1, TARGETS_MOST, NULL},
	{"delete", run_delete, true, false, 1, TARGETS_MOST, NULL}, {0}};

static const struct account_kind alias_kind = {
	"alias", "alias", "address", "address, goto", fields, verbs};

int alias_run(const char *path, int argc, char **argv)
{
	return account_run(&alias_kind, path, argc, argv);
}
