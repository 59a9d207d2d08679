#include "engine/dictionary_path.h"

#include "support/text.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static struct error why;

static void make(struct dictionary_pattern *pattern, const char *text)
{
	ck_assert_msg(dictionary_pattern_init(pattern, text, &why) == 0, "%s: %s", text, why.text);
}

static const struct {
	const char *text;
	bool is_private, takes_the_rest;
	const char *variables; /* parted by blanks */
} good[] = {
	{"shared/x", false, false, ""},
	{"shared/", false, false, ""},
	{"priv/", true, false, ""},
	{"priv/quota/storage", true, false, ""},
	{"shared/$user", false, true, "user"},
	{"shared/last-login/$user", false, true, "user"},
	{"shared/last-login/$user/", false, false, "user"},
	{"shared/a$b", false, true, "b"},
	{"shared/$a/$b/c", false, false, "a b"},
	{"priv/$a_1/x/$B2", true, true, "a_1 B2"},
	{"shared/$1", false, true, "1"},
	{"shared/$a/$b/$c/$d/$e/$f/$g/$h", false, true, "a b c d e f g h"},
	{"shared/100%/_/$x", false, true, "x"},
};

START_TEST(patterns)
{
	struct dictionary_pattern pattern;
	struct buf names = {0};

	make(&pattern, good[_i].text);
	ck_assert_ptr_eq(pattern.text, good[_i].text);
	ck_assert_int_eq(pattern.is_private, good[_i].is_private);
	ck_assert_int_eq(pattern.takes_the_rest, good[_i].takes_the_rest);
	for (size_t i = 0; i < pattern.variables; i++) {
		struct slice name = pattern.pieces[i].variable;

		buf_add_format(&names, "%s%.*s", i ? " " : "", SLICE_ARGS(name));
		ck_assert_int_eq(dictionary_pattern_find(&pattern, name), (ptrdiff_t)i);
	}
	assert_slice(buf_slice(&names), good[_i].variables);
	ck_assert_ptr_null(pattern.pieces[pattern.variables].variable.data);
	ck_assert_int_eq(dictionary_pattern_find(&pattern, slice_str("nobody")), -1);
	ck_assert_int_eq(dictionary_pattern_find(&pattern, slice_str("")), -1);
	buf_finish(&names);
}
END_TEST

static const struct {
	const char *text, *why;
} bad[] = {
	{"", "a key begins with shared/, or with priv/"},
	{"quota", "a key begins with shared/, or with priv/"},
	{"shared", "a key begins with shared/"},
	{"Shared/x", "a key begins with shared/"},
	{" shared/x", "a key begins with shared/"},
	{"private/x", "a key begins with shared/"},
	{"$user/x", "a key begins with shared/"},
	{"shared/$", "a '$' begins the name of a variable, as in $user"},
	{"shared/$/x", "a '$' begins the name of a variable"},
	{"shared/$$a", "a '$' begins the name of a variable"},
	{"shared/${a}", "a '$' begins the name of a variable"},
	{"shared/$a-b", "behind $a only a '/' can follow"},
	{"shared/$a$b", "behind $a only a '/' can follow"},
	{"shared/$a.", "behind $a only a '/' can follow"},
	{"shared/$a/$b/$a", "$a stands there twice"},
	{"shared/$a/$b/$c/$d/$e/$f/$g/$h/$i", "there are more than 8 variables"},
};

START_TEST(what_is_no_pattern)
{
	struct dictionary_pattern pattern;

	ck_assert_int_eq(dictionary_pattern_init(&pattern, bad[_i].text, &why), -1);
	assert_contains(why.text, bad[_i].why);
}
END_TEST

/* Appends values, parted by '|'. */
static void add_values(const struct slice *values, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++)
		buf_add_format(out, "%s%.*s", i ? "|" : "", SLICE_ARGS(values[i]));
}

/*
 * As dovecot's dict_sql_map_match() has it, with one exception: it lets a variable that is not the
 * last stand for nothing. Such a key can't be told from a mistake, and could not be iterated.
 */
static const struct {
	const char *pattern, *key;
	const char *values; /* NULL: it does not fit */
} matches[] = {
	{"shared/x", "shared/x", ""},
	{"shared/x", "shared/xy", NULL},
	{"shared/x", "shared/", NULL},
	{"shared/x", "shared/x/", NULL},
	{"shared/x", "shared/X", NULL},
	{"shared/x", "", NULL},
	{"priv/x", "shared/x", NULL},
	{"shared/$a", "shared/1", "1"},
	{"shared/$a", "shared/1/2/3", "1/2/3"}, /* the last one takes the rest */
	{"shared/$a", "shared/1/", "1/"},
	{"shared/$a", "shared//", "/"},
	{"shared/$a", "shared/", NULL}, /* a variable stands for something */
	{"shared/$a", "shared/$a", "$a"},
	{"shared/$a", "shared/ ", " "},
	{"shared/a$b", "shared/ab", "b"},
	{"shared/a$b", "shared/a", NULL},
	{"shared/a$b", "shared/b", NULL},
	{"shared/$a/", "shared/1/", "1"},
	{"shared/$a/", "shared/1", NULL},
	{"shared/$a/", "shared/1/2", NULL},
	{"shared/$a/x", "shared/1/x", "1"},
	{"shared/$a/x", "shared/1/2/x", NULL},
	{"shared/$a/x", "shared/1/xy", NULL},
	{"shared/$a/x", "shared/1/", NULL},
	{"shared/$a/x", "shared/1", NULL},
	{"shared/$a/x", "shared/x", NULL},
	{"shared/$a/x", "shared//x", NULL},
	{"shared/$a/$b", "shared/1/2", "1|2"},
	{"shared/$a/$b", "shared/1/2/3", "1|2/3"},
	{"shared/$a/$b", "shared/1/", NULL},
	{"shared/$a/$b", "shared/1", NULL},
	{"shared/$a/$b", "shared//2", NULL},
	{"shared/$a/$b", "shared/1//", "1|/"},
	{"shared/$a/x/$b/y", "shared/1/x/2/y", "1|2"},
	{"shared/$a/x/$b/y", "shared/1/z/2/y", NULL},
	{"shared/$a/x/$b/y", "shared/1/x/2/y/", NULL},
	{"shared/$a/x/$b/y", "shared/1/x//y", NULL},
	{"shared/$a/$b/$c/$d/$e/$f/$g/$h", "shared/1/2/3/4/5/6/7/8/9", "1|2|3|4|5|6|7|8/9"},
	/* Dovecot escapes what would be taken for the end: it comes as it is. */
	{"shared/$a/x", "shared/1\\|2/x", "1\\|2"},
	{"shared/%/_/$a", "shared/%/_/1", "1"},
	{"shared/%/_/$a", "shared/x/y/1", NULL},
};

START_TEST(keys_that_fit)
{
	struct slice values[DICTIONARY_VARIABLES_MAX];
	struct dictionary_pattern pattern;
	struct buf text = {0};

	make(&pattern, matches[_i].pattern);
	ck_assert_msg(dictionary_pattern_match(&pattern, slice_str(matches[_i].key), values) ==
			      (matches[_i].values != NULL),
		"%s, %s", matches[_i].pattern, matches[_i].key);
	if (!matches[_i].values)
		return;
	add_values(values, pattern.variables, &text);
	assert_slice(buf_slice(&text), matches[_i].values);
	buf_finish(&text);
}
END_TEST

START_TEST(a_nul_is_a_byte_as_any)
{
	struct slice values[DICTIONARY_VARIABLES_MAX];
	struct dictionary_pattern pattern;

	make(&pattern, "shared/x");
	ck_assert(!dictionary_pattern_match(&pattern, slice_of("shared/x\0", 9), values));
	ck_assert(!dictionary_pattern_match(&pattern, slice_of(NULL, 0), values));
	make(&pattern, "shared/$a");
	ck_assert(dictionary_pattern_match(&pattern, slice_of("shared/\0x", 9), values));
	ck_assert_uint_eq(values[0].size, 2);
}
END_TEST

enum { CHILDREN, RECURSE, EXACT };

/*
 * `known`: the values that the path tells; `begin`: with what the next variable begins. As dovecot
 * has it, with these exceptions: a path ends with a '/', and keys without a variable have parents,
 * too, if all that is below these is asked for.
 */
static const struct {
	const char *pattern, *path;
	int how;
	const char *known; /* NULL: no keys of the pattern are there */
	const char *prefix, *begin;
} spans[] = {
	/* The last variable. */
	{"shared/a/$x", "shared/a/", CHILDREN, "", "shared/a/", ""},
	{"shared/a/$x", "shared/a/", RECURSE, "", "shared/a/", ""},
	{"shared/a/$x", "shared/a", CHILDREN, NULL, NULL, NULL},
	{"shared/a/$x", "shared/a", RECURSE, NULL, NULL, NULL},
	{"shared/a/$x", "shared/a/1/", CHILDREN, "", "shared/a/", "1/"},
	{"shared/a/$x", "shared/a/1/2/", CHILDREN, "", "shared/a/", "1/2/"},
	{"shared/a/$x", "shared/a/1/2/", RECURSE, "", "shared/a/", "1/2/"},
	{"shared/a/$x", "shared/a/1", CHILDREN, NULL, NULL, NULL},
	{"shared/a/$x", "shared/a/1", RECURSE, NULL, NULL, NULL},
	{"shared/a/$x", "shared/", CHILDREN, NULL, NULL, NULL},
	{"shared/a/$x", "shared/", RECURSE, "", "shared/", ""},
	{"shared/a/$x", "shared/b/", RECURSE, NULL, NULL, NULL},
	{"shared/a/$x", "priv/", RECURSE, NULL, NULL, NULL},
	{"shared/a/$x", "", RECURSE, NULL, NULL, NULL},
	{"shared/a/$x", "/", RECURSE, NULL, NULL, NULL},
	{"shared/a/$x", "share", RECURSE, NULL, NULL, NULL},
	{"shared/a/$x", "shared/%/", CHILDREN, NULL, NULL, NULL},
	/* A variable that has text before it. */
	{"shared/a$x", "shared/", RECURSE, "", "shared/", ""},
	{"shared/a$x", "shared/", CHILDREN, NULL, NULL, NULL},
	{"shared/a$x", "shared/a", RECURSE, NULL, NULL, NULL},
	{"shared/a$x", "shared/a1/", CHILDREN, "", "shared/a", "1/"},
	/* Several variables. */
	{"shared/$x/$y", "shared/", RECURSE, "", "shared/", ""},
	{"shared/$x/$y", "shared/", CHILDREN, NULL, NULL, NULL},
	{"shared/$x/$y", "shared/1/", CHILDREN, "1", "shared/1/", ""},
	{"shared/$x/$y", "shared/1/", RECURSE, "1", "shared/1/", ""},
	{"shared/$x/$y", "shared/1", RECURSE, NULL, NULL, NULL},
	{"shared/$x/$y", "shared/1/2/", CHILDREN, "1", "shared/1/", "2/"},
	{"shared/$x/$y", "shared//", CHILDREN, NULL, NULL, NULL},
	{"shared/$x/$y", "shared//", RECURSE, NULL, NULL, NULL},
	/* Text behind the last variable. */
	{"shared/$x/a", "shared/", RECURSE, "", "shared/", ""},
	{"shared/$x/a", "shared/", CHILDREN, NULL, NULL, NULL},
	{"shared/$x/a", "shared/1/", RECURSE, "1", "shared/1/", ""},
	{"shared/$x/a", "shared/1/", CHILDREN, NULL, NULL, NULL},
	{"shared/$x/a", "shared/1/a/", RECURSE, NULL, NULL, NULL},
	{"shared/$x/a", "shared/1/b/", RECURSE, NULL, NULL, NULL},
	{"shared/$x/a/b/$y", "shared/1/a/", RECURSE, "1", "shared/1/a/", ""},
	{"shared/$x/a/b/$y", "shared/1/a/", CHILDREN, NULL, NULL, NULL},
	{"shared/$x/a/b/$y", "shared/1/a/b/", CHILDREN, "1", "shared/1/a/b/", ""},
	{"shared/$x/", "shared/", RECURSE, "", "shared/", ""},
	{"shared/$x/", "shared/1/", RECURSE, NULL, NULL, NULL},
	/* No variable at all. */
	{"priv/quota/storage", "priv/quota/", RECURSE, "", "priv/quota/", ""},
	{"priv/quota/storage", "priv/", RECURSE, "", "priv/", ""},
	{"priv/quota/storage", "priv/quota/", CHILDREN, NULL, NULL, NULL},
	{"priv/quota/storage", "priv/quota/storage", RECURSE, NULL, NULL, NULL},
	{"priv/quota/storage", "priv/quota/storage/", RECURSE, NULL, NULL, NULL},
	/* A key itself. */
	{"shared/a/$x", "shared/a/1", EXACT, "1", "shared/a/1", ""},
	{"shared/a/$x", "shared/a/1/2", EXACT, "1/2", "shared/a/1/2", ""},
	{"shared/a/$x", "shared/a/", EXACT, NULL, NULL, NULL},
	{"shared/$x/$y", "shared/1/2", EXACT, "1|2", "shared/1/2", ""},
	{"shared/$x/a", "shared/1/a", EXACT, "1", "shared/1/a", ""},
	{"shared/$x/a", "shared/1/b", EXACT, NULL, NULL, NULL},
	{"priv/quota/storage", "priv/quota/storage", EXACT, "", "priv/quota/storage", ""},
	{"priv/quota/storage", "priv/quota/", EXACT, NULL, NULL, NULL},
};

START_TEST(paths_that_meet)
{
	struct dictionary_pattern pattern;
	struct dictionary_span span;
	struct buf text = {0};
	int how = spans[_i].how;

	make(&pattern, spans[_i].pattern);
	ck_assert_msg(dictionary_pattern_meets(&pattern, slice_str(spans[_i].path), how == RECURSE,
			      how == EXACT, &span) == (spans[_i].known != NULL),
		"%s, %s, %d", spans[_i].pattern, spans[_i].path, how);
	if (!spans[_i].known)
		return;
	add_values(span.values, span.known, &text);
	assert_slice(buf_slice(&text), spans[_i].known);
	assert_slice(span.prefix, spans[_i].prefix);
	assert_slice(span.begin, spans[_i].begin);
	ck_assert_int_eq(span.is_whole, how == EXACT);
	buf_finish(&text);
}
END_TEST

static const struct {
	const char *pattern, *path;
	const char *cells[3];
	const char *key;
} completions[] = {
	{"shared/a/$x", "shared/a/", {"1"}, "shared/a/1"},
	{"shared/a/$x", "shared/a/", {"1/2"}, "shared/a/1/2"},
	{"shared/a/$x", "shared/", {"1"}, "shared/a/1"},
	{"shared/a/$x", "shared/a/1/", {"1/2"}, "shared/a/1/2"},
	{"shared/$x/$y", "shared/", {"1", "2"}, "shared/1/2"},
	{"shared/$x/$y", "shared/1/", {"2"}, "shared/1/2"},
	{"shared/$x/$y", "shared/1/2/", {"2/3"}, "shared/1/2/3"},
	{"shared/$x/a", "shared/1/", {NULL}, "shared/1/a"},
	{"shared/$x/a", "shared/", {"1"}, "shared/1/a"},
	{"shared/$x/a/b/$y", "shared/1/a/", {"2"}, "shared/1/a/b/2"},
	{"shared/$x/a/b/$y/c", "shared/1/a/", {"2"}, "shared/1/a/b/2/c"},
	{"shared/$x/a/b/$y/c/$z", "shared/", {"1", "2", "3"}, "shared/1/a/b/2/c/3"},
	{"priv/quota/storage", "priv/quota/", {NULL}, "priv/quota/storage"},
	{"priv/quota/storage", "priv/", {NULL}, "priv/quota/storage"},
};

/* What is completed fits the pattern, and is below the path. */
START_TEST(keys_are_completed)
{
	struct slice cells[3] = {{0}}, values[DICTIONARY_VARIABLES_MAX];
	struct slice path = slice_str(completions[_i].path);
	struct dictionary_pattern pattern;
	struct dictionary_span span;
	struct buf key = {0};

	for (size_t i = 0; i < 3 && completions[_i].cells[i]; i++)
		cells[i] = slice_str(completions[_i].cells[i]);
	make(&pattern, completions[_i].pattern);
	ck_assert(dictionary_pattern_meets(&pattern, path, true, false, &span));
	dictionary_pattern_complete(&pattern, &span, cells, &key);
	ck_assert(dictionary_pattern_match(&pattern, buf_slice(&key), values));
	assert_slice(slice_of(key.data, path.size), completions[_i].path);
	assert_buf(&key, completions[_i].key);
	buf_finish(&key);
}
END_TEST

static Suite *dictionary_path_suite(void)
{
	Suite *suite = suite_create("dictionary_path");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, patterns, 0, COUNT(good));
	tcase_add_loop_test(tcase, what_is_no_pattern, 0, COUNT(bad));
	tcase_add_loop_test(tcase, keys_that_fit, 0, COUNT(matches));
	tcase_add_test(tcase, a_nul_is_a_byte_as_any);
	tcase_add_loop_test(tcase, paths_that_meet, 0, COUNT(spans));
	tcase_add_loop_test(tcase, keys_are_completed, 0, COUNT(completions));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(dictionary_path_suite());
}
