/*
 * tabledctl domain, mailbox and alias: what their commands have in common. Each kind has a table of
 * fields and one of verbs; account_run() reads the arguments, connects, and has a verb do its work
 * in one transaction.
 */
#ifndef TABLED_CTL_ACCOUNT_H
#define TABLED_CTL_ACCOUNT_H

#include "ctl/arguments.h"
#include "ctl/command.h"
#include "ctl/field.h"
#include "ctl/session.h"

enum { ACCOUNT_FIELDS_MOST = 24 };

struct account {
	struct session session;
	const struct account_kind *kind;
	struct arguments arguments;                     /* words[0] is the verb */
	struct field_value values[ACCOUNT_FIELDS_MOST]; /* by the kind's fields */
	const char *source, *scheme;
	bool json, force, password, no_password;
	struct buf key;  /* words[1], checked and folded by the verb */
	struct buf hash; /* of the password that was read */
};

struct account_verb {
	const char *name;
	/* EXIT_FOUND; or another status with `why`. */
	int (*run)(struct account *account, struct error *why);
	bool writes, sets;  /* options of fields make sense */
	size_t least, most; /* words behind the verb */
	/* Before the transaction, for what takes time. Returns -1 with `why`. May be NULL. */
	int (*prepare)(struct account *account, struct error *why);
};

struct account_kind {
	const char *name;
	const char *table, *key;          /* its column */
	const char *order;                /* of the rows, by columns */
	const struct field *fields;       /* the first is the key */
	const struct account_verb *verbs; /* NULL as a name ends them */
};

int account_run(const struct account_kind *kind, const char *path, int argc, char **argv);

/* Fills `why`, and is the status. */
int account_not_found(struct error *why, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What an option of a field has said, by the option's name. */
struct field_value *account_value(struct account *account, const char *option);

/* Fills a writer. */
void account_begin(struct account *account, struct statement_writer *writer);

/*
 * Whether a row has this value in a column. Returns 1 or 0; -1 with `why`.
 */
int account_has(struct account *account, const char *table, const char *column, struct slice value,
	struct error *why);

/* The same, counted; UINT64_MAX with `why` if nobody knows. */
uint64_t account_count(struct account *account, const char *table, const char *column,
	struct slice value, struct error *why);

/* Deletes those rows. Returns -1 with `why`. */
int account_delete(struct account *account, const char *table, const char *column,
	struct slice value, uint64_t *ret_count, struct error *why);

/* Inserts account->key with the fields that were set. */
int account_insert(struct account *account, struct error *why);

/* Writes ", value" for the fields that were set, in the order of the fields. */
void account_write_values(struct account *account, struct statement_writer *writer);

/* Writes " SET a = …, b = …" for the fields that were set. Returns how many there are. */
size_t account_write_set(struct account *account, struct statement_writer *writer);

/* Changes those fields of account->key. The status. */
int account_change(struct account *account, struct error *why);

/* Asks for all fields, of all rows or (`column`) those that have account->key there. */
enum status account_rows(
	struct account *account, const char *column, struct rows *rows, struct error *why);

/* Prints all rows, or those of the domain that is named. The status. */
int account_list(struct account *account, struct error *why);

/* Prints the row of account->key. The status. */
int account_show(struct account *account, struct error *why);

/*
 * Where mail for a domain goes here. DOMAIN_ALIAS: its target is appended to `ret_target`. Returns
 * -1 with `why`.
 */
enum domain_class { DOMAIN_UNKNOWN, DOMAIN_OURS, DOMAIN_BACKUP, DOMAIN_ALIAS, DOMAIN_RELAY };
int account_domain_class(struct account *account, struct slice domain, enum domain_class *ret_class,
	struct buf *ret_target, struct error *why);

/* Whether account->key may be an address here: its domain is one of ours. Returns -1 with `why`. */
int account_check_domain(struct account *account, bool may_be_backup, struct error *why);

int domain_run(const char *path, int argc, char **argv);
int mailbox_run(const char *path, int argc, char **argv);
int alias_run(const char *path, int argc, char **argv);

#endif
