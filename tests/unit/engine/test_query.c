#include "engine/query.h"

#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

/* As the drivers of the four databases declare them. */
static const struct dialect sqlite = {
	.placeholder = '?', .numbered = true, .double_quoted_text = true, .bracket_names = true};
static const struct dialect pgsql = {.placeholder = '$', .numbered = true, .dollar_quotes = true};
static const struct dialect mysql = {.placeholder = '?',
	.backslash_escapes = true,
	.double_quoted_text = true,
	.hash_comments = true};
static const struct dialect memory = {.placeholder = '?'};

static struct query query;
static struct template_needs needs;
static struct error why;

static int parse(const struct dialect *dialect, const char *text)
{
	needs = (struct template_needs){0};
	why.text[0] = '\0';
	return query_init(&query, text, dialect, &needs, &why);
}

/* What is bound for a key, one after the other, parted by '|'. */
static void bind(const char *key, struct buf *out)
{
	struct address_parts parts = address_parts_of(slice_str(key));

	for (size_t i = 0; i < query.statement.params; i++) {
		if (i)
			buf_add_byte(out, '|');
		template_expand(&query.params[i], &parts, &parts, out);
	}
}

static const struct {
	const struct dialect *dialect;
	const char *text, *statement, *bound; /* for the key "user@sub.d.ex" */
} queries[] = {
	{&sqlite, "SELECT goto FROM alias WHERE address = '%s'",
		"SELECT goto FROM alias WHERE address = ?1", "user@sub.d.ex"},
	{&pgsql, "SELECT goto FROM alias WHERE address = '%s'",
		"SELECT goto FROM alias WHERE address = $1", "user@sub.d.ex"},
	{&mysql, "SELECT goto FROM alias WHERE address = '%s'",
		"SELECT goto FROM alias WHERE address = ?", "user@sub.d.ex"},
	{&memory, "alias '%s'", "alias ?", "user@sub.d.ex"},
	/* Nothing to bind. */
	{&sqlite, "SELECT 'OK'", "SELECT 'OK'", ""},
	{&sqlite, "SELECT 100 %% 7, '50%%', \"a%%b\"", "SELECT 100 % 7, '50%', \"a%b\"", ""},
	/* The literal is the parameter, with all that stands in it. */
	{&sqlite, "SELECT 1 WHERE email LIKE '%%@%d'", "SELECT 1 WHERE email LIKE ?1",
		"%@sub.d.ex"},
	{&sqlite, "SELECT '%u/%d/Maildir/'", "SELECT ?1", "user/sub.d.ex/Maildir/"},
	{&sqlite, "SELECT '%1 %2 %3'", "SELECT ?1", "ex d sub"},
	{&sqlite, "SELECT 'it''s %u'", "SELECT ?1", "it's user"},
	{&sqlite, "SELECT '''%u'''", "SELECT ?1", "'user'"},
	{&sqlite, "SELECT \"%u\"", "SELECT ?1", "user"},
	{&sqlite, "SELECT \"say \"\"%u\"\"\"", "SELECT ?1", "say \"user\""},
	{&sqlite, "SELECT '\\%u'", "SELECT ?1", "\\user"},
	/* The same text twice is bound once, where parameters have numbers. */
	{&sqlite, "SELECT '%s' WHERE '%s' = '%u' OR \"%s\"", "SELECT ?1 WHERE ?1 = ?2 OR ?1",
		"user@sub.d.ex|user"},
	{&mysql, "SELECT '%s' WHERE '%s' = '%u'", "SELECT ? WHERE ? = ?",
		"user@sub.d.ex|user@sub.d.ex|user"},
	/* Names in brackets, where there are such. */
	{&sqlite, "SELECT [it's], '%u' FROM [a]", "SELECT [it's], ?1 FROM [a]", "user"},
	{&pgsql, "SELECT a['%u'] FROM b", "SELECT a[$1] FROM b", "user"},
	/* A dollar in a name begins no string; MariaDB reads some comments. */
	{&pgsql, "SELECT a$b$, '%u', c$b$", "SELECT a$b$, $1, c$b$", "user"},
	{&mysql, "SELECT /*M!100500 a, */ '%u'", "SELECT /*M!100500 a, */ ?", "user"},
	/* A placeholder must not run into what follows or stands before. */
	{&sqlite, "SELECT 1 WHERE a LIKE'%s'AND 1", "SELECT 1 WHERE a LIKE ?1 AND 1",
		"user@sub.d.ex"},
	{&pgsql, "SELECT 1 WHERE a LIKE'%s'AND 1", "SELECT 1 WHERE a LIKE $1 AND 1",
		"user@sub.d.ex"},
	{&sqlite, "SELECT '%u'5", "SELECT ?1 5", "user"},
	{&sqlite, "SELECT 1 WHERE a IN('%u','%d')", "SELECT 1 WHERE a IN(?1,?2)", "user|sub.d.ex"},
	{&pgsql, "SELECT '%u'::text||'%d'", "SELECT $1::text||$2", "user|sub.d.ex"},
	/* Comments go; what looks like one in a string stays. */
	{&sqlite, "SELECT 1 -- the user's '%s'\n WHERE a = '%u'", "SELECT 1  \n WHERE a = ?1",
		"user"},
	{&sqlite, "SELECT 1 /* the user's '%x */ WHERE a = '%u'", "SELECT 1   WHERE a = ?1",
		"user"},
	{&sqlite, "SELECT '-- %u', '/* %u'", "SELECT ?1, ?2", "-- user|/* user"},
	{&sqlite, "SELECT '--', '/*', '%u'", "SELECT '--', '/*', ?1", "user"},
	{&sqlite, "SELECT 1 # '%u'", "SELECT 1 # ?1", "user"},
	{&mysql, "SELECT 1 # the user's\n, '%u'", "SELECT 1  \n, ?", "user"},
	{&mysql, "SELECT 5--3, '%u'", "SELECT 5--3, ?", "user"},
	{&mysql, "SELECT 5 -- 3, '\n, '%u'", "SELECT 5  \n, ?", "user"},
	{&mysql, "SELECT 5 --\n, '%u'", "SELECT 5  \n, ?", "user"},
	{&sqlite, "SELECT 5--3, '\n, '%u'", "SELECT 5 \n, ?1", "user"},
	{&mysql, "SELECT 5--/* not yet */3, '%u'", "SELECT 5--/**/3, ?", "user"},
	{&mysql, "SELECT /*! STRAIGHT_JOIN */ /*+ HINT */ '%u'",
		"SELECT /*! STRAIGHT_JOIN */ /*+ HINT */ ?", "user"},
	{&sqlite, "SELECT '%u' /* never closed", "SELECT ?1", "user"},
	/* MySQL's escapes. */
	{&mysql, "SELECT 'it\\'s %u', '%d'", "SELECT ?, ?", "it's user|sub.d.ex"},
	{&mysql, "SELECT 'a\\'b%u'", "SELECT ?", "a'buser"},
	{&mysql, "SELECT \"a\\\"b%u\"", "SELECT ?", "a\"buser"},
	{&mysql, "SELECT '\\\\%u\\n\\t\\Z\\q'", "SELECT ?", "\\user\n\t\032q"},
	{&mysql, "SELECT '\\\\', '%u'", "SELECT '\\\\', ?", "user"},
	{&mysql, "SELECT 'a\\'', '%u'", "SELECT 'a\\'', ?", "user"},
	{&mysql, "SELECT 1 WHERE a LIKE 'a\\_b%%%u'", "SELECT 1 WHERE a LIKE ?", "a\\_b%user"},
	{&sqlite, "SELECT 'C:\\', '%u'", "SELECT 'C:\\', ?1", "user"},
	/* Names in quotes, and the strings of PostgreSQL. */
	{&mysql, "SELECT `it's`, '%u'", "SELECT `it's`, ?", "user"},
	{&pgsql, "SELECT \"it's\", '%u'", "SELECT \"it's\", $1", "user"},
	{&pgsql, "SELECT $$it's$$, $q$it's $$ too$q$, '%u'",
		"SELECT $$it's$$, $q$it's $$ too$q$, $1", "user"},
	{&pgsql, "SELECT E'it''s', '%u'", "SELECT E'it''s', $1", "user"},
	/* The end may be written. */
	{&sqlite, "SELECT '%u';", "SELECT ?1", "user"},
	{&sqlite, " SELECT '%u' ; ;\n-- the end\n", " SELECT ?1", "user"},
	/* Several statements are for the driver to judge. */
	{&sqlite, "SELECT '%u'; SELECT '%d'", "SELECT ?1; SELECT ?2", "user|sub.d.ex"},
	{&sqlite, "SELECT 'gr\xc3\xbc\xc3\x9f', '%u'", "SELECT 'gr\xc3\xbc\xc3\x9f', ?1", "user"},
};

START_TEST(becomes_a_statement)
{
	struct buf bound = {0};

	ck_assert_msg(parse(queries[_i].dialect, queries[_i].text) == 0, "%s", why.text);
	ck_assert_str_eq(query.statement.text, queries[_i].statement);
	bind("user@sub.d.ex", &bound);
	assert_buf(&bound, queries[_i].bound);
	buf_finish(&bound);
	query_finish(&query);
}
END_TEST

static const struct {
	const struct dialect *dialect;
	const char *text;
	const char *parts[2]; /* of the reason */
} refused[] = {
	{&sqlite, "SELECT goto FROM alias WHERE address = %s",
		{"%s stands outside quotes", "write '%s' in single quotes"}},
	{&sqlite, "SELECT %u FROM alias", {"%u stands outside quotes", "never pasted"}},
	{&sqlite, "SELECT a FROM %d", {"%d stands outside quotes", ""}},
	{&sqlite, "SELECT a FROM t%1", {"%1 stands outside quotes", ""}},
	{&sqlite, "SELECT `%u` FROM t", {"%u stands in a quoted name", ""}},
	{&pgsql, "SELECT \"%u\" FROM t", {"%u stands in a quoted name", "single quotes"}},
	{&pgsql, "SELECT $$%u$$", {"%u stands in a $-quoted string", ""}},
	{&pgsql, "SELECT $q$%u$q$", {"%u stands in a $-quoted string", ""}},
	{&mysql, "SELECT /*! %s */ 1", {"%s stands in an optimizer hint", ""}},
	{&pgsql, "SELECT E'%u'", {"has a prefix", "plain '...'"}},
	{&mysql, "SELECT x'%u'", {"has a prefix", ""}},
	{&mysql, "SELECT _utf8mb4'%u'", {"has a prefix", ""}},
	{&sqlite, "SELECT X'%u'", {"has a prefix", ""}},
	{&sqlite, "SELECT '%x'", {"\"%x\" is none of", "%%"}},
	{&sqlite, "SELECT '100%'", {"is none of", "%%"}},
	{&sqlite, "SELECT 100 % 7", {"\"% \" is none of", "%%"}},
	{&sqlite, "SELECT '%u' || '50%'", {"is none of", "%%"}},
	{&sqlite, "SELECT '%u%", {"' is never closed", ""}},
	{&sqlite, "SELECT \"%u", {"\" is never closed", ""}},
	{&sqlite, "SELECT `a", {"` is never closed", ""}},
	{&mysql, "SELECT '%u\\'", {"' is never closed", ""}},
	{&sqlite, "SELECT 'it's %u'", {"%u stands outside quotes", ""}},
	{&sqlite, "", {"the query is empty", ""}},
	{&sqlite, " ;\n", {"the query is empty", ""}},
	{&sqlite, "-- nothing", {"the query is empty", ""}},
	{&sqlite, "SELECT 1 %", {"is none of", "%%"}},
};

START_TEST(is_refused)
{
	ck_assert_int_eq(parse(refused[_i].dialect, refused[_i].text), -1);
	assert_contains(why.text, refused[_i].parts[0]);
	assert_contains(why.text, refused[_i].parts[1]);
	query_finish(&query); /* nothing is left, so this does nothing */
}
END_TEST

static const struct {
	const char *text;
	struct template_needs needs;
} asked[] = {
	{"SELECT '%s'", {0}},
	{"SELECT '%S%%'", {0}},
	{"SELECT '%u'", {.key_user = true}},
	{"SELECT '%U', '%D'", {.key_user = true, .key_domain = true}},
	{"SELECT '%d'", {.key_domain = true}},
	{"SELECT '%2', '%1'", {.key_domain = true, .labels = 2}},
};

START_TEST(tells_what_it_needs)
{
	ck_assert_int_eq(parse(&sqlite, asked[_i].text), 0);
	ck_assert_int_eq(needs.key_user, asked[_i].needs.key_user);
	ck_assert_int_eq(needs.key_domain, asked[_i].needs.key_domain);
	ck_assert_uint_eq(needs.labels, asked[_i].needs.labels);
	ck_assert(!needs.value_user && !needs.value_domain);
	query_finish(&query);
}
END_TEST

START_TEST(parameters_are_bounded)
{
	struct buf text = {0};

	buf_add_string(&text, "SELECT ''");
	for (int i = 1; i < STATEMENT_PARAMS_MAX; i++)
		buf_add_format(&text, ", '%d %%s'", i);
	ck_assert_msg(parse(&sqlite, buf_string(&text)) == 0, "%s", why.text);
	ck_assert_uint_eq(query.statement.params, STATEMENT_PARAMS_MAX - 1);
	query_finish(&query);
	buf_add_string(&text, ", 'one more %s'");
	ck_assert_int_eq(parse(&sqlite, buf_string(&text)), -1);
	assert_contains(why.text, "more than 63");
	buf_finish(&text);
}
END_TEST

/* The text is the parts with a placeholder between them, and so can be written in other ways. */
START_TEST(parts_make_up_the_text)
{
	struct buf text = {0};

	ck_assert_int_eq(parse(queries[_i].dialect, queries[_i].text), 0);
	for (size_t i = 0; i < query.statement.part_count; i++) {
		const struct statement_part *part = &query.statement.parts[i];

		ck_assert_int_eq(part->param == 0, i + 1 == query.statement.part_count);
		ck_assert_uint_le(part->param, query.statement.params);
		buf_add_slice(&text, part->sql);
		if (!part->param)
			continue;
		buf_add_byte(&text, queries[_i].dialect->placeholder);
		if (queries[_i].dialect->numbered)
			buf_add_format(&text, "%zu", part->param);
	}
	assert_buf(&text, query.statement.text);
	buf_finish(&text);
	query_finish(&query);
}
END_TEST

/* Without numbers each placeholder has a parameter of its own, in their order. */
START_TEST(parts_are_numbered)
{
	ck_assert_int_eq(parse(&mysql, "SELECT '%u', '%d' WHERE '%u' = 1"), 0);
	ck_assert_uint_eq(query.statement.part_count, 4);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(query.statement.parts[i].param, i + 1);
	assert_slice(query.statement.parts[0].sql, "SELECT ");
	assert_slice(query.statement.parts[3].sql, " = 1");
	query_finish(&query);
	ck_assert_int_eq(parse(&pgsql, "SELECT '%u', '%d' WHERE '%u' = 1"), 0);
	ck_assert_uint_eq(query.statement.part_count, 4);
	ck_assert_uint_eq(query.statement.parts[1].param, 2);
	ck_assert_uint_eq(query.statement.parts[2].param, 1);
	query_finish(&query);
}
END_TEST

static const struct {
	const struct dialect *dialect;
	const char *text;
	enum statement_kind kind;
	bool ordered;
} kinds[] = {
	{&pgsql, "SELECT a FROM t WHERE b = '%s'", STATEMENT_SELECT, false},
	{&pgsql, "select a from t where b = '%s' order by a", STATEMENT_SELECT, true},
	{&pgsql, "select a from t where b = '%s' order by a limit 1;", STATEMENT_SELECT, false},
	{&mysql, " \n(SELECT a FROM t WHERE b = '%s')", STATEMENT_SELECT, false},
	{&pgsql, "/* the first */ SELECT a FROM t WHERE b = '%s'", STATEMENT_SELECT, false},
	{&pgsql, "-- the first\nSELECT a FROM t WHERE b = '%s'", STATEMENT_SELECT, false},
	{&pgsql, "WITH x AS (SELECT '%s' AS y) SELECT y FROM x", STATEMENT_SELECT, false},
	/* Semicolons at the end are no second statement; others are. */
	{&pgsql, "SELECT a FROM t WHERE b = '%s' ; ; -- end", STATEMENT_SELECT, false},
	{&pgsql, "SELECT '%s'; SELECT 1", STATEMENT_ALONE, false},
	{&mysql, "CALL alias('%s')", STATEMENT_ALONE, false},
	{&pgsql, "SELECT a FROM t WHERE b = '%s' FOR UPDATE", STATEMENT_ALONE, false},
	{&pgsql, "SELECT a FROM t WHERE b = '%s' for share", STATEMENT_ALONE, false},
	{&mysql, "SELECT @a := '%s'", STATEMENT_ALONE, false},
	{&pgsql, "UPDATE t SET a = '%s'", STATEMENT_ALONE, false},
	{&pgsql, "INSERT INTO t VALUES ('%s') RETURNING a", STATEMENT_ALONE, false},
	/* What is quoted or a comment says nothing. */
	{&pgsql, "SELECT 'for update; @a' WHERE '%s' = b", STATEMENT_SELECT, false},
	{&pgsql, "SELECT \"for update\" FROM t WHERE '%s' = b", STATEMENT_SELECT, false},
	{&mysql, "SELECT `for` FROM t WHERE '%s' = b", STATEMENT_SELECT, false},
	{&pgsql, "SELECT a /* for update; order by */ FROM t", STATEMENT_SELECT, false},
	{&pgsql, "SELECT a -- for update; order by\nFROM t", STATEMENT_SELECT, false},
	{&mysql, "SELECT a # into\nFROM t", STATEMENT_SELECT, false},
	{&pgsql, "SELECT $$for update$$, $x$;$x$, '%s'", STATEMENT_SELECT, false},
	{&pgsql, "SELECT a FROM t WHERE b = '%s' ORDER/**/BY a", STATEMENT_SELECT, true},
	{&pgsql, "SELECT/**/a FROM t", STATEMENT_SELECT, false},
	{&mysql, "SELECT'%s'FOR", STATEMENT_ALONE, false},
	/* Keys. */
	{&mysql, "SELECT b, a FROM t WHERE b IN (:keys)", STATEMENT_KEYS, false},
	{&mysql, "SELECT b, a FROM t WHERE b IN (:keys) ORDER BY a", STATEMENT_KEYS, true},
};

START_TEST(is_of_a_kind)
{
	ck_assert_msg(parse(kinds[_i].dialect, kinds[_i].text) == 0, "%s", why.text);
	ck_assert_msg(query.statement.kind == kinds[_i].kind, "%s", kinds[_i].text);
	ck_assert_msg(query.statement.ordered == kinds[_i].ordered, "%s", kinds[_i].text);
	query_finish(&query);
}
END_TEST

static const struct {
	const struct dialect *dialect;
	const char *text, *statement;
	size_t params; /* 0: nothing stands for keys */
} lists[] = {
	{&pgsql, "SELECT b, a FROM t WHERE b IN (:keys)", "SELECT b, a FROM t WHERE b IN ($1)", 1},
	{&mysql, "SELECT b, a FROM t WHERE b IN (:keys)", "SELECT b, a FROM t WHERE b IN (?)", 1},
	{&sqlite, "SELECT b, a FROM t WHERE b IN (:keys)", "SELECT b, a FROM t WHERE b IN (?1)", 1},
	{&mysql, "SELECT b FROM t WHERE b IN(:keys)ORDER BY b",
		"SELECT b FROM t WHERE b IN(?)ORDER BY b", 1},
	{&pgsql, "SELECT b FROM t WHERE b=ANY(ARRAY[:keys])",
		"SELECT b FROM t WHERE b=ANY(ARRAY[$1])", 1},
	/* Twice. */
	{&pgsql, "SELECT b FROM t WHERE b IN (:keys) OR c IN (:keys)",
		"SELECT b FROM t WHERE b IN ($1) OR c IN ($1)", 1},
	{&mysql, "SELECT b FROM t WHERE b IN (:keys) OR c IN (:keys)",
		"SELECT b FROM t WHERE b IN (?) OR c IN (?)", 2},
	/* With a cast; and a cast to a type of that name. */
	{&pgsql, "SELECT b FROM t WHERE b IN (:keys::text)",
		"SELECT b FROM t WHERE b IN ($1::text)", 1},
	{&pgsql, "SELECT b::keys FROM t WHERE b IN (:keys)",
		"SELECT b::keys FROM t WHERE b IN ($1)", 1},
	{&pgsql, "SELECT b::keys FROM t", "SELECT b::keys FROM t", 0},
	{&pgsql, "SELECT b ::keys FROM t", "SELECT b ::keys FROM t", 0},
	/* Other words. */
	{&pgsql, "SELECT :keys_of, :KEYS, :key, keys", "SELECT :keys_of, :KEYS, :key, keys", 0},
	{&pgsql, "SELECT :keys2", "SELECT :keys2", 0},
	{&pgsql, "SELECT :keys\xc3\xbc", "SELECT :keys\xc3\xbc", 0},
	/* Where it is text, or nothing. */
	{&pgsql, "SELECT ':keys'", "SELECT ':keys'", 0},
	{&pgsql, "SELECT \":keys\" FROM t", "SELECT \":keys\" FROM t", 0},
	{&mysql, "SELECT `:keys` FROM t", "SELECT `:keys` FROM t", 0},
	{&mysql, "SELECT \"a \\\" :keys\" FROM t", "SELECT \"a \\\" :keys\" FROM t", 0},
	{&pgsql, "SELECT $$:keys$$", "SELECT $$:keys$$", 0},
	{&pgsql, "SELECT 1 /* :keys */", "SELECT 1", 0},
	{&pgsql, "SELECT 1 -- :keys", "SELECT 1", 0},
	{&mysql, "SELECT 1 # :keys", "SELECT 1", 0},
	{&mysql, "SELECT /*+ :keys */ 1", "SELECT /*+ :keys */ 1", 0},
	{&pgsql, "SELECT '%s', ':keys'", "SELECT $1, ':keys'", 0},
};

START_TEST(list_of_keys)
{
	struct buf bound = {0};

	ck_assert_msg(parse(lists[_i].dialect, lists[_i].text) == 0, "%s", why.text);
	ck_assert_str_eq(query.statement.text, lists[_i].statement);
	ck_assert_int_eq(
		query.statement.kind, lists[_i].params ? STATEMENT_KEYS : STATEMENT_SELECT);
	if (lists[_i].params) {
		ck_assert_uint_eq(query.statement.params, lists[_i].params);
		/* The whole key, wherever it stands. */
		bind("user@d.ex", &bound);
		assert_buf(&bound, lists[_i].params == 1 ? "user@d.ex" : "user@d.ex|user@d.ex");
	}
	ck_assert(!needs.key_user && !needs.key_domain && !needs.labels);
	buf_finish(&bound);
	query_finish(&query);
}
END_TEST

static const struct {
	const char *text, *why;
} bad_lists[] = {
	{"SELECT b FROM t WHERE b IN (:keys) AND c = '%d'", "expansions such as '%s' beside it"},
	{"SELECT b FROM t WHERE c = '%s' AND b IN (:keys)", "expansions such as '%s' beside it"},
	{"SELECT b FROM t WHERE b IN (:keys) AND c = %d", "stands outside quotes"},
	{"UPDATE t SET a = 1 WHERE b IN (:keys)", ":keys needs a plain SELECT"},
	{"DELETE FROM t WHERE b IN (:keys)", ":keys needs a plain SELECT"},
	{"CALL f(:keys)", ":keys needs a plain SELECT"},
	{"SELECT b FROM t WHERE b IN (:keys) FOR UPDATE", ":keys needs a plain SELECT"},
	{"SELECT b FROM t WHERE b IN (:keys); SELECT 1", ":keys needs a plain SELECT"},
};

START_TEST(bad_list_of_keys)
{
	ck_assert_int_eq(parse(&mysql, bad_lists[_i].text), -1);
	assert_contains(why.text, bad_lists[_i].why);
}
END_TEST

START_TEST(lists_are_bounded)
{
	struct buf text = {0};

	buf_add_string(&text, "SELECT b FROM t WHERE b IN (:keys)");
	for (int i = 2; i < STATEMENT_PARAMS_MAX; i++)
		buf_add_string(&text, " OR b IN (:keys)");
	ck_assert_int_eq(parse(&mysql, buf_string(&text)), 0);
	ck_assert_uint_eq(query.statement.params, STATEMENT_PARAMS_MAX - 1);
	query_finish(&query);
	buf_add_string(&text, " OR b IN (:keys)");
	ck_assert_int_eq(parse(&mysql, buf_string(&text)), -1);
	assert_contains(why.text, "more than 63");
	buf_finish(&text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query");
	TCase *tcase = tcase_create("query");

	tcase_add_loop_test(tcase, becomes_a_statement, 0, COUNT(queries));
	tcase_add_loop_test(tcase, is_refused, 0, COUNT(refused));
	tcase_add_loop_test(tcase, tells_what_it_needs, 0, COUNT(asked));
	tcase_add_test(tcase, parameters_are_bounded);
	tcase_add_loop_test(tcase, parts_make_up_the_text, 0, COUNT(queries));
	tcase_add_test(tcase, parts_are_numbered);
	tcase_add_loop_test(tcase, is_of_a_kind, 0, COUNT(kinds));
	tcase_add_loop_test(tcase, list_of_keys, 0, COUNT(lists));
	tcase_add_loop_test(tcase, bad_list_of_keys, 0, COUNT(bad_lists));
	tcase_add_test(tcase, lists_are_bounded);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
