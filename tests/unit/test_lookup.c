#include "lookup.h"

#include "support/text.h"

static struct slice cells[] = {{"a", 1}, {NULL, 0}, {"", 0}, {"x\0y", 3}};

START_TEST(status_texts)
{
	const char *seen[STATUS_COUNT];

	for (int i = 0; i < STATUS_COUNT; i++) {
		seen[i] = status_text((enum status)i);
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(seen[i], seen[k]);
	}
	/* A struct of zeros must never say that mail may bounce. */
	ck_assert_int_eq(TRY_LATER, 0);
}
END_TEST

START_TEST(cells_come_back)
{
	struct rows rows = {0};

	ck_assert_int_eq(rows_add(&rows, cells, 2), 0);
	ck_assert_int_eq(rows_add(&rows, cells + 2, 2), 0);
	ck_assert_uint_eq(rows.count, 2);
	ck_assert_uint_eq(rows.columns, 2);
	assert_slice(rows_cell(&rows, 0, 0), "a");
	ck_assert_ptr_null(rows_cell(&rows, 0, 1).data);
	ck_assert_ptr_nonnull(rows_cell(&rows, 1, 0).data);
	ck_assert_uint_eq(rows_cell(&rows, 1, 0).size, 0);
	ck_assert(slice_equal(rows_cell(&rows, 1, 1), cells[3]));
	rows_finish(&rows);
}
END_TEST

/* An empty text is not NULL, even if no byte was ever stored. */
START_TEST(empty_is_not_null)
{
	struct rows rows = {0};

	ck_assert_int_eq(rows_add(&rows, cells + 2, 1), 0);
	ck_assert_ptr_nonnull(rows_cell(&rows, 0, 0).data);
	rows_finish(&rows);
}
END_TEST

START_TEST(rows_have_the_same_columns)
{
	struct rows rows = {0};

	ck_assert_int_eq(rows_add(&rows, cells, 2), 0);
	ck_assert_int_eq(rows_add(&rows, cells, 3), -1);
	ck_assert_int_eq(rows_add(&rows, cells, 1), -1);
	ck_assert_uint_eq(rows.count, 1);
	rows_clear(&rows);
	ck_assert_uint_eq(rows.count, 0);
	ck_assert_int_eq(rows_add(&rows, cells, 3), 0);
	rows_finish(&rows);
}
END_TEST

START_TEST(memory_is_bounded)
{
	struct rows rows = {0};
	char *text = malloc(LOOKUP_ROWS_MAX);
	struct slice big = slice_of(text, LOOKUP_ROWS_MAX), small = slice_of(text, 100000);
	size_t count = 0, bytes;

	memset(text, 'x', LOOKUP_ROWS_MAX);
	ck_assert_int_eq(rows_add(&rows, &big, 1), -1);
	ck_assert_uint_eq(rows.count, 0);
	while (rows_add(&rows, &small, 1) == 0)
		count++;
	bytes = rows.text.size + rows.spans.size;
	ck_assert_uint_eq(rows.count, count);
	ck_assert_uint_le(bytes, LOOKUP_ROWS_MAX);
	ck_assert_uint_gt(bytes + 200000, LOOKUP_ROWS_MAX);
	/* Rows that hold nothing take memory, too. */
	while (rows_add(&rows, cells + 1, 1) == 0)
		count++;
	ck_assert_uint_le(rows.text.size + rows.spans.size, LOOKUP_ROWS_MAX);
	rows_finish(&rows);
	free(text);
}
END_TEST

static void add_name(struct rows *rows, const char *name)
{
	buf_add(&rows->names, name, strlen(name) + 1);
}

START_TEST(columns_have_names)
{
	struct rows rows = {0};

	ck_assert_uint_eq(rows_name(&rows, 0).size, 0);
	add_name(&rows, "login");
	add_name(&rows, "");
	add_name(&rows, "home dir");
	for (int i = 0; i < 2; i++) {
		assert_slice(rows_name(&rows, 0), "login");
		assert_slice(rows_name(&rows, 1), "");
		assert_slice(rows_name(&rows, 2), "home dir");
		assert_slice(rows_name(&rows, 3), "");
		ck_assert_int_eq(rows_add(&rows, cells, 3), 0);
	}
	rows_clear(&rows);
	ck_assert_uint_eq(rows.names.size, 0);
	assert_slice(rows_name(&rows, 0), "");
	add_name(&rows, "uid");
	assert_slice(rows_name(&rows, 0), "uid");
	rows_finish(&rows);
	assert_slice(rows_name(&rows, 0), "");
}
END_TEST

START_TEST(outside_is_our_bug)
{
	struct rows rows = {0};

	rows_add(&rows, cells, 2);
	rows_cell(&rows, 0, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lookup");
	TCase *tcase = tcase_create("lookup");

	tcase_add_test(tcase, status_texts);
	tcase_add_test(tcase, cells_come_back);
	tcase_add_test(tcase, empty_is_not_null);
	tcase_add_test(tcase, rows_have_the_same_columns);
	tcase_add_test(tcase, memory_is_bounded);
	tcase_add_test(tcase, columns_have_names);
	unit_add_assert_test(tcase, outside_is_our_bug);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
