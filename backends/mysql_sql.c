/*
 * A value is written as '…' if all of it is printable ASCII without a quote and a backslash, else
 * as _utf8mb4 X'…' in hexadecimal. So no value can end its literal, whatever the server thinks of
 * backslashes (sql_mode) or of characters (character_set_client): nothing in it is ever read as
 * anything else. To the server both are what proxy:mysql: sends, a literal of the connection's
 * character set: it compares, converts and complains alike. A bound parameter is not quite that (in
 * a UNION the year 0000 becomes 0), and queries that are prepared for several keys gain little,
 * since a batch seldom has the size that was prepared (tests/bench/README.md).
 */
#include "mysql_sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* More rows than a table can have. */
#define NO_LIMIT " LIMIT 18446744073709551615"

static bool is_plain(struct slice value)
{
	bool is_special = false; /* no early end: so the compiler takes many at a time */

	for (size_t i = 0; i < value.size; i++) {
		char c = value.data[i];

		is_special |= (c < ' ') | (c > '~') | (c == '\'') | (c == '\\');
	}
	return !is_special;
}

static void add_value(struct buf *sql, struct slice value)
{
	static const char digits[] = "0123456789ABCDEF";
	bool plain = is_plain(value);

	buf_add_string(sql, plain ? "'" : "_utf8mb4 X'");
	if (plain) {
		buf_add_slice(sql, value);
	} else {
		char *at = buf_reserve(sql, 2 * value.size);

		for (size_t i = 0; i < value.size; i++) {
			*at++ = digits[(unsigned char)value.data[i] >> 4];
			*at++ = digits[value.data[i] & 15];
		}
		sql->size += 2 * value.size;
	}
	buf_add_byte(sql, '\'');
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* Behind the word, if the text begins with it and a blank; else NULL. */
static const char *skip_word(const char *at, const char *word)
{
	size_t size = strlen(word);

	return strncasecmp(at, word, size) == 0 && isspace((unsigned char)at[size]) ? at + size
										    : NULL;
}

/* Where a query's columns begin, or NULL if it does not begin with SELECT. */
static const char *find_columns(const char *text)
{
	const char *at = skip_word(skip_blanks(text), "SELECT");
	const char *distinct = at ? skip_word(skip_blanks(at), "DISTINCT") : NULL;

	return distinct ? distinct : at;
}

/* May a column be meant by its number, as in ORDER BY 1? In doubt: yes. */
static bool counts_columns(const char *text)
{
	if (!strcasestr(text, "ORDER") && !strcasestr(text, "GROUP"))
		return false;
	for (const char *at = text; *at; at++) {
		const char *end = skip_word(at, "BY");

		if (!end && *at == ',')
			end = at + 1;
		if (end && isdigit((unsigned char)*skip_blanks(end)))
			return true;
	}
	return false;
}

bool mysql_may_number(const struct statement *statement)
{
	/*
	 * There the column would be one too few elsewhere, or not be one. Whether such a word is a
	 * part of another does not matter: the query is then only slower.
	 */
	static const char *const words[] = {"UNION", "INTERSECT", "EXCEPT", "MINUS",
		"HIGH_PRIORITY", "STRAIGHT_JOIN", "SQL_", "/*"};
	const char *columns = find_columns(statement->text);

	if (!columns || *skip_blanks(columns) == '*' || counts_columns(statement->text))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasestr(statement->text, words[i]))
			return false;
	return true;
}

/* The keys of all questions, as a list. */
static void add_keys(struct buf *sql, const struct batch *batch, size_t param)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (i)
			buf_add_byte(sql, ',');
		add_value(sql, batch->questions[i].params[param]);
	}
}

/* The query of one question, but for its first `skip` bytes. */
static void add_query(struct buf *sql, const struct batch *batch, size_t at, size_t skip)
{
	const struct statement *statement = batch->questions[at].statement;
	const struct slice *params = batch->questions[at].params;

	for (size_t i = 0; i < statement->part_count; i++) {
		const struct statement_part *part = &statement->parts[i];

		buf_add_slice(sql, slice_from(part->sql, i ? 0 : skip));
		if (!part->param)
			break;
		if (batch->only_check)
			buf_add_string(sql, "''");
		else if (statement->kind == STATEMENT_KEYS)
			add_keys(sql, batch, part->param - 1);
		else
			add_value(sql, params[part->param - 1]);
	}
}

/* printf() would take as long as all the rest of a query. */
static void add_number(struct buf *sql, size_t number)
{
	if (number >= 10)
		add_number(sql, number / 10);
	buf_add_byte(sql, (char)('0' + number % 10));
}

/* (SELECT 7, goto FROM …); the columns start at `start`. MariaDB would drop the order of one that
 * has no limit. */
static void add_numbered(struct buf *sql, const struct batch *batch, size_t at, size_t start)
{
	const struct statement *statement = batch->questions[at].statement;

	buf_add_byte(sql, '(');
	buf_add(sql, statement->text, start);
	buf_add_byte(sql, ' ');
	add_number(sql, at);
	buf_add_byte(sql, ',');
	add_query(sql, batch, at, start);
	buf_add_string(sql, statement->ordered ? NO_LIMIT ")" : ")");
}

void mysql_write(struct buf *sql, const struct batch *batch)
{
	const struct statement *statement = batch->questions[0].statement;
	size_t start;

	if (!statement->part_count) { /* a command */
		buf_add_string(sql, statement->text);
		return;
	}
	if (batch->count == 1 || statement->kind == STATEMENT_KEYS) {
		add_query(sql, batch, 0, 0);
		return;
	}
	start = (size_t)(find_columns(statement->text) - statement->text);
	for (size_t i = 0; i < batch->count; i++) {
		if (i)
			buf_add_string(sql, " UNION ALL ");
		add_numbered(sql, batch, i, start);
	}
}

static bool begins_with(const char *text, const char *word)
{
	return skip_word(skip_blanks(text), word);
}

uint64_t mysql_rows_met(const char *text, const char *info, uint64_t affected)
{
	/* "Rows matched: 3  Changed: 1  Warnings: 0", "Records: 3  Duplicates: 1  Warnings: 0", in
	 * the server's language. */
	const char *number = info ? strpbrk(info, "0123456789") : NULL;
	bool is_insert = begins_with(text, "INSERT");

	if (is_insert && !strcasestr(text, "ON DUPLICATE KEY"))
		return affected;
	if (number)
		return strtoull(number, NULL, 10);
	return is_insert || begins_with(text, "REPLACE") ? 1 : affected;
}

/* clang-format off */
static const struct {
	unsigned first, last;
	enum fault fault;
} faults[] = {
	/* Values. */
	{1267, 1267, FAULT_KEY},        /* illegal mix of two collations … */
	{1270, 1271, FAULT_KEY},        /* … and of more */
	{1300, 1300, FAULT_KEY},        /* no characters of that set */
	{1977, 1977, FAULT_KEY},        /* a character that the other set does not have */
	{3854, 3854, FAULT_KEY},        /* the same; MySQL */
	{1264, 1265, FAULT_KEY},        /* out of range, truncated */
	{1292, 1292, FAULT_KEY},        /* wrong value */
	{1365, 1367, FAULT_KEY},        /* division by zero, wrong value for a column or a type */
	{1406, 1406, FAULT_KEY},        /* too long */
	{1411, 1411, FAULT_KEY},        /* wrong value for a function */
	{1416, 1416, FAULT_KEY},        /* no geometry */
	{1525, 1525, FAULT_KEY},        /* wrong date … */
	{1690, 1690, FAULT_KEY},        /* out of range, in an expression */
	{1139, 1139, FAULT_KEY},        /* no regular expression */
	{3685, 3699, FAULT_KEY},        /* the same; MySQL */
	{3140, 3158, FAULT_KEY},        /* no JSON; MySQL */
	{1242, 1242, FAULT_KEY},        /* a subquery brings more than one row … */
	{1172, 1172, FAULT_KEY},        /* … or SELECT INTO in a procedure */
	{1329, 1329, FAULT_KEY},        /* no row in a procedure */
	{1642, 1645, FAULT_KEY},        /* SIGNAL: a procedure says no */
	/* Constraints. */
	{1048, 1048, FAULT_KEY},        /* NULL */
	{1062, 1062, FAULT_KEY}, {1586, 1586, FAULT_KEY}, /* it exists */
	{1216, 1217, FAULT_KEY}, {1451, 1452, FAULT_KEY}, /* foreign key */
	{3819, 3819, FAULT_KEY}, {4025, 4025, FAULT_KEY}, /* CHECK */
	/* Size: less of it may do. */
	{1104, 1104, FAULT_KEY},        /* more rows to look at than max_join_size */
	{1117, 1118, FAULT_KEY},        /* too many columns, or too long a row */
	{1119, 1119, FAULT_KEY}, {1436, 1436, FAULT_KEY}, /* the thread's stack */
	{1153, 1153, FAULT_KEY},        /* max_allowed_packet */
	/* What may come of numbering as well. */
	{1060, 1060, FAULT_KEY}, {1064, 1064, FAULT_KEY}, {1137, 1137, FAULT_KEY},
	{1221, 1222, FAULT_KEY}, {1234, 1234, FAULT_KEY}, {1248, 1248, FAULT_KEY},
	{1250, 1250, FAULT_KEY},

	/* Names. */
	{1046, 1046, FAULT_QUERY}, {1049, 1049, FAULT_QUERY}, /* database */
	{1051, 1052, FAULT_QUERY}, {1066, 1066, FAULT_QUERY}, {1103, 1103, FAULT_QUERY},
	{1109, 1109, FAULT_QUERY}, {1146, 1146, FAULT_QUERY}, {1356, 1356, FAULT_QUERY}, /* table */
	{1054, 1054, FAULT_QUERY}, {1176, 1176, FAULT_QUERY}, {1191, 1191, FAULT_QUERY}, /* column, key */
	{1128, 1128, FAULT_QUERY}, {1305, 1305, FAULT_QUERY}, {1318, 1318, FAULT_QUERY},
	{1582, 1583, FAULT_QUERY}, {1630, 1630, FAULT_QUERY}, /* function, procedure */
	{1115, 1115, FAULT_QUERY}, {1253, 1253, FAULT_QUERY}, {1273, 1273, FAULT_QUERY}, /* characters */
	{1193, 1193, FAULT_QUERY},      /* variable */
	/* Permission. */
	{1044, 1044, FAULT_QUERY}, {1142, 1143, FAULT_QUERY}, {1227, 1227, FAULT_QUERY},
	{1370, 1370, FAULT_QUERY}, {1449, 1449, FAULT_QUERY},
	{1792, 1792, FAULT_QUERY},      /* it would write, and the transaction is read-only */
	/* Grammar. */
	{1055, 1056, FAULT_QUERY}, {1111, 1111, FAULT_QUERY}, {1140, 1140, FAULT_QUERY}, /* groups */
	{1241, 1241, FAULT_QUERY},      /* so many columns don't fit */
	{1414, 1414, FAULT_QUERY},      /* OUT needs a variable */

	{1045, 1045, FAULT_CONNECTION}, {1129, 1130, FAULT_CONNECTION}, {1698, 1698, FAULT_CONNECTION},
	{1820, 1820, FAULT_CONNECTION}, /* not allowed in */
	{1040, 1040, FAULT_CONNECTION}, {1203, 1203, FAULT_CONNECTION}, {1226, 1226, FAULT_CONNECTION},
	{1047, 1047, FAULT_REFUSED},    /* a node of Galera is not ready, and takes nothing */
	{1180, 1180, FAULT_CONNECTION}, /* it failed while it was committed: nobody knows */
	{1053, 1053, FAULT_CONNECTION}, {1077, 1080, FAULT_CONNECTION}, {3032, 3032, FAULT_CONNECTION},
	{1152, 1161, FAULT_CONNECTION}, {1184, 1184, FAULT_CONNECTION}, /* network */
	{1290, 1290, FAULT_REFUSED}, {1836, 1836, FAULT_REFUSED}, /* no longer the primary */
	{1927, 1927, FAULT_CONNECTION}, {3169, 3169, FAULT_CONNECTION}, /* killed */
	{3168, 3168, FAULT_CONNECTION}, {4031, 4031, FAULT_CONNECTION}, /* not available, idle */
	{2000, 2999, FAULT_CONNECTION}, {5000, 5999, FAULT_CONNECTION}, /* the library's own */
};
/* clang-format on */

/*
 * Anything else is the moment's, the answer that does no harm: 1205 and 1213 (locks), 1317, 1969
 * and 3024 (interrupted, time limit), 1021, 1037, 1041 and 1114 (no room) are meant to be.
 */
enum fault mysql_fault(unsigned code)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (code >= faults[i].first && code <= faults[i].last)
			return faults[i].fault;
	return FAULT_MOMENT;
}

bool mysql_blames_numbers(unsigned code)
{
	switch (code) {
	case 1060: /* two columns of one name */
	case 1064: /* syntax */
	case 1137: /* a temporary table twice */
	case 1221: /* ORDER BY … in a UNION */
	case 1222: /* another number of columns */
	case 1234: /* SQL_CACHE … in a subquery */
	case 1248: /* a name is needed */
	case 1250: /* a table of one part of a UNION */
		return true;
	default:
		return false;
	}
}
