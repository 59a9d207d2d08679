#include "engine/dictionary_lookup.h"

#include "engine/engine_internal.h"
#include "engine/search.h"

/* The client is told the key; the log is not. */
static void refuse(struct engine *engine, const struct dictionary *dictionary, const char *why,
	struct slice path, uint64_t now, lookup_done *done, void *owner)
{
	struct reply reply = {.status = BROKEN, .map = dictionary->name};
	struct error text;

	error_set(&text, "%s: %.*s", why, SLICE_ARGS(path));
	reply.text = slice_str(text.text);
	if (log_limit_pass(&engine->limit, now, "failed lookups"))
		log_warning("dictionary=%s: a lookup was refused: %s", dictionary->name, why);
	done(owner, &reply);
}

void dictionary_lookup(struct engine *engine, const struct dictionary *dictionary,
	struct slice path, struct slice user, uint64_t now, lookup_done *done, void *owner)
{
	struct dictionary_place place;
	struct buf form = {0};
	struct error why;

	if (dictionary_find(dictionary, path, user, &place, &why) < 0) {
		refuse(engine, dictionary, why.text, path, now, done, owner);
		return;
	}
	dictionary_form(&place, &form);
	search_begin_in(engine, place.key->map, buf_slice(&form), now, done, owner);
	buf_finish(&form);
}
