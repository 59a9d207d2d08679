#include "engine/template.h"

#include "base/memory.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

struct template_piece {
	char letter; /* of the expansion; 0: the text itself */
	struct slice text;
};

/* Splits the domain from the right; runs of dots count as one (postfix: argv_split). */
static void parts_split_labels(struct address_parts *parts)
{
	struct slice left = parts->domain;

	while (left.size && parts->label_count < TEMPLATE_LABELS) {
		ptrdiff_t dot = slice_find_last(left, '.');
		struct slice label = slice_from(left, (size_t)(dot + 1));

		if (label.size)
			parts->labels[parts->label_count++] = label;
		left.size = dot < 0 ? 0 : (size_t)dot;
	}
}

struct address_parts address_parts_of(struct slice whole)
{
	struct address_parts parts = {.whole = whole, .user = whole};
	ptrdiff_t at = slice_find_last(whole, '@');

	if (at >= 0) {
		parts.user.size = (size_t)at;
		parts.domain = slice_from(whole, (size_t)at + 1);
		parts_split_labels(&parts);
	}
	return parts;
}

bool template_key_fits(const struct template_needs *needs, const struct address_parts *key)
{
	if (needs->key_domain && !key->domain.size)
		return false;
	if (needs->key_user && !key->user.size)
		return false;
	return key->label_count >= needs->labels;
}

bool template_value_fits(const struct template_needs *needs, const struct address_parts *value)
{
	if (needs->value_domain && !value->domain.size)
		return false;
	return !needs->value_user || value->user.size;
}

bool template_is_expansion(char letter)
{
	return letter && strchr("sudSUD123456789", letter);
}

static void needs_add(struct template_needs *needs, char letter, enum template_use use)
{
	bool of_key = use == TEMPLATE_OF_QUERY || isupper((unsigned char)letter);
	size_t label;

	if (isdigit((unsigned char)letter)) {
		label = (size_t)(letter - '0');
		needs->key_domain = true;
		if (needs->labels < label)
			needs->labels = label;
		return;
	}
	switch (tolower((unsigned char)letter)) {
	case 'u':
		*(of_key ? &needs->key_user : &needs->value_user) = true;
		break;
	case 'd':
		*(of_key ? &needs->key_domain : &needs->value_domain) = true;
		break;
	}
}

static void template_add(struct template *template, char letter, struct slice text)
{
	if (!letter && !text.size)
		return;
	template->pieces =
		memory_resize(template->pieces, (template->count + 1) * sizeof(*template->pieces));
	template->pieces[template->count++] = (struct template_piece){letter, text};
}

int template_init(struct template *template, struct slice text, enum template_use use,
	struct template_needs *needs, struct error *why)
{
	size_t start = 0;

	*template = (struct template){.text = memory_new(text.size + 1, 1)};
	if (text.size)
		memcpy(template->text, text.data, text.size);
	for (size_t i = 0; i < text.size; i++) {
		char letter = i + 1 < text.size ? template->text[i + 1] : '\0';

		if (template->text[i] != '%')
			continue;
		if (letter != '%' && !template_is_expansion(letter)) {
			template_finish(template);
			return error_set(why,
				"\"%%%.*s\" is none of %%s %%u %%d %%1..%%9 %%S %%U %%D; "
				"a plain %% is written %%%%",
				letter ? 1 : 0, &letter);
		}
		/* For "%%" the text goes on to hold the first of the two. */
		template_add(
			template, 0, slice_of(template->text + start, i - start + (letter == '%')));
		if (letter != '%') {
			needs_add(needs, letter, use);
			template_add(template, letter, slice_of(NULL, 0));
		}
		start = ++i + 1;
	}
	template_add(template, 0, slice_of(template->text + start, text.size - start));
	return 0;
}

void template_finish(struct template *template)
{
	free(template->pieces);
	free(template->text);
	*template = (struct template){0};
}

/* Lower-case letters speak of the value, upper-case ones and digits of the key. */
static struct slice piece_text(const struct template_piece *piece,
	const struct address_parts *value, const struct address_parts *key)
{
	switch (piece->letter) {
	case 0:
		return piece->text;
	case 's':
		return value->whole;
	case 'u':
		return value->user;
	case 'd':
		return value->domain;
	case 'S':
		return key->whole;
	case 'U':
		return key->user;
	case 'D':
		return key->domain;
	default:
		assert((size_t)(piece->letter - '1') < key->label_count);
		return key->labels[piece->letter - '1'];
	}
}

void template_expand(const struct template *template, const struct address_parts *value,
	const struct address_parts *key, struct buf *out)
{
	for (size_t i = 0; i < template->count; i++)
		buf_add_slice(out, piece_text(&template->pieces[i], value, key));
}
