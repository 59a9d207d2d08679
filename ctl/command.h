/*
 * What the commands of tabledctl share: asking the daemon, and telling what went wrong.
 */
#ifndef TABLED_CTL_COMMAND_H
#define TABLED_CTL_COMMAND_H

#include "client.h"

/* As postmap has them, for scripts. */
enum exit_status { EXIT_FOUND = 0, EXIT_NOT_FOUND = 1, EXIT_ERROR = 2 };

/* Says on stderr what is wrong. Returns EXIT_ERROR. */
enum exit_status command_fail(const char *text);

/* The text of that name in an object; "" if there is none. Borrowed. */
const char *command_text(json_t *object, const char *name);

/* Asks; the command is taken. Says on stderr what went wrong if it did: then NULL. */
json_t *command_ask(struct client *client, json_t *command);

/* Prints an answer as it is, for programs. */
void command_print_json(json_t *answer);

#endif
