/* A server for the suite: how it is started, and how it is found. */
#include "contract/cases.h"
#include "contract/contract.h"
#include "contract/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_INSTALLED = 77, WORDS_MOST = 16 };

struct contract_facts contract_server_facts;

extern const struct contract_backend *tested;

static char directory[PATH_MAX];
static char **command;

static const struct {
	const char *name;
	char **value;
} facts[] = {
	{"host", &contract_server_facts.host},
	{"port", &contract_server_facts.port},
	{"socket", &contract_server_facts.socket},
	{"user", &contract_server_facts.user},
	{"password", &contract_server_facts.password},
	{"dbname", &contract_server_facts.dbname},
	{"ca", &contract_server_facts.ca},
	{"certificate", &contract_server_facts.certificate},
	{"key", &contract_server_facts.key},
	{"pooler", &contract_server_facts.pooler},
};

/* Runs the command with further words. Its output, if wanted, can be read from *ret_output. */
static pid_t run(const char *const *more, int *ret_output)
{
	char *words[WORDS_MOST];
	size_t count = 0;
	int pipes[2];
	pid_t pid;

	for (char **word = command; *word && count < WORDS_MOST - 6; word++)
		words[count++] = *word;
	while (*more)
		words[count++] = (char *)*more++;
	words[count] = NULL;
	if (pipe(pipes) < 0)
		abort();
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(ret_output ? pipes[1] : STDERR_FILENO, STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execvp(words[0], words);
		perror(words[0]);
		_exit(127);
	}
	close(pipes[1]);
	if (ret_output)
		*ret_output = pipes[0];
	else
		close(pipes[0]);
	return pid;
}

static int exit_status(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return EXIT_FAILURE;
	return WEXITSTATUS(status);
}

static void take_fact(const char *line)
{
	const char *value = strchr(line, '=');

	for (size_t i = 0; value && i < sizeof(facts) / sizeof(facts[0]); i++) {
		if (strlen(facts[i].name) != (size_t)(value - line) ||
			strncmp(line, facts[i].name, (size_t)(value - line)) != 0)
			continue;
		free(*facts[i].value);
		*facts[i].value = strndup(value + 1, strcspn(value + 1, "\n"));
	}
}

static void read_facts(int output)
{
	FILE *file = fdopen(output, "r");
	char line[1024];

	while (file && fgets(line, sizeof(line), file))
		take_fact(line);
	if (file)
		fclose(file);
}

int server_start(char **words)
{
	const char *start[] = {"start", tested->backend->name, directory, "--tls", NULL};
	int output, status;
	pid_t pid;

	scratch_directory(directory);
	command = words;
	pid = run(start, &output);
	read_facts(output);
	status = exit_status(pid);
	if (status == NOT_INSTALLED)
		printf("skipped: %s: its server can't be started here (see above)\n",
			tested->backend->name);
	else if (status == 0 && (!contract_server_facts.host || !contract_server_facts.port ||
					!contract_server_facts.password))
		status = EXIT_FAILURE;
	return status;
}

void server_stop(void)
{
	const char *words[] = {"remove", directory, NULL};

	/* Where nothing was started, there is only the directory. */
	if (rmdir(directory) < 0 && exit_status(run(words, NULL)) != 0)
		fprintf(stderr, "contract: %s is left behind\n", directory);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		free(*facts[i].value);
}
