#include "base/log.h"
#include "config.h"
#include "daemon.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_PATH "/etc/tabled/tabled.conf"

static const char usage[] =
	"usage: tabled [-c FILE] [-t [-v] | -T | -V | -h]\n"
	"Answers the lookup tables of Postfix from SQL databases. Runs in the foreground.\n"
	"  -c FILE  the configuration (default: " DEFAULT_PATH ")\n"
	"  -t       check the configuration and exit: 0 if it is good\n"
	"  -v       with -t: print the SQL that the keys of dictionaries stand for\n"
	"  -T       print the configuration with all defaults, and exit\n"
	"  -V       print the version\n"
	"  -h       print this\n";

enum action { RUN, CHECK, SHOW, SHOW_SQL, DESCRIBE };

static int fail(const struct error *why)
{
	log_error("%s", why->text);
	return EXIT_FAILURE;
}

static int print(struct buf *text)
{
	fwrite(buf_slice(text).data, 1, text->size, stdout);
	buf_finish(text);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int act(enum action action, const char *path)
{
	struct error why;
	struct buf text = {0};
	struct config *config;

	if (action == DESCRIBE) {
		config_describe(&text);
		return print(&text);
	}
	config = config_read(path, &why);
	if (!config)
		return fail(&why);
	if (action == RUN)
		return daemon_run(config, &why) < 0 ? fail(&why) : EXIT_SUCCESS;
	if (action == SHOW)
		config_show(config, &text);
	if (action == SHOW_SQL)
		config_show_sql(config, &text);
	config_destroy(config);
	if (action == SHOW || action == SHOW_SQL)
		return print(&text);
	log_info("%s is good", path);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"describe-options", no_argument, NULL, 'D'}, /* for the build of the manual */
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0}};
	const char *path = DEFAULT_PATH;
	enum action action = RUN;
	bool with_sql = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:tTvVh", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 't':
			action = CHECK;
			break;
		case 'v':
			with_sql = true;
			break;
		case 'T':
			action = SHOW;
			break;
		case 'D':
			action = DESCRIBE;
			break;
		case 'V':
			puts("tabled " TABLED_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return EXIT_FAILURE;
		}
	}
	if (optind < argc || (with_sql && action != CHECK)) {
		fputs(usage, stderr);
		return EXIT_FAILURE;
	}
	return act(with_sql ? SHOW_SQL : action, path);
}
