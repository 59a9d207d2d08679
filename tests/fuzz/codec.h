/*
 * What must hold for every codec (tabled/proto.h) and every input; the fuzz targets of the
 * protocols share it.
 */
#ifndef TABLED_TESTS_FUZZ_CODEC_H
#define TABLED_TESTS_FUZZ_CODEC_H

#include "fuzz/fuzz.h"
#include "proto.h"

static inline bool fuzz_inside(struct slice part, const char *whole, size_t size)
{
	return part.data >= whole && part.size <= size &&
	       (size_t)(part.data - whole) <= size - part.size;
}

/* What was cut, in a form that two runs can be compared by. */
static inline void fuzz_note(struct buf *notes, enum cut cut, size_t used,
	const struct request *request, const struct error *why)
{
	buf_add_format(notes, "%d ", cut);
	/* How much is thrown away with a connection depends on how much had come. */
	if (cut == CUT_CLOSE) {
		buf_add_string(notes, why->text);
		return;
	}
	buf_add_format(notes, "%zu ", used);
	if (cut == CUT_REFUSE) {
		buf_add_string(notes, why->text);
		return;
	}
	buf_add_format(notes, "%zu ", request->map.size);
	buf_add_slice(notes, request->map);
	buf_add_slice(notes, request->key);
}

static inline void fuzz_check_cut(const struct proto *proto, enum cut cut, const char *input,
	size_t size, size_t used, const struct request *request)
{
	FUZZ_CHECK(used <= size);
	FUZZ_CHECK((used == 0) == (cut == CUT_MORE));
	if (cut == CUT_MORE)
		FUZZ_CHECK(size < proto->longest_request);
	else if (cut != CUT_CLOSE)
		FUZZ_CHECK(used <= proto->longest_request);
	if (cut != CUT_REQUEST)
		return;
	FUZZ_CHECK(fuzz_inside(request->key, input, used));
	if (request->map.data)
		FUZZ_CHECK(fuzz_inside(request->map, input, used));
	if (proto->kind == PROTO_NAMES_MAP || proto->kind == PROTO_ONE_MAP) {
		FUZZ_CHECK(request->key.size <= LOOKUP_KEY_MAX);
		FUZZ_CHECK(slice_find(request->key, '\0') < 0);
	}
	FUZZ_CHECK((request->map.data != NULL) == (proto->kind == PROTO_NAMES_MAP));
}

/*
 * Cuts requests off until the codec wants more or gives up, and notes them. `step` bytes are
 * shown to it at first and whenever it wants more; 0: all at once.
 */
static inline void fuzz_cut_all(
	const struct proto *proto, const void *data, size_t size, size_t step, struct buf *notes)
{
	char *input = fuzz_copy(data, size);
	size_t start = 0, shown = step ? 0 : size;

	for (;;) {
		struct request request;
		struct error why;
		size_t used;
		enum cut cut = proto->cut(input + start, shown - start, &used, &request, &why);

		fuzz_check_cut(proto, cut, input + start, shown - start, used, &request);
		if (cut == CUT_MORE) {
			FUZZ_CHECK(memcmp(input + start, (const char *)data + start,
					   shown - start) == 0);
			if (shown == size)
				break;
			shown += step < size - shown ? step : size - shown;
			continue;
		}
		fuzz_note(notes, cut, used, &request, &why);
		if (cut == CUT_CLOSE)
			break;
		start += used;
	}
	free(input);
}

/* The same requests come out, whether the input comes whole, in bytes or in pieces. */
static inline void fuzz_check_dribble(const struct proto *proto, const void *data, size_t size)
{
	static const size_t steps[] = {1, 7, 4096};
	struct buf whole = {0}, parts = {0};

	fuzz_cut_all(proto, data, size, 0, &whole);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		buf_clear(&parts);
		fuzz_cut_all(proto, data, size, steps[i], &parts);
		FUZZ_CHECK(slice_equal(buf_slice(&whole), buf_slice(&parts)));
	}
	buf_finish(&parts);
	buf_finish(&whole);
}

/*
 * Puts the input as a reply of every status and hands what came out to `reparse`, which plays the
 * client. An empty FOUND is the one reply that a codec may refuse to put.
 */
static inline void fuzz_check_put(const struct proto *proto, const void *data, size_t size,
	void (*reparse)(struct slice wire, const struct reply *reply, bool fits))
{
	char *text = fuzz_copy(data, size);

	for (int status = 0; status < STATUS_COUNT; status++) {
		const struct reply reply = {
			.status = (enum status)status, .text = slice_of(text, size)};
		struct buf out = {0};
		struct error why;
		int fits;

		if (status == FOUND && !size)
			continue;
		fits = proto->put(&out, &reply, &why);
		FUZZ_CHECK(fits == 0 || status == FOUND);
		reparse(buf_slice(&out), &reply, fits == 0);
		buf_finish(&out);
	}
	free(text);
}

#endif
