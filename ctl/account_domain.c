/*
 * tabledctl domain.
 */
#include "ctl/account.h"
#include "ctl/mail_name.h"

#include <inttypes.h>
#include <stdio.h>

static const struct field fields[] = {{"domain", "domain", FIELD_TEXT, true, NULL},
	{"active", "active", FIELD_FLAG, true, "--active"},
	{"backup_mx", "backup_mx", FIELD_FLAG, true, "--backup-mx"},
	{"transport", "transport", FIELD_TEXT, false, "--transport"},
	{"description", "description", FIELD_LABEL, false, "--description"},
	{"mailboxes", "(SELECT count(*) FROM mailbox WHERE mailbox.domain = domain.domain)",
		FIELD_NUMBER, true, NULL},
	{"aliases", "(SELECT count(*) FROM alias WHERE alias.domain = domain.domain)", FIELD_NUMBER,
		true, NULL},
	{0}};

/* What goes with a domain, the children first. */
static const struct {
	const char *table, *column, *what;
} children[] = {
	{"alias", "domain", "aliases"},
	{"mailbox", "domain", "mailboxes"},
	{"alias_domain", "target_domain", "alias domains"},
};
enum { CHILD_COUNT = sizeof(children) / sizeof(children[0]) };

static int read_key(struct account *account, struct error *why)
{
	return mail_domain(account->arguments.words[1], &account->key, why);
}

/* Postfix wants a domain in one address class only. */
static int run_add(struct account *account, struct error *why)
{
	struct buf target = {0};
	enum domain_class class;
	const char *domain;

	if (read_key(account, why) < 0)
		return EXIT_ERROR;
	domain = buf_string(&account->key);
	if (account_domain_class(account, buf_slice(&account->key), &class, &target, why) < 0)
		goto fail;
	if (class == DOMAIN_OURS || class == DOMAIN_BACKUP)
		error_set(why, "there is a domain %s already", domain);
	else if (class == DOMAIN_ALIAS)
		error_set(why, "%s is another name of %s (alias_domain), so it can't be a domain",
			domain, buf_string(&target));
	else if (class == DOMAIN_RELAY)
		error_set(why, "%s is relayed for (relay_domain), so it can't be a domain", domain);
	else if (account_insert(account, why) == 0) {
		buf_finish(&target);
		return EXIT_FOUND;
	}
fail:
	buf_finish(&target);
	return EXIT_ERROR;
}

static int run_show(struct account *account, struct error *why)
{
	return read_key(account, why) < 0 ? EXIT_ERROR : account_show(account, why);
}

static int run_change(struct account *account, struct error *why)
{
	return read_key(account, why) < 0 ? EXIT_ERROR : account_change(account, why);
}

/* Appends "3 mailboxes, 1 aliases". Returns how many there are, or -1 with `why`. */
static int64_t count_children(struct account *account, struct buf *out, struct error *why)
{
	int64_t sum = 0;

	for (size_t i = 0; i < CHILD_COUNT; i++) {
		uint64_t count = account_count(account, children[i].table, children[i].column,
			buf_slice(&account->key), why);

		if (count == UINT64_MAX)
			return -1;
		if (count)
			buf_add_format(
				out, "%s%" PRIu64 " %s", sum ? ", " : "", count, children[i].what);
		sum += (int64_t)count;
	}
	return sum;
}

static int delete_all(struct account *account, struct error *why)
{
	struct slice domain = buf_slice(&account->key);
	uint64_t count;

	for (size_t i = 0; i < CHILD_COUNT; i++)
		if (account_delete(account, children[i].table, children[i].column, domain, &count,
			    why) < 0)
			return EXIT_ERROR;
	if (account_delete(account, "domain", "domain", domain, &count, why) < 0)
		return EXIT_ERROR;
	return count ? EXIT_FOUND
		     : account_not_found(why, "there is no domain %s", buf_string(&account->key));
}

static int run_delete(struct account *account, struct error *why)
{
	struct buf list = {0};
	int64_t count;
	int status = EXIT_ERROR;

	if (read_key(account, why) < 0)
		return EXIT_ERROR;
	count = count_children(account, &list, why);
	if (count > 0 && !account->force)
		error_set(why, "%s has %s: --force deletes them, too", buf_string(&account->key),
			buf_string(&list));
	else if (count >= 0)
		status = delete_all(account, why);
	if (status == EXIT_FOUND && count)
		printf("%s is deleted, and with it %s\n", buf_string(&account->key),
			buf_string(&list));
	buf_finish(&list);
	return status;
}

static const struct account_verb verbs[] = {{"add", run_add, true, true, 1, 1, NULL},
	{"list", account_list, false, false, 0, 0, NULL},
	{"show", run_show, false, false, 1, 1, NULL},
	{"change", run_change, true, true, 1, 1, NULL},
	{"delete", run_delete, true, false, 1, 1, NULL}, {0}};

static const struct account_kind domain_kind = {
	"domain", "domain", "domain", "domain.domain", fields, verbs};

int domain_run(const char *path, int argc, char **argv)
{
	return account_run(&domain_kind, path, argc, argv);
}
