#include "engine/feed_sql.h"
#include "engine/query.h"

#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static const struct dialect sqlite = {
	.placeholder = '?', .numbered = true, .double_quoted_text = true, .bracket_names = true};
static const struct dialect pgsql = {.placeholder = '$', .numbered = true, .dollar_quotes = true};
static const struct dialect mysql = {.placeholder = '?',
	.backslash_escapes = true,
	.double_quoted_text = true,
	.hash_comments = true};
static const struct dialect *const dialects[] = {&sqlite, &pgsql, &mysql};

static struct feed_tables tables;

static void add(const char *query)
{
	struct reads reads;

	reads_init(&reads, query, &mysql);
	feed_tables_add(&tables, &reads);
	reads_finish(&reads);
}

/* "alias(address,localpart) mailbox()": the children behind a '>'. */
static void show(struct buf *out)
{
	for (size_t i = 0; i < tables.count; i++) {
		const struct feed_table *table = &tables.items[i];

		buf_add_format(out, "%s%s(", i ? " " : "", table->name);
		for (size_t j = 0; j < table->column_count; j++)
			buf_add_format(out, "%s%s", j ? "," : "", table->columns[j]);
		buf_add_byte(out, ')');
		for (size_t j = 0; j < table->child_count; j++)
			buf_add_format(out, ">%s.%s%s%s", table->children[j].table,
				table->children[j].key, table->children[j].on_update ? "u" : "",
				table->children[j].on_delete ? "d" : "");
	}
}

static void assert_tables(const char *should)
{
	struct buf out = {0};

	show(&out);
	assert_buf(&out, should);
	buf_finish(&out);
}

START_TEST(gathers_tables_and_columns)
{
	assert_tables("");
	add("SELECT a FROM t WHERE k = '%s'");
	add("SELECT a FROM t WHERE b = '%u' UNION SELECT a FROM s");
	add("SELECT a FROM t WHERE k = '%d'");
	add("SELECT f(a) FROM u");
	assert_tables("s() t(b,k)");
	feed_tables_complete(&tables);
	assert_tables("s() t(b,k)");
	ck_assert_uint_eq(tables.items[0].column_count, 1);
	ck_assert_str_eq(tables.items[0].columns[0], FEED_EVERYTHING);
	feed_tables_weaken(&tables, "t", "k");
	assert_tables("s() t(,b)");
	feed_tables_weaken(&tables, "t", "b");
	assert_tables("s() t()");
	feed_tables_weaken(&tables, "t", "gone");
	feed_tables_drop(&tables, "s");
	feed_tables_drop(&tables, "s");
	assert_tables("t()");
	feed_tables_finish(&tables);
	assert_tables("");
}
END_TEST

/* g <- p <- c, and s refers to itself. Nothing is read of g, nor of p. */
static const struct feed_link links[] = {
	{"c", "p", "id", true, false},
	{"p", "g", "id", false, true},
	{"s", "s", "k", false, true},
	{"c", "quiet", "id", false, false},
	{"elsewhere", "g", "id", true, true},
	{"c", "p", "id", false, true},
};

START_TEST(follows_cascades)
{
	add("SELECT k FROM c WHERE k = '%s'");
	add("SELECT k FROM mail.s WHERE k = '%s'");
	add("SELECT k FROM s WHERE k = '%s'");
	feed_tables_link(&tables, links, COUNT(links));
	assert_tables("c(k) g()>p.idd>c.idd mail.s(k) p()>c.idud s(k)>mail.s.kd>s.kd");
	/* Once more, nothing is new. */
	feed_tables_link(&tables, links, COUNT(links));
	assert_tables("c(k) g()>p.idd>c.idd mail.s(k) p()>c.idud s(k)>mail.s.kd>s.kd");
	feed_tables_finish(&tables);
}
END_TEST

static const struct {
	const char *table, *column;
	struct read read;
	bool covers, tells;
} coverings[] = {
	{"t", "k", {.table = "t", .column = "k", .kind = READ_KEY}, true, true},
	{"t", "", {.table = "t", .column = "k", .kind = READ_KEY}, true, false},
	{"t", "j", {.table = "t", .column = "k", .kind = READ_KEY}, true, false},
	{"u", "k", {.table = "t", .column = "k", .kind = READ_KEY}, false, false},
	{"T", "k", {.table = "t", .column = "k", .kind = READ_KEY}, false, false},
	{"t", "j", {.table = "t", .kind = READ_ANY}, true, true},
	{"t", "", {.table = "t", .kind = READ_ANY}, true, true},
	{"u", "", {.table = "t", .kind = READ_ANY}, false, false},
	{"t", "k", {.table = "t", .column = "k", .kind = READ_LITERAL}, true, true},
	{"t", "j", {.table = "t", .column = "k", .kind = READ_LITERAL}, true, false},
};

START_TEST(covers)
{
	const struct read *read = &coverings[_i].read;

	ck_assert(feed_covers(slice_str(coverings[_i].table), read) == coverings[_i].covers);
	ck_assert(feed_tells(slice_str(coverings[_i].table), slice_str(coverings[_i].column),
			  read) == coverings[_i].tells);
}
END_TEST

static int install(const struct dialect *dialect, struct feed_script *script, struct error *why)
{
	struct text_list old = {0};

	feed_tables_complete(&tables);
	return feed_sql_install(&tables, &old, NULL, dialect, script, why);
}

static const struct {
	const struct dialect *dialect;
	const char *name, *why;
} refused[] = {
	{&pgsql, "it's", "a quote or a backslash"},
	{&pgsql, "a\"b", "a quote or a backslash"},
	{&mysql, "a`b", "a quote or a backslash"},
	{&mysql, "a\\b", "a quote or a backslash"},
	{&sqlite, "a\nb", "a quote or a backslash"},
	{&pgsql, "a_table_whose_name_is_longer_than_is_good_for_it", "more than 45 bytes"},
	{&pgsql, "database.schema.t", "schema.table"},
	{&sqlite, "attached.t", "not in the file itself"},
};

START_TEST(refuses_names)
{
	char *items[] = {(char *)refused[_i].name};
	struct reads reads = {0};
	struct read item = {.table = items[0], .kind = READ_ANY};
	struct feed_script script;
	struct error why;

	reads.items = &item;
	reads.count = 1;
	feed_tables_add(&tables, &reads);
	ck_assert_int_eq(install(refused[_i].dialect, &script, &why), -1);
	assert_contains(why.text, refused[_i].why);
	feed_tables_finish(&tables);
	/* The same for a column. */
	item = (struct read){.table = (char *)"t", .column = (char *)"it's", .kind = READ_KEY};
	feed_tables_add(&tables, &reads);
	ck_assert_int_eq(install(refused[_i].dialect, &script, &why), -1);
	feed_tables_finish(&tables);
}
END_TEST

/* No statement ends in a semicolon, and only those that hold some are delimited otherwise. */
START_TEST(scripts_for_programs)
{
	const struct dialect *dialect = dialects[_i];
	struct feed_script script;
	struct error why;
	struct buf out = {0};

	add("SELECT k FROM t WHERE k = '%s'");
	ck_assert_int_eq(install(dialect, &script, &why), 0);
	for (size_t i = 0; i < script.count; i++)
		ck_assert(script.items[i][strlen(script.items[i]) - 1] != ';');
	feed_script_show(&script, dialect, &out);
	buf_string(&out);
	if (dialect == &mysql) {
		assert_contains(out.data, "SET NAMES utf8mb4;\n");
		assert_contains(out.data,
			"DELIMITER //\nCREATE TRIGGER `tabled_insert_t` AFTER INSERT ON `t`");
		assert_contains(out.data, "END//\nDELIMITER ;\nINSERT INTO tabled_change");
	} else {
		ck_assert(!strstr(out.data, "DELIMITER"));
		assert_contains(out.data, dialect == &pgsql ? "\\set ON_ERROR_STOP on\nBEGIN;\n"
							    : ".bail on\nBEGIN IMMEDIATE;\n");
		assert_contains(out.data, "\nCOMMIT;\n");
	}
	feed_script_finish(&script);
	feed_tables_finish(&tables);
	buf_finish(&out);
}
END_TEST

static void assert_template(
	const struct dialect *dialect, const char *text, size_t params, enum statement_kind kind)
{
	struct template_needs needs = {0};
	struct query query;
	struct error why;

	ck_assert_msg(
		query_init(&query, text, dialect, &needs, &why) == 0, "%s: %s", text, why.text);
	ck_assert_uint_eq(query.statement.params, params);
	ck_assert_int_eq(query.statement.kind, kind);
	query_finish(&query);
}

/* What the daemon asks goes the way of maps' queries. */
START_TEST(questions_are_templates)
{
	const struct dialect *dialect = dialects[_i];

	assert_template(dialect, FEED_ASK_NEW, 1, STATEMENT_SELECT);
	assert_template(dialect, FEED_ASK_GAP, 2, STATEMENT_SELECT);
	assert_template(dialect, FEED_ASK_ENDS, 0, STATEMENT_SELECT);
	assert_template(dialect, FEED_ASK_OLD_TABLES, 0, STATEMENT_SELECT);
	assert_template(dialect, feed_ask_tables(dialect), 0, STATEMENT_SELECT);
	if (dialect != &sqlite)
		assert_template(dialect, feed_ask_old(dialect), 0,
			dialect == &mysql ? STATEMENT_ALONE : STATEMENT_SELECT);
}
END_TEST

/* A name comes from a query: it stays a name. */
START_TEST(questions_quote_names)
{
	struct buf sql = {0};

	feed_sql_column("public.it's", "a\\b", &pgsql, &sql);
	assert_contains(buf_string(&sql),
		"t.relname = 'it''s' AND s.nspname = 'public' AND a.attname = 'a\\b'");
	buf_clear(&sql);
	feed_sql_column("t", "a\\'b", &mysql, &sql);
	assert_contains(buf_string(&sql), "c.table_name = 't' AND c.column_name = 'a\\\\''b'");
	buf_clear(&sql);
	feed_sql_column("main.t", "it's", &sqlite, &sql);
	assert_contains(buf_string(&sql), "lower(t.name) = 't' AND lower(c.name) = 'it''s'");
	buf_clear(&sql);
	feed_sql_links(&pgsql, &sql);
	feed_sql_links(&sqlite, &sql);
	ck_assert_uint_eq(sql.size, 0);
	feed_sql_links(&mysql, &sql);
	ck_assert_uint_gt(sql.size, 0);
	buf_finish(&sql);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("feed_tables");
	TCase *tcase = tcase_create("feed_tables");

	tcase_add_test(tcase, gathers_tables_and_columns);
	tcase_add_test(tcase, follows_cascades);
	tcase_add_loop_test(tcase, covers, 0, COUNT(coverings));
	tcase_add_loop_test(tcase, refuses_names, 0, COUNT(refused));
	tcase_add_loop_test(tcase, scripts_for_programs, 0, COUNT(dialects));
	tcase_add_loop_test(tcase, questions_are_templates, 0, COUNT(dialects));
	tcase_add_test(tcase, questions_quote_names);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
