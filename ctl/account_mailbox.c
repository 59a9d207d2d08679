/*
 * tabledctl mailbox.
 */
#include "ctl/account.h"
#include "ctl/mail_name.h"
#include "ctl/password.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct field fields[] = {{"mailbox", "username", FIELD_TEXT, true, NULL},
	{"active", "active", FIELD_FLAG, true, "--active"},
	{"name", "name", FIELD_LABEL, true, "--name"},
	{"quota", "quota", FIELD_SIZE, true, "--quota"},
	{"used", "(SELECT bytes FROM quota WHERE quota.username = mailbox.username)", FIELD_SIZE,
		true, NULL},
	{"messages", "(SELECT messages FROM quota WHERE quota.username = mailbox.username)",
		FIELD_NUMBER, false, NULL},
	{"password", "password", FIELD_SECRET, false, NULL},
	{"imap", "imap_active", FIELD_FLAG, false, "--imap"},
	{"pop3", "pop3_active", FIELD_FLAG, false, "--pop3"},
	{"smtp", "smtp_active", FIELD_FLAG, false, "--smtp"},
	{"sieve", "sieve_active", FIELD_FLAG, false, "--sieve"},
	{"allow_nets", "allow_nets", FIELD_TEXT, false, "--allow-nets"},
	{"home", "home", FIELD_TEXT, false, "--home"}, {"uid", "uid", FIELD_NUMBER, false, "--uid"},
	{"gid", "gid", FIELD_NUMBER, false, "--gid"}, {"mail", "mail", FIELD_TEXT, false, "--mail"},
	{"host", "host", FIELD_TEXT, false, "--host"}, {0}};
enum { FIELD_PASSWORD = 6 };

static int read_key(struct account *account, struct error *why)
{
	return mail_address(account->arguments.words[1], false, &account->key, why);
}

/* The field is set by what was read, and not by an option. */
static int read_password(struct account *account, struct error *why)
{
	struct field_value *value = &account->values[FIELD_PASSWORD];
	const char *scheme = account->scheme ? account->scheme : PASSWORD_SCHEME;
	struct buf password = {0};
	int result;

	if (password_check_scheme(scheme, why) < 0)
		return -1;
	result = password_read(&password, why);
	if (result == 0)
		result = password_hash(&password, scheme, &value->text, why);
	value->is_set = true;
	buf_wipe(&password);
	return result;
}

static int check_options(const struct account *account, bool wants_password, struct error *why)
{
	if (account->password && account->no_password)
		return error_set(why, "--password and --no-password contradict each other");
	if (account->scheme && !wants_password)
		return error_set(why, "--scheme is for a password that is read");
	return 0;
}

/* A password is asked for unless none is wanted. */
static int prepare_add(struct account *account, struct error *why)
{
	bool wants_password = !account->no_password;

	if (check_options(account, wants_password, why) < 0 || read_key(account, why) < 0)
		return -1;
	return wants_password ? read_password(account, why) : 0;
}

static int prepare_change(struct account *account, struct error *why)
{
	struct field_value *value = &account->values[FIELD_PASSWORD];

	if (check_options(account, account->password, why) < 0 || read_key(account, why) < 0)
		return -1;
	if (account->no_password)
		value->is_set = value->is_null = true;
	return account->password ? read_password(account, why) : 0;
}

static int run_add(struct account *account, struct error *why)
{
	struct slice address = buf_slice(&account->key);
	int found;

	if (account_check_domain(account, false, why) < 0)
		return EXIT_ERROR;
	found = account_has(account, "mailbox", "username", address, why);
	if (found > 0)
		error_set(why, "there is a mailbox %s already", buf_string(&account->key));
	if (found != 0 || account_insert(account, why) < 0)
		return EXIT_ERROR;
	found = account_has(account, "alias", "address", address, why);
	if (found > 0)
		fprintf(stderr,
			"tabledctl: note: there is an alias %s, too: mail goes where that says\n",
			buf_string(&account->key));
	return found < 0 ? EXIT_ERROR : EXIT_FOUND;
}

static int run_show(struct account *account, struct error *why)
{
	return read_key(account, why) < 0 ? EXIT_ERROR : account_show(account, why);
}

static int run_delete(struct account *account, struct error *why)
{
	uint64_t deleted, leading;

	if (read_key(account, why) < 0 || account_delete(account, "mailbox", "username",
						  buf_slice(&account->key), &deleted, why) < 0)
		return EXIT_ERROR;
	if (!deleted)
		return account_not_found(why, "there is no mailbox %s", buf_string(&account->key));
	leading = account_count(account, "alias", "goto", buf_slice(&account->key), why);
	if (leading == UINT64_MAX)
		return EXIT_ERROR;
	if (leading)
		fprintf(stderr, "tabledctl: note: %" PRIu64 " aliases still lead to %s\n", leading,
			buf_string(&account->key));
	return EXIT_FOUND;
}

static const struct account_verb verbs[] = {{"add", run_add, true, true, 1, 1, prepare_add},
	{"list", account_list, false, false, 0, 1, NULL},
	{"show", run_show, false, false, 1, 1, NULL},
	{"change", account_change, true, true, 1, 1, prepare_change},
	{"delete", run_delete, true, false, 1, 1, NULL}, {0}};

static const struct account_kind mailbox_kind = {
	"mailbox", "mailbox", "username", "mailbox.username", fields, verbs};

int mailbox_run(const char *path, int argc, char **argv)
{
	return account_run(&mailbox_kind, path, argc, argv);
}
