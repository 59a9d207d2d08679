#include "proto/dict.h"

#include "proto/reason.h"
#include "support/codec.h"
#include "support/dict_line.h"
#include "support/text.h"

extern const struct proto dict_proto;

/* A line, parsed as one of that major, and the plainest line that means the same. */
struct meaning {
	unsigned major;
	struct slice line, plain;
};

#define SAME(major, line)                                                                          \
	{                                                                                          \
		major, CONST_BYTES(line), CONST_BYTES(line)                                        \
	}
#define PLAIN(major, line, plain)                                                                  \
	{                                                                                          \
		major, CONST_BYTES(line), CONST_BYTES(plain)                                       \
	}

static const struct meaning meanings[] = {
	/* As 2.3.16, 2.3.21 and 2.4 say hello, and older ones of 2.2. */
	SAME(0, "H2\t2\t0\talice@example.com\tquota"),
	SAME(0, "H2\t0\t0\t\tquota"),
	SAME(0, "H3\t2\t0\t\tquota"),
	SAME(0, "H4\t0\t0\t\tquota"),
	PLAIN(0, "H2\t2\t1\t\tquota", "H2\t2\t0\t\tquota"),
	PLAIN(0, "H3\t2\t1\t\tquota", "H3\t2\t0\t\tquota"),
	PLAIN(0, "H4\t7\tanything\t\tquota", "H4\t7\t0\t\tquota"),
	PLAIN(0, "H4\t0\t\t\tquota", "H4\t0\t0\t\tquota"),
	/* Only major 2 has one user for all commands. */
	PLAIN(0, "H3\t2\t0\talice\tquota", "H3\t2\t0\t\tquota"),
	PLAIN(0, "H4\t0\t0\talice\tquota", "H4\t0\t0\t\tquota"),
	PLAIN(0, "H02\t002\t00\t\tquota", "H2\t2\t0\t\tquota"),
	SAME(0, "H3\t4294967295\t0\t\tquota"),
	PLAIN(0, "H3\t2\t0\t\tquota\tand\tmore", "H3\t2\t0\t\tquota"),
	SAME(0, "H3\t2\t0\t\t"),
	SAME(0, "H2\t2\t0\ta\1tb\tc\1nd"),

	SAME(2, "Lshared/key"),
	PLAIN(2, "Lshared/key\tignored", "Lshared/key"),
	SAME(2, "Lshared/a\1tb"),
	SAME(3, "Lshared/key"),
	PLAIN(3, "Lshared/key\t", "Lshared/key"),
	SAME(3, "Lpriv/key\talice@example.com"),
	SAME(4, "Lpriv/key\talice@example.com"),
	PLAIN(4, "Lpriv/key\talice\tmore\tand more", "Lpriv/key\talice"),
	SAME(3, "Lshared/a\1tb\0011c\1rd\1ne\tal\1tice"),
	PLAIN(3, "Lshared/a\1\1b\1x\1", "Lshared/a\0011bx"),
	SAME(3, "L\talice"),
	SAME(2, "L\t"),
	SAME(3, "L\t"),
	SAME(3, "L \303\274\377"),

	SAME(2, "I0\t0\tshared/"),
	SAME(2, "I9\t5\tshared/a/\tshared/b/\tpriv/c"),
	SAME(2, "I0\t0\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t15\t16"),
	SAME(2, "I0\t0\ta\t\t"),
	PLAIN(3, "I1\t0\tshared/a/\t", "I1\t0\tshared/a/"),
	SAME(3, "I1\t0\tshared/a/"),
	SAME(3, "I25\t10\tpriv/\1t/\talice"),
	SAME(4, "I25\t10\tpriv/\talice"),
	PLAIN(4, "I25\t10\tpriv/\talice\tmore", "I25\t10\tpriv/\talice"),
	SAME(4, "I4294967295\t18446744073709551615\tshared/"),
	SAME(3, "I0\t0\t"),

	SAME(2, "B1"),
	SAME(3, "B1\talice"),
	PLAIN(3, "B1\t", "B1"),
	PLAIN(3, "B1\talice\t60", "B1\talice"),
	PLAIN(3, "B1\talice\tx", "B1\talice"),
	SAME(4, "B1\talice"),
	SAME(4, "B4294967295\talice\t4294967295"),
	SAME(4, "B1\t\t60"),
	PLAIN(4, "B1\talice\t0", "B1\talice"),
	PLAIN(4, "B1\talice\t60\tmore", "B1\talice\t60"),
	SAME(4, "B0"),
	PLAIN(4, "B00000000000000000000000000000000000000001", "B1"),

	SAME(2, "C1"),
	SAME(3, "C1"),
	SAME(4, "C4294967295"),
	PLAIN(3, "C1\tmore", "C1"),
	SAME(2, "D1"),
	PLAIN(3, "D1\t", "D1"),
	SAME(2, "R1"),
	SAME(3, "R0"),
	PLAIN(4, "R1\tmore", "R1"),

	SAME(2, "S1\tshared/key\tvalue"),
	SAME(3, "S1\tpriv/a\1tb\tv\1tv\1nv\0011"),
	SAME(4, "S1\tshared/key\t"),
	SAME(4, "S1\t\t"),
	SAME(2, "U1\tshared/key"),
	SAME(3, "U1\tshared/k\1ny"),
	SAME(4, "U1\t"),
	SAME(2, "A1\tshared/key\t1"),
	SAME(3, "A1\tshared/key\t-1"),
	SAME(4, "A1\tshared/key\t9223372036854775807"),
	SAME(4, "A1\tshared/key\t-9223372036854775808"),
	PLAIN(4, "A1\tshared/key\t-0", "A1\tshared/key\t0"),
	PLAIN(4, "A1\tshared/key\t-007", "A1\tshared/key\t-7"),
	SAME(2, "P1\tshared/key\tvalue"),
	PLAIN(2, "T1\t1700000000\t999999999", "T1\t0\t0"),
	PLAIN(3, "T1\t-1\t4294967295", "T1\t0\t0"),
	SAME(4, "T1\t0\t0"),
	SAME(3, "V1\tyes"),
	PLAIN(4, "V1\tYES", "V1\tyes"),
	PLAIN(4, "V1\tY", "V1\tyes"),
	PLAIN(4, "V1\t1", "V1\tyes"),
	PLAIN(4, "V1\tNo", "V1\tyes"),
};

/* A copy without a byte to spare, so that ASan sees a look beyond its end. Given to the caller. */
static char *copy_of(struct slice text)
{
	char *copy = malloc(text.size ? text.size : 1);

	memcpy(copy, text.data, text.size);
	return copy;
}

START_TEST(means)
{
	const struct meaning *row = &meanings[_i];
	char *line = copy_of(row->line);
	struct dict_command command;
	struct error why = {0};
	struct buf plain = {0};

	ck_assert_msg(dict_parse(line, row->line.size, row->major, &command, &why) == 0, "%s: %s",
		text_of(row->line), why.text);
	ck_assert_int_eq(command.verb, row->line.data[0]);
	dict_line_add(&plain, &command);
	codec_assert_slice(buf_slice(&plain), row->plain);
	buf_finish(&plain);
	free(line);
}
END_TEST

static const struct {
	unsigned major;
	struct slice line;
	const char *why;
} mistakes[] = {
	{0, CONST_BYTES(""), "an empty line"},
	{2, CONST_BYTES(""), "an empty line"},
	{4, CONST_BYTES(""), "an empty line"},

	{0, CONST_BYTES("Lshared/key"), "the first line is not a hello"},
	{0, CONST_BYTES("h3\t2\t0\t\tquota"), "the first line is not a hello"},
	{0, CONST_BYTES(" H3\t2\t0\t\tquota"), "the first line is not a hello"},
	{0, CONST_BYTES("GET / HTTP/1.1\r"), "the first line is not a hello"},
	{0, CONST_BYTES("\0"), "the first line is not a hello"},
	{0, CONST_BYTES("H"), "fields behind 'H': 0, at least 5 are needed"},
	{0, CONST_BYTES("H3\t2\t0\t"), "fields behind 'H': 4, at least 5"},
	{0, CONST_BYTES("H1\t2\t0\t\tquota"), "the major version is 1, known are 2 to 4"},
	{0, CONST_BYTES("H5\t2\t0\t\tquota"), "the major version is 5"},
	{0, CONST_BYTES("H0\t2\t0\t\tquota"), "the major version is 0"},
	{0, CONST_BYTES("H4294967298\t2\t0\t\tquota"), "the major version is not a number"},
	{0, CONST_BYTES("H18446744073709551618\t2\t0\t\tquota"), "the major version is not a"},
	{0, CONST_BYTES("H\t2\t0\t\tquota"), "the major version is not a number"},
	{0, CONST_BYTES("H 3\t2\t0\t\tquota"), "the major version is not a number"},
	{0, CONST_BYTES("H+3\t2\t0\t\tquota"), "the major version is not a number"},
	{0, CONST_BYTES("H3.0\t2\t0\t\tquota"), "the major version is not a number"},
	{0, CONST_BYTES("H3\tx\t0\t\tquota"), "the minor version is not a number"},
	{0, CONST_BYTES("H3\t\t0\t\tquota"), "the minor version is not a number"},
	{0, CONST_BYTES("H3\t4294967296\t0\t\tquota"), "the minor version is not a number"},
	{0, CONST_BYTES("H2\t2\t2\t\tquota"), "the type of the values is not a number from 0 to 1"},
	{0, CONST_BYTES("H3\t2\t2\t\tquota"), "the type of the values"},
	{0, CONST_BYTES("H3\t2\t9\t\tquota"), "the type of the values"},
	{0, CONST_BYTES("H3\t2\t\t\tquota"), "the type of the values"},
	{0, CONST_BYTES("H3\t2\t0\t\tquo\0ta"), "a field holds a NUL byte"},
	{0, CONST_BYTES("H3\t2\t0\t\tquota\0010"), "a field holds a NUL byte"},

	/* A second hello. */
	{2, CONST_BYTES("H2\t2\t0\t\tquota"), "'H' is not a command of major version 2"},
	{3, CONST_BYTES("H3\t2\t0\t\tquota"), "'H' is not a command of major version 3"},
	{4, CONST_BYTES("H4\t0\t0\t\tquota"), "'H' is not a command of major version 4"},
	/* What only others know. */
	{2, CONST_BYTES("V1\tyes"), "'V' is not a command of major version 2"},
	{3, CONST_BYTES("P1\tshared/key\tvalue"), "'P' is not a command of major version 3"},
	{4, CONST_BYTES("P1\tshared/key\tvalue"), "'P' is not a command of major version 4"},
	{4, CONST_BYTES("D1"), "'D' is not a command of major version 4"},
	{3, CONST_BYTES("lshared/key"), "'l' is not a command of major version 3"},
	{3, CONST_BYTES("*1"), "'*' is not a command of major version 3"},
	{3, CONST_BYTES("\tLshared/key"), "byte 9 is not a command of major version 3"},
	{3, CONST_BYTES(" Lshared/key"), "byte 32 is not a command of major version 3"},
	{3, CONST_BYTES("\r"), "byte 13 is not a command of major version 3"},
	{3, CONST_BYTES("\177"), "byte 127 is not a command of major version 3"},
	{3, CONST_BYTES("\377"), "byte 255 is not a command of major version 3"},
	{3, CONST_BYTES("\0"), "byte 0 is not a command of major version 3"},

	{2, CONST_BYTES("L"), "fields behind 'L': 0, at least 1 are needed"},
	{3, CONST_BYTES("L"), "fields behind 'L': 0"},
	{3, CONST_BYTES("Lshared/a\0b"), "a field holds a NUL byte"},
	{3, CONST_BYTES("Lshared/a\0010b"), "a field holds a NUL byte"},
	{3, CONST_BYTES("Lshared/a\talice\0010"), "a field holds a NUL byte"},

	{2, CONST_BYTES("I0\t0"), "fields behind 'I': 2, at least 3 are needed"},
	{2, CONST_BYTES("I0\t0\t1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t15\t16\t17"),
		"fields behind 'I': 19, at most 18 are known"},
	{3, CONST_BYTES("I0\t0"), "fields behind 'I': 2"},
	{3, CONST_BYTES("I"), "fields behind 'I': 0"},
	{3, CONST_BYTES("I\t0\tshared/"), "the flags is not a number"},
	{3, CONST_BYTES("I-1\t0\tshared/"), "the flags is not a number"},
	{3, CONST_BYTES("I4294967296\t0\tshared/"), "the flags is not a number"},
	{3, CONST_BYTES("I0x1\t0\tshared/"), "the flags is not a number"},
	{4, CONST_BYTES("I1\t\tshared/"), "the number of rows is not a number"},
	{4, CONST_BYTES("I1\t-1\tshared/"), "the number of rows is not a number"},
	{4, CONST_BYTES("I1\t1 \tshared/"), "the number of rows is not a number"},
	{4, CONST_BYTES("I1\t18446744073709551616\tshared/"), "from 0 to 18446744073709551615"},
	{4, CONST_BYTES("I1\t99999999999999999999999\tshared/"), "the number of rows is not a"},

	{2, CONST_BYTES("B"), "fields behind 'B': 0, at least 1"},
	{3, CONST_BYTES("B"), "fields behind 'B': 0, at least 1"},
	{4, CONST_BYTES("B"), "fields behind 'B': 0, at least 1"},
	{2, CONST_BYTES("B1\talice"), "fields behind 'B': 2, at most 1 are known"},
	{2, CONST_BYTES("B1\t"), "fields behind 'B': 2, at most 1 are known"},
	{2, CONST_BYTES("Bx"), "the transaction is not a number from 0 to 4294967295"},
	{3, CONST_BYTES("B-1"), "the transaction is not a number"},
	{3, CONST_BYTES("B+1"), "the transaction is not a number"},
	{3, CONST_BYTES("B 1"), "the transaction is not a number"},
	{3, CONST_BYTES("B1 "), "the transaction is not a number"},
	{3, CONST_BYTES("B\talice"), "the transaction is not a number"},
	{3, CONST_BYTES("B4294967296"), "the transaction is not a number"},
	{3, CONST_BYTES("B1\1n"), "the transaction is not a number"},
	{3, CONST_BYTES("B1\0"), "a field holds a NUL byte"},
	{4, CONST_BYTES("B1\talice\t"), "the time to expire is not a number"},
	{4, CONST_BYTES("B1\talice\t-1"), "the time to expire is not a number"},
	{4, CONST_BYTES("B1\talice\t4294967296"), "the time to expire is not a number"},

	{2, CONST_BYTES("C"), "fields behind 'C': 0"},
	{2, CONST_BYTES("C1\t"), "fields behind 'C': 2, at most 1"},
	{2, CONST_BYTES("Cx"), "the transaction is not a number"},
	{3, CONST_BYTES("C"), "fields behind 'C': 0"},
	{4, CONST_BYTES("C\t1"), "the transaction is not a number"},
	{2, CONST_BYTES("D"), "fields behind 'D': 0"},
	{2, CONST_BYTES("D1\tmore"), "fields behind 'D': 2, at most 1"},
	{3, CONST_BYTES("Dx"), "the transaction is not a number"},
	{2, CONST_BYTES("R"), "fields behind 'R': 0"},
	{2, CONST_BYTES("R1\tmore"), "fields behind 'R': 2, at most 1"},
	{4, CONST_BYTES("R4294967296"), "the transaction is not a number"},

	{2, CONST_BYTES("S1\tshared/key"), "fields behind 'S': 2, at least 3"},
	{3, CONST_BYTES("S1\tshared/key\tvalue\tmore"), "fields behind 'S': 4, at most 3"},
	{4, CONST_BYTES("S1\tshared/key\tvalue\t"), "fields behind 'S': 4, at most 3"},
	{4, CONST_BYTES("S\tshared/key\tvalue"), "the transaction is not a number"},
	{4, CONST_BYTES("S1\tshared/key\tva\0010lue"), "a field holds a NUL byte"},
	{2, CONST_BYTES("U1"), "fields behind 'U': 1, at least 2"},
	{3, CONST_BYTES("U1\tshared/key\t"), "fields behind 'U': 3, at most 2"},
	{4, CONST_BYTES("Ux\tshared/key"), "the transaction is not a number"},
	{2, CONST_BYTES("A1\tshared/key"), "fields behind 'A': 2, at least 3"},
	{3, CONST_BYTES("A1\tshared/key\t1\t2"), "fields behind 'A': 4, at most 3"},
	{4, CONST_BYTES("Ax\tshared/key\t1"), "the transaction is not a number"},
	{4, CONST_BYTES("A1\tshared/key\t"), "the difference is not a number of 64 bits"},
	{4, CONST_BYTES("A1\tshared/key\t-"), "the difference is not a number"},
	{4, CONST_BYTES("A1\tshared/key\t+1"), "the difference is not a number"},
	{4, CONST_BYTES("A1\tshared/key\t--1"), "the difference is not a number"},
	{4, CONST_BYTES("A1\tshared/key\t 1"), "the difference is not a number"},
	{4, CONST_BYTES("A1\tshared/key\t1.5"), "the difference is not a number"},
	{4, CONST_BYTES("A1\tshared/key\t9223372036854775808"), "the difference is not a"},
	{4, CONST_BYTES("A1\tshared/key\t-9223372036854775809"), "the difference is not a"},
	{4, CONST_BYTES("A1\tshared/key\t18446744073709551617"), "the difference is not a"},
	{2, CONST_BYTES("P1\tshared/key"), "fields behind 'P': 2, at least 3"},
	{2, CONST_BYTES("P1\tshared/key\tvalue\tmore"), "fields behind 'P': 4, at most 3"},
	{2, CONST_BYTES("Px\tshared/key\tvalue"), "the transaction is not a number"},
	{2, CONST_BYTES("T1\t5"), "fields behind 'T': 2, at least 3"},
	{3, CONST_BYTES("T1\t5\t6\t7"), "fields behind 'T': 4, at most 3"},
	{4, CONST_BYTES("Tx\t5\t6"), "the transaction is not a number"},
	{4, CONST_BYTES("T1\tx\t6"), "the time is not a number of 64 bits"},
	{4, CONST_BYTES("T1\t5\t-6"), "the part of a second is not a number"},
	{4, CONST_BYTES("T1\t5\t4294967296"), "the part of a second is not a number"},
	{3, CONST_BYTES("V1"), "fields behind 'V': 1, at least 2"},
	{3, CONST_BYTES("V1\tyes\tyes"), "fields behind 'V': 3, at most 2"},
	{4, CONST_BYTES("Vx\tyes"), "the transaction is not a number"},
	{4, CONST_BYTES("V1\t"), "whether to hide values is neither yes nor no"},
	{4, CONST_BYTES("V1\tn"), "whether to hide values is neither yes nor no"},
	{4, CONST_BYTES("V1\t0"), "whether to hide values is neither yes nor no"},
	{4, CONST_BYTES("V1\tyess"), "whether to hide values is neither yes nor no"},
	{4, CONST_BYTES("V1\tye"), "whether to hide values is neither yes nor no"},
};

START_TEST(is_a_mistake)
{
	char *line = copy_of(mistakes[_i].line);
	struct dict_command command;
	struct error why = {0};

	ck_assert_int_eq(
		dict_parse(line, mistakes[_i].line.size, mistakes[_i].major, &command, &why), -1);
	assert_contains(why.text, mistakes[_i].why);
	free(line);
}
END_TEST

/* All other letters, in every major. */
START_TEST(letters)
{
	static const char *const known[] = {"H", "", "LIBCDRSUAPT", "LIBCDRSUATV", "LIBCRSUATV"};

	for (unsigned major = 0; major <= DICT_MAJOR_MOST; major++) {
		const char line[] = {(char)_i, '1', '\t', '2'};
		char *copy = copy_of(slice_of(line, sizeof(line)));
		struct dict_command command;
		struct error why = {0};

		if (major == 1 || (_i && strchr(known[major], _i))) {
			free(copy);
			continue;
		}
		ck_assert_int_eq(dict_parse(copy, sizeof(line), major, &command, &why), -1);
		ck_assert(strstr(why.text, "is not a command") || strstr(why.text, "not a hello"));
		free(copy);
	}
}
END_TEST

START_TEST(borrows_from_the_line)
{
	char line[] = "S7\tshared/a\1tb\tva\1nlue";
	struct dict_command command;

	ck_assert_int_eq(dict_parse(line, sizeof(line) - 1, 3, &command, NULL), 0);
	ck_assert_ptr_eq(command.key.data, line + 3);
	ck_assert_ptr_eq(command.value.data, line + 15);
	assert_slice(command.key, "shared/a\tb");
	assert_slice(command.value, "va\nlue");
}
END_TEST

/* A NULL is "not given"; what has no meaning is that, too. */
START_TEST(the_rest_is_zero)
{
	char line[] = "C7";
	struct dict_command command;

	memset(&command, 0xff, sizeof(command));
	ck_assert_int_eq(dict_parse(line, 2, 3, &command, NULL), 0);
	ck_assert_ptr_null(command.name.data);
	ck_assert_ptr_null(command.user.data);
	ck_assert_ptr_null(command.key.data);
	ck_assert_ptr_null(command.value.data);
	ck_assert_ptr_null(command.paths[0].data);
	ck_assert_uint_eq(command.path_count, 0);
	ck_assert_uint_eq(command.major | command.minor | command.flags, 0);
	ck_assert_uint_eq(command.max_rows | command.expire, 0);
	ck_assert_int_eq(command.difference, 0);
}
END_TEST

START_TEST(keeps_only_the_first_path)
{
	char line[] = "I8\t3\tshared/a/\talice\tshared/b/";
	struct dict_command command;

	ck_assert_int_eq(dict_parse(line, sizeof(line) - 1, 3, &command, NULL), 0);
	ck_assert_uint_eq(command.flags, DICT_NO_VALUE);
	ck_assert_uint_eq(command.path_count, 1);
	assert_slice(command.paths[0], "shared/a/");
	assert_slice(command.user, "alice");
	ck_assert_ptr_null(command.paths[1].data);
}
END_TEST

/* A user without a name is none, an empty key or value is one. */
START_TEST(empty_fields)
{
	char lookup[] = "Lshared/key\t", set[] = "S1\t\t", hello[] = "H2\t2\t0\t\t";
	struct dict_command command;

	ck_assert_int_eq(dict_parse(lookup, sizeof(lookup) - 1, 3, &command, NULL), 0);
	ck_assert_ptr_null(command.user.data);
	ck_assert_int_eq(dict_parse(set, sizeof(set) - 1, 3, &command, NULL), 0);
	ck_assert_ptr_nonnull(command.key.data);
	ck_assert_ptr_nonnull(command.value.data);
	ck_assert_uint_eq(command.key.size + command.value.size, 0);
	ck_assert_int_eq(dict_parse(hello, sizeof(hello) - 1, 0, &command, NULL), 0);
	ck_assert_ptr_null(command.user.data);
	ck_assert_ptr_nonnull(command.name.data);
}
END_TEST

/* Every byte that a field can carry, escaped where need be. */
START_TEST(every_byte)
{
	const char byte = (char)_i;
	struct buf line = {0};
	struct dict_command command;

	buf_add_string(&line, "S1\t<");
	tabescape_add(&line, slice_of(&byte, 1));
	buf_add_string(&line, ">\t");
	tabescape_add(&line, slice_of(&byte, 1));
	if (byte) {
		ck_assert_int_eq(dict_parse(line.data, line.size, 3, &command, NULL), 0);
		ck_assert_uint_eq(command.key.size, 3);
		ck_assert_int_eq(command.key.data[1], byte);
		codec_assert_slice(command.value, slice_of(&byte, 1));
	} else {
		ck_assert_int_eq(dict_parse(line.data, line.size, 3, &command, NULL), -1);
	}
	buf_finish(&line);
}
END_TEST

START_TEST(many_fields)
{
	char *tabs = codec_repeat('\t', DICT_LINE_MAX);
	struct dict_command command;

	tabs[0] = 'L';
	ck_assert_int_eq(dict_parse(tabs, DICT_LINE_MAX, 3, &command, NULL), 0);
	tabs[0] = 'I';
	ck_assert_int_eq(dict_parse(tabs, DICT_LINE_MAX, 2, &command, NULL), -1);
	free(tabs);
}
END_TEST

START_TEST(versions)
{
	ck_assert(!dict_is_numbered(2, 0));
	ck_assert(dict_is_numbered(2, 1));
	ck_assert(dict_is_numbered(2, 2));
	ck_assert(!dict_is_numbered(3, 0));
	ck_assert(dict_is_numbered(3, 2));
	ck_assert(dict_is_numbered(4, 0));
	ck_assert(dict_is_numbered(4, 1));

	ck_assert(!dict_has_values(2, 0));
	ck_assert(!dict_has_values(2, 1));
	ck_assert(dict_has_values(2, 2));
	ck_assert(!dict_has_values(3, 1));
	ck_assert(dict_has_values(3, 2));
	ck_assert(dict_has_values(4, 0));
}
END_TEST

#define REQUEST(input, rest, key)                                                                  \
	{                                                                                          \
		CONST_BYTES(input), CUT_REQUEST, rest, {0}, CONST_BYTES(key), NULL                 \
	}

static const struct codec_case cuts[] = {
	REQUEST("H3\t2\t0\t\tquota\n", 0, "H3\t2\t0\t\tquota"),
	REQUEST("Lshared/a\t\nL", 1, "Lshared/a\t"),
	REQUEST("B1\nC1\n", 3, "B1"),
	REQUEST("\n", 0, ""),
	REQUEST("C1\r\n", 0, "C1"),
	REQUEST("C1\r\r\n", 0, "C1\r"),
	REQUEST("\r\n", 0, ""),
	REQUEST("C1\rC2\n", 0, "C1\rC2"),
	REQUEST("a\0b\n", 0, "a\0b"),
	/* Still escaped. */
	REQUEST("La\1tb\n", 0, "La\1tb"),
	{CONST_BYTES(""), CUT_MORE, 0, {0}, {0}, NULL},
	{CONST_BYTES("H3\t2\t0\t\tquota"), CUT_MORE, 0, {0}, {0}, NULL},
	{CONST_BYTES("C1\r"), CUT_MORE, 0, {0}, {0}, NULL},
};

START_TEST(cut_table)
{
	codec_check_case(&dict_proto, &cuts[_i]);
}
END_TEST

/* Bytes of a line without its newline. */
static const struct {
	size_t size;
	enum cut cut;
} limits[] = {
	{DICT_LINE_MAX - 2, CUT_REQUEST},
	{DICT_LINE_MAX - 1, CUT_REQUEST},
	{DICT_LINE_MAX, CUT_CLOSE},
	{DICT_LINE_MAX + 1, CUT_CLOSE},
	{2 * DICT_LINE_MAX, CUT_CLOSE},
};

START_TEST(cut_limits)
{
	char *line = codec_repeat('L', limits[_i].size + 1);
	const struct codec_case row = {.input = slice_of(line, limits[_i].size + 1),
		.cut = limits[_i].cut,
		.key = slice_of(line, limits[_i].size),
		.why = "longer than 65536 bytes"};

	line[limits[_i].size] = '\n';
	codec_check_case(&dict_proto, &row);
	free(line);
}
END_TEST

START_TEST(longest_request_decides)
{
	char *text = codec_repeat('x', dict_proto.longest_request);
	const struct slice full = slice_of(text, dict_proto.longest_request);
	struct codec_result result = codec_cut(&dict_proto, full);

	ck_assert_int_eq(result.cut, CUT_CLOSE);
	codec_result_finish(&result);
	result = codec_cut(&dict_proto, slice_of(text, full.size - 1));
	ck_assert_int_eq(result.cut, CUT_MORE);
	codec_result_finish(&result);
	free(text);
}
END_TEST

START_TEST(puts_nothing_by_itself)
{
	for (int status = 0; status < STATUS_COUNT; status++)
		codec_check_put(&dict_proto, (enum status)status, BYTES("text"), BYTES(""));
}
END_TEST

START_TEST(describes_itself)
{
	ck_assert_str_eq(dict_proto.name, "dict");
	ck_assert_int_eq(dict_proto.kind, PROTO_SESSION);
}
END_TEST

static const struct dict_times times = {
	.began = 1700000000000001,
	.ended = 1700000001999999,
};
#define TIMES "\t1700000000\t1\t1700000001\t999999\n"

START_TEST(put_number)
{
	struct buf out = {0};

	dict_put_number(&out, 1);
	assert_buf(&out, "*1\n");
	dict_put_number(&out, UINT32_MAX);
	assert_buf(&out, "*4294967295\n");
	buf_finish(&out);
}
END_TEST

START_TEST(put_number_0)
{
	struct buf out = {0};

	dict_put_number(&out, 0);
}
END_TEST

/* Values that are escaped and joined; and what a client is told who knows all of them, or not. */
static const struct {
	const char *values, *all, *first;
} found[] = {
	{"value", "Ovalue", "Ovalue"},
	{"", "O", "O"},
	{"a\1tb", "Oa\1tb", "Oa\1tb"},
	{"\0011\1n", "O\0011\1n", "O\0011\1n"},
	{"a\tb", "Ma\1tb", "Oa"},
	{"a\tb\tc", "Ma\1tb\1tc", "Oa"},
	{"\t", "M\1t", "O"},
	{"a\1tb\tc\1nd", "Ma\0011tb\1tc\0011nd", "Oa\1tb"},
	{"\0011\t\0011", "M\00111\1t\00111", "O\0011"},
};

START_TEST(put_found)
{
	const struct slice values = slice_str(found[_i].values);
	struct buf out = {0}, should = {0};

	buf_add_format(&should, "+7\t%s" TIMES "%s\n+7\t%s" TIMES "%s\n", found[_i].all,
		found[_i].all, found[_i].first, found[_i].first);
	dict_put_found(&out, 7, values, true, &times);
	dict_put_found(&out, 0, values, true, NULL);
	dict_put_found(&out, 7, values, false, &times);
	dict_put_found(&out, 0, values, false, &times);
	codec_assert_slice(buf_slice(&out), buf_slice(&should));
	buf_finish(&should);
	buf_finish(&out);
}
END_TEST

/* What dict_conn_input_line() does: fields, decoded. */
static struct slice client_field(struct slice *rest)
{
	struct slice field = tabescape_cut(rest);

	return slice_of(field.data, tabescape_decode((char *)field.data, field.size));
}

/* A client gets back every byte of every value. */
START_TEST(client_reads_values)
{
	char text[256];
	struct buf values = {0}, out = {0};
	struct slice rest, payload;

	for (int i = 0; i < 256; i++)
		text[i] = (char)i;
	for (int i = 0; i < 3; i++) {
		if (i)
			buf_add_byte(&values, '\t');
		tabescape_add(&values, slice_of(text, sizeof(text)));
	}
	dict_put_found(&out, 7, buf_slice(&values), true, &times);
	ck_assert_int_eq(slice_find(buf_slice(&out), '\n'), out.size - 1);
	rest = buf_slice(&out);
	assert_slice(client_field(&rest), "+7");
	payload = client_field(&rest);
	ck_assert_int_eq(payload.data[0], 'M');
	payload = slice_from(payload, 1);
	for (int i = 0; i < 3; i++)
		codec_assert_slice(client_field(&payload), slice_of(text, sizeof(text)));
	ck_assert_ptr_null(payload.data);
	assert_slice(client_field(&rest), "1700000000");
	buf_finish(&values);
	buf_finish(&out);
}
END_TEST

START_TEST(put_not_found)
{
	struct buf out = {0};

	dict_put_not_found(&out, 7, &times);
	assert_buf(&out, "+7\tN" TIMES);
	dict_put_not_found(&out, 0, NULL);
	assert_buf(&out, "N\n");
	buf_finish(&out);
}
END_TEST

/* An error is one line without anything that would have to be decoded. */
static const struct {
	struct slice why;
	const char *said;
} reasons[] = {
	{CONST_BYTES("no such key"), "no such key"},
	{CONST_BYTES(""), "broken"},
	{CONST_BYTES("a\tb\nc\rd\1e\0f\x7f"), "a?b?c?d?e?f?"},
	{CONST_BYTES("J\xc3\xb6rg"), "J\xc3\xb6rg"},
};

START_TEST(put_failed)
{
	struct buf out = {0}, should = {0};

	buf_add_format(&should, "+7\tF%s" TIMES "F%s\n+7\tF5\t%s" TIMES "AF4294967295\t%s\n",
		reasons[_i].said, reasons[_i].said, reasons[_i].said, reasons[_i].said);
	dict_put_failed(&out, 7, reasons[_i].why, &times);
	dict_put_failed(&out, 0, reasons[_i].why, NULL);
	dict_put_commit(&out, 7, DICT_COMMIT_FAILED, false, 5, reasons[_i].why, &times);
	dict_put_commit(&out, 0, DICT_COMMIT_FAILED, true, UINT32_MAX, reasons[_i].why, NULL);
	codec_assert_slice(buf_slice(&out), buf_slice(&should));
	buf_finish(&should);
	buf_finish(&out);
}
END_TEST

START_TEST(put_long_reason)
{
	char *text = codec_repeat('w', 5000);
	struct buf out = {0};

	dict_put_failed(&out, 0, slice_of(text, 5000), NULL);
	ck_assert_uint_eq(out.size, 1 + REASON_MAX + 1);
	buf_clear(&out);
	dict_put_commit(&out, 0, DICT_COMMIT_UNSURE, false, 1, slice_of(text, 5000), NULL);
	ck_assert_uint_eq(out.size, strlen("W1\t") + REASON_MAX + 1);
	buf_finish(&out);
	free(text);
}
END_TEST

START_TEST(put_rows)
{
	struct buf out = {0};

	dict_put_row(&out, 7, slice_str("shared/a"), slice_str("v"));
	assert_buf(&out, "+7\tOshared/a\tv\n");
	dict_put_row(&out, 0, slice_str("shared/a"), slice_str("v"));
	assert_buf(&out, "Oshared/a\tv\n");
	dict_put_row(&out, 7, slice_str("shared/a\tb\n\1"), slice_str("v\1tw\tx"));
	assert_buf(&out, "+7\tOshared/a\1tb\1n\0011\tv\1tw\tx\n");
	/* Without a field for values the client would hang up. */
	dict_put_row(&out, 7, slice_str("shared/a"), slice_of(NULL, 0));
	assert_buf(&out, "+7\tOshared/a\t\n");
	dict_put_row(&out, 0, slice_str("shared/a"), slice_str(""));
	assert_buf(&out, "Oshared/a\t\n");
	dict_put_last_row(&out, 7, &times);
	assert_buf(&out, "+7\t" TIMES);
	dict_put_last_row(&out, 0, NULL);
	assert_buf(&out, "\n");
	buf_finish(&out);
}
END_TEST

static const struct {
	enum dict_commit commit;
	bool asynchronous;
	const char *said;
} commits[] = {
	{DICT_COMMITTED, false, "O5"},
	{DICT_COMMITTED, true, "AO5"},
	{DICT_ROW_MISSING, false, "N5"},
	{DICT_ROW_MISSING, true, "AN5"},
	{DICT_COMMIT_FAILED, false, "F5\twhy"},
	{DICT_COMMIT_FAILED, true, "AF5\twhy"},
	{DICT_COMMIT_UNSURE, false, "W5\twhy"},
	{DICT_COMMIT_UNSURE, true, "AW5\twhy"},
};

START_TEST(put_commit)
{
	const struct slice why = slice_str("why");
	struct buf out = {0}, should = {0};

	buf_add_format(&should, "+7\t%s" TIMES "%s\n", commits[_i].said, commits[_i].said);
	dict_put_commit(&out, 7, commits[_i].commit, commits[_i].asynchronous, 5, why, &times);
	dict_put_commit(&out, 0, commits[_i].commit, commits[_i].asynchronous, 5, why, NULL);
	codec_assert_slice(buf_slice(&out), buf_slice(&should));
	buf_finish(&should);
	buf_finish(&out);
}
END_TEST

START_TEST(put_commit_without_reason)
{
	struct buf out = {0};

	dict_put_commit(&out, 0, DICT_COMMIT_FAILED, false, 0, slice_of(NULL, 0), NULL);
	assert_buf(&out, "F0\tbroken\n");
	dict_put_commit(&out, 0, DICT_COMMIT_UNSURE, false, 0, slice_of(NULL, 0), NULL);
	assert_buf(&out, "W0\tunsure\n");
	buf_finish(&out);
}
END_TEST

START_TEST(put_times)
{
	static const struct dict_times first = {0, 999999}, later = {1000000, 1000001};
	struct buf out = {0};

	dict_put_last_row(&out, 1, &first);
	assert_buf(&out, "+1\t\t0\t0\t0\t999999\n");
	dict_put_last_row(&out, 1, &later);
	assert_buf(&out, "+1\t\t1\t0\t1\t1\n");
	buf_finish(&out);
}
END_TEST

#define ADD_TABLE(tcase, test, table)                                                              \
	tcase_add_loop_test(tcase, test, 0, sizeof(table) / sizeof((table)[0]))

static TCase *commands_tcase(void)
{
	TCase *tcase = tcase_create("commands");

	ADD_TABLE(tcase, means, meanings);
	ADD_TABLE(tcase, is_a_mistake, mistakes);
	tcase_add_loop_test(tcase, letters, 0, 256);
	tcase_add_test(tcase, borrows_from_the_line);
	tcase_add_test(tcase, the_rest_is_zero);
	tcase_add_test(tcase, keeps_only_the_first_path);
	tcase_add_test(tcase, empty_fields);
	tcase_add_loop_test(tcase, every_byte, 0, 256);
	tcase_add_test(tcase, many_fields);
	tcase_add_test(tcase, versions);
	return tcase;
}

static TCase *cut_tcase(void)
{
	TCase *tcase = tcase_create("cut");

	ADD_TABLE(tcase, cut_table, cuts);
	ADD_TABLE(tcase, cut_limits, limits);
	tcase_add_test(tcase, longest_request_decides);
	tcase_add_test(tcase, puts_nothing_by_itself);
	tcase_add_test(tcase, describes_itself);
	return tcase;
}

static TCase *replies_tcase(void)
{
	TCase *tcase = tcase_create("replies");

	tcase_add_test(tcase, put_number);
	unit_add_assert_test(tcase, put_number_0);
	ADD_TABLE(tcase, put_found, found);
	tcase_add_test(tcase, client_reads_values);
	tcase_add_test(tcase, put_not_found);
	ADD_TABLE(tcase, put_failed, reasons);
	tcase_add_test(tcase, put_long_reason);
	tcase_add_test(tcase, put_rows);
	ADD_TABLE(tcase, put_commit, commits);
	tcase_add_test(tcase, put_commit_without_reason);
	tcase_add_test(tcase, put_times);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("dict");

	suite_add_tcase(suite, commands_tcase());
	suite_add_tcase(suite, cut_tcase());
	suite_add_tcase(suite, replies_tcase());
	return unit_run(suite);
}
