/*
 * The keys that are asked, for every parameter. What is expected is what Postfix asks of a table
 * with fixed keys (postfix: src/global/mail_addr_find.c, src/smtpd/smtpd_check.c,
 * src/util/match_ops.c; the ideas of some cases are those of mail_addr_find.in).
 */
#include "engine/plan.h"

#include "engine/address.h"

#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

/* Parameters that ask alike, and what they ask: forms parted by blanks (a blank in one is '_'). */
enum kind {
	EXACT,
	EXACT_ASCII,
	EXACT_AS_SENT,
	ALIAS,
	CANONICAL,
	GENERIC,
	ADDRESS,
	LOCAL_RECIPIENT,
	TRANSPORT,
	ACCESS,
	DOMAIN_BARE,
	HOST_BARE,
	HOST_DOTTED,
	CLIENT_BARE,
	CLIENT_DOTTED,
	REFUSED,
	KINDS,
};

static const struct {
	const char *name;
	enum kind kind;
} parameters[] = {
	{"", EXACT},
	{"mydestination", EXACT},
	{"virtual_alias_domains", EXACT},
	{"virtual_mailbox_domains", EXACT},
	{"masquerade_exceptions", EXACT},
	{"mailbox_transport_maps", EXACT},
	{"fallback_transport_maps", EXACT},
	{"check_ccert_access", EXACT},
	{"check_sasl_access", EXACT},
	{"check_address_map", EXACT},
	{"smtpd_log_access_permit_actions", EXACT},
	{"postscreen_access_list", EXACT},
	{"postscreen_allowlist_interfaces", EXACT},
	{"postscreen_forbidden_commands", EXACT},
	{"smtpd_noop_commands", EXACT},
	{"smtpd_forbidden_commands", EXACT},
	{"authorized_submit_users", EXACT},
	{"authorized_flush_users", EXACT},
	{"authorized_mailq_users", EXACT},
	{"local_login_sender_maps", EXACT},
	{"smtpd_sasl_mechanism_filter", EXACT},
	{"smtp_sasl_mechanism_filter", EXACT},
	{"lmtp_sasl_mechanism_filter", EXACT},
	{"lmtp_sasl_password_maps", EXACT},
	{"smtp_tls_policy_maps", EXACT},
	{"lmtp_tls_policy_maps", EXACT},
	{"tlsproxy_client_policy_maps", EXACT},
	{"smtp_tls_per_site", EXACT},
	{"lmtp_tls_per_site", EXACT},
	{"tls_server_sni_maps", EXACT},
	{"smtp_connection_cache_destinations", EXACT},
	{"lmtp_connection_cache_destinations", EXACT},
	{"use_srv_lookup", EXACT},
	{"relay_clientcerts", EXACT_ASCII},
	{"rbl_reply_maps", EXACT_ASCII},
	{"smtpd_command_filter", EXACT_ASCII},
	{"postscreen_command_filter", EXACT_ASCII},
	{"smtpd_dns_reply_filter", EXACT_ASCII},
	{"smtp_dns_reply_filter", EXACT_ASCII},
	{"lmtp_dns_reply_filter", EXACT_ASCII},
	{"smtp_reply_filter", EXACT_ASCII},
	{"lmtp_reply_filter", EXACT_ASCII},
	{"postscreen_dnsbl_reply_map", EXACT_AS_SENT},
	{"smtpd_discard_ehlo_keyword_address_maps", EXACT_AS_SENT},
	{"postscreen_discard_ehlo_keyword_address_maps", EXACT_AS_SENT},
	{"smtp_discard_ehlo_keyword_address_maps", EXACT_AS_SENT},
	{"lmtp_discard_lhlo_keyword_address_maps", EXACT_AS_SENT},
	{"smtpd_milter_maps", EXACT_AS_SENT},
	{"smtp_pix_workaround_maps", EXACT_AS_SENT},
	{"lmtp_pix_workaround_maps", EXACT_AS_SENT},
	{"smtpd_reject_filter_maps", EXACT_AS_SENT},
	{"smtpd_reject_footer_maps", EXACT_AS_SENT},
	{"postscreen_reject_footer_maps", EXACT_AS_SENT},
	{"header_checks", EXACT_AS_SENT},
	{"mime_header_checks", EXACT_AS_SENT},
	{"nested_header_checks", EXACT_AS_SENT},
	{"body_checks", EXACT_AS_SENT},
	{"milter_header_checks", EXACT_AS_SENT},
	{"smtp_header_checks", EXACT_AS_SENT},
	{"smtp_mime_header_checks", EXACT_AS_SENT},
	{"smtp_nested_header_checks", EXACT_AS_SENT},
	{"smtp_body_checks", EXACT_AS_SENT},
	{"lmtp_header_checks", EXACT_AS_SENT},
	{"lmtp_mime_header_checks", EXACT_AS_SENT},
	{"lmtp_nested_header_checks", EXACT_AS_SENT},
	{"lmtp_body_checks", EXACT_AS_SENT},
	{"default_delivery_status_filter", EXACT_AS_SENT},
	{"local_delivery_status_filter", EXACT_AS_SENT},
	{"pipe_delivery_status_filter", EXACT_AS_SENT},
	{"smtp_delivery_status_filter", EXACT_AS_SENT},
	{"lmtp_delivery_status_filter", EXACT_AS_SENT},
	{"virtual_delivery_status_filter", EXACT_AS_SENT},
	{"virtual_alias_maps", ALIAS},
	{"canonical_maps", CANONICAL},
	{"sender_canonical_maps", CANONICAL},
	{"recipient_canonical_maps", CANONICAL},
	{"smtp_generic_maps", GENERIC},
	{"lmtp_generic_maps", GENERIC},
	{"local_recipient_maps", LOCAL_RECIPIENT},
	{"relay_recipient_maps", ADDRESS},
	{"virtual_mailbox_maps", ADDRESS},
	{"sender_bcc_maps", ADDRESS},
	{"recipient_bcc_maps", ADDRESS},
	{"relocated_maps", ADDRESS},
	{"sender_dependent_relayhost_maps", ADDRESS},
	{"address_verify_sender_dependent_relayhost_maps", ADDRESS},
	{"sender_dependent_default_transport_maps", ADDRESS},
	{"address_verify_sender_dependent_default_transport_maps", ADDRESS},
	{"smtpd_sender_login_maps", ADDRESS},
	{"smtp_sasl_password_maps", ADDRESS},
	{"transport_maps", TRANSPORT},
	{"address_verify_transport_maps", TRANSPORT},
	{"check_sender_access", ACCESS},
	{"check_recipient_access", ACCESS},
	{"relay_domains", DOMAIN_BARE},
	{"fast_flush_domains", DOMAIN_BARE},
	{"check_helo_access", HOST_BARE},
	{"check_etrn_access", HOST_BARE},
	{"mynetworks", HOST_BARE},
	{"permit_mx_backup_networks", HOST_BARE},
	{"debug_peer_list", HOST_BARE},
	{"qmqpd_authorized_clients", HOST_BARE},
	{"smtpd_forbid_bare_newline_exclusions", HOST_BARE},
	{"smtpd_client_event_limit_exceptions", HOST_DOTTED},
	{"smtpd_authorized_verp_clients", HOST_DOTTED},
	{"smtpd_authorized_xclient_hosts", HOST_DOTTED},
	{"smtpd_authorized_xforward_hosts", HOST_DOTTED},
	{"smtpd_sasl_exceptions_networks", HOST_DOTTED},
	{"smtp_requiretls_policy", HOST_DOTTED},
	{"check_client_access", CLIENT_BARE},
	{"check_reverse_client_hostname_access", CLIENT_BARE},
	{"check_client_ns_access", CLIENT_BARE},
	{"check_client_mx_access", CLIENT_BARE},
	{"check_client_a_access", CLIENT_BARE},
	{"check_reverse_client_hostname_ns_access", CLIENT_BARE},
	{"check_reverse_client_hostname_mx_access", CLIENT_BARE},
	{"check_reverse_client_hostname_a_access", CLIENT_BARE},
	{"check_helo_ns_access", CLIENT_BARE},
	{"check_helo_mx_access", CLIENT_BARE},
	{"check_helo_a_access", CLIENT_BARE},
	{"check_sender_ns_access", CLIENT_BARE},
	{"check_sender_mx_access", CLIENT_BARE},
	{"check_sender_a_access", CLIENT_BARE},
	{"check_recipient_ns_access", CLIENT_BARE},
	{"check_recipient_mx_access", CLIENT_BARE},
	{"check_recipient_a_access", CLIENT_BARE},
	{"smtp_tls_loglevel_maps", CLIENT_DOTTED},
	{"lmtp_tls_loglevel_maps", CLIENT_DOTTED},
	{"smtpd_tls_loglevel_maps", CLIENT_DOTTED},
	{"postscreen_tls_loglevel_maps", CLIENT_DOTTED},
	{"alias_maps", REFUSED},
	{"mailbox_command_maps", REFUSED},
	{"virtual_uid_maps", REFUSED},
	{"virtual_gid_maps", REFUSED},
	{"address_verify_map", REFUSED},
	{"postscreen_cache_map", REFUSED},
	{"smtp_sasl_auth_cache_name", REFUSED},
	{"lmtp_sasl_auth_cache_name", REFUSED},
	{"smtpd_tls_session_cache_database", REFUSED},
	{"smtp_tls_session_cache_database", REFUSED},
	{"lmtp_tls_session_cache_database", REFUSED},
};

/* What a result is for: whether it is an address list, and whether it takes extensions back. */
static const struct {
	enum plan_result result;
	bool propagates;
} results[KINDS] = {
	[ALIAS] = {RESULT_ADDRESSES, true},
	[CANONICAL] = {RESULT_ADDRESSES, true},
	[GENERIC] = {RESULT_ADDRESSES, false},
};

static struct text_list local_domains = {(char *[]){"loc.ex", "[1.2.3.4]", "B\xc3\x9cro.ex"}, 3};

static const struct {
	unsigned kinds; /* a bit for each */
	const char *key, *forms;
} cases[] = {
#define K(kind) (1u << (kind))
#define ALL_KINDS (K(KINDS) - 1)
#define ALL_EXACT (K(EXACT) | K(EXACT_ASCII) | K(EXACT_AS_SENT))
#define REWRITING (K(ALIAS) | K(CANONICAL) | K(GENERIC))
#define ADDRESSES (REWRITING | K(ADDRESS))
	/* Exact keys: nothing is derived, whatever it looks like. */
	{K(EXACT) | K(EXACT_ASCII), "User+Ext@Sub.D.Ex", "user+ext@sub.d.ex"},
	{K(EXACT_AS_SENT), "User+Ext@Sub.D.Ex", "User+Ext@Sub.D.Ex"},
	{ALL_EXACT, "sub.d.ex", "sub.d.ex"},
	{ALL_EXACT, "1.2.3.4", "1.2.3.4"},
	{ALL_EXACT, "\"a_b\"@d.ex", "\"a_b\"@d.ex"},
	{K(EXACT), "\xc3\x84gypten", "\xc3\xa4gypten"},
	{K(EXACT_ASCII) | K(EXACT_AS_SENT), "\xc3\x84gypten", "\xc3\x84gypten"},
	/* Nobody is asked for an empty key; these are nobody's addresses. */
	{ALL_KINDS & ~K(REFUSED), "", ""},
	{ALL_EXACT | ADDRESSES | K(TRANSPORT) | K(ACCESS), "<>", "<>"},
	{ALL_EXACT | ADDRESSES | K(TRANSPORT) | K(ACCESS), "\"\"", "\"\""},
	{ALL_EXACT | ADDRESSES | K(TRANSPORT) | K(ACCESS), "*", "*"},
	{ALL_EXACT | ADDRESSES | K(TRANSPORT) | K(ACCESS), "@d.ex", "@d.ex"},
	{ALL_EXACT | ADDRESSES | K(TRANSPORT) | K(ACCESS), "user@", "user@"},
	{ALL_EXACT | ADDRESSES | K(TRANSPORT) | K(ACCESS), "@", "@"},
	/* Plain addresses. */
	{ADDRESSES, "User@D.Ex", "user@d.ex @d.ex"},
	{ADDRESSES, "User+Ext@D.Ex", "user+ext@d.ex user@d.ex @d.ex"},
	{ADDRESSES, "user+a+b@d.ex", "user+a+b@d.ex user@d.ex @d.ex"},
	{ADDRESSES, "user+@d.ex", "user+@d.ex user@d.ex @d.ex"},
	{ADDRESSES, "+ext@d.ex", "+ext@d.ex @d.ex"},
	{ADDRESSES, "user@[5.6.7.8]", "user@[5.6.7.8] @[5.6.7.8]"},
	{ADDRESSES, "owner-x+y@d.ex", "owner-x+y@d.ex owner-x@d.ex @d.ex"},
	{ADDRESSES, "\xc3\x84@\xc3\x96.ex", "\xc3\xa4@\xc3\xb6.ex @\xc3\xb6.ex"},
	/* Where the domain is local, the local part alone, before the catch-all. */
	{ADDRESSES, "user@loc.ex", "user@loc.ex user @loc.ex"},
	{ADDRESSES, "User+Ext@LOC.ex", "user+ext@loc.ex user@loc.ex user+ext user @loc.ex"},
	{ADDRESSES, "user@[1.2.3.4]", "user@[1.2.3.4] user @[1.2.3.4]"},
	{ADDRESSES, "user@b\xc3\xbcro.ex", "user@b\xc3\xbcro.ex user @b\xc3\xbcro.ex"},
	{ADDRESSES, "user@sub.loc.ex", "user@sub.loc.ex @sub.loc.ex"},
	/* Quotes: rewriting maps are asked the one form, lookups of addresses both. */
	{REWRITING, "\"A_B\"@d.ex", "\"a_b\"@d.ex @d.ex"},
	{REWRITING, "\"a_b+e_f\"@d.ex", "\"a_b+e_f\"@d.ex \"a_b\"@d.ex @d.ex"},
	{REWRITING, "a_b@d.ex", "a_b@d.ex @d.ex"},
	{REWRITING, "a_b+e_f@d.ex", "a_b+e_f@d.ex a_b@d.ex @d.ex"},
	{REWRITING, "\"a_b+e\"@loc.ex",
		"\"a_b+e\"@loc.ex \"a_b\"@loc.ex \"a_b+e\" \"a_b\" @loc.ex"},
	{REWRITING, "\"a@b\"@loc.ex", "\"a@b\"@loc.ex \"a@b\" @loc.ex"},
	{REWRITING, "\"a.\"@d.ex", "\"a.\"@d.ex @d.ex"},
	{REWRITING, "\"\"@d.ex", "\"\"@d.ex @d.ex"},
	{K(ADDRESS), "\"a_b\"@d.ex", "\"a_b\"@d.ex a_b@d.ex @d.ex"},
	{K(ADDRESS), "a_b@d.ex", "\"a_b\"@d.ex a_b@d.ex @d.ex"},
	{K(ADDRESS), "\"a_b+e\"@d.ex", "\"a_b+e\"@d.ex a_b+e@d.ex \"a_b\"@d.ex a_b@d.ex @d.ex"},
	{K(ADDRESS), "\"a@b+e\"@loc.ex",
		"\"a@b+e\"@loc.ex a@b+e@loc.ex \"a@b\"@loc.ex a@b@loc.ex \"a@b+e\" a@b+e "
		"\"a@b\" a@b @loc.ex"},
	/* Names: canonical and generic maps see header addresses without a domain. */
	{K(CANONICAL) | K(GENERIC), "User+Ext", "user+ext user"},
	{K(CANONICAL) | K(GENERIC), "user", "user"},
	{K(CANONICAL) | K(GENERIC), "\"a_b+c\"", "\"a_b+c\" \"a_b\""},
	{K(ALIAS) | K(ADDRESS), "user+ext", "user+ext"},
	{ADDRESSES, "sub.d.ex", "sub.d.ex"},
	{K(ADDRESS), "[mx.d.ex]:587", "[mx.d.ex]:587"},
	/* Transports: the domain and its parents, with a dot. */
	{K(TRANSPORT), "User+Ext@Sub.D.Ex", "user+ext@sub.d.ex user@sub.d.ex sub.d.ex .d.ex .ex"},
	{K(TRANSPORT), "user@ex", "user@ex ex"},
	{K(TRANSPORT), "user@loc.ex", "user@loc.ex loc.ex .ex"},
	{K(TRANSPORT), "\"a_b\"@d.ex", "\"a_b\"@d.ex a_b@d.ex d.ex .ex"},
	{K(TRANSPORT), "user@[1.2.3.4]", "user@[1.2.3.4] [1.2.3.4] .2.3.4] .3.4] .4]"},
	{K(TRANSPORT), "sub.d.ex", "sub.d.ex"},
	/* Access by address. */
	{K(ACCESS), "Bob+Tag@Sub.D.Ex",
		"bob+tag@sub.d.ex bob@sub.d.ex sub.d.ex d.ex ex bob+tag@ bob@"},
	{K(ACCESS), "bob@ex", "bob@ex ex bob@"},
	{K(ACCESS), "bob@loc.ex", "bob@loc.ex loc.ex ex bob@"},
	{K(ACCESS), "\"b_b\"@d.ex", "\"b_b\"@d.ex b_b@d.ex d.ex ex \"b_b\"@ b_b@"},
	{K(ACCESS), "sub.d.ex", "sub.d.ex"},
	/* Domains and hosts. */
	{K(DOMAIN_BARE) | K(HOST_BARE) | K(CLIENT_BARE), "A.Sub.D.Ex",
		"a.sub.d.ex sub.d.ex d.ex ex"},
	{K(HOST_DOTTED) | K(CLIENT_DOTTED), "A.Sub.D.Ex", "a.sub.d.ex .sub.d.ex .d.ex .ex"},
	{K(DOMAIN_BARE) | K(HOST_BARE) | K(CLIENT_BARE), "localhost", "localhost"},
	{K(HOST_DOTTED) | K(CLIENT_DOTTED), "unknown", "unknown"},
	{K(HOST_BARE) | K(CLIENT_BARE), "d.ex.", "d.ex. ex."},
	{K(HOST_DOTTED), "d.ex.", "d.ex. .ex. ."},
	{K(HOST_BARE), "a..b", "a..b .b"},
	{K(HOST_DOTTED), "a..b", "a..b ..b .b"},
	{K(HOST_BARE) | K(HOST_DOTTED), "1.2.3.4", "1.2.3.4"},
	{K(HOST_BARE) | K(HOST_DOTTED), "2001:DB8::1", "2001:db8::1"},
	{K(HOST_BARE), "[1.2.3.4]", "[1.2.3.4] 2.3.4] 3.4] 4]"},
	{K(DOMAIN_BARE), "1.2.3.4", "1.2.3.4 2.3.4 3.4 4"},
	{K(CLIENT_BARE) | K(CLIENT_DOTTED), "1.2.3.4", "1.2.3.4 1.2.3 1.2 1"},
	{K(CLIENT_BARE) | K(CLIENT_DOTTED), "2001:DB8::1", "2001:db8::1 2001:db8: 2001:db8 2001"},
	{K(CLIENT_BARE), "::1", "::1 :"},
	{K(CLIENT_BARE), "::ffff:1.2.3.4", "::ffff:1.2.3.4 ::ffff : "},
	{K(DOMAIN_BARE) | K(HOST_BARE) | K(HOST_DOTTED) | K(CLIENT_BARE), "user@d", "user@d"},
	/* Only local recipients are asked for, so any domain is local. */
	{K(LOCAL_RECIPIENT), "User@Any.Ex", "user@any.ex user @any.ex"},
	{K(LOCAL_RECIPIENT), "user+x@any.ex", "user+x@any.ex user@any.ex user+x user @any.ex"},
	{K(LOCAL_RECIPIENT), "\"a_b\"@any.ex", "\"a_b\"@any.ex a_b@any.ex \"a_b\" a_b @any.ex"},
	{K(LOCAL_RECIPIENT), "user@[1.2.3.4]", "user@[1.2.3.4] user @[1.2.3.4]"},
	{K(LOCAL_RECIPIENT), "user", "user"},
};

static struct plan plan;

static void end(void)
{
	plan_finish(&plan);
}

/* The rule that a map without any option has. */
static struct plan_rule rule_of(const struct plan_parameter *parameter)
{
	return (struct plan_rule){.forms = parameter->forms,
		.parents = parameter->parents,
		.fold = parameter->fold,
		.result = parameter->result,
		.propagates = parameter->propagates,
		.delimiters = "+",
		.local_domains = &local_domains};
}

/* Keys cannot hold '_' here: it stands for a blank, which parts the forms. */
static char *with_blanks(const char *text)
{
	char *copy = strdup(text);

	for (char *at = copy; *at; at++)
		if (*at == '_')
			*at = ' ';
	return copy;
}

static void join_forms(struct buf *out)
{
	for (size_t i = 0; i < plan.count; i++) {
		struct slice key = plan.forms[i].key;

		if (i)
			buf_add_byte(out, ' ');
		for (size_t k = 0; k < key.size; k++)
			buf_add_byte(out, key.data[k] == ' ' ? '_' : key.data[k]);
	}
}

/* Made in two steps, the plan is the same, and the first form does not change between them. */
static void check_steps(const struct plan_rule *rule, struct slice key, struct slice expected)
{
	struct buf first = {0}, forms = {0};
	struct error why;

	ck_assert_int_eq(plan_begin(&plan, rule, key, address_is_plain(key), &why), 0);
	if (plan.count)
		buf_add_slice(&first, plan.forms[0].key);
	ck_assert_int_eq(plan_complete(&plan, rule, &why), 0);
	if (plan.count)
		assert_slice(plan.forms[0].key, buf_string(&first));
	join_forms(&forms);
	ck_assert(slice_equal(buf_slice(&forms), expected));
	buf_finish(&first);
	buf_finish(&forms);
}

static void check_forms(const struct plan_rule *rule, const char *text, const char *expected)
{
	char *key = with_blanks(text);
	struct buf forms = {0}, trimmed = {0};
	struct error why;

	ck_assert_int_eq(plan_make(&plan, rule, slice_str(key), &why), 0);
	join_forms(&forms);
	buf_add_string(&trimmed, expected);
	while (trimmed.size && trimmed.data[trimmed.size - 1] == ' ')
		trimmed.size--;
	ck_assert_msg(slice_equal(buf_slice(&forms), buf_slice(&trimmed)),
		"%s asks \"%s\", should ask \"%s\"", text, buf_string(&forms),
		buf_string(&trimmed));
	check_steps(rule, slice_str(key), buf_slice(&forms));
	buf_finish(&forms);
	buf_finish(&trimmed);
	free(key);
}

START_TEST(every_parameter_asks_what_it_should)
{
	const struct plan_parameter *parameter = plan_parameter_find(parameters[_i].name);
	enum kind kind = parameters[_i].kind;
	struct plan_rule rule;
	int checked = 0;

	ck_assert_msg(parameter != NULL, "no row for %s", parameters[_i].name);
	ck_assert_int_eq(parameter->refusal != NULL, kind == REFUSED);
	if (kind == REFUSED)
		return;
	rule = rule_of(parameter);
	for (int i = 0; i < COUNT(cases); i++) {
		if (!(cases[i].kinds & K(kind)))
			continue;
		check_forms(&rule, cases[i].key, cases[i].forms);
		checked++;
	}
	ck_assert_int_ge(checked, 5);
	ck_assert_int_eq(rule.result, results[kind].result);
	ck_assert_int_eq(rule.propagates, results[kind].propagates);
}
END_TEST

/* A new parameter needs a row in the table above, too. */
START_TEST(no_parameter_is_left_out)
{
	size_t count = 0;

	for (const struct plan_parameter *row; (row = plan_parameter_at(count)); count++) {
		int found = 0;

		for (int i = 0; i < COUNT(parameters); i++)
			found += strcmp(parameters[i].name, row->name) == 0;
		ck_assert_msg(found == 1, "%s is in the test's table %d times", row->name, found);
	}
	ck_assert_int_eq((int)count, COUNT(parameters));
	ck_assert_ptr_null(plan_parameter_at(count));
	ck_assert_ptr_null(plan_parameter_find("virtual_alias_map"));
}
END_TEST

START_TEST(refusals_say_the_way_out)
{
	for (size_t i = 0; plan_parameter_at(i); i++) {
		const struct plan_parameter *row = plan_parameter_at(i);

		if (row->refusal)
			ck_assert_uint_gt(strlen(row->refusal), 60);
	}
	ck_assert_ptr_nonnull(plan_parameter_find("virtual_mailbox_maps")->caution);
	ck_assert_ptr_null(plan_parameter_find("virtual_alias_maps")->caution);
}
END_TEST

/* What a map's options change. */
START_TEST(delimiters)
{
	struct plan_rule rule = rule_of(plan_parameter_find("virtual_alias_maps"));

	rule.delimiters = "-+";
	check_forms(&rule, "a-b+c@d.ex", "a-b+c@d.ex a@d.ex @d.ex");
	check_forms(&rule, "a+b-c@d.ex", "a+b-c@d.ex a@d.ex @d.ex");
	check_forms(&rule, "owner-list@d.ex", "owner-list@d.ex @d.ex");
	check_forms(&rule, "list-request@d.ex", "list-request@d.ex @d.ex");
	check_forms(&rule, "Mailer-Daemon@d.ex", "mailer-daemon@d.ex @d.ex");
	rule.delimiters = "";
	check_forms(&rule, "a+b@d.ex", "a+b@d.ex @d.ex");
}
END_TEST

START_TEST(no_local_domains)
{
	struct plan_rule rule = rule_of(plan_parameter_find("virtual_alias_maps"));

	rule.local_domains = NULL;
	check_forms(&rule, "user@loc.ex", "user@loc.ex @loc.ex");
}
END_TEST

START_TEST(parents_of_the_other_kind)
{
	struct plan_rule rule = rule_of(plan_parameter_find("transport_maps"));

	rule.parents = PARENTS_BARE;
	check_forms(&rule, "user@sub.d.ex", "user@sub.d.ex sub.d.ex d.ex ex");
	rule = rule_of(plan_parameter_find("check_sender_access"));
	rule.parents = PARENTS_DOTTED;
	check_forms(&rule, "user@sub.d.ex", "user@sub.d.ex sub.d.ex .d.ex .ex user@");
}
END_TEST

START_TEST(folds)
{
	struct plan_rule rule = rule_of(plan_parameter_find("virtual_alias_maps"));

	rule.fold = FOLD_ASCII;
	check_forms(&rule, "\xc3\x84X@D.ex", "\xc3\x84x@d.ex @d.ex");
	rule.fold = FOLD_NONE;
	check_forms(&rule, "\xc3\x84X@D.ex", "\xc3\x84X@D.ex @D.ex");
	rule.fold = FOLD_UNICODE;
	check_forms(&rule,
		"STRA\xc3\x9f"
		"E@D.ex",
		"strasse@d.ex @d.ex");
}
END_TEST

static void assert_shortened(const char *pattern)
{
	ck_assert_uint_eq(plan.count, strlen(pattern));
	for (size_t i = 0; i < plan.count; i++)
		ck_assert_int_eq(plan.forms[i].shortened, pattern[i] == 's');
}

/* Only what lost its extension takes it back: not the full key, nor the catch-all. */
START_TEST(shortened_forms_are_marked)
{
	struct plan_rule rule = rule_of(plan_parameter_find("virtual_alias_maps"));
	struct error why;

	ck_assert_int_eq(plan_make(&plan, &rule, slice_str("User+Ext@loc.ex"), &why), 0);
	assert_shortened(".s.s.");
	assert_slice(plan.user, "User");
	assert_slice(plan.extension, "+Ext");
	ck_assert_int_eq(plan_make(&plan, &rule, slice_str("\"A b+E f\"@d.ex"), &why), 0);
	assert_shortened(".s.");
	assert_slice(plan.user, "A b");
	assert_slice(plan.extension, "+E f");
	ck_assert_int_eq(plan_make(&plan, &rule, slice_str("user@d.ex"), &why), 0);
	assert_shortened("..");
	ck_assert_uint_eq(plan.extension.size, 0);
	rule = rule_of(plan_parameter_find("canonical_maps"));
	ck_assert_int_eq(plan_make(&plan, &rule, slice_str("User+Ext"), &why), 0);
	assert_shortened(".s");
	assert_slice(plan.user, "User");
}
END_TEST

START_TEST(forms_are_bounded)
{
	struct plan_rule rule = rule_of(plan_parameter_find("relay_domains"));
	struct error why = {0};
	char key[1000];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = i % 2 ? '.' : 'a';
	ck_assert_int_eq(plan_make(&plan, &rule, slice_of(key, 255), &why), 0);
	ck_assert_uint_eq(plan.count, 128);
	ck_assert_int_eq(plan_make(&plan, &rule, slice_of(key, sizeof(key)), &why), -1);
	assert_contains(why.text, "too many parts");
	check_forms(&rule, "sub.d.ex", "sub.d.ex d.ex ex");
}
END_TEST

START_TEST(long_keys)
{
	struct plan_rule rule = rule_of(plan_parameter_find("virtual_mailbox_maps"));
	struct error why;
	struct buf key = {0};

	for (int i = 0; i < 9000; i++)
		buf_add_byte(&key, i == 100 ? '+' : 'x');
	buf_add_string(&key, "@d.ex");
	ck_assert_int_eq(plan_make(&plan, &rule, buf_slice(&key), &why), 0);
	ck_assert_uint_eq(plan.count, 3);
	ck_assert(slice_equal(plan.forms[0].key, buf_slice(&key)));
	ck_assert_uint_eq(plan.forms[1].key.size, 105);
	buf_finish(&key);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");
	TCase *tcase = tcase_create("plan");

	tcase_add_checked_fixture(tcase, NULL, end);
	tcase_add_loop_test(tcase, every_parameter_asks_what_it_should, 0, COUNT(parameters));
	tcase_add_test(tcase, no_parameter_is_left_out);
	tcase_add_test(tcase, refusals_say_the_way_out);
	tcase_add_test(tcase, delimiters);
	tcase_add_test(tcase, no_local_domains);
	tcase_add_test(tcase, parents_of_the_other_kind);
	tcase_add_test(tcase, folds);
	tcase_add_test(tcase, shortened_forms_are_marked);
	tcase_add_test(tcase, forms_are_bounded);
	tcase_add_test(tcase, long_keys);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
