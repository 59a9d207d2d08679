#include "engine/reads.h"

#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

/* As the drivers of the databases declare them. */
static const struct dialect sqlite = {
	.placeholder = '?', .numbered = true, .double_quoted_text = true, .bracket_names = true};
static const struct dialect pgsql = {.placeholder = '$', .numbered = true, .dollar_quotes = true};
static const struct dialect mysql = {.placeholder = '?',
	.backslash_escapes = true,
	.double_quoted_text = true,
	.hash_comments = true};

/* What is found, one item after the other, parted by "; ". */
static void show(const struct reads *reads, struct buf *out)
{
	if (reads->unknown) {
		ck_assert_uint_eq(reads->count, 0);
		ck_assert_msg(*reads->unknown, "no reason");
		buf_add_format(out, "? %s", reads->unknown);
	}
	for (size_t i = 0; i < reads->count; i++) {
		if (i)
			buf_add_string(out, "; ");
		read_show(&reads->items[i], out);
		ck_assert_int_eq(!reads->items[i].column, reads->items[i].kind == READ_ANY);
		ck_assert_int_eq(!reads->items[i].literal, reads->items[i].kind != READ_LITERAL);
	}
}

static void assert_reads(const struct dialect *dialect, const char *query, const char *should)
{
	struct reads reads;
	struct buf out = {0};

	reads_init(&reads, query, dialect);
	show(&reads, &out);
	/* Of what is unknown, the reason begins so. */
	if (should[0] == '?' && out.size > strlen(should))
		out.size = strlen(should);
	ck_assert_msg(slice_equal(buf_slice(&out), slice_str(should)),
		"%s\n  is \"%s\", should be \"%s\"", query, buf_string(&out), should);
	buf_finish(&out);
	reads_finish(&reads);
}

struct example {
	const char *query, *reads;
};

/* Every query of postfix-maps/tabled.conf: what its triggers are made for. */
static const struct example shipped[] = {
	{"SELECT domain FROM domain WHERE domain = '%s' AND active = 1", "domain.domain = key"},
	{"SELECT alias_domain FROM alias_domain WHERE alias_domain = '%s' AND active = 1",
		"alias_domain.alias_domain = key"},
	{"SELECT domain FROM relay_domain WHERE domain = '%s' AND active = 1",
		"relay_domain.domain = key"},
	{"SELECT username FROM mailbox WHERE username = '%s' AND active = 1",
		"mailbox.username = key"},
	{"SELECT goto FROM alias WHERE address = '%s' AND active = 1", "alias.address = key"},
	{"SELECT alias.goto FROM alias_domain\n"
	 "	            JOIN alias ON alias.localpart = '%u' AND alias.domain = "
	 "alias_domain.target_domain\n"
	 "	           WHERE alias_domain.alias_domain = '%d' AND alias_domain.active = 1 AND "
	 "alias.active = 1",
		"alias_domain.alias_domain = domain; alias.localpart = user"},
	{"SELECT mailbox.username FROM alias_domain\n"
	 "	            JOIN mailbox ON mailbox.localpart = '%u' AND mailbox.domain = "
	 "alias_domain.target_domain\n"
	 "	           WHERE alias_domain.alias_domain = '%d' AND alias_domain.active = 1 AND "
	 "mailbox.active = 1",
		"alias_domain.alias_domain = domain; mailbox.localpart = user"},
	{"SELECT alias.goto FROM alias_domain\n"
	 "	            JOIN alias ON alias.localpart = '' AND alias.domain = "
	 "alias_domain.target_domain\n"
	 "	           WHERE '%s' LIKE '@%%' AND alias_domain.alias_domain = substr('%s', 2)\n"
	 "	             AND alias_domain.active = 1 AND alias.active = 1",
		"any row of alias_domain; alias.localpart = ''"},
	{"SELECT transport FROM transport WHERE destination = '%s' AND active = 1",
		"transport.destination = key"},
	{"SELECT goto FROM sender_bcc WHERE address = '%s' AND active = 1",
		"sender_bcc.address = key"},
	{"SELECT goto FROM recipient_bcc WHERE address = '%s' AND active = 1",
		"recipient_bcc.address = key"},
	{"SELECT username FROM mailbox WHERE username = '%s' AND active = 1\n"
	 "	          UNION\n"
	 "	          SELECT login FROM sender_login WHERE sender = '%s' AND active = 1",
		"mailbox.username = key; sender_login.sender = key"},
	{"SELECT action FROM client_access WHERE client = '%s' AND active = 1",
		"client_access.client = key"},
	{"SELECT action FROM sender_access WHERE sender = '%s' AND active = 1",
		"sender_access.sender = key"},
	{"SELECT username AS user, password, nullif(nopassword, 0) AS nopassword, allow_nets\n"
	 "	            FROM mailbox WHERE username = '%s' AND active = 1",
		"mailbox.username = key"},
	{"SELECT username AS user, password, nullif(nopassword, 0) AS nopassword, allow_nets,\n"
	 "	                 host, host AS proxy,\n"
	 "	                 home AS userdb_home, uid AS userdb_uid, gid AS userdb_gid, mail "
	 "AS userdb_mail,\n"
	 "	                 quota_rule AS userdb_quota_rule\n"
	 "	            FROM mailbox WHERE username = '%s' AND active = 1 AND imap_active = 1",
		"mailbox.username = key"},
	{"SELECT username AS user, password, nullif(nopassword, 0) AS nopassword, allow_nets\n"
	 "	            FROM mailbox WHERE username = '%s' AND active = 1 AND smtp_active = 1",
		"mailbox.username = key"},
	{"SELECT username AS user, password, nullif(nopassword, 0) AS nopassword, allow_nets,\n"
	 "	                 host, host AS proxy\n"
	 "	            FROM mailbox WHERE username = '%s' AND active = 1 AND sieve_active = 1",
		"mailbox.username = key"},
	{"SELECT username AS user, home, uid, gid, mail, quota_rule\n"
	 "	            FROM mailbox WHERE username = '%s' AND active = 1",
		"mailbox.username = key"},
};

START_TEST(shipped_queries)
{
	assert_reads(&sqlite, shipped[_i].query, shipped[_i].reads);
	assert_reads(&pgsql, shipped[_i].query, shipped[_i].reads);
	assert_reads(&mysql, shipped[_i].query, shipped[_i].reads);
}
END_TEST

/* The same in all dialects. */
static const struct example everywhere[] = {
	/* What a literal is to the key. */
	{"SELECT a FROM t WHERE b = '%s'", "t.b = key"},
	{"SELECT a FROM t WHERE b='%S'", "t.b = key"},
	{"SELECT a FROM t WHERE b = '%u'", "t.b = user"},
	{"SELECT a FROM t WHERE b = '%U'", "t.b = user"},
	{"SELECT a FROM t WHERE b = '%d'", "t.b = domain"},
	{"SELECT a FROM t WHERE b = '%D'", "t.b = domain"},
	{"SELECT a FROM t WHERE b = 'x'", "t.b = 'x'"},
	{"SELECT a FROM t WHERE b = ''", "t.b = ''"},
	{"SELECT a FROM t WHERE b = 'it''s 5%%'", "t.b = 'it's 5%'"},
	{"SELECT a FROM t WHERE b = '%%s'", "t.b = '%s'"},
	{"SELECT a FROM t WHERE b = '%1'", "any row of t"},
	{"SELECT a FROM t WHERE b = '%s '", "any row of t"},
	{"SELECT a FROM t WHERE b = '@%d'", "any row of t"},
	{"SELECT a FROM t WHERE b = '%u@%d'", "any row of t"},
	{"SELECT a FROM t WHERE b = '%s%%'", "any row of t"},
	{"SELECT a FROM t WHERE '%s' = b", "t.b = key"},
	{"SELECT a FROM t WHERE t.b = '%s'", "t.b = key"},
	{"SELECT a, b FROM t WHERE b IN (:keys)", "t.b = key"},
	{"SELECT a, b FROM t WHERE t.b in(:keys) AND c = 1", "t.b = key"},
	{"SELECT a, b FROM t WHERE b NOT IN (:keys)", "any row of t"},
	{"SELECT a, b FROM t WHERE b IN ('%s')", "any row of t"},
	{"SELECT a FROM t WHERE b IN ('%s', 'x')", "any row of t"},
	/* No condition, and no table. */
	{"SELECT 'OK'", ""},
	{"SELECT '%s'", ""},
	{"SELECT '%d' WHERE '%s' LIKE '%%@%%'", ""},
	{"SELECT a FROM t", "any row of t"},
	{"SELECT a FROM t ORDER BY a LIMIT 1", "any row of t"},
	/* The best one for a table, whatever the order. */
	{"SELECT a FROM t WHERE b = 'x' AND c = '%d' AND d = '%u' AND e = '%s'", "t.e = key"},
	{"SELECT a FROM t WHERE e = '%s' AND d = '%u' AND c = '%d' AND b = 'x'", "t.e = key"},
	{"SELECT a FROM t WHERE b = 'x' AND c = '%d' AND d = '%u'", "t.d = user"},
	{"SELECT a FROM t WHERE b = 'x' AND c = '%d'", "t.c = domain"},
	{"SELECT a FROM t WHERE f = '%s' AND e = '%s'", "t.f = key"},
	/* Other comparisons. */
	{"SELECT a FROM t WHERE b LIKE '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b <> '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b != '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b >= '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b <= '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b < = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE lower(b) = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b = lower('%s')", "any row of t"},
	{"SELECT a FROM t WHERE b || 'x' = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE - b = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b = '%s' COLLATE x", "any row of t"},
	{"SELECT a FROM t WHERE b = '%s' = c", "any row of t"},
	{"SELECT a FROM t WHERE c = b = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE '%s' = b = c", "any row of t"},
	{"SELECT a FROM t WHERE 'x' = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE (b, c) = ('%s', '%d')", "any row of t"},
	{"SELECT a FROM t WHERE NOT b = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE NOT (b = '%s')", "any row of t"},
	{"SELECT a FROM t WHERE null = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE 1 = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b = '%s' IS NULL", "any row of t"},
	{"SELECT a FROM t WHERE (b = '%s') = 0", "any row of t"},
	/* OR, and what looks like AND. */
	{"SELECT a FROM t WHERE b = '%s' OR c = 1", "any row of t"},
	{"SELECT a FROM t WHERE c = 1 AND b = '%s' OR d = 2", "any row of t"},
	{"SELECT a FROM t WHERE d = 2 or c = 1 AND b = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE (c = 1 OR d = 2) AND b = '%s'", "t.b = key"},
	{"SELECT a FROM t WHERE (b = '%s' OR d = 2) AND c = 'x'", "t.c = 'x'"},
	{"SELECT a FROM t WHERE (c = 1 AND b = '%s')", "t.b = key"},
	{"SELECT a FROM t WHERE ((c = 1) AND ((b = '%s')))", "t.b = key"},
	{"SELECT a FROM t WHERE ((c = 1 AND (d = 2 AND b = '%s')) AND e = 3)", "t.b = key"},
	{"SELECT a FROM t WHERE ((c = 1 AND (d = 2 OR b = '%s')) AND e = 3)", "any row of t"},
	{"SELECT a FROM t WHERE c BETWEEN 1 AND b = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE c BETWEEN 1 AND 2 AND b = '%s'", "t.b = key"},
	{"SELECT a FROM t WHERE c BETWEEN d BETWEEN 1 AND 2 AND b = '%s' AND e = 'x'", "t.e = 'x'"},
	{"SELECT a FROM t WHERE CASE WHEN c AND b = '%s' AND d THEN 1 END = 1", "any row of t"},
	{"SELECT a FROM t WHERE b = '%s' AND CASE WHEN c THEN 1 END = 1", "any row of t"},
	{"SELECT a FROM t WHERE b = '%s' AND (CASE WHEN c OR d THEN 1 END) = 1", "t.b = key"},
	{"SELECT a FROM t WHERE b = '%s' XOR c", "any row of t"},
	/* Clauses behind. */
	{"SELECT a FROM t WHERE b = '%s' ORDER BY c DESC, d LIMIT 5 OFFSET 2", "t.b = key"},
	{"SELECT a, count(*) FROM t WHERE b = '%s' GROUP BY a HAVING count(*) > 1 OR a = 'x'",
		"t.b = key"},
	{"SELECT max(a) FROM t WHERE b = '%s'", "t.b = key"},
	{"SELECT DISTINCT a FROM t WHERE b = '%s'", "t.b = key"},
	{"SELECT a FROM t HAVING b = '%s'", "any row of t"},
	{"SELECT a FROM t WHERE b = '%s';", "t.b = key"},
	{"SELECT a FROM t WHERE b = '%s' ;  ; ", "t.b = key"},
	/* Comments. */
	{"SELECT a FROM t -- WHERE c = '%d'\n WHERE b = '%s'", "t.b = key"},
	{"SELECT a FROM t /* OR */ WHERE b /* x */ = '%s' /* OR 1", "t.b = key"},
	{"SELECT a FROM t WHERE b = '%s' -- OR 1 = 1", "t.b = key"},
	{"SELECT a FROM t WHERE b = '-- %%' AND c = '/*'", "t.b = '-- %'"},
	/* Names. */
	{"SELECT a FROM s.t WHERE b = '%s'", "s.t.b = key"},
	{"SELECT a FROM s.t WHERE t.b = '%s'", "s.t.b = key"},
	{"SELECT a FROM s.t WHERE s.t.b = '%s'", "s.t.b = key"},
	{"SELECT a FROM t WHERE s.t.b = '%s'", "any row of t"},
	{"SELECT a FROM s.t x WHERE s.t.b = '%s'", "any row of s.t"},
	{"SELECT a FROM t AS x WHERE x.b = '%s'", "t.b = key"},
	{"SELECT a FROM t x WHERE b = '%s'", "t.b = key"},
	{"SELECT a FROM t AS x WHERE t.b = '%s'", "any row of t"},
	{"SELECT a FROM t x WHERE y.b = '%s'", "any row of t"},
	{"SELECT x.* FROM t x WHERE x.b = '%s'", "t.b = key"},
	/* Joins. */
	{"SELECT x.a FROM t x JOIN u y ON x.c = y.c WHERE x.b = '%s' AND y.d = '%d'",
		"t.b = key; u.d = domain"},
	{"SELECT x.a FROM t x JOIN u y ON x.c = y.c AND x.b = '%s'", "t.b = key; any row of u"},
	{"SELECT x.a FROM t x INNER JOIN u y ON y.c = '%s' WHERE x.b = 1",
		"any row of t; u.c = key"},
	{"SELECT x.a FROM t x, u y WHERE x.c = y.c AND x.b = '%s'", "t.b = key; any row of u"},
	{"SELECT x.a FROM t x CROSS JOIN u y WHERE x.c = y.c AND y.b = '%s'",
		"any row of t; u.b = key"},
	{"SELECT x.a FROM t x JOIN u y USING (c) WHERE x.b = '%s'", "t.b = key; any row of u"},
	{"SELECT x.a FROM t x NATURAL JOIN u y WHERE x.b = '%s'", "t.b = key; any row of u"},
	{"SELECT a FROM t x JOIN u y ON x.c = y.c WHERE b = '%s'", "any row of t; any row of u"},
	{"SELECT x.a FROM t x JOIN u y ON x.c = y.c OR x.b = '%s' WHERE y.d = '%u'",
		"any row of t; u.d = user"},
	{"SELECT a FROM t, t WHERE t.b = '%s'", "any row of t"},
	{"SELECT x.a FROM t x JOIN t y ON x.c = y.c WHERE x.b = '%s' AND y.b = '%s'", "t.b = key"},
	{"SELECT x.a FROM t x JOIN t y ON x.c = y.c WHERE x.b = '%s'", "t.b = key; any row of t"},
	{"SELECT x.a FROM t x JOIN u x ON x.c = 1 WHERE x.b = '%s'", "any row of t; any row of u"},
	{"SELECT x.a FROM t x JOIN u y ON left(x.c, 3) = y.c AND y.b = '%s' JOIN v ON v.b = '%d'",
		"any row of t; u.b = key; v.b = domain"},
	/* Outer joins: rows on the left stay without the condition. */
	{"SELECT x.a FROM t x LEFT JOIN u y ON y.b = '%s' AND x.b = '%s'",
		"any row of t; u.b = key"},
	{"SELECT x.a FROM t x LEFT OUTER JOIN u y ON x.c = y.c WHERE x.b = '%s' AND y.b = '%u'",
		"t.b = key; u.b = user"},
	{"SELECT x.a FROM t x LEFT JOIN u y ON x.c = y.c JOIN v z ON x.b = '%s' AND z.b = '%d'",
		"t.b = key; any row of u; v.b = domain"},
	{"SELECT x.a FROM t x JOIN u y ON x.b = '%s' LEFT JOIN v z ON y.b = '%s' AND z.b = '%d'",
		"t.b = key; any row of u; v.b = domain"},
	{"SELECT x.a FROM t x LEFT JOIN u y USING (c) WHERE x.b = '%s'", "t.b = key; any row of u"},
	{"SELECT x.a FROM t x RIGHT JOIN u y ON x.b = '%s' AND y.b = '%s'",
		"any row of t; any row of u"},
	{"SELECT x.a FROM t x FULL OUTER JOIN u y ON x.b = '%s' WHERE y.b = '%s'",
		"any row of t; u.b = key"},
	{"SELECT x.a FROM t x LEFT JOIN u y JOIN v z ON z.b = '%s' ON y.b = '%s'",
		"? its joins are nested"},
	{"SELECT x.a FROM t x JOIN u y LEFT JOIN v z ON z.b = '%s' ON x.b = '%s'",
		"? its joins are nested"},
	{"SELECT x.a FROM t x LEFT JOIN u y WHERE x.b = '%s'", "? its joins are nested"},
	{"SELECT x.a FROM (t x JOIN u y ON x.b = '%s') JOIN v ON v.b = y.b",
		"? \"(\" is not understood"},
	/* UNION: each SELECT by itself. */
	{"SELECT a FROM t WHERE b = '%s' UNION SELECT a FROM u WHERE c = '%d'",
		"t.b = key; u.c = domain"},
	{"SELECT a FROM t WHERE b = '%s' UNION ALL SELECT a FROM t", "t.b = key; any row of t"},
	{"SELECT a FROM t WHERE b = '%s' UNION DISTINCT SELECT 'x'", "t.b = key"},
	{"SELECT a FROM t WHERE b = '%s' UNION SELECT a FROM t WHERE b = '%s'", "t.b = key"},
	{"SELECT a FROM t WHERE b = '%s' UNION SELECT a FROM t WHERE b = '%u' ORDER BY 1",
		"t.b = key; t.b = user"},
	{"(SELECT a FROM t WHERE b = '%s') UNION (SELECT a FROM u WHERE c = '%d' LIMIT 1) LIMIT 1",
		"t.b = key; u.c = domain"},
	{"((SELECT a FROM t WHERE b = '%s'))", "t.b = key"},
	{"SELECT 1 UNION SELECT a FROM t WHERE b = '%s'", "t.b = key"},
	{"SELECT a FROM t x WHERE x.b = '%s' UNION SELECT a FROM u WHERE x.b = '%s'",
		"t.b = key; any row of u"},
	{"SELECT a FROM t WHERE b = '%s' EXCEPT SELECT a FROM u", "? it uses EXCEPT"},
	/* Functions. */
	{"SELECT concat(lower(a), '@', coalesce(nullif(b, ''), 'x')) FROM t WHERE b = '%s'",
		"t.b = key"},
	{"SELECT get_quota(a) FROM t WHERE b = '%s'", "? it calls get_quota()"},
	{"SELECT a FROM t WHERE b = '%s' AND is_open()", "? it calls is_open()"},
	{"SELECT a FROM t WHERE b = '%s' ORDER BY random()", "? it calls random()"},
	{"SELECT NOW ( ) FROM t", "? it calls NOW()"},
	{"SELECT x.lower(a) FROM t", "? it calls lower()"},
	{"SELECT a FROM f('%s')", "? it calls f()"},
	{"SELECT a FROM t, f('%s') x", "? it calls f()"},
	{"SELECT a FROM t x(b, c) WHERE x.b = '%s'", "? it calls x()"},
	{"SELECT a FROM t WHERE b = '%s' AND until > CURRENT_DATE", "? it uses CURRENT_DATE"},
	{"SELECT a FROM t WHERE b = '%s' AND until > current_timestamp(3)",
		"? it calls current_timestamp()"},
	{"SELECT a FROM t WHERE b = '%s' AND until > CURRENT_TIMESTAMP", "t.b = key"},
	{"SELECT a FROM t WHERE b = '%s' AND (until IS NULL OR until > CURRENT_TIMESTAMP)",
		"t.b = key"},
	{"SELECT a FROM t WHERE t.current_date = '%s'", "t.current_date = key"},
	{"SELECT s.nextval FROM t", "? it uses nextval"},
	{"SELECT NEXT VALUE FOR s", "? it uses FOR"},
	{"SELECT a FROM t WHERE rowid = '%s'", "? it uses rowid"},
	/* Subqueries. */
	{"SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d = '%s')", "? it has a subquery"},
	{"SELECT a FROM t WHERE b = '%s' AND EXISTS (SELECT 1 FROM u)", "? it has a subquery"},
	{"SELECT a FROM t WHERE b = '%s' AND b = ALL (SELECT c FROM u)", "? it has a subquery"},
	{"SELECT (SELECT c FROM u) FROM t WHERE b = '%s'", "? it has a subquery"},
	{"SELECT a FROM (SELECT * FROM t) x WHERE b = '%s'", "? it has a subquery"},
	{"SELECT a FROM t WHERE b IN ((SELECT c FROM u))", "? it has a subquery"},
	{"SELECT DISTINCT (SELECT c FROM u) FROM t", "? it has a subquery"},
	{"SELECT a FROM t WHERE b IN (TABLE u)", "? it uses TABLE"},
	{"SELECT a FROM t WHERE b IN (VALUES (1))", "? it uses VALUES"},
	{"SELECT a FROM t JOIN LATERAL (SELECT 1) x ON 1 = 1", "? it uses LATERAL"},
	/* What is no SELECT, or more than one. */
	{"", "? it is empty"},
	{" -- x", "? it is empty"},
	{";", "? it is empty"},
	{"((", "? it is no SELECT"},
	{"CALL get_alias('%s')", "? it is no SELECT"},
	{"WITH x AS (SELECT 1) SELECT a FROM x", "? it is no SELECT"},
	{"VALUES ('%s')", "? it is no SELECT"},
	{"INSERT INTO t SELECT 1", "? it is no SELECT"},
	{"alias '%s'", "? it is no SELECT"},
	{"'%s'", "? it is no SELECT"},
	{"SELECTED", "? it is no SELECT"},
	{"SELECT a FROM t; SELECT b FROM u", "? it is more than one statement"},
	{"SELECT a FROM t; DELETE FROM t", "? it is more than one statement"},
	{"SELECT a INTO x FROM t", "? it uses INTO"},
	{"SELECT a FROM t FOR UPDATE", "? it uses FOR"},
	{"SELECT a FROM t LOCK IN SHARE MODE", "? it uses LOCK"},
	{"SELECT a FROM ONLY t WHERE b = '%s'", "? it uses ONLY"},
	{"SELECT a FROM t TABLESAMPLE bernoulli (10)", "? it uses TABLESAMPLE"},
	{"SELECT a, rank() OVER (ORDER BY a) FROM t", "? it calls rank()"},
	/* What is no SQL. */
	{"SELECT", ""},
	{"SELECT FROM", "? it ends where"},
	{"SELECT a FROM t WHERE", "any row of t"},
	{"SELECT a FROM t WHERE b =", "any row of t"},
	{"SELECT a FROM t WHERE = '%s'", "any row of t"},
	{"SELECT a FROM t AS", "? it ends where"},
	{"SELECT a FROM t,", "? it ends where"},
	{"SELECT a FROM t JOIN", "? it ends where"},
	{"SELECT a FROM t LEFT u", "? \"u\" is not understood"},
	{"SELECT a FROM t x y", "? \"y\" is not understood"},
	{"SELECT a FROM t.", "? \"t\" is not understood"},
	{"SELECT a FROM t)", "? its parentheses don't match"},
	{"(SELECT a FROM t", "? its parentheses don't match"},
	{"SELECT a FROM t WHERE (b = '%s'", "? its parentheses don't match"},
	{"SELECT a) FROM (t", "? its parentheses don't match"},
	{"SELECT a FROM t WHERE b = '%s' AND", "t.b = key"},
	{"SELECT a FROM t WHERE AND b = '%s'", "t.b = key"},
	{"SELECT a FROM t UNION", "? it ends where"},
	{"SELECT a FROM t WHERE b = '%s", "? \"'%s\" is not understood"},
	{"SELECT a FROM t WHERE b = %s", "? \"%s\" is not understood"},
	{"SELECT a FROM t WHERE b = '%", "? \"'%\" is not"},
	{"SELECT a FROM t WHERE b = '%x'", "any row of t"},
	{"SELECT a FROM t USE INDEX (x) WHERE b = '%s'", "? it calls INDEX()"},
	{"SELECT a FROM t PARTITION (p) WHERE b = '%s'", "? it calls PARTITION()"},
	{"SELECT a FROM t STRAIGHT_JOIN u", "? it uses STRAIGHT_JOIN"},
	{"SELECT a FROM t WHERE b IN c", "any row of t"},
	{"SELECT {fn now()}", "? \"{\" is not understood"},
	{"SELECT a FROM {OJ t LEFT JOIN u ON t.b = '%s'}", "? \"{\" is not understood"},
	{"SELECT a FROM t WHERE b = :name", "? \":\" is not understood"},
	{"SELECT ?", "? \"?\" is not understood"},
	{"SELECT a FROM t WHERE b = $1", "? \"$1\" is not understood"},
	/* Strings that are read in other ways. */
	{"SELECT a FROM t WHERE b = N'x'", "? a string has a prefix"},
	{"SELECT a FROM t WHERE b = e'x'", "? a string has a prefix"},
	{"SELECT a FROM t WHERE b = U&'x'", "? a string has a prefix"},
	{"SELECT a FROM t WHERE b = _utf8'x'", "? a string has a prefix"},
	{"SELECT a FROM t WHERE b = _utf8 'x'", "any row of t"},
	{"SELECT a FROM t WHERE b LIKE'%s'AND c = '%s'", "t.c = key"},
	{"SELECT a FROM t WHERE b = 'no'\n'w'", "? two strings stand side by side"},
};

START_TEST(everywhere_the_same)
{
	assert_reads(&sqlite, everywhere[_i].query, everywhere[_i].reads);
	assert_reads(&pgsql, everywhere[_i].query, everywhere[_i].reads);
	assert_reads(&mysql, everywhere[_i].query, everywhere[_i].reads);
}
END_TEST

static const struct {
	const struct dialect *dialect;
	const char *query, *reads;
} special[] = {
	/* Which names are the same. */
	{&pgsql, "SELECT a FROM Alias WHERE Address = '%s'", "alias.address = key"},
	{&pgsql, "SELECT a FROM \"Alias\" WHERE \"Address\" = '%s'", "Alias.Address = key"},
	{&pgsql, "SELECT a FROM public.\"Al\"\"ias\" X WHERE x.\"a b\" = '%s'",
		"public.Al\"ias.a b = key"},
	{&pgsql, "SELECT a FROM t \"X\" WHERE x.b = '%s'", "any row of t"},
	{&pgsql, "SELECT a FROM t WHERE b = \"%s\"", "any row of t"},
	{&pgsql, "SELECT a FROM \"s.t\" WHERE b = '%s'", "? \"\"s.t\"\" is not understood"},
	{&sqlite, "SELECT a FROM Alias WHERE Address = '%s'", "alias.address = key"},
	{&sqlite, "SELECT a FROM \"Alias\" X WHERE x.\"Address\" = '%s'", "alias.address = key"},
	{&sqlite, "SELECT a FROM [Alias X] WHERE [alias x].[Address] = '%s'",
		"alias x.address = key"},
	{&sqlite, "SELECT a FROM `t` WHERE `b` = \"%s\"", "t.b = key"},
	{&sqlite, "SELECT a FROM t WHERE b = \"x\"", "any row of t"},
	{&sqlite, "SELECT a FROM t WHERE b = \"x%%s\"", "any row of t"},
	{&sqlite, "SELECT a FROM 't' WHERE b = '%s'", "? \"'t'\" is not understood"},
	{&mysql, "SELECT a FROM Alias WHERE Address = '%s'", "Alias.address = key"},
	{&mysql, "SELECT a FROM `Alias` X WHERE x.b = '%s'", "any row of Alias"},
	{&mysql, "SELECT a FROM `Alias` X WHERE X.`B` = \"%s\"", "Alias.b = key"},
	{&mysql, "SELECT a FROM t WHERE \"b\" = '%s'", "any row of t"},
	{&mysql, "SELECT a FROM \"t\" WHERE b = '%s'", "? \"\"t\"\" is not understood"},
	/* Strings. */
	{&mysql, "SELECT a FROM t WHERE b = 'x\\'%%' AND c = 1", "t.b = 'x'%'"},
	{&mysql, "SELECT a FROM t WHERE b = 'x\\0y'", "any row of t"},
	{&sqlite, "SELECT a FROM t WHERE b = 'x\\'", "t.b = 'x\\'"},
	{&pgsql, "SELECT a FROM t WHERE b = $$x$$", "? it has a $-quoted string"},
	{&pgsql, "SELECT a FROM t WHERE b = '%s' AND until > 'now'",
		"? the string 'now' may stand for the time"},
	{&pgsql, "SELECT a FROM t WHERE b = '%s' AND until > ' Today 12:00'",
		"? the string ' Today"},
	{&pgsql, "SELECT a FROM t WHERE b = 'unknown'", "t.b = 'unknown'"},
	{&mysql, "SELECT a FROM t WHERE b = 'now'", "t.b = 'now'"},
	/* OR by another name. */
	{&mysql, "SELECT a FROM t WHERE c = '%s' AND b = '%s' || d", "any row of t"},
	{&mysql, "SELECT a FROM t WHERE c = '%s' && b = 1", "any row of t"},
	{&pgsql, "SELECT a FROM t WHERE c || d = 'x' AND b = '%s'", "t.b = key"},
	/* Variables, casts and other signs. */
	{&mysql, "SELECT a FROM t WHERE b = '%s' AND c = @x", "? it uses a variable"},
	{&mysql, "SELECT @n := 1", "? it uses a variable"},
	{&mysql, "SELECT a FROM t WHERE c = @@x", "? it uses a variable"},
	{&sqlite, "SELECT a FROM t WHERE b = @x", "? it uses a variable"},
	{&pgsql, "SELECT a FROM t WHERE b = '%s' AND c @> d", "t.b = key"},
	{&pgsql, "SELECT a FROM t WHERE b = '%s'::text", "any row of t"},
	{&pgsql, "SELECT a::varchar(20) FROM t WHERE b = '%s'", "t.b = key"},
	{&mysql, "SELECT a::text FROM t", "? \"::\" is not understood"},
	{&pgsql, "SELECT a FROM t WHERE b = ANY (ARRAY[:keys])", "any row of t"},
	{&pgsql, "SELECT a[1] FROM t WHERE b = '%s'", "t.b = key"},
	{&pgsql, "SELECT a FROM t WHERE user = '%s'", "? it uses user"},
	{&pgsql, "SELECT user AS a FROM t WHERE b = '%s'", "? it uses user"},
	{&pgsql, "SELECT a AS user FROM t WHERE b = '%s'", "t.b = key"},
	{&pgsql, "SELECT a AS user, user FROM t WHERE b = '%s'", "? it uses user"},
	{&mysql, "SELECT a FROM t WHERE user = '%s'", "t.user = key"},
	{&pgsql, "SELECT a FROM t WHERE t.user = '%s'", "t.user = key"},
	{&pgsql, "SELECT DISTINCT ON (a) a FROM t WHERE b = '%s'", "t.b = key"},
	{&mysql, "SELECT a FROM t WHERE b = '%s' # OR 1", "t.b = key"},
	{&sqlite, "SELECT a FROM t WHERE b == '%s'", "any row of t"},
	{&mysql, "SELECT a FROM t WHERE b <=> '%s'", "any row of t"},
	{&mysql, "SELECT a FROM t WHERE BINARY b = '%s'", "any row of t"},
	{&mysql, "SELECT a FROM t WHERE b = BINARY '%s'", "any row of t"},
	{&mysql, "SELECT a FROM t WHERE b = '%s' /*! OR 1 */",
		"? it has a comment that the database reads"},
	{&mysql, "SELECT a FROM t WHERE b = '%s' /*M!100500 OR 1 */",
		"? it has a comment that the database reads"},
	{&mysql, "SELECT /*+ MAX_EXECUTION_TIME(5) */ a FROM t",
		"? it has a comment that the database reads"},
	{&mysql, "SELECT if(a, 1, 2), group_concat(a SEPARATOR ',') FROM t WHERE b = '%s'",
		"t.b = key"},
	{&pgsql, "SELECT string_agg(a, ',' ORDER BY a) FROM t WHERE b = '%s'", "t.b = key"},
};

START_TEST(in_one_dialect)
{
	assert_reads(special[_i].dialect, special[_i].query, special[_i].reads);
}
END_TEST

START_TEST(many_tables_and_parentheses)
{
	struct buf query = {0};

	buf_add_string(&query, "SELECT 1 FROM t0");
	for (int i = 1; i < 64; i++)
		buf_add_format(&query, ", t%d", i);
	{
		struct reads reads;

		reads_init(&reads, buf_string(&query), &pgsql);
		ck_assert_uint_eq(reads.count, 64);
		reads_finish(&reads);
	}
	buf_add_string(&query, ", t64");
	assert_reads(&pgsql, buf_string(&query), "? it reads more than 64 tables");
	buf_clear(&query);
	for (int i = 0; i < 2000; i++)
		buf_add_byte(&query, '(');
	buf_add_string(&query, "SELECT 1");
	for (int i = 0; i < 2000; i++)
		buf_add_byte(&query, ')');
	assert_reads(&pgsql, buf_string(&query), "? it has too many parentheses");
	buf_clear(&query);
	buf_add_string(&query, "SELECT 1 FROM t WHERE ");
	for (int i = 0; i < 2000; i++)
		buf_add_byte(&query, '(');
	buf_add_string(&query, "a = '%s'");
	for (int i = 0; i < 2000; i++)
		buf_add_byte(&query, ')');
	assert_reads(&pgsql, buf_string(&query), "any row of t");
	buf_finish(&query);
}
END_TEST

START_TEST(by_the_administrators_word)
{
	static char one[] = "Alias", two[] = "public.\"Mail\"", three[] = "alias",
		    four[] = "no name";
	char *items[] = {one, two, three, four};
	struct text_list tables = {items, 4};
	struct reads reads;
	struct buf out = {0};

	reads_init_tables(&reads, &tables, &pgsql);
	show(&reads, &out);
	assert_buf(&out, "any row of alias; any row of public.Mail; any row of no name");
	reads_finish(&reads);
	reads_init_tables(&reads, &tables, &mysql);
	show(&reads, &out);
	assert_buf(&out, "any row of Alias; any row of public.\"Mail\"; any row of alias; any row "
			 "of no name");
	reads_finish(&reads);
	reads_finish(&(struct reads){0});
	buf_finish(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reads");
	TCase *tcase = tcase_create("reads");

	tcase_add_loop_test(tcase, shipped_queries, 0, COUNT(shipped));
	tcase_add_loop_test(tcase, everywhere_the_same, 0, COUNT(everywhere));
	tcase_add_loop_test(tcase, in_one_dialect, 0, COUNT(special));
	tcase_add_test(tcase, many_tables_and_parentheses);
	tcase_add_test(tcase, by_the_administrators_word);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
