#include "config.h"

#include "backend.h"
#include "base/log.h"
#include "proto.h"
#include "support/log.h"
#include "support/text.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static struct log_capture capture;
static struct error why;

static void begin(void)
{
	log_capture_begin(&capture);
}

static void end(void)
{
	log_capture_end(&capture);
}

/* Reads a text as if it stood in a file. */
static struct config *read_bytes(struct slice text)
{
	char path[PATH_MAX];
	int file = memfd_create("conf", MFD_CLOEXEC);
	struct config *config;

	ck_assert_int_eq(write(file, text.data, text.size), (ssize_t)text.size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	why.text[0] = '\0';
	config = config_read(path, &why);
	close(file);
	return config;
}

static struct config *read_text(const char *text)
{
	return read_bytes(slice_str(text));
}

/* A file with one of each. */
static const char full[] =
	"# a comment\n"
	"user = nobody  log = syslog\n"
	"log_level = debug // another\n"
	"memory demo { rows = { \"alias a@d.ex b@d.ex\", \"alias c@d.ex \\\"d d\\\"@d.ex\" } }\n"
	"map one {\n"
	"    source = demo\n"
	"    query = \"alias '%s'\"\n"
	"    domain = { d.ex, \"e.ex\" }\n"
	"    expansion_limit = 7 /* and another */\n"
	"}\n"
	"map all { maps = { one }  serves = virtual_alias_maps  local_domains = {} }\n"
	"socketmap { listen = \"unix:/tmp/a b\"  owner = root  mode = \"0600\" }\n"
	"socketmap { listen = \"inet:127.0.0.1:10025\"  idle_timeout = 90s }\n"
	"tcp_table { listen = \"inet:[::1]:10026\"  map = one }\n"
	"control { listen = \"unix:/tmp/control\" }\n";

START_TEST(everything_is_taken_over)
{
	struct config *config = read_text(full);

	ck_assert_msg(config != NULL, "%s", why.text);
	ck_assert_str_eq(config->global.user, "nobody");
	ck_assert_ptr_null(config->global.group);
	ck_assert_int_eq(config->global.log, LOG_TO_SYSLOG);
	ck_assert_int_eq(config->global.log_level, 3);
	ck_assert_uint_eq(config->source_count, 1);
	ck_assert_str_eq(config->sources[0].name, "demo");
	ck_assert_str_eq(config->sources[0].backend->name, "memory");
	ck_assert_int_eq(config->sources[0].settings->query_timeout, 5000);
	ck_assert_uint_eq(config->map_count, 2);
	ck_assert_str_eq(config->maps[0].name, "one");
	ck_assert_uint_eq(config->maps[0].settings->domain.count, 2);
	ck_assert_str_eq(config->maps[0].settings->domain.items[1], "e.ex");
	ck_assert_int_eq(config->maps[0].settings->expansion_limit, 7);
	ck_assert_uint_eq(config->listener_count, 4);
	ck_assert_str_eq(config->listeners[0].settings->listen, "unix:/tmp/a b");
	ck_assert_int_eq(config->listeners[0].settings->mode, 0600);
	ck_assert_int_eq(config->listeners[1].settings->idle_timeout, 90000);
	ck_assert_str_eq(config->listeners[2].proto->name, "tcp_table");
	ck_assert_str_eq(config->listeners[2].map, "one");
	ck_assert_int_eq(config->listeners[3].proto->kind, PROTO_COMMAND);
	ck_assert_ptr_nonnull(catalog_find(config->catalog, slice_str("all")));
	ck_assert_str_eq(log_captured(&capture), "");
	config_destroy(config);
}
END_TEST

/* What config_show() prints is a configuration, and the same one. */
static void show_twice(const struct config *config, struct buf *shown)
{
	struct buf shown_again = {0};
	struct config *again;

	config_show(config, shown);
	again = read_text(buf_string(shown));
	ck_assert_msg(again != NULL, "%s\n%s", why.text, buf_string(shown));
	config_show(again, &shown_again);
	ck_assert_str_eq(buf_string(shown), buf_string(&shown_again));
	config_destroy(again);
	buf_finish(&shown_again);
}

START_TEST(what_is_shown_can_be_read)
{
	struct config *config = read_text(full);
	struct buf shown = {0};

	show_twice(config, &shown);
	assert_contains(buf_string(&shown), "query_timeout = \"5s\"");
	assert_contains(buf_string(&shown), "result_format = \"%s\"");
	assert_contains(buf_string(&shown), "\"alias c@d.ex \\\"d d\\\"@d.ex\"");
	assert_contains(buf_string(&shown), "stale_ttl = \"1d\"");
	assert_contains(buf_string(&shown), "ttl = \"feed\"");
	assert_contains(buf_string(&shown), "size = \"64M\"");
	config_destroy(config);
	buf_finish(&shown);
}
END_TEST

/* Two dictionaries, with keys of both kinds, and one without any. */
static const char dictionaries[] =
	"memory d { rows = { \"users u 1\" } }\n"
	"map users { source = d  query = \"users '%s'\" }\n"
	"dictionary auth {\n"
	"    key \"shared/passdb/$user\" { map = users }\n"
	"    key \"shared/userdb/$user\" { map = users  format = json\n"
	"        iterate = \"SELECT 'a\\\\b' \\\"c\\\" FROM t\" }\n"
	"    key 'shared/a\"b\\\\c/$x' { source = d  table = s.t  value_field = {v, w}  value_type "
	"= "
	"{int, string}\n"
	"        fields = {\"x = $x:uint\"}  ttl = 5s  cache = no  expire_field = e }\n"
	"}\n"
	"dictionary empty { }\n"
	"dictionary quota {\n"
	"    key \"priv/quota/storage\" { source = d  table = quota  username_field = u  "
	"value_field = bytes }\n"
	"    key \"shared/passdb/$user\" { map = users }\n"
	"}\n"
	"dict { listen = \"unix:/run/dict\" }\n";

START_TEST(dictionaries_are_taken_over)
{
	struct config *config = read_text(dictionaries);
	const struct dictionary_config *auth, *quota;

	ck_assert_msg(config != NULL, "%s", why.text);
	ck_assert_uint_eq(config->dictionary_count, 3);
	ck_assert_uint_eq(config->key_count, 5);
	auth = &config->dictionaries[0];
	ck_assert_str_eq(auth->name, "auth");
	ck_assert_uint_eq(auth->key_count, 3);
	ck_assert_str_eq(auth->keys[1].pattern, "shared/userdb/$user");
	ck_assert_str_eq(auth->keys[1].settings->iterate, "SELECT 'a\\b' \"c\" FROM t");
	ck_assert_int_eq(auth->keys[1].settings->format, FORMAT_JSON);
	ck_assert_str_eq(auth->keys[2].pattern, "shared/a\"b\\c/$x");
	ck_assert_int_eq(auth->keys[2].settings->ttl, 5000);
	ck_assert_uint_eq(config->dictionaries[1].key_count, 0);
	quota = &config->dictionaries[2];
	ck_assert_uint_eq(quota->key_count, 2);
	ck_assert_str_eq(quota->keys[0].settings->table, "quota");
	ck_assert_uint_eq(config->catalog->dictionary_count, 3);
	ck_assert_ptr_nonnull(catalog_find_dictionary(config->catalog, slice_str("empty")));
	ck_assert_str_eq(log_captured(&capture), "");
	config_destroy(config);
}
END_TEST

START_TEST(shown_dictionaries_can_be_read)
{
	struct config *config = read_text(dictionaries);
	struct buf shown = {0};

	show_twice(config, &shown);
	assert_contains(buf_string(&shown), "dictionary auth {\n    key \"shared/passdb/$user\" {\n"
					    "        map = \"users\"\n");
	assert_contains(buf_string(&shown), "\ndictionary empty {\n}\n");
	assert_contains(buf_string(&shown), "\ndictionary quota {\n    key \"priv/quota/storage\"");
	assert_contains(buf_string(&shown), "key \"shared/a\\\"b\\\\c/$x\" {");
	config_destroy(config);
	buf_finish(&shown);
}
END_TEST

START_TEST(the_sql_of_dictionaries_is_shown)
{
	struct config *config = read_text(dictionaries);
	struct buf shown = {0};

	config_show_sql(config, &shown);
	assert_contains(buf_string(&shown), "auth shared/passdb/$user, source d (memory)\n");
	assert_contains(buf_string(&shown), "quota priv/quota/storage, source d (memory)\n");
	assert_contains(buf_string(&shown), "    unset      DELETE FROM \"quota\"");
	config_destroy(config);
	buf_finish(&shown);
}
END_TEST

START_TEST(an_empty_file_is_legal)
{
	struct config *config = read_text("");

	ck_assert_msg(config != NULL, "%s", why.text);
	ck_assert_int_eq(config->global.log, LOG_TO_STDERR);
	ck_assert_uint_eq(config->map_count + config->source_count + config->listener_count, 0);
	assert_contains(log_captured(&capture), "no section listens");
	config_destroy(config);
	config_destroy(NULL);
}
END_TEST

#define MEMORY "memory d { rows = { \"a b c\" } }\n"
#define MAP "map m { source = d  query = \"a '%s'\" }\n"

static const struct {
	const char *text;
	int line;
	const char *parts[3];
} mistakes[] = {
	/* Names. */
	{"map m {\n qery = 'x'\n}\n", 2, {"'qery'", "did you mean \"query\"", "result_format"}},
	{"\n\nsocketmapp { }\n", 3, {"'socketmapp'", "\"socketmap\"", "tcp_table"}},
	{"zzzzzzzz = 5\n", 1, {"'zzzzzzzz'", "known here", "log_level"}},
	{MEMORY "map m {\n  source = d\n  log = stderr\n}\n", 4, {"'log'", "known here", "query"}},
	{"sqlite a { rows = x }\n", 1, {"'rows'", "known here", "path"}},
	/* Comments are lines like others. */
	{"# a\n// a\nmemory d {\n # a\n}\nmap m {\n /* a\n a */ # a\n log = stderr\n}\n", 9,
		{"'log'", "known here", "query"}},
	{"memory d { rows = { \"a # b // c\", 'a \\' /* b' } } # a\nlisten = unix:/a//b#c\n", 2,
		{"'listen'", "", ""}},
	{MEMORY "map m {\n  # a\n  source = e # a\n  query = x\n}\n", 4, {"\"e\"", "", ""}},
	/* Values. */
	{"workers = 5x\n", 1, {"workers = \"5x\"", "whole number", ""}},
	{"\nworkers = 65\n", 2, {"workers", "range is 0 to 64", ""}},
	{"log = file\n", 1, {"log = \"file\"", "stderr|syslog", ""}},
	{MEMORY "\nsocketmap {\n listen = \"unix:/a\"\n\n mode = rw\n}\n", 6,
		{"mode = \"rw\"", "octal", ""}},
	{"memory d {\n query_timeout = \"5\"\n}\n", 2, {"query_timeout", "duration", "\"10s\""}},
	{"memory d {\n query_timeout = \"1h\"\n}\n", 2, {"query_timeout", "10ms to 90s", ""}},
	/* Missing things. */
	{"\nsqlite m { }\n", 2, {"path is missing", "database file", ""}},
	{"\nsocketmap { }\n", 2, {"listen is missing", "unix:/path", ""}},
	{MEMORY MAP "\ntcp_table { listen = \"inet:1.2.3.4:5\" }\n", 4, {"map is missing", "", ""}},
	{MEMORY "map m {\n query = \"a '%s'\"\n}\n", 4, {"map m: ", "source is missing", ""}},
	{MEMORY "map m {\n source = d\n}\n", 4, {"map m: ", "query is missing", "'%s'"}},
	{"map { source = d }\n", 1, {"title", "", ""}},
	/* Twice. */
	{"log = stderr\nlog = stderr\n", 2, {"log is set twice", "", ""}},
	{"memory d { rows = { \"a b c\" }\n rows = { \"a b c\" } }\n", 2,
		{"rows is set twice", "", ""}},
	{"memory d { rows = { \"a b c\", \"d e f\" }\n rows = \"a b c\" }\n", 2,
		{"rows is set twice", "", ""}},
	{MEMORY MAP "\n" MAP, 4, {"duplicate title 'm'", "", ""}},
	{MEMORY "memory d { }\n", 2, {"duplicate title 'd'", "", ""}},
	{MEMORY MAP "socketmap { listen = \"unix:/a\" }\ncontrol {\n\nlisten = \"unix:/a\" }\n", 6,
		{"another section listens there", "unix:/a", ""}},
	/* Titles that nobody could use. */
	{MEMORY "map \"a b\" { source = d  query = \"a '%s'\" }\n", 2, {"\"a b\"", "letters", ""}},
	{MEMORY "map \"a:b\" { source = d  query = \"a '%s'\" }\n", 2, {"\"a:b\"", "letters", ""}},
	{MEMORY "map \"\" { source = d  query = \"a '%s'\" }\n", 2, {"\"\"", "letters", ""}},
	/* What parts of the house find wrong, with the line of the option at fault. */
	{MEMORY "map m {\n source = d\n\n query = \"a %s\"\n}\n", 5,
		{"map m: query: ", "%s", "'%s'"}},
	{MEMORY "map m {\n query = \"a '%s'\"\n source = e\n}\n", 4, {"\"e\"", "\"d\"", ""}},
	{MEMORY "map m {\n source = d\n query = \"a '%s'\"\n serves = alias_maps\n}\n", 5,
		{"map m: ", "local(8)", "virtual_alias_maps"}},
	{MEMORY "map alias_maps {\n source = d\n query = \"a '%s'\"\n}\n", 5, {"local(8)", "", ""}},
	{MEMORY "map m {\n source = d\n query = \"a '%s'\"\n serves = virtual_alias_map\n}\n", 5,
		{"virtual_alias_map", "did you mean \"virtual_alias_maps\"", ""}},
	{MEMORY MAP "map n {\n maps = { m, o }\n}\n", 4, {"map n: ", "no map \"o\"", ""}},
	{"memory d {\n\n rows = { x } }\n", 3, {"\"x\"", "TABLE KEY VALUE", ""}},
	{MEMORY MAP "tcp_table {\n listen = \"inet:1.2.3.4:5\"\n map = x\n}\n", 5,
		{"map = \"x\"", "no such map", ""}},
	{"socketmap {\n listen = \"/a\"\n}\n", 2, {"\"/a\"", "unix:/path", "inet:host:port"}},
	{"socketmap {\n listen = \"unix:a\"\n}\n", 2, {"starts with /", "", ""}},
	{"socketmap {\n listen = \"inet:1.2.3.4\"\n}\n", 2, {"inet:host:port", "", ""}},
	{"socketmap {\n listen = \"inet:::1:5\"\n}\n", 2, {"brackets", "", ""}},
	/* Dictionaries. */
	{MEMORY MAP "dictionary a {\n key \"shared/x/$y\" {\n  map = m\n  mapp = m\n }\n}\n", 6,
		{"'mapp'", "did you mean \"map\"", "format"}},
	{MEMORY MAP "dictionary a {\n map = m\n}\n", 4, {"'map'", "known here", "key"}},
	{MEMORY MAP "key \"shared/x/$y\" { map = m }\n", 3, {"'key'", "", ""}},
	{MEMORY MAP "dictionary a {\n key { map = m }\n}\n", 4, {"title", "", ""}},
	{"dictionary { }\n", 1, {"title", "", ""}},
	{"dictionary \"a b\" { }\n", 1, {"\"a b\"", "letters", ""}},
	{"dictionary a { }\ndictionary b { }\ndictionary a { }\n", 3,
		{"duplicate title 'a'", "", ""}},
	{MEMORY MAP "dictionary a {\n key \"shared/$y\" { map = m }\n key \"shared/$y\" { map = m "
		    "}\n}\n",
		5, {"duplicate title 'shared/$y'", "", ""}},
	{MEMORY MAP "dictionary a {\n key \"shared/$y\" { map = m }\n", 4,
		{"ends inside a section", "}", ""}},
	{MEMORY MAP "dictionary a {\n key \"shared/$y\" { map = m\n", 4,
		{"ends inside a section", "}", ""}},
	{MEMORY MAP
		"dictionary a {\n key \"shared/$y\" {\n  map = m }\n key \"x\" {\n map = m }\n}\n",
		7, {"key x: a key begins with shared/", "", ""}},
	{MEMORY MAP "dictionary a { key \"shared/$y\" { map = m } }\ndictionary b {\n key "
		    "\"shared/$y\" {\n\n map = n\n }\n}\n",
		7, {"key shared/$y: map = \"n\": there is no such map", "", ""}},
	{MEMORY "dictionary a {\n key \"shared/$y\" {\n  source = d\n  table = t\n  value_field = "
		"v\n  fields = {\"y = $z\"}\n }\n}\n",
		7, {"key shared/$y: fields: ", "no variable $z", ""}},
	{MEMORY MAP "dict {\n\n listen = \"inet:127.0.0.1:12345\"\n}\n", 5,
		{"only Unix sockets", "inet:127.0.0.1:12345", "unix:/run/tabled/dict"}},
	/* Grammar. */
	{"log stderr\n", 1, {"", "", ""}},
	{"map m = 5\n", 1, {"brace", "", ""}},
	{"memory d {\n rows = { \"a b c\"\n", 2, {"", "", ""}},
	{"memory d {\n", 1, {"ends inside a section", "}", ""}},
	{"memory d { rows = { \"a b\n", 1, {"", "", ""}},
	{"/* never closed\n", 1, {"ends inside", "comment", ""}},
	{"}\n", 1, {"", "", ""}},
	{"log = \n", 1, {"", "", ""}},
	{"\xff\xfe\n", 1, {"no such option", "", ""}},
	{"include(\"/etc/passwd\")\n", 1, {"no such option 'include'", "", ""}},
};

/* "/proc/self/fd/7:LINE: …": the line that is blamed. */
static int blamed_line(void)
{
	const char *colon = strchr(why.text, ':');

	ck_assert_msg(strncmp(why.text, "/proc/self/fd/", 14) == 0 && colon, "%s", why.text);
	return atoi(colon + 1);
}

START_TEST(mistake)
{
	struct config *config = read_text(mistakes[_i].text);

	ck_assert_ptr_null(config);
	for (int i = 0; i < COUNT(mistakes[_i].parts); i++)
		assert_contains(why.text, mistakes[_i].parts[i]);
	ck_assert_msg(
		blamed_line() == mistakes[_i].line, "not line %d: %s", mistakes[_i].line, why.text);
}
END_TEST

/* Two kinds of sources have one set of names. */
START_TEST(sources_share_their_names)
{
	bool has_sqlite = false;

	for (const struct backend *const *backend = backends; *backend; backend++)
		has_sqlite = has_sqlite || strcmp((*backend)->name, "sqlite") == 0;
	if (!has_sqlite) {
		printf("skipped: sources_share_their_names: built without sqlite\n");
		return;
	}
	ck_assert_ptr_null(read_text("memory d { }\nsqlite d { path = \"/a\" }\n"));
	assert_contains(why.text, ":2: ");
	assert_contains(why.text, "another source of this name");
}
END_TEST

START_TEST(lists_may_be_built_up)
{
	struct config *config =
		read_text("memory d {\n rows = { \"a b c\" }\n rows += { \"d e f\", "
			  "\"g h i\" }\n rows += { \"j k l\" }\n}\n");
	struct buf shown = {0};

	ck_assert_msg(config != NULL, "%s", why.text);
	config_show(config, &shown);
	assert_contains(buf_string(&shown), "rows = {\"a b c\", \"d e f\", \"g h i\", \"j k l\"}");
	buf_finish(&shown);
	config_destroy(config);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
	ck_assert_ptr_null(config_read("/nowhere/tabled.conf", &why));
	ck_assert_str_eq(why.text, "/nowhere/tabled.conf: No such file or directory");
	ck_assert_ptr_null(config_read("/", &why));
	ck_assert_str_eq(why.text, "/: Is a directory");
	ck_assert_ptr_null(read_bytes(slice_of("log = stderr\n\n\0\n", 16)));
	assert_contains(why.text, ":3: the file holds a NUL byte");
}
END_TEST

START_TEST(options_without_effect_are_told)
{
	struct config *config = read_text(MEMORY "map m { source = d  query = \"a '%s'\"\n"
						 "}\ncontrol { listen = \"unix:/a\" }\n"
						 "sqlite s { path = \"/x\"\npool = 3 }\n");

	ck_assert_msg(config != NULL, "%s", why.text);
	assert_contains(log_captured(&capture), ":6: pool has no effect");
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	config_destroy(config);
}
END_TEST

/* The first backend of a server that was built, or NULL. */
static const char *a_server(void)
{
	for (const struct backend *const *backend = backends; *backend; backend++)
		if ((*backend)->is_server)
			return (*backend)->name;
	return NULL;
}

/* Nobody sends passwords over the network in the clear without having been told. */
START_TEST(clear_text_is_told)
{
	struct config *config;
	char text[200];

	if (!a_server()) {
		printf("skipped: clear_text_is_told: built without a server\n");
		return;
	}
	snprintf(text, sizeof(text),
		"%s far {\n dbname = x\n hosts = { localhost, db2, db3 }\n}\n"
		"control { listen = \"unix:/a\" }\n",
		a_server());
	config = read_text(text);
	ck_assert_msg(config != NULL, "%s", why.text);
	assert_contains(log_captured(&capture), ":3: source far: host db2: passwords and answers");
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
	config_destroy(config);
}
END_TEST

START_TEST(cautions_are_told)
{
	struct config *config =
		read_text(MEMORY "map virtual_mailbox_maps { source = d  query = \"a '%s'\" }\n"
				 "control { listen = \"unix:/a\" }\n");

	ck_assert_msg(config != NULL, "%s", why.text);
	assert_contains(log_captured(&capture), ":2: map virtual_mailbox_maps: ");
	assert_contains(log_captured(&capture), "virtual(8)");
	config_destroy(config);
}
END_TEST

START_TEST(listeners_are_blamed_by_line)
{
	struct config *config = read_text(
		"control {\n listen = \"unix:/a\"\n owner = nobody }\ncontrol {\n listen = "
		"\"unix:/b\"\n}\n");

	ck_assert_msg(config != NULL, "%s", why.text);
	error_option(&why, "owner", "no such user");
	config_blame_listener(config, 0, &why);
	assert_contains(why.text, ":3: no such user");
	error_option(&why, "mode", "wrong");
	config_blame_listener(config, 1, &why);
	assert_contains(why.text, ":6: wrong");
	error_set(&why, "in use");
	config_blame_listener(config, 1, &why);
	assert_contains(why.text, ":5: in use");
	config_destroy(config);
}
END_TEST

/* Every option of every section is in the manual page, with a help of its own. */
START_TEST(all_is_described)
{
	struct buf out = {0};

	config_describe(&out);
	for (const struct setting *row = map_setting_table; row->name; row++) {
		struct buf heading = {0};

		buf_add_format(&heading, "*%s*", row->name);
		assert_contains(buf_string(&out), buf_string(&heading));
		ck_assert_uint_gt(strlen(row->help), 10);
		buf_finish(&heading);
	}
	for (const struct backend *const *backend = backends; *backend; backend++)
		assert_contains(buf_string(&out), (*backend)->name);
	buf_finish(&out);
}
END_TEST

START_TEST(many_sections)
{
	struct buf text = {0};
	struct config *config;

	buf_add_string(&text, MEMORY);
	for (int i = 0; i < 300; i++)
		buf_add_format(&text, "map m%d { source = d  query = \"a%d '%%s'\" }\n", i, i);
	config = read_text(buf_string(&text));
	ck_assert_msg(config != NULL, "%s", why.text);
	ck_assert_uint_eq(config->map_count, 300);
	ck_assert_str_eq(catalog_find(config->catalog, slice_str("m299"))->name, "m299");
	config_destroy(config);
	buf_finish(&text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, everything_is_taken_over);
	tcase_add_test(tcase, what_is_shown_can_be_read);
	tcase_add_test(tcase, dictionaries_are_taken_over);
	tcase_add_test(tcase, shown_dictionaries_can_be_read);
	tcase_add_test(tcase, the_sql_of_dictionaries_is_shown);
	tcase_add_test(tcase, an_empty_file_is_legal);
	tcase_add_loop_test(tcase, mistake, 0, COUNT(mistakes));
	tcase_add_test(tcase, sources_share_their_names);
	tcase_add_test(tcase, lists_may_be_built_up);
	tcase_add_test(tcase, files_that_cannot_be_read);
	tcase_add_test(tcase, options_without_effect_are_told);
	tcase_add_test(tcase, clear_text_is_told);
	tcase_add_test(tcase, cautions_are_told);
	tcase_add_test(tcase, listeners_are_blamed_by_line);
	tcase_add_test(tcase, all_is_described);
	tcase_add_test(tcase, many_sections);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
