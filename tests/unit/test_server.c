#include "server.h"

#include "support/text.h"

#include <unistd.h>

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static struct server_settings settings;
static struct error why;
static char path[64];

static void begin(void)
{
	int file;

	settings = (struct server_settings){0};
	settings_init(server_setting_table, &settings);
	why = (struct error){0};
	snprintf(path, sizeof(path), "/tmp/tabled-test-XXXXXX");
	file = mkstemp(path);
	ck_assert_int_ge(file, 0);
	close(file);
}

static void end(void)
{
	unlink(path);
	settings_finish(server_setting_table, &settings);
}

static void set(const char *name, const char *text)
{
	const struct setting *row = setting_find(server_setting_table, name);

	ck_assert_ptr_nonnull(row);
	ck_assert_msg(setting_set(row, &settings, &text, 1, &why) == 0, "%s", why.text);
}

static void write_file(const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, size, file), size);
	fclose(file);
}

static const struct {
	const char *text, *host;
	unsigned port;
} addresses[] = {
	{"db.example", "db.example", 0},
	{"db.example:5432", "db.example", 5432},
	{"db:1", "db", 1},
	{"db:65535", "db", 65535},
	{"db:05432", "db", 5432},
	{"localhost", "localhost", 0},
	{"10.0.0.1", "10.0.0.1", 0},
	{"10.0.0.1:3306", "10.0.0.1", 3306},
	{"::1", "::1", 0},
	{"2001:db8::7", "2001:db8::7", 0},
	{"::ffff:10.0.0.1", "::ffff:10.0.0.1", 0},
	{"fe80::1%eth0", "fe80::1%eth0", 0},
	{"[::1]", "::1", 0},
	{"[2001:db8::7]:5433", "2001:db8::7", 5433},
	{"[fe80::1%eth0]:3306", "fe80::1%eth0", 3306},
	{"/run/postgresql", "/run/postgresql", 0},
	{"/run/postgresql:5433", "/run/postgresql", 5433},
	{"/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock", 0},
	{"/", "/", 0},
};

START_TEST(good_address)
{
	struct server_address address;

	ck_assert_msg(
		server_address_parse(addresses[_i].text, &address, &why) == 0, "%s", why.text);
	ck_assert_str_eq(address.host, addresses[_i].host);
	ck_assert_uint_eq(address.port, addresses[_i].port);
	server_address_finish(&address);
	ck_assert_ptr_null(address.host);
}
END_TEST

static const char *const bad_addresses[] = {"", ":", ":5432", "db:", "db:0", "db:65536",
	"db:99999999999999999999", "db:x", "db:5432x", "db:+5", "db:-5", "db:5.0", "db:0x10",
	"db: 5432", "db :5432", " db", "db ", "one,two", "one two", "a\tb", "db:\n5", "db:\f5",
	"d\nb", "db\r", "[", "[]", "[]:5432", "[::1", "[::1]5432", "[::1]:", "[::1]:x",
	"[::1]x:5432", "db:5432:5433", "db.example:5432:", "10.0.0.1:1:2", "host:name:5432",
	"/run/db:", "/run/db:x", "/run/db:0"};

START_TEST(bad_address)
{
	struct server_address address = {0};

	ck_assert_msg(server_address_parse(bad_addresses[_i], &address, &why) == -1, "\"%s\" is %s",
		bad_addresses[_i], address.host);
	ck_assert_ptr_null(address.host);
	ck_assert_str_eq(why.option, "hosts");
	assert_contains(why.text, bad_addresses[_i]);
	assert_contains(why.text, "[IPv6]:port");
	ck_assert_int_eq(server_address_parse(bad_addresses[_i], &address, NULL), -1);
}
END_TEST

START_TEST(defaults)
{
	ck_assert_int_eq(settings.order, ORDER_RANDOM);
	ck_assert_int_eq(settings.role, ROLE_ANY);
	ck_assert_int_eq(settings.tls, TLS_AUTO);
	ck_assert_int_eq(settings.pool, 8);
	ck_assert_int_eq(settings.batch, 64);
	ck_assert_int_eq(settings.connect_timeout, 3000);
	ck_assert_int_eq(settings.idle_timeout, 60000);
	ck_assert(settings.read_only);
	ck_assert_int_eq(server_settings_check(&settings, &why), 0);
}
END_TEST

/* The words stand in the order of the enumerations. */
START_TEST(words)
{
	set("order", "first");
	ck_assert_int_eq(settings.order, ORDER_FIRST);
	set("order", "nearest");
	ck_assert_int_eq(settings.order, ORDER_NEAREST);
	set("role", "primary");
	ck_assert_int_eq(settings.role, ROLE_PRIMARY);
	set("role", "standby");
	ck_assert_int_eq(settings.role, ROLE_STANDBY);
	set("tls", "off");
	ck_assert_int_eq(settings.tls, TLS_OFF);
	set("tls", "require");
	ck_assert_int_eq(settings.tls, TLS_REQUIRE);
	set("tls", "verify-ca");
	ck_assert_int_eq(settings.tls, TLS_VERIFY_CA);
	set("tls", "verify-full");
	ck_assert_int_eq(settings.tls, TLS_VERIFY_FULL);
}
END_TEST

/* Which hosts passwords may go to in the clear, without anybody having said so. */
static const struct {
	const char *host, *tls;
	bool is_in_clear;
} clear[] = {
	{"db.example:5432", "auto", true},
	{"10.0.0.1", "auto", true},
	{"db.example", "off", false},
	{"db.example", "require", false},
	{"localhost", "auto", false},
	{"127.0.0.1:5432", "auto", false},
	{"[::1]:5432", "auto", false},
	{"/run/postgresql", "auto", false},
	{"localhost.example", "auto", true},
};

START_TEST(in_the_clear)
{
	const char *found;

	set("hosts", clear[_i].host);
	set("tls", clear[_i].tls);
	found = server_host_in_clear(&settings);
	ck_assert_int_eq(found != NULL, clear[_i].is_in_clear);
	if (found)
		ck_assert_str_eq(found, clear[_i].host);
}
END_TEST

START_TEST(one_of_several_in_the_clear)
{
	const char *const hosts[] = {"/run/postgresql", "db2", "db3"};

	ck_assert_ptr_null(server_host_in_clear(&settings));
	setting_set(setting_find(server_setting_table, "hosts"), &settings, hosts, 3, &why);
	ck_assert_str_eq(server_host_in_clear(&settings), "db2");
}
END_TEST

START_TEST(a_bad_host_of_several)
{
	const char *const hosts[] = {"db1", "db2:", "db3"};

	ck_assert_int_eq(
		setting_set(setting_find(server_setting_table, "hosts"), &settings, hosts, 3, &why),
		0);
	set("tls", "off");
	ck_assert_int_eq(server_settings_check(&settings, &why), -1);
	assert_contains(why.text, "\"db2:\"");
}
END_TEST

/* Options that don't go together. */
static const struct {
	const char *set[4];
	const char *option; /* at fault; NULL: all is well */
} checks[] = {
	{{"password", "a"}, NULL},
	{{"password_file", "/x"}, NULL},
	{{"password", "a", "password_file", "/x"}, "password_file"},
	{{"tls", "require"}, NULL},
	{{"tls", "verify-ca"}, "tls"},
	{{"tls", "verify-full"}, "tls"},
	{{"tls", "verify-full", "tls_ca", "/ca.pem"}, NULL},
	{{"tls_ca", "/ca.pem"}, NULL},
	{{"tls_cert", "/c.pem"}, "tls_cert"},
	{{"tls_key", "/k.pem"}, "tls_key"},
	{{"tls_cert", "/c.pem", "tls_key", "/k.pem"}, NULL},
};

START_TEST(options_together)
{
	for (int i = 0; i < 4 && checks[_i].set[i]; i += 2)
		set(checks[_i].set[i], checks[_i].set[i + 1]);
	if (!checks[_i].option) {
		ck_assert_msg(server_settings_check(&settings, &why) == 0, "%s", why.text);
		return;
	}
	ck_assert_int_eq(server_settings_check(&settings, &why), -1);
	ck_assert_str_eq(why.option, checks[_i].option);
}
END_TEST

/* What a file brings as the password; NULL: nothing. */
static const struct {
	const char *file, *password;
} files[] = {
	{"secret", "secret"},
	{"secret\n", "secret"},
	{"secret\r\n", "secret"},
	{"secret\nnot this\n", "secret"},
	{"two words \n", "two words "},
	{" \n", " "},
	{"#no comment\n", "#no comment"},
	{"gr\xc3\xbc\xc3\x9f\n", "gr\xc3\xbc\xc3\x9f"},
	{"", NULL},
	{"\n", NULL},
	{"\r\n", NULL},
	{"\nsecret\n", NULL},
};

START_TEST(password_file)
{
	char *password = NULL;

	write_file(files[_i].file, strlen(files[_i].file));
	set("password_file", path);
	if (files[_i].password) {
		ck_assert_int_eq(server_password(&settings, &password, &why), 0);
		ck_assert_str_eq(password, files[_i].password);
	} else {
		ck_assert_int_eq(server_password(&settings, &password, &why), -1);
		ck_assert_ptr_null(password);
		assert_contains(why.text, path);
		assert_contains(why.text, "holds no password");
	}
	server_password_wipe(password);
}
END_TEST

/* A password that is cut off would be a wrong one, and nobody would know why. */
START_TEST(long_passwords)
{
	static char text[5000];
	char *password = NULL;

	memset(text, 'p', sizeof(text));
	set("password_file", path);
	for (size_t size = 900; size < sizeof(text); size += 61) {
		write_file(text, size);
		if (server_password(&settings, &password, &why) == 0) {
			ck_assert_uint_eq(strlen(password), size);
		} else {
			ck_assert_uint_gt(size, 1000);
			ck_assert_ptr_null(password);
			assert_contains(why.text, "long");
			ck_assert_ptr_null(strstr(why.text, "ppp"));
		}
		server_password_wipe(password);
	}
	write_file(text, 900);
}
END_TEST

START_TEST(a_long_file_with_a_short_password)
{
	static char text[5000] = "secret\n";
	char *password;

	memset(text + 7, 'x', sizeof(text) - 7);
	write_file(text, sizeof(text));
	set("password_file", path);
	ck_assert_int_eq(server_password(&settings, &password, &why), 0);
	ck_assert_str_eq(password, "secret");
	server_password_wipe(password);
}
END_TEST

START_TEST(no_file)
{
	char *password;

	set("password_file", "/nonexistent/mail.pw");
	ck_assert_int_eq(server_password(&settings, &password, &why), -1);
	ck_assert_ptr_null(password);
	ck_assert_str_eq(why.text, "password_file /nonexistent/mail.pw: No such file or directory");
}
END_TEST

START_TEST(a_folder)
{
	char *password;

	set("password_file", "/tmp");
	ck_assert_int_eq(server_password(&settings, &password, &why), -1);
	ck_assert_ptr_null(password);
	assert_contains(why.text, "password_file /tmp");
}
END_TEST

START_TEST(the_option_itself)
{
	char *password;

	ck_assert_int_eq(server_password(&settings, &password, &why), 0);
	ck_assert_ptr_null(password);
	server_password_wipe(password);
	set("password", "secret");
	ck_assert_int_eq(server_password(&settings, &password, &why), 0);
	ck_assert_str_eq(password, "secret");
	ck_assert_ptr_ne(password, settings.password);
	server_password_wipe(password);
	ck_assert_str_eq(settings.password, "secret");
}
END_TEST

/* A new password is seen by the next connection, without a reload. */
START_TEST(the_file_is_read_anew)
{
	char *password;

	set("password_file", path);
	for (int i = 0; i < 2; i++) {
		write_file(i ? "new\n" : "old\n", 4);
		ck_assert_int_eq(server_password(&settings, &password, &why), 0);
		ck_assert_str_eq(password, i ? "new" : "old");
		server_password_wipe(password);
	}
}
END_TEST

/* One word swaps a server for another database: its options are known there, though of no use. */
START_TEST(local_options)
{
	for (const struct setting *row = local_setting_table; row->name; row++) {
		const struct setting *same = setting_find(server_setting_table, row->name);

		ck_assert(row->unused);
		ck_assert_ptr_nonnull(same);
		ck_assert_int_eq(same->type, row->type);
		ck_assert(!same->unused);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server");
	TCase *tcase = tcase_create("server");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_loop_test(tcase, good_address, 0, COUNT(addresses));
	tcase_add_loop_test(tcase, bad_address, 0, COUNT(bad_addresses));
	tcase_add_test(tcase, defaults);
	tcase_add_test(tcase, words);
	tcase_add_loop_test(tcase, in_the_clear, 0, COUNT(clear));
	tcase_add_test(tcase, one_of_several_in_the_clear);
	tcase_add_test(tcase, a_bad_host_of_several);
	tcase_add_loop_test(tcase, options_together, 0, COUNT(checks));
	tcase_add_loop_test(tcase, password_file, 0, COUNT(files));
	tcase_add_test(tcase, long_passwords);
	tcase_add_test(tcase, a_long_file_with_a_short_password);
	tcase_add_test(tcase, no_file);
	tcase_add_test(tcase, a_folder);
	tcase_add_test(tcase, the_option_itself);
	tcase_add_test(tcase, the_file_is_read_anew);
	tcase_add_test(tcase, local_options);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
