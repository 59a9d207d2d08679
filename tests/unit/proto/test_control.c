#include "support/codec.h"

extern const struct proto control_proto;

enum { COMMAND_SIZE = 64 * 1024 };

static const struct codec_case cuts[] = {
	{CONST_BYTES("status\n"), CUT_REQUEST, 0, {0}, CONST_BYTES("status"), NULL},
	{CONST_BYTES("status\nreload\n"), CUT_REQUEST, 7, {0}, CONST_BYTES("status"), NULL},
	{CONST_BYTES("\n"), CUT_REQUEST, 0, {0}, CONST_BYTES(""), NULL},
	{CONST_BYTES("get m a b\r\n"), CUT_REQUEST, 0, {0}, CONST_BYTES("get m a b\r"), NULL},
	{CONST_BYTES("a\0b\377\n"), CUT_REQUEST, 0, {0}, CONST_BYTES("a\0b\377"), NULL},
	{CONST_BYTES(""), CUT_MORE, 0, {0}, {0}, NULL},
	{CONST_BYTES("status"), CUT_MORE, 0, {0}, {0}, NULL},
};

START_TEST(cut_table)
{
	codec_check_case(&control_proto, &cuts[_i]);
}
END_TEST

static const struct {
	size_t command;
	enum cut cut;
} limits[] = {
	{COMMAND_SIZE - 1, CUT_REQUEST},
	{COMMAND_SIZE, CUT_CLOSE},
	{2 * COMMAND_SIZE, CUT_CLOSE},
};

START_TEST(cut_limits)
{
	char *command = codec_repeat('c', limits[_i].command);
	struct codec_case row = {.cut = limits[_i].cut, .why = "longer than 65536 bytes"};

	row.key = slice_of(command, limits[_i].command);
	command[limits[_i].command] = '\n';
	row.input = slice_of(command, limits[_i].command + 1);

	struct codec_result result = codec_cut(&control_proto, row.input);

	codec_assert_result(&result, &row, row.input.size);
	codec_result_finish(&result);
	free(command);
}
END_TEST

START_TEST(longest_request_decides)
{
	char *text = codec_repeat('x', COMMAND_SIZE);
	struct codec_result result = codec_cut(&control_proto, slice_of(text, COMMAND_SIZE));

	ck_assert_uint_eq(control_proto.longest_request, COMMAND_SIZE);
	ck_assert_int_eq(result.cut, CUT_CLOSE);
	codec_result_finish(&result);
	free(text);
}
END_TEST

START_TEST(put_says_the_text_alone)
{
	codec_check_put(&control_proto, FOUND, BYTES("{\"ok\":1}"), BYTES("{\"ok\":1}\n"));
	codec_check_put(&control_proto, FOUND, BYTES(""), BYTES("\n"));
}
END_TEST

static const enum status refusals[] = {TRY_LATER, NOT_FOUND, BROKEN, UNSURE};

START_TEST(put_makes_an_object_of_a_refusal)
{
	codec_check_put(&control_proto, refusals[_i], BYTES("no \"x\""),
		BYTES("{\"status\":\"error\",\"text\":\"no \\\"x\\\"\"}\n"));
}
END_TEST

/* The output of a command is longer than any lookup's. */
START_TEST(put_any_size)
{
	const size_t size = 3 * LOOKUP_TEXT_MAX;
	char *text = codec_repeat('t', size);
	int status;
	struct buf out = codec_put(&control_proto, FOUND, slice_of(text, size), &status, NULL);

	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(out.size, size + 1);
	ck_assert_mem_eq(out.data, text, size);
	ck_assert_int_eq(out.data[size], '\n');
	buf_finish(&out);
	free(text);
}
END_TEST

START_TEST(describes_itself)
{
	ck_assert_str_eq(control_proto.name, "control");
	ck_assert_int_eq(control_proto.kind, PROTO_COMMAND);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tcase = tcase_create("control");

	tcase_add_loop_test(tcase, cut_table, 0, sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_loop_test(tcase, cut_limits, 0, sizeof(limits) / sizeof(limits[0]));
	tcase_add_test(tcase, longest_request_decides);
	tcase_add_test(tcase, put_says_the_text_alone);
	tcase_add_loop_test(
		tcase, put_makes_an_object_of_a_refusal, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tcase, put_any_size);
	tcase_add_test(tcase, describes_itself);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
