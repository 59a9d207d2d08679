#include "net/endpoint.h"

#include "support/text.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static struct error why;
static char directory[] = "/tmp/tabled-endpoint-XXXXXX";
static struct endpoint endpoint;
static char victim[PATH_MAX]; /* a file beside the socket */

static void begin(void)
{
	int file;

	ck_assert_ptr_nonnull(mkdtemp(strcpy(directory, "/tmp/tabled-endpoint-XXXXXX")));
	snprintf(victim, sizeof(victim), "%s/victim", directory);
	file = open(victim, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(file, 0);
	close(file);
	endpoint = (struct endpoint){.is_unix = true};
	snprintf(endpoint.host, sizeof(endpoint.host), "%s/socket", directory);
	why.text[0] = '\0';
}

static void end(void)
{
	unlink(endpoint.host);
	unlink(victim);
	rmdir(directory);
}

static mode_t mode_of(const char *path)
{
	struct stat file;

	ck_assert_int_eq(lstat(path, &file), 0);
	return file.st_mode & 07777;
}

/*
 * The linker takes these two for those of the C library: so a test is there at the moments that
 * count.
 */
static void (*on_bound)(void);
static mode_t mode_when_listening;

int bind(int fd, __CONST_SOCKADDR_ARG address, socklen_t size)
{
	int result = (int)syscall(SYS_bind, fd, address.__sockaddr__, size);

	if (result == 0 && on_bound)
		on_bound();
	return result;
}

int listen(int fd, int backlog)
{
	if (endpoint.is_unix)
		mode_when_listening = mode_of(endpoint.host);
	return (int)syscall(SYS_listen, fd, backlog);
}

static int listen_with(mode_t mode)
{
	struct endpoint_access access = {NULL, NULL, mode};

	return endpoint_listen(&endpoint, &access, &why);
}

START_TEST(the_mode_is_there_before_anybody_can_connect)
{
	mode_t before = umask(077);
	int fd = listen_with(0666);

	umask(before);
	ck_assert_msg(fd >= 0, "%s", why.text);
	ck_assert_int_eq(mode_of(endpoint.host), 0666);
	ck_assert_int_eq(mode_when_listening, 0666);
	close(fd);
}
END_TEST

static char made_meanwhile[PATH_MAX];

static void make_a_file(void)
{
	int file;

	snprintf(made_meanwhile, sizeof(made_meanwhile), "%s/other", directory);
	file = open(made_meanwhile, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(file, 0);
	close(file);
}

/* As other threads do, when a reload opens a socket. */
START_TEST(files_that_others_make_meanwhile_keep_their_mode)
{
	int fd;

	on_bound = make_a_file;
	fd = listen_with(0660);
	on_bound = NULL;
	ck_assert_msg(fd >= 0, "%s", why.text);
	ck_assert_int_eq(mode_of(made_meanwhile), 0600);
	unlink(made_meanwhile);
	close(fd);
}
END_TEST

static void put_a_link_there(void)
{
	ck_assert_int_eq(unlink(endpoint.host), 0);
	ck_assert_int_eq(symlink(victim, endpoint.host), 0);
}

/* The directory may be somebody else's, as Postfix's is, and tabled root. */
START_TEST(what_a_link_leads_to_is_left_alone)
{
	struct endpoint_access access = {"0", NULL, 0666};

	on_bound = put_a_link_there;
	ck_assert_int_eq(endpoint_listen(&endpoint, &access, &why), -1);
	on_bound = NULL;
	assert_contains(why.text, endpoint.host);
	ck_assert_int_eq(mode_of(victim), 0600);
}
END_TEST

static const struct {
	const char *text, *part;
} mistakes[] = {
	{"/a", "neither unix:/path nor inet:host:port"},
	{"unix:a", "starts with /"},
	{"inet:1.2.3.4", "\"inet:1.2.3.4\" is not of the form"},
	{"inet::10025", "\"inet::10025\" is not of the form"},
	{"inet:[]:10025", "\"inet:[]:10025\" is not of the form"},
	{"inet:::1:5", "brackets"},
	{"inet:1.2.3.4:0", "\"inet:1.2.3.4:0\": \"0\" is no port"},
	{"inet:[::1]:65536", "\"inet:[::1]:65536\": \"65536\" is no port"},
};

START_TEST(mistake)
{
	struct endpoint ignored;

	ck_assert_int_eq(endpoint_parse(mistakes[_i].text, &ignored, &why), -1);
	assert_contains(why.text, mistakes[_i].part);
}
END_TEST

START_TEST(addresses_are_taken_apart)
{
	ck_assert_int_eq(endpoint_parse("inet:[::1]:10025", &endpoint, &why), 0);
	ck_assert(!endpoint.is_unix);
	ck_assert_str_eq(endpoint.host, "::1");
	ck_assert_str_eq(endpoint.port, "10025");
	ck_assert_int_eq(endpoint_parse("inet:localhost:smtp", &endpoint, &why), 0);
	ck_assert_str_eq(endpoint.port, "smtp");
	ck_assert_int_eq(endpoint_parse("unix:/a b", &endpoint, &why), 0);
	ck_assert(endpoint.is_unix);
	ck_assert_str_eq(endpoint.host, "/a b");
}
END_TEST

static Suite *endpoint_suite(void)
{
	Suite *suite = suite_create("endpoint");
	TCase *sockets = tcase_create("sockets"), *texts = tcase_create("texts");

	tcase_add_checked_fixture(sockets, begin, end);
	tcase_add_test(sockets, the_mode_is_there_before_anybody_can_connect);
	tcase_add_test(sockets, files_that_others_make_meanwhile_keep_their_mode);
	tcase_add_test(sockets, what_a_link_leads_to_is_left_alone);
	suite_add_tcase(suite, sockets);
	tcase_add_loop_test(texts, mistake, 0, sizeof(mistakes) / sizeof(*mistakes));
	tcase_add_test(texts, addresses_are_taken_apart);
	suite_add_tcase(suite, texts);
	return suite;
}

int main(void)
{
	return unit_run(endpoint_suite());
}
