#include "engine/shape.h"

#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static struct rows rows;
static struct buf out;
static struct error why;

static void begin(void)
{
	why.text[0] = '\0';
}

static void end(void)
{
	rows_finish(&rows);
	buf_finish(&out);
}

/* Cells and names are parted by '|'; "-" is NULL. */
static size_t split(const char *text, struct slice cells[8])
{
	struct slice rest = slice_str(text);
	size_t count = 0;

	while (rest.data) {
		ptrdiff_t bar = slice_find(rest, '|');
		struct slice cell = slice_of(rest.data, bar < 0 ? rest.size : (size_t)bar);

		cells[count++] = slice_equal(cell, slice_str("-")) ? slice_of(NULL, 0) : cell;
		rest = bar < 0 ? slice_of(NULL, 0) : slice_from(rest, (size_t)bar + 1);
	}
	return count;
}

static void add_row(const char *text)
{
	struct slice cells[8];
	size_t count = split(text, cells);

	ck_assert_int_eq(rows_add(&rows, cells, count), 0);
}

static void name_columns(const char *text)
{
	struct slice names[8];
	size_t count = split(text, names);

	for (size_t i = 0; i < count; i++) {
		buf_add_slice(&rows.names, names[i]);
		buf_add_byte(&rows.names, '\0');
	}
}

static const struct {
	const char *row, *values;
} values[] = {
	{"v", "v"}, {"", ""}, {"-", ""}, /* NULL is an empty value */
	{"a|b", "a\tb"}, {"a||-|b", "a\t\t\tb"}, {"-|-", "\t"},
	{"a\tb|c\nd\re|\001", "a\001tb\tc\001nd\001re\t\0011"},
	{"\xff\xfe|ä", "\xff\xfe\tä"}, /* bytes are bytes */
};

START_TEST(columns_are_values)
{
	add_row(values[_i].row);
	ck_assert_int_eq(shape_values(&rows, &out, &why), FOUND);
	assert_buf(&out, values[_i].values);
}
END_TEST

START_TEST(a_nul_is_escaped)
{
	struct slice cell = slice_of("a\0b", 3);

	ck_assert_int_eq(rows_add(&rows, &cell, 1), 0);
	ck_assert_int_eq(shape_values(&rows, &out, &why), FOUND);
	assert_buf(&out, "a\0010b");
}
END_TEST

/* As dovecot's dict-sql.c has it. */
START_TEST(the_first_row_counts)
{
	ck_assert_int_eq(shape_values(&rows, &out, &why), NOT_FOUND);
	add_row("a|b");
	add_row("c|d");
	ck_assert_int_eq(shape_values(&rows, &out, &why), FOUND);
	assert_buf(&out, "a\tb");
	shape_cells(&rows, 1, 1, 2, &out);
	assert_buf(&out, "d");
	shape_cells(&rows, 1, 2, 2, &out);
	assert_buf(&out, "");
}
END_TEST

static struct slice much(size_t size)
{
	static char text[LOOKUP_TEXT_MAX + 1];

	memset(text, 'x', sizeof(text));
	return slice_of(text, size);
}

START_TEST(values_that_are_too_long)
{
	struct slice cell = much(LOOKUP_TEXT_MAX);

	ck_assert_int_eq(rows_add(&rows, &cell, 1), 0);
	ck_assert_int_eq(shape_values(&rows, &out, &why), FOUND);
	buf_clear(&out);
	rows_clear(&rows);
	cell.size++;
	ck_assert_int_eq(rows_add(&rows, &cell, 1), 0);
	ck_assert_int_eq(shape_values(&rows, &out, &why), BROKEN);
	assert_contains(why.text, "the value is longer than 100000 bytes");
	buf_clear(&out);
	/* A row of an iteration may be as long as the database lets it be. */
	shape_cells(&rows, 0, 0, 1, &out);
	ck_assert_uint_eq(out.size, cell.size);
}
END_TEST

static const struct {
	const char *names, *row, *json;
} objects[] = {
	{"password", "{SSHA}x==", "{\"password\":\"{SSHA}x==\"}"},
	{"uid|gid|home", "1000|-|/home/u", "{\"uid\":\"1000\",\"home\":\"/home/u\"}"},
	{"a|b", "-|-", "{}"}, /* Dovecot takes that for a user without fields, who exists */
	{"a", "", "{\"a\":\"\"}"},
	{"a", "\"\\/", "{\"a\":\"\\\"\\\\/\"}"},
	{"a", "ä€😀", "{\"a\":\"ä€😀\"}"},
	/* Control characters are escaped by JSON, so that nothing is left for the protocol. */
	{"a", "\t\n\001", "{\"a\":\"\\t\\n\\u0001\"}"},
	{"with \"quotes\"", "v", "{\"with \\\"quotes\\\"\":\"v\"}"},
	{"a|b|c", "1|2|3", "{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}"},
};

START_TEST(a_row_is_an_object)
{
	name_columns(objects[_i].names);
	add_row(objects[_i].row);
	ck_assert_msg(shape_json(&rows, &out, &why) == FOUND, "%s", why.text);
	assert_buf(&out, objects[_i].json);
}
END_TEST

static const struct {
	const char *names, *rows[3], *why;
} no_objects[] = {
	{"a", {"1", "2"}, "the query brings 2 rows, where one is the user"},
	{"a", {"1", "1", "1"}, "brings 3 rows"},
	{"a|b", {"x|\xff"}, "column 2 is not valid UTF-8 text"},
	{"a|b", {"\xc3|x"}, "column 1 is not valid UTF-8 text"},
	{"\xff|b", {"x|x"}, "column 1 is not valid UTF-8 text"},
	{"a|b|a", {"x|y|z"}, "two columns are called \"a\""},
	{"a|b|a", {"x|y|-"}, "two columns are called \"a\""},
	{"", {"x"}, "column 1 has no name"},
};

START_TEST(what_is_no_object)
{
	name_columns(no_objects[_i].names);
	for (int i = 0; i < 3 && no_objects[_i].rows[i]; i++)
		add_row(no_objects[_i].rows[i]);
	ck_assert_int_eq(shape_json(&rows, &out, &why), BROKEN);
	assert_contains(why.text, no_objects[_i].why);
	ck_assert_uint_eq(out.size, 0);
}
END_TEST

START_TEST(no_row_is_no_object)
{
	name_columns("a");
	ck_assert_int_eq(shape_json(&rows, &out, &why), NOT_FOUND);
	ck_assert_uint_eq(out.size, 0);
}
END_TEST

START_TEST(an_object_that_is_too_long)
{
	struct slice cell = much(LOOKUP_TEXT_MAX - 8);

	name_columns("a");
	ck_assert_int_eq(rows_add(&rows, &cell, 1), 0);
	ck_assert_int_eq(shape_json(&rows, &out, &why), FOUND);
	ck_assert_uint_eq(out.size, LOOKUP_TEXT_MAX);
	buf_clear(&out);
	rows_clear(&rows);
	name_columns("a");
	cell.size++;
	ck_assert_int_eq(rows_add(&rows, &cell, 1), 0);
	ck_assert_int_eq(shape_json(&rows, &out, &why), BROKEN);
	assert_contains(why.text, "longer than 100000 bytes");
}
END_TEST

static Suite *shape_suite(void)
{
	Suite *suite = suite_create("shape");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase, columns_are_values, 0, COUNT(values));
	tcase_add_test(tcase, a_nul_is_escaped);
	tcase_add_test(tcase, the_first_row_counts);
	tcase_add_test(tcase, values_that_are_too_long);
	tcase_add_loop_test(tcase, a_row_is_an_object, 0, COUNT(objects));
	tcase_add_loop_test(tcase, what_is_no_object, 0, COUNT(no_objects));
	tcase_add_test(tcase, no_row_is_no_object);
	tcase_add_test(tcase, an_object_that_is_too_long);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(shape_suite());
}
