#include "engine/dictionary_sql.h"

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

/* What a test expects of each of them. */
typedef const char *texts[3];

#define NAME(text) ((char *)(uintptr_t)(text))

static struct dictionary_column by_user[] = {{NAME("name"), TYPE_STRING}};
static struct dictionary_column by_three[] = {
	{NAME("box"), TYPE_STRING}, {NAME("id"), TYPE_INT}, {NAME("entry"), TYPE_STRING}};
static struct dictionary_column by_blob[] = {{NAME("guid"), TYPE_HEXBLOB}};
static struct dictionary_column bytes[] = {{NAME("bytes"), TYPE_INT}};
static struct dictionary_column messages[] = {{NAME("messages"), TYPE_INT}};
static struct dictionary_column blob[] = {{NAME("data"), TYPE_HEXBLOB}};
static struct dictionary_column pair[] = {
	{NAME("host"), TYPE_STRING}, {NAME("data"), TYPE_HEXBLOB}};

/* No field, but a user. */
static const struct dictionary_table quota = {.name = "quota",
	.username_field = "username",
	.fields = by_user, /* none of them */
	.values = bytes,
	.value_count = 1,
	.is_private = true};
static const struct dictionary_table quota_messages = {.name = "quota",
	.username_field = "username",
	.fields = by_user,
	.values = messages,
	.value_count = 1,
	.is_private = true};
/* One field. */
static const struct dictionary_table login = {.name = "mail.login",
	.fields = by_user,
	.field_count = 1,
	.values = bytes,
	.value_count = 1};
/* Everything. */
static const struct dictionary_table all = {.name = "Everything",
	.username_field = "User",
	.expire_field = "until",
	.fields = by_three,
	.field_count = 3,
	.values = pair,
	.value_count = 2,
	.is_private = true};
static const struct dictionary_table blobs = {
	.name = "blobs", .fields = by_blob, .field_count = 1, .values = blob, .value_count = 1};

static struct statement_writer writer;

static void begin(const struct dialect *dialect)
{
	statement_writer_init(&writer, dialect);
}

/* The text is what is expected, and the same as its parts; so are the parameters, parted by '|'. */
static void end(const char *sql, const char *params)
{
	const struct statement *statement = statement_writer_end(&writer, STATEMENT_ONCE, 7);
	struct buf text = {0};

	ck_assert_str_eq(statement->text, sql);
	ck_assert_uint_eq(statement->id, 7);
	ck_assert_int_eq(statement->kind, STATEMENT_ONCE);
	ck_assert_uint_eq(statement->part_count, statement->params + 1);
	for (size_t i = 0; i < statement->part_count; i++) {
		const struct statement_part *part = &statement->parts[i];

		buf_add_slice(&text, part->sql);
		ck_assert_uint_eq(part->param, i < statement->params ? i + 1 : 0);
		if (part->param)
			buf_add_byte(&text, writer.dialect->placeholder);
		if (part->param && writer.dialect->numbered)
			buf_add_format(&text, "%zu", part->param);
	}
	assert_buf(&text, sql);
	for (size_t i = 0; i < statement->params; i++)
		buf_add_format(&text, "%s%.*s", i ? "|" : "", SLICE_ARGS(writer.params[i]));
	assert_buf(&text, params);
	buf_finish(&text);
	statement_writer_finish(&writer);
}

#define ROW(table_, user_, ...)                                                                    \
	{                                                                                          \
		.table = (table_), .values = {__VA_ARGS__}, .user = slice_str(user_)               \
	}

/* --- Lookups */

static const struct {
	const struct dictionary_table *table;
	texts sql;
} lookups[] = {
	{&quota, {"SELECT [bytes] FROM [quota] WHERE [username] = ?1",
			 "SELECT \"bytes\" FROM \"quota\" WHERE \"username\" = $1",
			 "SELECT `username`, `bytes` FROM `quota` WHERE `username` IN (?)"}},
	{&login, {"SELECT [bytes] FROM [mail].[login] WHERE [name] = ?1",
			 "SELECT \"bytes\" FROM \"mail\".\"login\" WHERE \"name\" = $1",
			 "SELECT `name`, `bytes` FROM `mail`.`login` WHERE `name` IN (?)"}},
	{&all, {"SELECT [host], lower(hex([data])) FROM [Everything] WHERE [box] = ?1 AND "
		"[id] = ?2 AND [entry] = ?3 AND [User] = ?4 AND ([until] IS NULL OR [until] > "
		"CAST(strftime('%s', 'now') AS INTEGER))",
		       "SELECT \"host\", encode(\"data\", 'hex') FROM \"everything\" WHERE \"box\" "
		       "= $1 AND \"id\" = $2 AND \"entry\" = $3 AND \"user\" = $4 AND (\"until\" "
		       "IS "
		       "NULL OR \"until\" > CAST(extract(epoch FROM now()) AS bigint))",
		       "SELECT `host`, lower(hex(`data`)) FROM `Everything` WHERE `box` = ? AND "
		       "`id` = ? AND `entry` = ? AND `User` = ? AND (`until` IS NULL OR `until` > "
		       "UNIX_TIMESTAMP())"}},
	{&blobs,
		{"SELECT lower(hex([data])) FROM [blobs] WHERE [guid] = tabled_unhex(?1)",
			"SELECT encode(\"data\", 'hex') FROM \"blobs\" WHERE \"guid\" = decode($1, "
			"'hex')",
			"SELECT lower(hex(`data`)) FROM `blobs` WHERE `guid` = unhex(?)"}},
};

START_TEST(lookup)
{
	for (int i = 0; i < COUNT(dialects); i++) {
		size_t values = lookups[_i].table->field_count + lookups[_i].table->is_private;
		bool is_list;

		begin(dialects[i]);
		is_list = dictionary_sql_lookup(lookups[_i].table, &writer) == STATEMENT_KEYS;
		ck_assert(is_list == (strstr(lookups[_i].sql[i], " IN (") != NULL));
		end(lookups[_i].sql[i], &"|||"[4 - values]);
	}
}
END_TEST

/* --- Changes */

START_TEST(set)
{
	static const texts sql = {"INSERT INTO [quota] ([username], [bytes]) VALUES (?1, ?2) ON "
				  "CONFLICT ([username]) DO UPDATE SET [bytes] = excluded.[bytes]",
		"INSERT INTO \"quota\" (\"username\", \"bytes\") VALUES ($1, $2) ON CONFLICT "
		"(\"username\") DO UPDATE SET \"bytes\" = excluded.\"bytes\"",
		"INSERT INTO `quota` (`username`, `bytes`) VALUES (?, ?) ON DUPLICATE KEY UPDATE "
		"`bytes` = VALUES(`bytes`)"};
	const struct dictionary_row row = ROW(&quota, "u@d.ex", {0});
	const struct dictionary_change change = {&quota, slice_str("12")};

	for (int i = 0; i < COUNT(dialects); i++) {
		begin(dialects[i]);
		dictionary_sql_set(&row, &change, 1, 0, &writer);
		end(sql[i], "u@d.ex|12");
	}
}
END_TEST

/* Both keys of quota are one statement. An expiry that the table has no column for is left out. */
START_TEST(set_of_several_columns)
{
	const struct dictionary_row row = ROW(&quota, "u", {0});
	const struct dictionary_change changes[] = {
		{&quota, slice_str("12")}, {&quota_messages, slice_str("-3")}};

	begin(&sqlite);
	dictionary_sql_set(&row, changes, 2, 60, &writer);
	end("INSERT INTO [quota] ([username], [bytes], [messages]) VALUES (?1, ?2, ?3) ON CONFLICT "
	    "([username]) DO UPDATE SET [bytes] = excluded.[bytes], [messages] = "
	    "excluded.[messages]",
		"u|12|-3");
}
END_TEST

static const texts set_all = {
	"INSERT INTO [Everything] ([box], [id], [entry], [User], [host], [until]) VALUES (?1, ?2, "
	"?3, ?4, ?5, CAST(strftime('%s', 'now') AS INTEGER) + CAST(?6 AS INTEGER)) ON CONFLICT "
	"([box], [id], [entry], [User]) DO UPDATE SET [host] = excluded.[host], [until] = "
	"excluded.[until]",
	"INSERT INTO \"everything\" (\"box\", \"id\", \"entry\", \"user\", \"host\", \"until\") "
	"VALUES ($1, $2, $3, $4, $5, CAST(extract(epoch FROM now()) AS bigint) + CAST($6 AS "
	"bigint)) ON CONFLICT (\"box\", \"id\", \"entry\", \"user\") DO UPDATE SET \"host\" = "
	"excluded.\"host\", \"until\" = excluded.\"until\"",
	"INSERT INTO `Everything` (`box`, `id`, `entry`, `User`, `host`, `until`) VALUES (?, ?, ?, "
	"?, ?, UNIX_TIMESTAMP() + CAST(? AS SIGNED)) ON DUPLICATE KEY UPDATE `host` = "
	"VALUES(`host`), `until` = VALUES(`until`)"};

START_TEST(set_with_an_expiry)
{
	const struct dictionary_row row =
		ROW(&all, "u", slice_str("b"), slice_str("7"), slice_str("e"));
	const struct dictionary_change change = {&all, slice_str("")};

	for (int i = 0; i < COUNT(dialects); i++) {
		begin(dialects[i]);
		dictionary_sql_set(&row, &change, 1, 4294967295, &writer);
		end(set_all[i], "b|7|e|u||4294967295");
	}
	/* Without one the row counts for ever, whatever it was before. */
	begin(&mysql);
	dictionary_sql_set(&row, &change, 1, 0, &writer);
	end("INSERT INTO `Everything` (`box`, `id`, `entry`, `User`, `host`, `until`) VALUES (?, "
	    "?, ?, ?, ?, NULL) ON DUPLICATE KEY UPDATE `host` = VALUES(`host`), `until` = "
	    "VALUES(`until`)",
		"b|7|e|u|");
}
END_TEST

START_TEST(set_of_bytes)
{
	static const texts sql = {
		"INSERT INTO [blobs] ([guid], [data]) VALUES (tabled_unhex(?1), tabled_unhex(?2)) "
		"ON CONFLICT ([guid]) DO UPDATE SET [data] = excluded.[data]",
		"INSERT INTO \"blobs\" (\"guid\", \"data\") VALUES (decode($1, 'hex'), decode($2, "
		"'hex')) ON CONFLICT (\"guid\") DO UPDATE SET \"data\" = excluded.\"data\"",
		"INSERT INTO `blobs` (`guid`, `data`) VALUES (unhex(?), unhex(?)) ON DUPLICATE KEY "
		"UPDATE `data` = VALUES(`data`)"};
	const struct dictionary_row row = ROW(&blobs, "", slice_str("00ff"));
	const struct dictionary_change change = {&blobs, slice_str("0A")};

	for (int i = 0; i < COUNT(dialects); i++) {
		begin(dialects[i]);
		dictionary_sql_set(&row, &change, 1, 0, &writer);
		end(sql[i], "00ff|0A");
	}
}
END_TEST

/* The row as a whole, as Dovecot does; also one that has expired. */
START_TEST(unset)
{
	static const texts sql = {"DELETE FROM [Everything] WHERE [box] = ?1 AND [id] = ?2 AND "
				  "[entry] = ?3 AND [User] = ?4",
		"DELETE FROM \"everything\" WHERE \"box\" = $1 AND \"id\" = $2 AND \"entry\" = $3 "
		"AND \"user\" = $4",
		"DELETE FROM `Everything` WHERE `box` = ? AND `id` = ? AND `entry` = ? AND `User` "
		"= ?"};
	const struct dictionary_row row =
		ROW(&all, "it's; DROP", slice_str("b' OR 1"), slice_str("7"), slice_str("%"));

	for (int i = 0; i < COUNT(dialects); i++) {
		begin(dialects[i]);
		dictionary_sql_unset(&row, &writer);
		end(sql[i], "b' OR 1|7|%|it's; DROP");
	}
}
END_TEST

START_TEST(increment)
{
	static const texts sql = {"UPDATE [quota] SET [bytes] = [bytes] + CAST(?1 AS INTEGER), "
				  "[messages] = [messages] + CAST(?2 AS INTEGER) WHERE "
				  "[username] = ?3",
		"UPDATE \"quota\" SET \"bytes\" = \"bytes\" + CAST($1 AS bigint), \"messages\" = "
		"\"messages\" + CAST($2 AS bigint) WHERE \"username\" = $3",
		"UPDATE `quota` SET `bytes` = `bytes` + CAST(? AS SIGNED), `messages` = `messages` "
		"+ CAST(? AS SIGNED) WHERE `username` = ?"};
	const struct dictionary_row row = ROW(&quota, "u", {0});
	const struct dictionary_change changes[] = {
		{&quota, slice_str("-9223372036854775808")}, {&quota_messages, slice_str("1")}};

	for (int i = 0; i < COUNT(dialects); i++) {
		begin(dialects[i]);
		dictionary_sql_increment(&row, changes, 2, &writer);
		end(sql[i], "-9223372036854775808|1|u");
	}
	begin(&sqlite);
	dictionary_sql_increment(&(struct dictionary_row)ROW(&login, "", slice_str("n")),
		&(struct dictionary_change){&login, slice_str("5")}, 1, &writer);
	end("UPDATE [mail].[login] SET [bytes] = [bytes] + CAST(?1 AS INTEGER) WHERE [name] = ?2",
		"5|n");
}
END_TEST

/* --- Lists */

struct wish {
	const struct dictionary_table *table;
	const char *pattern, *path, *user;
	bool recurse, exact, no_values, by_value;
	const char *after[3];
};

static const struct {
	struct wish wish;
	const struct dialect *dialect;
	const char *sql, *params;
} lists[] = {
	{{.table = &login, .pattern = "shared/login/$name", .path = "shared/login/"}, &sqlite,
		"SELECT [name], [bytes] FROM [mail].[login] WHERE [name] IS NOT NULL AND "
		"substr([name], 1) NOT LIKE '%/%' ORDER BY [name] LIMIT 1000",
		""},
	/* The next page. */
	{{.table = &login,
		 .pattern = "shared/login/$name",
		 .path = "shared/login/",
		 .no_values = true,
		 .after = {"last"}},
		&pgsql,
		"SELECT \"name\" FROM \"mail\".\"login\" WHERE \"name\" IS NOT NULL AND "
		"substr(\"name\", 1) NOT LIKE '%/%' AND (\"name\" > $1) ORDER BY \"name\" LIMIT "
		"1000",
		"last"},
	/* All that is below, of what begins with something: % and _ are not what LIKE takes them
	   for, and characters are counted, not bytes. */
	{{.table = &login,
		 .pattern = "shared/login/$name",
		 .path = "shared/login/a%_ä'/",
		 .recurse = true},
		&mysql,
		"SELECT `name`, `bytes` FROM `mail`.`login` WHERE `name` IS NOT NULL AND "
		"substr(`name`, 1, 6) = ? ORDER BY `name` LIMIT 1000",
		"a%_ä'/"},
	{{.table = &login, .pattern = "shared/login/$name", .path = "shared/login/a%/_/"}, &sqlite,
		"SELECT [name], [bytes] FROM [mail].[login] WHERE [name] IS NOT NULL AND "
		"substr([name], 1, 5) = ?1 AND substr([name], 6) NOT LIKE '%/%' ORDER BY [name] "
		"LIMIT 1000",
		"a%/_/"},
	{{.table = &login,
		 .pattern = "shared/login/$name",
		 .path = "shared/login/",
		 .recurse = true,
		 .by_value = true},
		&sqlite,
		"SELECT [name], [bytes] FROM [mail].[login] WHERE [name] IS NOT NULL ORDER BY "
		"[bytes], [name] LIMIT 1000",
		""},
	/* A key by itself. */
	{{.table = &login,
		 .pattern = "shared/login/$name",
		 .path = "shared/login/a/b",
		 .recurse = true,
		 .exact = true},
		&sqlite, "SELECT [bytes] FROM [mail].[login] WHERE [name] = ?1 LIMIT 1000", "a/b"},
	{{.table = &login,
		 .pattern = "shared/login/$name",
		 .path = "shared/login/a",
		 .recurse = true,
		 .exact = true,
		 .no_values = true},
		&sqlite, "SELECT 1 FROM [mail].[login] WHERE [name] = ?1 LIMIT 1000", "a"},
	/* No field at all. */
	{{.table = &quota,
		 .pattern = "priv/quota/storage",
		 .path = "priv/",
		 .user = "u",
		 .recurse = true},
		&sqlite, "SELECT [bytes] FROM [quota] WHERE [username] = ?1 LIMIT 1000", "u"},
	/* Several that the path does not tell. */
	{{.table = &all,
		 .pattern = "priv/$box/$id/$entry",
		 .path = "priv/b/",
		 .user = "u",
		 .recurse = true},
		&sqlite,
		"SELECT [id], [entry], [host], lower(hex([data])) FROM [Everything] WHERE [box] = "
		"?1 AND [User] = ?2 AND ([until] IS NULL OR [until] > CAST(strftime('%s', 'now') "
		"AS INTEGER)) AND [id] IS NOT NULL AND [entry] IS NOT NULL ORDER BY [id], [entry] "
		"LIMIT 1000",
		"b|u"},
	{{.table = &all,
		 .pattern = "priv/$box/$id/$entry",
		 .path = "priv/",
		 .user = "u",
		 .recurse = true,
		 .no_values = true,
		 .after = {"b", "7", "e"}},
		&pgsql,
		"SELECT \"box\", \"id\", \"entry\" FROM \"everything\" WHERE \"user\" = $1 AND "
		"(\"until\" IS NULL OR \"until\" > CAST(extract(epoch FROM now()) AS bigint)) AND "
		"\"box\" IS NOT NULL AND \"id\" IS NOT NULL AND \"entry\" IS NOT NULL AND (\"box\" "
		"> $2 OR (\"box\" = $3 AND (\"id\" > $4 OR (\"id\" = $5 AND (\"entry\" > $6))))) "
		"ORDER BY \"box\", \"id\", \"entry\" LIMIT 1000",
		"u|b|b|7|7|e"},
	{{.table = &all,
		 .pattern = "priv/$box/$id/$entry",
		 .path = "priv/b/7/x/",
		 .user = "u",
		 .no_values = true,
		 .after = {"x/y"}},
		&mysql,
		"SELECT `entry` FROM `Everything` WHERE `box` = ? AND `id` = ? AND `User` = ? AND "
		"(`until` IS NULL OR `until` > UNIX_TIMESTAMP()) AND `entry` IS NOT NULL AND "
		"substr(`entry`, 1, 2) = ? AND substr(`entry`, 3) NOT LIKE '%/%' AND (`entry` > ?) "
		"ORDER BY `entry` LIMIT 1000",
		"b|7|u|x/|x/y"},
	/* Bytes are sorted as they are, and shown as digits. */
	{{.table = &blobs, .pattern = "shared/$guid", .path = "shared/", .after = {"0aff"}}, &pgsql,
		"SELECT encode(\"guid\", 'hex'), encode(\"data\", 'hex') FROM \"blobs\" WHERE "
		"\"guid\" IS NOT NULL AND (\"guid\" > decode($1, 'hex')) ORDER BY \"guid\" LIMIT "
		"1000",
		"0aff"},
};

static void list_init(struct dictionary_list *list, const struct wish *wish,
	struct dictionary_span *span, struct slice *after)
{
	static struct dictionary_pattern pattern;
	struct error why;

	ck_assert_int_eq(dictionary_pattern_init(&pattern, wish->pattern, &why), 0);
	ck_assert(dictionary_pattern_meets(
		&pattern, slice_str(wish->path), wish->recurse, wish->exact, span));
	for (size_t i = 0; i < 3 && wish->after[i]; i++)
		after[i] = slice_str(wish->after[i]);
	*list = (struct dictionary_list){.table = wish->table,
		.span = span,
		.user = slice_str(wish->user ? wish->user : ""),
		.recurse = wish->recurse,
		.with_values = !wish->no_values,
		.by_value = wish->by_value,
		.after = wish->after[0] ? after : NULL,
		.limit = 1000};
}

START_TEST(list)
{
	struct dictionary_list wanted;
	struct dictionary_span span;
	struct slice after[3];

	list_init(&wanted, &lists[_i].wish, &span, after);
	begin(lists[_i].dialect);
	dictionary_sql_list(&wanted, &writer);
	end(lists[_i].sql, lists[_i].params);
}
END_TEST

#define FROM_QUERY                                                                                 \
	"WITH tabled_list (tabled_key) AS (SELECT name FROM u WHERE name LIKE '%_'"                \
	") SELECT DISTINCT tabled_key FROM tabled_list WHERE "

static const struct {
	struct wish wish;
	const struct dialect *dialect;
	const char *sql, *params;
} query_lists[] = {
	{{.pattern = "shared/userdb/$user", .path = "shared/userdb/"}, &sqlite,
		FROM_QUERY "tabled_key IS NOT NULL AND substr([tabled_key], 1) NOT LIKE '%/%' "
			   "ORDER BY tabled_key LIMIT 1000",
		""},
	{{.pattern = "shared/userdb/$user",
		 .path = "shared/userdb/",
		 .recurse = true,
		 .after = {"last"}},
		&pgsql,
		FROM_QUERY "tabled_key IS NOT NULL AND (\"tabled_key\" > $1) ORDER BY "
			   "tabled_key LIMIT 1000",
		"last"},
	{{.pattern = "shared/userdb/$user", .path = "shared/userdb/a%/", .recurse = true}, &mysql,
		FROM_QUERY "tabled_key IS NOT NULL AND substr(`tabled_key`, 1, 3) = ? ORDER BY "
			   "tabled_key LIMIT 1000",
		"a%/"},
	/* A key by itself is none but this one. */
	{{.pattern = "shared/userdb/$user",
		 .path = "shared/userdb/u",
		 .recurse = true,
		 .exact = true},
		&sqlite,
		FROM_QUERY "tabled_key IS NOT NULL AND [tabled_key] = ?1 ORDER BY tabled_key "
			   "LIMIT 1000",
		"u"},
};

START_TEST(list_by_query)
{
	struct dictionary_list wanted;
	struct dictionary_span span;
	struct slice after[3];

	list_init(&wanted, &query_lists[_i].wish, &span, after);
	begin(query_lists[_i].dialect);
	dictionary_sql_list_query("SELECT name FROM u WHERE name LIKE '%_'", &wanted, &writer);
	end(query_lists[_i].sql, query_lists[_i].params);
}
END_TEST

/* --- Types */

static const struct {
	enum dictionary_type type;
	const char *good[16], *bad[24];
	const char *why;
} types[] = {
	{TYPE_STRING, {"", "x", " ", "ä", "'; DROP TABLE"}, {NULL}, "text"},
	{TYPE_INT, {"0", "7", "-7", "-0", "007", "9223372036854775807", "-9223372036854775808"},
		{"", "-", "+7", " 7", "7 ", "7\n", "7x", "0x7", "7.0", "1e3", "--7", "- 7", "x",
			"9223372036854775808", "-9223372036854775809",
			"99999999999999999999999999"},
		"is not a whole number of 64 bits"},
	{TYPE_UINT, {"0", "7", "9223372036854775807"},
		{"", "-", "-7", "-0", "+7", " 7", "7 ", "0x7", "7.0", "x", "9223372036854775808",
			"18446744073709551615"},
		"is not a whole number of 63 bits, without a sign"},
	{TYPE_DOUBLE, {"0", "-7", "+7", "7.5", ".5", "-.5", "1e3", "1E-3", "007", "7."},
		{"", "-", ".", "-.", " 7", "7 ", "7,5", "1e999", "-1e999", "0x7", "nan", "inf",
			"-inf", "infinity", "1e", "7.5.", "--7", "x7", "7x"},
		"is not a number"},
	{TYPE_UUID,
		{"00000000-0000-0000-0000-000000000000", "0123456789abcdefABCDEF0123456789",
			"01234567-89ab-cdef-ABCD-EF0123456789"},
		{"", "0", "0123456789abcdefABCDEF012345678", "0123456789abcdefABCDEF01234567890",
			"0123456789abcdefABCDEF012345678g", "01234567-89ab-cdef-ABCD-EF012345678",
			"0123456789ab--cdef-ABCD-EF0123456789",
			"01234567-89ab-cdef-ABCD-EF012345678-",
			"{01234567-89ab-cdef-ABCD-EF012345678}",
			"01234567x89ab-cdef-ABCD-EF0123456789"},
		"is not a UUID"},
	{TYPE_HEXBLOB, {"", "00", "0aFf", "0123456789abcdefABCDEF"},
		{"0", "0g", "0x00", " 00", "00 ", "000", "0-", "\\x00"},
		"is not hexadecimal digits in pairs"},
};

START_TEST(values_of_a_type)
{
	const struct dictionary_column column = {NAME("c"), types[_i].type};
	struct error why;

	for (int i = 0; i < 16 && types[_i].good[i]; i++)
		ck_assert_msg(
			dictionary_check_value(&column, slice_str(types[_i].good[i]), &why) == 0,
			"\"%s\": %s", types[_i].good[i], why.text);
	for (int i = 0; i < 24 && types[_i].bad[i]; i++) {
		ck_assert_msg(
			dictionary_check_value(&column, slice_str(types[_i].bad[i]), &why) == -1,
			"\"%s\"", types[_i].bad[i]);
		assert_contains(why.text, "the value for c ");
		assert_contains(why.text, types[_i].why);
	}
	/* What is behind a NUL would be unseen. */
	ck_assert_int_eq(dictionary_check_value(&column, slice_of("00\0", 3), &why), -1);
	assert_contains(why.text, types[_i].why);
}
END_TEST

static Suite *dictionary_sql_suite(void)
{
	Suite *suite = suite_create("dictionary_sql");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, lookup, 0, COUNT(lookups));
	tcase_add_test(tcase, set);
	tcase_add_test(tcase, set_of_several_columns);
	tcase_add_test(tcase, set_with_an_expiry);
	tcase_add_test(tcase, set_of_bytes);
	tcase_add_test(tcase, unset);
	tcase_add_test(tcase, increment);
	tcase_add_loop_test(tcase, list, 0, COUNT(lists));
	tcase_add_loop_test(tcase, list_by_query, 0, COUNT(query_lists));
	tcase_add_loop_test(tcase, values_of_a_type, 0, COUNT(types));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(dictionary_sql_suite());
}
