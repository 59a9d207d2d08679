/*
 * Driving a codec (tabled/proto.h) in unit tests: as a whole, and byte by byte.
 */
#ifndef TABLED_TESTS_SUPPORT_CODEC_H
#define TABLED_TESTS_SUPPORT_CODEC_H

#include "proto.h"
#include "support/unit.h"

/* A slice of a string literal, which may hold NUL bytes. */
#define BYTES(literal) slice_of(literal, sizeof(literal) - 1)

/* For tables with initializers that must be constant. */
#define CONST_BYTES(literal)                                                                       \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}

/* What a codec made of some input. The request points into `input`. */
struct codec_result {
	char *input; /* owned, exactly as long as the input, so that ASan sees a read beyond it */
	enum cut cut;
	size_t used;
	struct request request;
	struct error why;
};

static inline struct codec_result codec_cut(const struct proto *proto, struct slice input)
{
	struct codec_result result = {.input = malloc(input.size ? input.size : 1)};

	memcpy(result.input, input.data, input.size);
	result.used = input.size + 1; /* so that "not set" is seen */
	result.cut =
		proto->cut(result.input, input.size, &result.used, &result.request, &result.why);
	return result;
}

static inline void codec_result_finish(struct codec_result *result)
{
	free(result->input);
}

/* The codec's first decision when the input comes byte by byte; CUT_MORE changes nothing. */
static inline struct codec_result codec_dribble(const struct proto *proto, struct slice input)
{
	struct codec_result result = {.input = malloc(input.size ? input.size : 1)};

	memcpy(result.input, input.data, input.size);
	for (size_t size = 0; size <= input.size; size++) {
		result.cut =
			proto->cut(result.input, size, &result.used, &result.request, &result.why);
		if (result.cut != CUT_MORE)
			break;
		ck_assert_uint_eq(result.used, 0);
		ck_assert_mem_eq(result.input, input.data, input.size);
	}
	return result;
}

static inline void codec_assert_slice(struct slice is, struct slice should)
{
	ck_assert_ptr_nonnull(is.data);
	ck_assert_uint_eq(is.size, should.size);
	ck_assert_mem_eq(is.data, should.data, should.size);
}

/* A text of `size` times one byte. Given to the caller. */
static inline char *codec_repeat(char byte, size_t size)
{
	char *text = malloc(size + 1);

	memset(text, byte, size);
	text[size] = '\0';
	return text;
}

/*
 * One row of a table of inputs. The bytes used are all of the input, except that `rest` of them
 * are left for CUT_REQUEST and CUT_REFUSE; none for CUT_MORE.
 */
struct codec_case {
	struct slice input;
	enum cut cut;
	size_t rest;
	struct slice map; /* data NULL: the request has none */
	struct slice key;
	const char *why; /* a part of the reason */
};

static inline void codec_assert_result(
	const struct codec_result *result, const struct codec_case *row, size_t used)
{
	ck_assert_int_eq(result->cut, row->cut);
	ck_assert_uint_eq(result->used, used);
	if (row->cut == CUT_REQUEST) {
		if (row->map.data)
			codec_assert_slice(result->request.map, row->map);
		else
			ck_assert_ptr_null(result->request.map.data);
		codec_assert_slice(result->request.key, row->key);
	} else if (row->cut != CUT_MORE) {
		ck_assert_msg(strstr(result->why.text, row->why), "'%s' does not say '%s'",
			result->why.text, row->why);
	}
}

/* Runs a row whole and byte by byte, and demands the same outcome. */
static inline void codec_check_case(const struct proto *proto, const struct codec_case *row)
{
	const size_t used = row->cut == CUT_MORE ? 0 : row->input.size - row->rest;
	struct codec_result whole = codec_cut(proto, row->input);
	struct codec_result dribbled = codec_dribble(proto, row->input);

	codec_assert_result(&whole, row, used);
	/* A connection to be closed uses what there is, which is less when it came in bytes. */
	codec_assert_result(&dribbled, row, row->cut == CUT_CLOSE ? dribbled.used : used);
	ck_assert_uint_le(dribbled.used, proto->longest_request);
	codec_result_finish(&dribbled);
	codec_result_finish(&whole);
}

/* What the codec makes of a reply; `ret_status` is put's own 0 or -1. Given to the caller. */
static inline struct buf codec_put(const struct proto *proto, enum status status, struct slice text,
	int *ret_status, struct error *why)
{
	struct buf out = {0};
	const struct reply reply = {.status = status, .text = text};

	*ret_status = proto->put(&out, &reply, why);
	return out;
}

/* Demands that a reply which fits is exactly `wire`, and that it is appended. */
static inline void codec_check_put(
	const struct proto *proto, enum status status, struct slice text, struct slice wire)
{
	struct buf out = {0};
	const struct reply reply = {.status = status, .text = text};

	buf_add_string(&out, "before");
	ck_assert_int_eq(proto->put(&out, &reply, NULL), 0);
	codec_assert_slice(slice_from(buf_slice(&out), strlen("before")), wire);
	ck_assert_mem_eq(out.data, "before", strlen("before"));
	buf_finish(&out);
}

#endif
