/*
 * The key plan: which keys Postfix would ask of a `proxy:mysql:` table, in its order, where it
 * sends a socketmap only the full key. One table row for each Postfix parameter says which forms
 * it uses; to add a parameter, add a row to parameters.c. Pure functions, any thread.
 *
 * Sources, for each rule: postfix: src/global/mail_addr_find.c (addresses), src/smtpd/
 * smtpd_check.c (access tables), src/trivial-rewrite/transport.c, src/util/match_ops.c (lists).
 */
#ifndef TABLED_ENGINE_PLAN_H
#define TABLED_ENGINE_PLAN_H

#include "base/buf.h"
#include "base/error.h"
#include "setting.h"

/* Key forms, in the order in which they are asked. */
enum plan_forms {
	FORM_FULL = 0,              /* the key as it is: always the first */
	FORM_NO_EXTENSION = 1 << 0, /* user@domain */
	FORM_LOCAL_PART = 1 << 1,   /* user+ext, user: where the domain is local */
	FORM_AT_DOMAIN = 1 << 2,    /* @domain */
	FORM_DOMAIN = 1 << 3,       /* domain, then its parents */
	FORM_LOCAL_PART_ALWAYS =
		1 << 10,             /* the same for any domain: it is asked for local ones only */
	FORM_LOCAL_PART_AT = 1 << 4, /* user+ext@, user@: whatever the domain */
	FORM_UNQUOTED = 1 << 5,      /* each address also without its quotes */
	FORM_NAME_NO_EXTENSION = 1 << 6, /* a key without '@' loses its extension too */
	FORM_NAME_PARENTS = 1 << 7,      /* a key without '@' is a name: its parents */
	FORM_NUMERIC_EXACT = 1 << 8,     /* … unless it is an IP address: then nothing more */
	FORM_NUMERIC_PREFIXES = 1 << 9,  /* … unless it is an IP address: then shorter prefixes */
};

enum plan_parents {
	PARENTS_NONE,
	PARENTS_BARE,   /* example.com: the parameter is in parent_domain_matches_subdomains */
	PARENTS_DOTTED, /* .example.com */
};

enum plan_fold {
	FOLD_UNICODE, /* as Postfix with smtputf8_enable = yes */
	FOLD_ASCII,   /* … = no */
	FOLD_NONE,
};

/* What Postfix does with a result, and so what the answer for a shortened key must look like. */
enum plan_result {
	RESULT_AS_IS,
	RESULT_ADDRESSES, /* an address list; "@other" takes over the local part */
};

/* What Postfix does with one parameter. */
struct plan_parameter {
	const char *name;
	unsigned forms; /* of enum plan_forms */
	enum plan_parents parents;
	enum plan_fold fold;
	enum plan_result result;
	bool propagates;        /* is in the default of propagate_unmatched_extensions */
	bool rejects;           /* for "not found" it rejects a recipient or a domain */
	const char *rejects_in; /* … only in domains of this parameter; NULL: in none */
	bool secret;            /* results are passwords or keys */
	const char
		*refusal; /* why Postfix takes no socketmap here, and what to do; NULL: it does */
	const char *caution; /* the same for a part of its programs; NULL: none */
};

/* The row of a parameter, or NULL. "" is the one for keys that are asked as they are. */
const struct plan_parameter *plan_parameter_find(const char *name);

/* The name that somebody who wrote `word` most likely meant, or NULL. */
const char *plan_parameter_closest(const char *word);

/* The rows by number, NULL behind the last: for messages and manual pages. */
const struct plan_parameter *plan_parameter_at(size_t at);

/* A parameter's row with what one map changes of it. */
struct plan_rule {
	unsigned forms;
	enum plan_parents parents;
	enum plan_fold fold;
	enum plan_result result;
	bool propagates;
	const char *delimiters;                /* borrowed; recipient_delimiter */
	const struct text_list *local_domains; /* borrowed */
};

struct key_form {
	struct slice key; /* folded; borrowed from the plan */
	bool shortened;   /* the extension was taken off: a result takes it back */
};

/* The forms of one key. Zeroed is ready; reusable. Owns its memory. */
struct plan {
	struct key_form *forms;
	size_t count, room;
	struct buf text, scratch;
	struct slice user;      /* of the key, unquoted, without its extension, not folded */
	struct slice extension; /* with its delimiter, not folded; empty if there is none */
	struct buf internal;
	struct buf key; /* as it came */
	bool is_whole;  /* all forms are there, not only the first */
};

/*
 * Fills the plan for a key, which must be valid UTF-8 and is not kept. Returns -1 with `why` when
 * there would be more forms than any real domain gives.
 */
int plan_make(struct plan *plan, const struct plan_rule *rule, struct slice key, struct error *why);

/*
 * The same, but of a key that is plain (address_is_plain()) only the first form is there, since it
 * is often all that is needed; if it is not, plan_complete() makes the others. That moves the
 * forms, and leaves the first what it is.
 */
int plan_begin(struct plan *plan, const struct plan_rule *rule, struct slice key, bool is_plain,
	struct error *why);
int plan_complete(struct plan *plan, const struct plan_rule *rule, struct error *why);
void plan_finish(struct plan *plan);

#endif
