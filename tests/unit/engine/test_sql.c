#include "engine/sql.h"

#include "support/unit.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

/* `words` as query.c makes them: capitals, a quote for what is quoted, no comments. */
static const struct {
	const char *words;
	bool is_select, is_ordered;
} queries[] = {
	{"SELECT GOTO FROM ALIAS WHERE ADDRESS = '", true, false},
	{"  \n\t( SELECT 1)", true, false}, {"((SELECT 1) UNION (SELECT 2))", true, false},
	{"SELECT'", true, false}, {"SELECT*FROM T", true, false}, {"SELECT", true, false},
	{"WITH A AS (SELECT 1) SELECT * FROM A", true, false}, {"VALUES (1)", true, false},
	{"TABLE ALIAS", true, false}, {"SELECT A FROM T ORDER BY A", true, true},
	{"SELECT A FROM T ORDER BY A LIMIT 1", true, false},
	{"SELECT A FROM T ORDER BY A LIMIT", true, false},
	{"SELECT A FROM (SELECT A FROM T LIMIT 5) X ORDER BY A", true, true},
	{"SELECT A FROM (SELECT A FROM T ORDER BY B LIMIT 5) X", true, true},
	{"SELECT A FROM T\nORDER\nBY A", true, true},
	{"SELECT A FROM T ORDER BY A FETCH FIRST 1 ROW ONLY", true, false},
	{"SELECT BORDER, REORDER FROM ORDERS", true, false},
	{"SELECT A FROM T WHERE B = ' LIMIT 1", true, false},
	{"SELECT ')', A FROM T ORDER BY A LIMIT 1", true, false},
	{"SELECT A) FROM T ORDER BY A LIMIT 1", true, false},
	/* Names that only look like what may not be. */
	{"SELECT FORWARD, INTOS, UPDATED, LOCKED FROM T", true, false},
	{"SELECT A.X_FOR FROM A", true, false}, {"SELECT FOR$ FROM A", true, false},
	{"SELECT GR\xc3\xbc"
	 "FOR FROM A",
		true, false},
	{"SELECT A @> B FROM T", true, false}, {"SELECT A FROM T WHERE A = '@'", true, false},
	/* What changes something, locks, or says something of the query before. */
	{"", false, false}, {"'", false, false}, {"CALL GET_ALIAS(')", false, false},
	{"EXEC X", false, false}, {"SHOW TABLES", false, false}, {"EXPLAIN SELECT 1", false, false},
	{"SELECTS 1", false, false}, {"SELECT 1; SELECT 2", false, false},
	{"INSERT INTO LOG VALUES (')", false, false}, {"UPDATE T SET A = 1", false, false},
	{"UPDATE T SET A = (SELECT 1)", false, false}, {"DELETE FROM T", false, false},
	{"DO 1", false, false}, {"SELECT A INTO B FROM T", false, false},
	{"SELECT A FROM T FOR UPDATE", false, false}, {"SELECT A FROM T FOR SHARE", false, false},
	{"SELECT A FROM T LOCK IN SHARE MODE", false, false},
	{"WITH A AS (DELETE FROM T RETURNING X) SELECT X FROM A", false, false},
	{"WITH A AS (UPDATE T SET B = 1 RETURNING X) SELECT X FROM A", false, false},
	{"WITH A AS (INSERT INTO T SELECT 1 RETURNING X) SELECT X FROM A", false, false},
	{"SELECT @A := 1", false, false}, {"SELECT @@VERSION", false, false},
	{"SELECT FOUND_ROWS()", false, false},
	{"SELECT SQL_CALC_FOUND_ROWS A FROM T", false, false},
	{"SELECT LAST_INSERT_ID()", false, false},
	{"SELECT A FROM T PROCEDURE ANALYSE()", false, false},
	{"SELECT SUBSTRING(A FROM 1 FOR 3) FROM T", false, false}, /* in doubt, no */
};

START_TEST(is_told_by_its_words)
{
	struct slice words = slice_str(queries[_i].words);

	ck_assert_msg(sql_is_select(words) == queries[_i].is_select, "%s", queries[_i].words);
	ck_assert_msg(sql_is_ordered(words) == queries[_i].is_ordered, "%s", queries[_i].words);
}
END_TEST

/* What is read ends where the slice ends. */
START_TEST(ends_with_the_slice)
{
	ck_assert(sql_is_select(slice_of("SELECT 1; SELECT 2", 8)));
	ck_assert(sql_is_select(slice_of("SELECTED", 6)));
	ck_assert(sql_is_select(slice_of("SELECT A FORM", 11)));
	ck_assert(!sql_is_ordered(slice_of("SELECT A ORDERED", 11)));
	ck_assert(sql_is_ordered(slice_of("SELECT A ORDERED", 14)));
	ck_assert(!sql_is_select(slice_of("(((", 3)));
	ck_assert(!sql_is_select(slice_of(NULL, 0)));
	ck_assert(!sql_is_ordered(slice_of(NULL, 0)));
}
END_TEST

START_TEST(name_characters)
{
	for (const char *at = "azAZ09_$\x80\xff"; *at; at++)
		ck_assert(sql_is_name_character(*at));
	for (const char *at = " \t\n()'\",;:@.%=-+*/?#"; *at; at++)
		ck_assert(!sql_is_name_character(*at));
	ck_assert(!sql_is_name_character('\0'));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sql");
	TCase *tcase = tcase_create("sql");

	tcase_add_loop_test(tcase, is_told_by_its_words, 0, COUNT(queries));
	tcase_add_test(tcase, ends_with_the_slice);
	tcase_add_test(tcase, name_characters);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
