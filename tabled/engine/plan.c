#include "engine/plan.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "engine/address.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* A domain name has at most 127 labels; more forms than these come from no real key. */
	FORMS_MAX = 300,
	FORMS_TEXT_MAX = 200000,
};

static int plan_add_folded(
	struct plan *plan, enum plan_fold fold, struct slice key, bool shortened, struct error *why)
{
	struct key_form *form;
	size_t start = plan->text.size;

	if (!key.size)
		return 0; /* Postfix asks no empty key: maps.c */
	if (plan->count == FORMS_MAX || plan->text.size + key.size > FORMS_TEXT_MAX)
		return error_set(why, "the key has too many parts");
	if (fold == FOLD_UNICODE)
		utf8_fold(key, &plan->text);
	else if (fold == FOLD_ASCII)
		ascii_fold(key, &plan->text);
	else
		buf_add_slice(&plan->text, key);
	if (plan->count == plan->room) {
		plan->room = plan->room ? plan->room * 2 : 8;
		plan->forms = memory_resize(plan->forms, plan->room * sizeof(*plan->forms));
	}
	form = &plan->forms[plan->count++];
	/* The text may still move: for now the slice holds only where it is. */
	*form = (struct key_form){slice_of((char *)start, plan->text.size - start), shortened};
	return 0;
}

static int plan_add(struct plan *plan, const struct plan_rule *rule, struct slice key,
	bool shortened, struct error *why)
{
	return plan_add_folded(plan, rule->fold, key, shortened, why);
}

static void plan_settle(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		plan->forms[i].key.data =
			buf_slice(&plan->text).data + (size_t)plan->forms[i].key.data;
}

/* How an address is written when it is asked: quoted, unquoted, or first the one, then the other.
 */
enum writing { WRITE_EXTERNAL, WRITE_INTERNAL, WRITE_BOTH };

/* An address being planned, and everything that the forms of it need. */
struct planner {
	struct plan *plan;
	const struct plan_rule *rule;
	struct error *why;
	enum writing writing;
	struct slice full; /* internal form */
	struct slice bare; /* the same without extension; data == NULL if it has none */
};

/* postfix: find_addr() in mail_addr_find.c */
static int add_address(struct planner *planner, struct slice internal, bool alone, bool shortened)
{
	struct plan *plan = planner->plan;
	struct slice external;

	if (planner->writing == WRITE_INTERNAL)
		return plan_add(plan, planner->rule, internal, shortened, planner->why);
	buf_clear(&plan->scratch);
	if (alone)
		address_quote_local(internal, &plan->scratch);
	else
		address_quote(internal, &plan->scratch);
	external = buf_slice(&plan->scratch);
	if (plan_add(plan, planner->rule, external, shortened, planner->why) < 0)
		return -1;
	if (planner->writing == WRITE_EXTERNAL || slice_equal(external, internal))
		return 0;
	return plan_add(plan, planner->rule, internal, shortened, planner->why);
}

/* The local part of an address, with `tail` bytes ("@") of what follows. */
static struct slice local_part(struct slice address, size_t tail)
{
	return slice_of(address.data, (size_t)slice_find_last(address, '@') + tail);
}

/* postfix: find_local() in mail_addr_find.c */
static int add_local_parts(struct planner *planner, size_t tail)
{
	bool alone = tail == 0;

	if (add_address(planner, local_part(planner->full, tail), alone, false) < 0)
		return -1;
	if (!planner->bare.data)
		return 0;
	return add_address(planner, local_part(planner->bare, tail), alone, true);
}

/* A name and its parents; the first is the name itself unless it has been asked already. */
static int add_parents(struct planner *planner, struct slice name, bool with_name)
{
	size_t keep_dot = planner->rule->parents == PARENTS_DOTTED;

	while (name.size) {
		ptrdiff_t dot;

		if (with_name &&
			plan_add(planner->plan, planner->rule, name, false, planner->why) < 0)
			return -1;
		with_name = true;
		dot = name.size > 1 ? slice_find(slice_from(name, 1), '.') : -1;
		if (dot < 0 || planner->rule->parents == PARENTS_NONE)
			return 0;
		name = slice_from(name, (size_t)dot + 1 + !keep_dot);
	}
	return 0;
}

/* postfix: check_addr_access() in smtpd_check.c; IPv6 prefixes are cut at colons, as text. */
static int add_prefixes(struct planner *planner, struct slice address)
{
	char delimiter = slice_find(address, ':') >= 0 ? ':' : '.';

	for (;;) {
		ptrdiff_t at = slice_find_last(address, delimiter);

		if (at < 0)
			return 0;
		address.size = (size_t)at;
		if (plan_add(planner->plan, planner->rule, address, false, planner->why) < 0)
			return -1;
	}
}

static bool domain_is_local(const struct plan_rule *rule, struct slice domain)
{
	for (size_t i = 0; rule->local_domains && i < rule->local_domains->count; i++)
		if (utf8_equal_folded(slice_str(rule->local_domains->items[i]), domain))
			return true;
	return false;
}

static bool wants_local_part(const struct plan_rule *rule, struct slice domain)
{
	if (rule->forms & FORM_LOCAL_PART_ALWAYS)
		return true;
	return rule->forms & FORM_LOCAL_PART && domain_is_local(rule, domain);
}

/* Takes the extension off: fills the planner's bare address and the plan's parts of it. */
static void planner_split(struct planner *planner)
{
	struct plan *plan = planner->plan;
	size_t size = 0, start = plan->internal.size;
	ptrdiff_t at = address_extension(planner->full, planner->rule->delimiters, &size);

	if (at < 0)
		return;
	buf_reserve(&plan->internal, planner->full.size);
	planner->full.data = plan->internal.data;
	plan->user = slice_of(planner->full.data, (size_t)at);
	plan->extension = slice_of(planner->full.data + at, size);
	buf_add(&plan->internal, planner->full.data, (size_t)at);
	buf_add_slice(&plan->internal, slice_from(planner->full, (size_t)at + size));
	planner->bare = slice_from(buf_slice(&plan->internal), start);
}

/* postfix: mail_addr_find_opt() in mail_addr_find.c, whose order this is. */
static int plan_address(struct planner *planner)
{
	unsigned forms = planner->rule->forms;
	struct slice at_domain;

	if (add_address(planner, planner->full, false, false) < 0)
		return -1;
	if (forms & FORM_NO_EXTENSION && planner->bare.data &&
		add_address(planner, planner->bare, false, true) < 0)
		return -1;
	at_domain = slice_from(planner->full, (size_t)slice_find_last(planner->full, '@'));
	if (wants_local_part(planner->rule, slice_from(at_domain, 1)) &&
		add_local_parts(planner, 0) < 0)
		return -1;
	if (forms & FORM_AT_DOMAIN &&
		plan_add(planner->plan, planner->rule, at_domain, false, planner->why) < 0)
		return -1;
	if (forms & FORM_DOMAIN && add_parents(planner, slice_from(at_domain, 1), true) < 0)
		return -1;
	if (forms & FORM_LOCAL_PART_AT && add_local_parts(planner, 1) < 0)
		return -1;
	return 0;
}

/*
 * Postfix asks a socketmap for the quoted address and, in some programs, then for the unquoted
 * one. A key that quoting would change is that second question. Where Postfix asks other tables
 * both (FORM_UNQUOTED) the plan holds both, whichever came; elsewhere it keeps to what came.
 */
static void planner_unquote(struct planner *planner, struct slice key)
{
	struct plan *plan = planner->plan;
	bool is_external;

	address_unquote(key, &plan->internal);
	address_quote(buf_slice(&plan->internal), &plan->scratch);
	is_external = slice_equal(buf_slice(&plan->scratch), key);
	if (!is_external) {
		buf_clear(&plan->internal);
		buf_add_slice(&plan->internal, key);
	}
	if (planner->rule->forms & FORM_UNQUOTED)
		planner->writing = WRITE_BOTH;
	else
		planner->writing = is_external ? WRITE_EXTERNAL : WRITE_INTERNAL;
	planner->full = buf_slice(&plan->internal);
}

/* A key without '@': a domain, a host, an IP address, a bare local part, "<>" or "*". */
static int plan_name(struct planner *planner, struct slice key)
{
	unsigned forms = planner->rule->forms;
	unsigned numeric = forms & (FORM_NUMERIC_EXACT | FORM_NUMERIC_PREFIXES);

	if (plan_add(planner->plan, planner->rule, key, false, planner->why) < 0)
		return -1;
	if (numeric && address_is_numeric(key))
		return numeric == FORM_NUMERIC_PREFIXES ? add_prefixes(planner, key) : 0;
	if (forms & FORM_NAME_PARENTS)
		return add_parents(planner, key, false);
	if (forms & FORM_NAME_NO_EXTENSION) {
		planner_unquote(planner, key);
		planner_split(planner);
		if (planner->bare.data)
			return add_address(planner, planner->bare, false, true);
	}
	return 0;
}

/* "user@domain" with both parts? "@domain" and "user@" are asked only as they are. */
static bool is_address(struct slice key)
{
	ptrdiff_t at = slice_find_last(key, '@');

	return at > 0 && (size_t)at + 1 < key.size;
}

static bool forms_of_addresses(unsigned forms)
{
	return forms & (FORM_NO_EXTENSION | FORM_AT_DOMAIN | FORM_DOMAIN);
}

static void plan_clear(struct plan *plan)
{
	plan->count = 0;
	plan->user = plan->extension = slice_of(NULL, 0);
	buf_clear(&plan->text);
	buf_clear(&plan->scratch);
	buf_clear(&plan->internal);
}

int plan_make(struct plan *plan, const struct plan_rule *rule, struct slice key, struct error *why)
{
	struct planner planner = {.plan = plan, .rule = rule, .why = why};
	int result;

	plan_clear(plan);
	if (forms_of_addresses(rule->forms) && is_address(key)) {
		planner_unquote(&planner, key);
		planner_split(&planner);
		result = plan_address(&planner);
	} else {
		result = plan_name(&planner, key);
	}
	plan_settle(plan);
	plan->is_whole = true;
	return result;
}

int plan_begin(struct plan *plan, const struct plan_rule *rule, struct slice key, bool is_plain,
	struct error *why)
{
	/* All that is plain is ASCII. */
	enum plan_fold fold = rule->fold == FOLD_NONE ? FOLD_NONE : FOLD_ASCII;
	int result;

	if (!is_plain)
		return plan_make(plan, rule, key, why);
	plan_clear(plan);
	plan->is_whole = false;
	buf_clear(&plan->key);
	buf_add_slice(&plan->key, key);
	result = plan_add_folded(plan, fold, key, false, why);
	plan_settle(plan);
	return result;
}

int plan_complete(struct plan *plan, const struct plan_rule *rule, struct error *why)
{
	return plan->is_whole ? 0 : plan_make(plan, rule, buf_slice(&plan->key), why);
}

void plan_finish(struct plan *plan)
{
	free(plan->forms);
	buf_finish(&plan->text);
	buf_finish(&plan->scratch);
	buf_finish(&plan->internal);
	buf_finish(&plan->key);
	*plan = (struct plan){0};
}
