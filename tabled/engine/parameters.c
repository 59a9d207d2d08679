/*
 * Postfix's parameters that take a lookup table: one row each. To serve a new one, add its row.
 *
 * Read from postfix: src/global/mail_params.h (defaults) and the files named below; the rows hold
 * for Postfix 3.4 to 3.12.
 */
#include "engine/plan.h"

#include <string.h>

/* Sets of forms that several parameters share. */
enum {
	/* mail_addr_find.c, MA_FIND_DEFAULT */
	ADDRESS_FORMS = FORM_NO_EXTENSION | FORM_LOCAL_PART | FORM_AT_DOMAIN,
	/* transport.c; "*" comes as a key of its own */
	TRANSPORT_FORMS = FORM_NO_EXTENSION | FORM_DOMAIN | FORM_UNQUOTED,
	/* smtpd_check.c, check_mail_access() */
	ACCESS_FORMS = FORM_NO_EXTENSION | FORM_DOMAIN | FORM_LOCAL_PART_AT | FORM_UNQUOTED,
	/* smtpd_check.c, check_domain_access(); match_ops.c, match_hostname() and match_hostaddr()
	 */
	HOST_FORMS = FORM_NAME_PARENTS | FORM_NUMERIC_EXACT,
	/* smtpd_check.c, check_namadr_access() */
	CLIENT_FORMS = FORM_NAME_PARENTS | FORM_NUMERIC_PREFIXES,
};

#define ALIAS_REFUSAL                                                                              \
	"local(8) refuses socketmaps for alias_maps, since aliases can run commands: keep "        \
	"alias_maps = hash:/etc/aliases, and serve addresses by virtual_alias_maps"
#define COMMAND_REFUSAL                                                                            \
	"local(8) refuses socketmaps for mailbox_command_maps, since the results are run as "      \
	"commands: use mailbox_transport_maps, which takes one"
#define ID_REFUSAL                                                                                 \
	"virtual(8) refuses socketmaps for user and group ids: use static:5000, or deliver by "    \
	"LMTP (virtual_transport = lmtp:unix:private/dovecot-lmtp), where Dovecot looks them up"
#define CACHE_REFUSAL                                                                              \
	"this is a cache that Postfix writes to, and a socketmap can only be read: keep the "      \
	"default btree: or lmdb: table"
#define MAILBOX_CAUTION                                                                            \
	"smtpd(8) takes a socketmap for virtual_mailbox_maps, virtual(8) does not: deliver by "    \
	"LMTP (virtual_transport = lmtp:unix:private/dovecot-lmtp), not by virtual_transport = "   \
	"virtual"

static const struct plan_parameter parameters[] = {
	/* A map that serves no parameter: the key as it is. Nobody knows what it is used for. */
	{.name = "", .rejects = true},
	/* Domains and address classes: trivial-rewrite/resolve.c, smtpd/smtpd_check.c */
	{.name = "mydestination", .rejects = true},
	{.name = "virtual_alias_domains", .rejects = true},
	{.name = "virtual_mailbox_domains", .rejects = true},
	{.name = "relay_domains",
		.rejects = true,
		.forms = FORM_NAME_PARENTS,
		.parents = PARENTS_BARE},
	{.name = "fast_flush_domains", .forms = FORM_NAME_PARENTS, .parents = PARENTS_BARE},
	/* smtpd asks it only for recipients in mydestination and the like */
	{.name = "local_recipient_maps",
		.rejects = true,
		.forms = ADDRESS_FORMS | FORM_UNQUOTED | FORM_LOCAL_PART_ALWAYS},
	{.name = "relay_recipient_maps", .rejects = true, .forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "virtual_mailbox_maps",
		.rejects = true,
		.forms = ADDRESS_FORMS | FORM_UNQUOTED,
		.caution = MAILBOX_CAUTION},
	/* Rewriting: cleanup/cleanup_map1n.c, cleanup_map11.c, smtp/smtp_map11.c */
	{.name = "virtual_alias_maps",
		.rejects_in = "virtual_alias_domains",
		.forms = ADDRESS_FORMS,
		.result = RESULT_ADDRESSES,
		.propagates = true},
	{.name = "canonical_maps",
		.forms = ADDRESS_FORMS | FORM_NAME_NO_EXTENSION,
		.result = RESULT_ADDRESSES,
		.propagates = true},
	{.name = "sender_canonical_maps",
		.forms = ADDRESS_FORMS | FORM_NAME_NO_EXTENSION,
		.result = RESULT_ADDRESSES,
		.propagates = true},
	{.name = "recipient_canonical_maps",
		.forms = ADDRESS_FORMS | FORM_NAME_NO_EXTENSION,
		.result = RESULT_ADDRESSES,
		.propagates = true},
	{.name = "smtp_generic_maps",
		.forms = ADDRESS_FORMS | FORM_NAME_NO_EXTENSION,
		.result = RESULT_ADDRESSES},
	{.name = "lmtp_generic_maps",
		.forms = ADDRESS_FORMS | FORM_NAME_NO_EXTENSION,
		.result = RESULT_ADDRESSES},
	{.name = "sender_bcc_maps", .forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "recipient_bcc_maps", .forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "relocated_maps", .forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "masquerade_exceptions"},
	/* Routing: trivial-rewrite/transport.c, resolve.c, local/mailbox.c, unknown.c */
	{.name = "transport_maps", .forms = TRANSPORT_FORMS, .parents = PARENTS_DOTTED},
	{.name = "address_verify_transport_maps",
		.forms = TRANSPORT_FORMS,
		.parents = PARENTS_DOTTED},
	{.name = "sender_dependent_relayhost_maps", .forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "address_verify_sender_dependent_relayhost_maps",
		.forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "sender_dependent_default_transport_maps", .forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "address_verify_sender_dependent_default_transport_maps",
		.forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "mailbox_transport_maps"},
	{.name = "fallback_transport_maps"},
	/* Access restrictions: smtpd/smtpd_check.c */
	{.name = "check_client_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_reverse_client_hostname_access",
		.forms = CLIENT_FORMS,
		.parents = PARENTS_BARE},
	{.name = "check_helo_access", .forms = HOST_FORMS, .parents = PARENTS_BARE},
	{.name = "check_etrn_access", .forms = HOST_FORMS, .parents = PARENTS_BARE},
	{.name = "check_sender_access", .forms = ACCESS_FORMS, .parents = PARENTS_BARE},
	{.name = "check_recipient_access", .forms = ACCESS_FORMS, .parents = PARENTS_BARE},
	{.name = "check_client_ns_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_client_mx_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_client_a_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_reverse_client_hostname_ns_access",
		.forms = CLIENT_FORMS,
		.parents = PARENTS_BARE},
	{.name = "check_reverse_client_hostname_mx_access",
		.forms = CLIENT_FORMS,
		.parents = PARENTS_BARE},
	{.name = "check_reverse_client_hostname_a_access",
		.forms = CLIENT_FORMS,
		.parents = PARENTS_BARE},
	{.name = "check_helo_ns_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_helo_mx_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_helo_a_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_sender_ns_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_sender_mx_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_sender_a_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_recipient_ns_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_recipient_mx_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_recipient_a_access", .forms = CLIENT_FORMS, .parents = PARENTS_BARE},
	{.name = "check_ccert_access"},
	{.name = "check_sasl_access"},
	{.name = "check_address_map"},
	{.name = "smtpd_sender_login_maps", .forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "relay_clientcerts", .fold = FOLD_ASCII},
	{.name = "rbl_reply_maps", .fold = FOLD_ASCII},
	{.name = "smtpd_log_access_permit_actions"},
	/* Lists of clients: util/match_ops.c */
	{.name = "mynetworks", .forms = HOST_FORMS, .parents = PARENTS_BARE},
	{.name = "permit_mx_backup_networks", .forms = HOST_FORMS, .parents = PARENTS_BARE},
	{.name = "debug_peer_list", .forms = HOST_FORMS, .parents = PARENTS_BARE},
	{.name = "qmqpd_authorized_clients", .forms = HOST_FORMS, .parents = PARENTS_BARE},
	{.name = "smtpd_forbid_bare_newline_exclusions",
		.forms = HOST_FORMS,
		.parents = PARENTS_BARE},
	{.name = "smtpd_client_event_limit_exceptions",
		.forms = HOST_FORMS,
		.parents = PARENTS_DOTTED},
	{.name = "smtpd_authorized_verp_clients", .forms = HOST_FORMS, .parents = PARENTS_DOTTED},
	{.name = "smtpd_authorized_xclient_hosts", .forms = HOST_FORMS, .parents = PARENTS_DOTTED},
	{.name = "smtpd_authorized_xforward_hosts", .forms = HOST_FORMS, .parents = PARENTS_DOTTED},
	{.name = "smtpd_sasl_exceptions_networks", .forms = HOST_FORMS, .parents = PARENTS_DOTTED},
	{.name = "postscreen_access_list"},
	{.name = "postscreen_allowlist_interfaces"},
	{.name = "postscreen_dnsbl_reply_map", .fold = FOLD_NONE},
	{.name = "postscreen_forbidden_commands"},
	{.name = "smtpd_noop_commands"},
	{.name = "smtpd_forbidden_commands"},
	{.name = "authorized_submit_users"},
	{.name = "authorized_flush_users"},
	{.name = "authorized_mailq_users"},
	{.name = "local_login_sender_maps"},
	/* Text that is asked letter by letter, and so never folded */
	{.name = "smtpd_discard_ehlo_keyword_address_maps", .fold = FOLD_NONE},
	{.name = "postscreen_discard_ehlo_keyword_address_maps", .fold = FOLD_NONE},
	{.name = "smtp_discard_ehlo_keyword_address_maps", .fold = FOLD_NONE},
	{.name = "lmtp_discard_lhlo_keyword_address_maps", .fold = FOLD_NONE},
	{.name = "smtpd_milter_maps", .fold = FOLD_NONE},
	{.name = "smtp_pix_workaround_maps", .fold = FOLD_NONE},
	{.name = "lmtp_pix_workaround_maps", .fold = FOLD_NONE},
	{.name = "smtpd_reject_filter_maps", .fold = FOLD_NONE},
	{.name = "smtpd_reject_footer_maps", .fold = FOLD_NONE},
	{.name = "postscreen_reject_footer_maps", .fold = FOLD_NONE},
	{.name = "header_checks", .fold = FOLD_NONE},
	{.name = "mime_header_checks", .fold = FOLD_NONE},
	{.name = "nested_header_checks", .fold = FOLD_NONE},
	{.name = "body_checks", .fold = FOLD_NONE},
	{.name = "milter_header_checks", .fold = FOLD_NONE},
	{.name = "smtp_header_checks", .fold = FOLD_NONE},
	{.name = "smtp_mime_header_checks", .fold = FOLD_NONE},
	{.name = "smtp_nested_header_checks", .fold = FOLD_NONE},
	{.name = "smtp_body_checks", .fold = FOLD_NONE},
	{.name = "lmtp_header_checks", .fold = FOLD_NONE},
	{.name = "lmtp_mime_header_checks", .fold = FOLD_NONE},
	{.name = "lmtp_nested_header_checks", .fold = FOLD_NONE},
	{.name = "lmtp_body_checks", .fold = FOLD_NONE},
	{.name = "default_delivery_status_filter", .fold = FOLD_NONE},
	{.name = "local_delivery_status_filter", .fold = FOLD_NONE},
	{.name = "pipe_delivery_status_filter", .fold = FOLD_NONE},
	{.name = "smtp_delivery_status_filter", .fold = FOLD_NONE},
	{.name = "lmtp_delivery_status_filter", .fold = FOLD_NONE},
	{.name = "virtual_delivery_status_filter", .fold = FOLD_NONE},
	/* Text that is folded */
	{.name = "smtpd_command_filter", .fold = FOLD_ASCII},
	{.name = "postscreen_command_filter", .fold = FOLD_ASCII},
	{.name = "smtpd_dns_reply_filter", .fold = FOLD_ASCII},
	{.name = "smtp_dns_reply_filter", .fold = FOLD_ASCII},
	{.name = "lmtp_dns_reply_filter", .fold = FOLD_ASCII},
	{.name = "smtp_reply_filter", .fold = FOLD_ASCII},
	{.name = "lmtp_reply_filter", .fold = FOLD_ASCII},
	{.name = "smtpd_sasl_mechanism_filter"},
	{.name = "smtp_sasl_mechanism_filter"},
	{.name = "lmtp_sasl_mechanism_filter"},
	/* The SMTP client: smtp/smtp_sasl_glue.c, smtp_tls_policy.c. It walks up the parents by
	   itself for TLS policies */
	{.name = "smtp_sasl_password_maps", .secret = true, .forms = ADDRESS_FORMS | FORM_UNQUOTED},
	{.name = "lmtp_sasl_password_maps", .secret = true},
	{.name = "smtp_tls_policy_maps"},
	{.name = "lmtp_tls_policy_maps"},
	{.name = "tlsproxy_client_policy_maps"},
	{.name = "smtp_tls_per_site"},
	{.name = "lmtp_tls_per_site"},
	{.name = "tls_server_sni_maps", .secret = true},
	{.name = "smtp_connection_cache_destinations"},
	{.name = "lmtp_connection_cache_destinations"},
	{.name = "use_srv_lookup"},
	{.name = "smtp_requiretls_policy", .forms = HOST_FORMS, .parents = PARENTS_DOTTED},
	{.name = "smtp_tls_loglevel_maps", .forms = CLIENT_FORMS, .parents = PARENTS_DOTTED},
	{.name = "lmtp_tls_loglevel_maps", .forms = CLIENT_FORMS, .parents = PARENTS_DOTTED},
	{.name = "smtpd_tls_loglevel_maps", .forms = CLIENT_FORMS, .parents = PARENTS_DOTTED},
	{.name = "postscreen_tls_loglevel_maps", .forms = CLIENT_FORMS, .parents = PARENTS_DOTTED},
	/* Where Postfix takes no socketmap */
	{.name = "alias_maps", .refusal = ALIAS_REFUSAL},
	{.name = "mailbox_command_maps", .refusal = COMMAND_REFUSAL},
	{.name = "virtual_uid_maps", .refusal = ID_REFUSAL},
	{.name = "virtual_gid_maps", .refusal = ID_REFUSAL},
	{.name = "address_verify_map", .refusal = CACHE_REFUSAL},
	{.name = "postscreen_cache_map", .refusal = CACHE_REFUSAL},
	{.name = "smtp_sasl_auth_cache_name", .refusal = CACHE_REFUSAL},
	{.name = "lmtp_sasl_auth_cache_name", .refusal = CACHE_REFUSAL},
	{.name = "smtpd_tls_session_cache_database", .refusal = CACHE_REFUSAL},
	{.name = "smtp_tls_session_cache_database", .refusal = CACHE_REFUSAL},
	{.name = "lmtp_tls_session_cache_database", .refusal = CACHE_REFUSAL},
};

enum { PARAMETER_COUNT = sizeof(parameters) / sizeof(*parameters) };

const struct plan_parameter *plan_parameter_find(const char *name)
{
	for (size_t i = 0; i < PARAMETER_COUNT; i++)
		if (strcmp(parameters[i].name, name) == 0)
			return &parameters[i];
	return NULL;
}

const struct plan_parameter *plan_parameter_at(size_t at)
{
	return at < PARAMETER_COUNT ? &parameters[at] : NULL;
}

const char *plan_parameter_closest(const char *word)
{
	const char *names[PARAMETER_COUNT] = {NULL};

	/* Without the first, which has no name. */
	for (size_t i = 1; i < PARAMETER_COUNT; i++)
		names[i - 1] = parameters[i].name;
	return setting_closest(word, names);
}
