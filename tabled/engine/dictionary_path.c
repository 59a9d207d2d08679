#include "engine/dictionary_path.h"

#include <ctype.h>

static bool is_name_character(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Cuts the next piece off the front of the pattern. Returns -1 with `why`. */
static int cut_piece(struct slice *rest, struct dictionary_piece *piece, struct error *why)
{
	ptrdiff_t dollar = slice_find(*rest, '$');
	size_t size = 0;

	piece->text = slice_of(rest->data, dollar < 0 ? rest->size : (size_t)dollar);
	piece->variable = slice_of(NULL, 0);
	*rest = slice_from(*rest, piece->text.size);
	if (dollar < 0)
		return 0;
	*rest = slice_from(*rest, 1);
	while (size < rest->size && is_name_character(rest->data[size]))
		size++;
	if (!size)
		return error_set(why, "a '$' begins the name of a variable, as in $user");
	piece->variable = slice_of(rest->data, size);
	*rest = slice_from(*rest, size);
	if (rest->size && rest->data[0] != '/')
		return error_set(why,
			"behind $%.*s only a '/' can follow, since it stands for all up "
			"to the next one",
			SLICE_ARGS(piece->variable));
	return 0;
}

static int check_prefix(struct dictionary_pattern *pattern, struct error *why)
{
	struct slice text = slice_str(pattern->text);

	pattern->is_private = slice_starts_with(text, slice_str("priv/"));
	if (pattern->is_private || slice_starts_with(text, slice_str("shared/")))
		return 0;
	return error_set(why, "a key begins with shared/, or with priv/ if each user has his own");
}

static int take_pieces(struct dictionary_pattern *pattern, struct error *why)
{
	struct slice rest = slice_str(pattern->text);
	struct dictionary_piece *piece;

	for (;;) {
		piece = &pattern->pieces[pattern->variables];
		if (cut_piece(&rest, piece, why) < 0)
			return -1;
		if (!piece->variable.data)
			break;
		if (dictionary_pattern_find(pattern, piece->variable) >= 0)
			return error_set(
				why, "$%.*s stands there twice", SLICE_ARGS(piece->variable));
		if (pattern->variables == DICTIONARY_VARIABLES_MAX)
			return error_set(
				why, "there are more than %d variables", DICTIONARY_VARIABLES_MAX);
		pattern->variables++;
	}
	pattern->takes_the_rest = pattern->variables && !piece->text.size;
	return 0;
}

int dictionary_pattern_init(struct dictionary_pattern *pattern, const char *text, struct error *why)
{
	*pattern = (struct dictionary_pattern){.text = text};
	return check_prefix(pattern, why) < 0 ? -1 : take_pieces(pattern, why);
}

ptrdiff_t dictionary_pattern_find(const struct dictionary_pattern *pattern, struct slice name)
{
	for (size_t i = 0; i < pattern->variables; i++)
		if (slice_equal(pattern->pieces[i].variable, name))
			return (ptrdiff_t)i;
	return -1;
}

static bool is_last(const struct dictionary_pattern *pattern, size_t variable)
{
	return pattern->takes_the_rest && variable + 1 == pattern->variables;
}

/* Takes the text off the front of `rest`, if it is there. */
static bool cut_text(struct slice *rest, struct slice text)
{
	if (!slice_starts_with(*rest, text))
		return false;
	*rest = slice_from(*rest, text.size);
	return true;
}

/*
 * Takes what is before the next '/', or all, off the front of `rest`. Returns false if that is
 * nothing: dovecot lets it be a value, but no row of an iteration could tell it from a mistake.
 */
static bool cut_value(struct slice *rest, struct slice *ret_value)
{
	ptrdiff_t slash = slice_find(*rest, '/');

	*ret_value = slice_of(rest->data, slash < 0 ? rest->size : (size_t)slash);
	*rest = slice_from(*rest, ret_value->size);
	return ret_value->size > 0;
}

bool dictionary_pattern_match(const struct dictionary_pattern *pattern, struct slice key,
	struct slice ret_values[DICTIONARY_VARIABLES_MAX])
{
	for (size_t i = 0; i < pattern->variables; i++) {
		if (!cut_text(&key, pattern->pieces[i].text) || !key.size)
			return false;
		if (is_last(pattern, i)) {
			ret_values[i] = key;
			return true;
		}
		if (!cut_value(&key, &ret_values[i]))
			return false;
	}
	return slice_equal(key, pattern->pieces[pattern->variables].text);
}

/* The path ends inside a piece of text, or at its end: are the keys behind it to be shown? */
static bool ends_well(const struct dictionary_pattern *pattern, size_t piece, struct slice path,
	struct slice rest, bool recurse)
{
	struct slice text = pattern->pieces[piece].text;

	if (!path.size || path.data[path.size - 1] != '/' || !slice_starts_with(text, rest))
		return false;
	if (recurse)
		return rest.size < text.size || piece < pattern->variables;
	/* Children: one variable is left, and nothing but it. */
	return rest.size == text.size && is_last(pattern, piece);
}

/* How much of the path belongs to pieces and values of before; what is left is `rest`. */
static struct slice before(struct slice path, struct slice rest)
{
	return slice_of(path.data, path.size - rest.size);
}

bool dictionary_pattern_meets(const struct dictionary_pattern *pattern, struct slice path,
	bool recurse, bool exact, struct dictionary_span *ret_span)
{
	struct slice rest = path;

	*ret_span = (struct dictionary_span){.begin = slice_of("", 0), .prefix = path};
	if (exact) {
		ret_span->is_whole = true;
		ret_span->known = pattern->variables;
		return dictionary_pattern_match(pattern, path, ret_span->values);
	}
	for (size_t i = 0; i < pattern->variables; i++) {
		if (rest.size <= pattern->pieces[i].text.size)
			return ends_well(pattern, i, path, rest, recurse);
		if (!cut_text(&rest, pattern->pieces[i].text))
			return false;
		if (is_last(pattern, i)) {
			ret_span->prefix = before(path, rest);
			ret_span->begin = rest;
			return path.data[path.size - 1] == '/';
		}
		if (!cut_value(&rest, &ret_span->values[ret_span->known++]))
			return false;
	}
	return ends_well(pattern, pattern->variables, path, rest, recurse);
}

void dictionary_pattern_complete(const struct dictionary_pattern *pattern,
	const struct dictionary_span *span, const struct slice *cells, struct buf *out)
{
	size_t size = 0;

	/* The path may have ended within a piece of text: its rest comes first. */
	for (size_t i = 0; i < span->known; i++)
		size += pattern->pieces[i].text.size + span->values[i].size;
	buf_add_slice(out, span->prefix);
	buf_add_slice(out, slice_from(pattern->pieces[span->known].text, span->prefix.size - size));
	for (size_t i = span->known; i < pattern->variables; i++) {
		buf_add_slice(out, cells[i - span->known]);
		buf_add_slice(out, pattern->pieces[i + 1].text);
	}
}
