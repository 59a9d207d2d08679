#include "ctl/mail_name.h"

#include "base/utf8.h"

/* Characters, not bytes: that is what columns count. */
static size_t count_characters(struct slice text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.size; i++)
		count += (text.data[i] & 0xc0) != 0x80;
	return count;
}

static int check_text(struct slice text, const char *what, struct error *why)
{
	if (!utf8_is_valid(text))
		return error_set(why, "that %s is not valid UTF-8", what);
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
			return error_set(why, "there is a control character in that %s", what);
	if (count_characters(text) > MAIL_NAME_MOST)
		return error_set(why, "a %s has at most %d characters", what, MAIL_NAME_MOST);
	return 0;
}

static int check_domain(struct slice domain, struct error *why)
{
	if (!domain.size || domain.data[0] == '.' || domain.data[domain.size - 1] == '.' ||
		memmem(domain.data, domain.size, "..", 2))
		return error_set(why, "\"%.*s\" is no domain", SLICE_ARGS(domain));
	for (size_t i = 0; i < domain.size; i++)
		if (strchr(" @,;:<>()\"\\/*%", domain.data[i]))
			return error_set(why, "\"%.*s\" is no domain: there is a '%c' in it",
				SLICE_ARGS(domain), domain.data[i]);
	return 0;
}

/* Without quotes a local part has no blanks or signs of lists, with them anything. */
static int check_local(struct slice local, struct error *why)
{
	bool is_quoted =
		local.size > 1 && local.data[0] == '"' && local.data[local.size - 1] == '"';

	for (size_t i = 0; !is_quoted && i < local.size; i++)
		if (strchr(" ,;:<>()\"\\", local.data[i]))
			return error_set(why,
				"\"%.*s\" has a '%c' in it, which wants quotes around the part "
				"before the @",
				SLICE_ARGS(local), local.data[i]);
	return 0;
}

int mail_domain(const char *text, struct buf *out, struct error *why)
{
	struct slice domain = slice_str(text);

	if (check_text(domain, "domain", why) < 0 || check_domain(domain, why) < 0)
		return -1;
	utf8_fold(domain, out);
	return 0;
}

struct slice mail_domain_of(struct slice address)
{
	return slice_from(address, (size_t)(slice_find_last(address, '@') + 1));
}

int mail_address(const char *text, bool is_catch_all, struct buf *out, struct error *why)
{
	struct slice address = slice_str(text);
	ptrdiff_t at = slice_find_last(address, '@');

	if (check_text(address, "address", why) < 0)
		return -1;
	if (at < 0 || (at == 0 && !is_catch_all))
		return error_set(why, "\"%s\" is no address: user@domain%s", text,
			is_catch_all ? ", or @domain for all others of a domain" : "");
	if (check_domain(mail_domain_of(address), why) < 0 ||
		check_local(slice_of(address.data, (size_t)at), why) < 0)
		return -1;
	utf8_fold(address, out);
	return 0;
}
