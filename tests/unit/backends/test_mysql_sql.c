#include "mysql_sql.h"

#include "support/text.h"
#include "support/unit.h"

#define COUNT(array) (sizeof(array) / sizeof(array[0]))

/* A statement for one value: SELECT a FROM t WHERE b = ? AND c > 1. */
static const struct statement_part parts[] = {
	{{"SELECT a FROM t WHERE b = ", 26}, 1}, {{" AND c > 1", 10}, 0}};
static const struct statement plain = {.text = "SELECT a FROM t WHERE b = ? AND c > 1",
	.params = 1,
	.kind = STATEMENT_SELECT,
	.parts = parts,
	.part_count = 2};

enum { QUESTIONS_MOST = 3 };

static void assert_written(
	const struct statement *statement, const char *const *keys, const char *should)
{
	struct slice params[QUESTIONS_MOST];
	struct question questions[QUESTIONS_MOST];
	struct batch batch = {.questions = questions};
	struct buf sql = {0};

	for (; keys[batch.count]; batch.count++) {
		params[batch.count] = slice_str(keys[batch.count]);
		questions[batch.count] =
			(struct question){.statement = statement, .params = &params[batch.count]};
	}
	mysql_write(&sql, &batch);
	assert_slice(buf_slice(&sql), should);
	buf_finish(&sql);
}

#define KEYS(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

START_TEST(one_key)
{
	assert_written(&plain, KEYS("x@y"), "SELECT a FROM t WHERE b = 'x@y' AND c > 1");
	assert_written(&plain, KEYS(""), "SELECT a FROM t WHERE b = '' AND c > 1");
	assert_written(
		&plain, KEYS("it's"), "SELECT a FROM t WHERE b = _utf8mb4 X'69742773' AND c > 1");
	assert_written(
		&plain, KEYS("\xc3\xbc"), "SELECT a FROM t WHERE b = _utf8mb4 X'C3BC' AND c > 1");
}
END_TEST

START_TEST(several_keys)
{
	struct statement ordered = plain;

	assert_written(&plain, KEYS("x", "\\", "y"),
		"(SELECT 0, a FROM t WHERE b = 'x' AND c > 1) UNION ALL "
		"(SELECT 1, a FROM t WHERE b = _utf8mb4 X'5C' AND c > 1) UNION ALL "
		"(SELECT 2, a FROM t WHERE b = 'y' AND c > 1)");
	ordered.ordered = true;
	assert_written(&ordered, KEYS("x", "y"),
		"(SELECT 0, a FROM t WHERE b = 'x' AND c > 1 LIMIT 18446744073709551615) UNION ALL "
		"(SELECT 1, a FROM t WHERE b = 'y' AND c > 1 LIMIT 18446744073709551615)");
	assert_written(&ordered, KEYS("x"), "SELECT a FROM t WHERE b = 'x' AND c > 1");
}
END_TEST

START_TEST(a_list)
{
	static const struct statement_part list[] = {
		{{"SELECT b, a FROM t WHERE b IN (", 31}, 1}, {{")", 1}, 0}};
	static const struct statement statement = {.text = "SELECT b, a FROM t WHERE b IN (?)",
		.params = 1,
		.kind = STATEMENT_KEYS,
		.parts = list,
		.part_count = 2};

	assert_written(&statement, KEYS("x", "y"), "SELECT b, a FROM t WHERE b IN ('x','y')");
	assert_written(&statement, KEYS("x"), "SELECT b, a FROM t WHERE b IN ('x')");
}
END_TEST

/* No parameters are looked at. */
START_TEST(a_check)
{
	struct question question = {.statement = &plain};
	struct batch batch = {.questions = &question, .count = 1, .only_check = true};
	struct buf sql = {0};

	mysql_write(&sql, &batch);
	assert_slice(buf_slice(&sql), "SELECT a FROM t WHERE b = '' AND c > 1");
	buf_finish(&sql);
}
END_TEST

static int digit(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *found = c ? strchr(digits, c) : NULL;

	ck_assert_ptr_nonnull(found);
	return (int)(found - digits);
}

/* A literal that ends where it should, by a reader that knows no escapes and only ASCII. */
static void assert_literal(struct slice literal, struct slice value)
{
	static const char hex[] = "_utf8mb4 X'";
	size_t start = sizeof(hex) - 1;

	ck_assert_uint_gt(literal.size, 1);
	ck_assert_int_eq(literal.data[literal.size - 1], '\'');
	if (literal.data[0] == '\'') {
		ck_assert(slice_equal(slice_of(literal.data + 1, literal.size - 2), value));
		for (size_t i = 1; i < literal.size - 1; i++)
			ck_assert(literal.data[i] >= ' ' && literal.data[i] <= '~' &&
				  literal.data[i] != '\'' && literal.data[i] != '\\');
		return;
	}
	ck_assert_uint_eq(literal.size, start + 2 * value.size + 1);
	ck_assert_int_eq(memcmp(literal.data, hex, start), 0);
	for (size_t i = 0; i < value.size; i++)
		ck_assert_int_eq(digit(literal.data[start + 2 * i]) * 16 +
					 digit(literal.data[start + 2 * i + 1]),
			(unsigned char)value.data[i]);
}

/* Any byte at any place in a value. */
START_TEST(no_value_ends_its_literal)
{
	struct question question = {.statement = &plain};
	struct batch batch = {.questions = &question, .count = 1};
	struct buf sql = {0};

	for (int byte = 0; byte < 256; byte++) {
		for (size_t size = 1; size < 4; size++) {
			for (size_t at = 0; at < size; at++) {
				char text[] = "aaaa";
				struct slice value = slice_of(text, size);

				text[at] = (char)byte;
				question.params = &value;
				buf_clear(&sql);
				mysql_write(&sql, &batch);
				assert_literal(
					slice_of(sql.data + parts[0].sql.size,
						sql.size - parts[0].sql.size - parts[1].sql.size),
					value);
			}
		}
	}
	buf_finish(&sql);
}
END_TEST

static const struct {
	const char *text;
	bool may;
} queries[] = {
	{"SELECT goto FROM alias WHERE address = ?", true},
	{" \n select\ta FROM t", true},
	{"SELECT DISTINCT a FROM t", true},
	{"SELECT distinct\n a FROM t", true},
	{"SELECT a FROM t ORDER BY a, b", true},
	{"SELECT a FROM t GROUP BY a HAVING a > 1", true},
	{"SELECT a, 1 FROM t WHERE b IN (1, 2)", true},
	{"SELECT t.* FROM t", true},
	{"SELECT COUNT(*) FROM t", true},
	{"SELECT a FROM t ORDER BY ?", true},
	{"SELECT (a) FROM t LIMIT 1", true},
	{"SELECT a FROM t ORDER BY a LIMIT 1", true},
	/* Columns that are meant by their number. */
	{"SELECT a FROM t ORDER BY 1", false},
	{"SELECT a FROM t ORDER BY\n\t2 DESC", false},
	{"SELECT a FROM t order by a,2", false},
	{"SELECT a FROM t GROUP BY 1", false},
	{"SELECT a FROM t GROUP BY a , 1 HAVING a > 1", false},
	/* What takes no further column in front. */
	{"SELECT * FROM t", false},
	{"SELECT  *, 1 FROM t", false},
	{"SELECT DISTINCT * FROM t", false},
	{"SELECT a FROM t UNION SELECT b FROM t", false},
	{"SELECT 1 union all SELECT 2", false},
	{"SELECT a FROM t EXCEPT SELECT 1", false},
	{"SELECT a FROM t INTERSECT SELECT 1", false},
	{"SELECT a FROM t MINUS SELECT 1", false},
	{"SELECT SQL_NO_CACHE a FROM t", false},
	{"SELECT HIGH_PRIORITY a FROM t", false},
	{"SELECT /*! DISTINCT */ a FROM t", false},
	{"SELECT STRAIGHT_JOIN a FROM t", false},
	{"(SELECT a FROM t)", false},
	{"WITH x AS (SELECT 1) SELECT a FROM x", false},
	{"VALUES (1)", false},
	{"TABLE t", false},
	{"SELECTED", false},
	{"SELECT", false},
	{"", false},
	{"CALL a(?)", false},
};

START_TEST(what_may_be_numbered)
{
	bool may = mysql_may_number(&(struct statement){.text = queries[_i].text});

	ck_assert_msg(may == queries[_i].may, "%s", queries[_i].text);
}
END_TEST

static const struct {
	unsigned code;
	enum fault fault;
} faults[] = {
	{1064, FAULT_KEY},
	{1242, FAULT_KEY},
	{1267, FAULT_KEY},
	{1300, FAULT_KEY},
	{1690, FAULT_KEY},
	{1644, FAULT_KEY},
	{4025, FAULT_KEY},
	{1153, FAULT_KEY},
	{1054, FAULT_QUERY},
	{1146, FAULT_QUERY},
	{1142, FAULT_QUERY},
	{1305, FAULT_QUERY},
	{1792, FAULT_QUERY},
	{1205, FAULT_MOMENT},
	{1213, FAULT_MOMENT},
	{1317, FAULT_MOMENT},
	{1969, FAULT_MOMENT},
	{3024, FAULT_MOMENT},
	{1114, FAULT_MOMENT},
	{0, FAULT_MOMENT},
	{9001, FAULT_MOMENT},
	{1040, FAULT_CONNECTION},
	{1053, FAULT_CONNECTION},
	{1290, FAULT_REFUSED},
	{1047, FAULT_REFUSED},
	{1180, FAULT_CONNECTION},
	{1927, FAULT_CONNECTION},
	{1152, FAULT_CONNECTION},
	{1161, FAULT_CONNECTION},
	{2006, FAULT_CONNECTION},
	{2013, FAULT_CONNECTION},
	{5014, FAULT_CONNECTION},
};

START_TEST(whose_fault_it_is)
{
	ck_assert_msg(mysql_fault(faults[_i].code) == faults[_i].fault, "%u", faults[_i].code);
}
END_TEST

/* Whatever may come of the numbers must not be taken for the query's fault. */
START_TEST(what_numbers_may_cause)
{
	size_t count = 0;

	for (unsigned code = 0; code < 10000; code++) {
		if (!mysql_blames_numbers(code))
			continue;
		ck_assert_int_eq(mysql_fault(code), FAULT_KEY);
		count++;
	}
	ck_assert_uint_gt(count, 3);
}
END_TEST

/* Whatever was changed in them, and in any language. */
START_TEST(rows_that_were_met)
{
	static const struct {
		const char *text, *info;
		uint64_t affected, met;
	} cases[] = {
		{"UPDATE t SET a = 'x'", "Rows matched: 3  Changed: 1  Warnings: 0", 1, 3},
		{"UPDATE t SET a = 'x'", "Rows matched: 0  Changed: 0  Warnings: 0", 0, 0},
		{" update t SET a = 'x'", "Datens\xc3\xa4tze gefunden: 12  Ge\xc3\xa4ndert: 0", 0,
			12},
		{"UPDATE t SET a = 'x'", NULL, 2, 2},
		{"DELETE FROM t", NULL, 5, 5},
		{"INSERT INTO t VALUES ('x')", NULL, 1, 1},
		{"INSERT IGNORE INTO t VALUES ('x')", NULL, 0, 0},
		{"INSERT IGNORE INTO t VALUES ('x'), ('y')", "Records: 2  Duplicates: 1", 1, 1},
		{"INSERT INTO t VALUES ('x') ON DUPLICATE KEY UPDATE a = 'x'", NULL, 0, 1},
		{"INSERT INTO t VALUES ('x') ON DUPLICATE KEY UPDATE a = 'x'", NULL, 1, 1},
		{"INSERT INTO t VALUES ('x') ON DUPLICATE KEY UPDATE a = 'x'", NULL, 2, 1},
		{"INSERT INTO t VALUES ('x'), ('y') ON DUPLICATE KEY UPDATE a = 'x'",
			"Records: 2  Duplicates: 1  Warnings: 0", 3, 2},
		{"REPLACE INTO t VALUES ('x')", NULL, 2, 1},
		{"REPLACE INTO t VALUES ('x'), ('y')", "Records: 2  Duplicates: 1", 3, 2},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		ck_assert_msg(mysql_rows_met(cases[i].text, cases[i].info, cases[i].affected) ==
				      cases[i].met,
			"%s: %s", cases[i].text, cases[i].info);
}
END_TEST

static Suite *mysql_sql_suite(void)
{
	Suite *suite = suite_create("mysql_sql");
	TCase *tcase = tcase_create("mysql_sql");

	tcase_add_test(tcase, one_key);
	tcase_add_test(tcase, several_keys);
	tcase_add_test(tcase, a_list);
	tcase_add_test(tcase, a_check);
	tcase_add_test(tcase, no_value_ends_its_literal);
	tcase_add_loop_test(tcase, what_may_be_numbered, 0, COUNT(queries));
	tcase_add_loop_test(tcase, whose_fault_it_is, 0, COUNT(faults));
	tcase_add_test(tcase, what_numbers_may_cause);
	tcase_add_test(tcase, rows_that_were_met);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(mysql_sql_suite());
}
