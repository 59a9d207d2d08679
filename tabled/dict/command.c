#include "base/clock.h"
#include "base/memory.h"
#include "dict/session_internal.h"

#include <stdlib.h>
#include <utlist.h>

void command_free(struct command *command)
{
	struct dict_session *session = command->session;

	DL_DELETE(session->commands, command);
	session->pending--;
	iteration_end(command->iteration);
	buf_wipe(&command->held);
	free(command);
}

/* 0 is none. */
static uint32_t number_after(uint32_t number)
{
	return number + 1 ? number + 1 : 1;
}

struct command *command_begin(struct dict_session *session)
{
	struct command *command = memory_new(1, sizeof(*command));

	command->session = session;
	command->times.began = clock_wall_us();
	if (session->is_numbered)
		command->number = session->last_number = number_after(session->last_number);
	DL_APPEND(session->commands, command);
	session->pending++;
	return command;
}

bool command_has_turn(const struct command *command)
{
	return command->number || command == command->session->commands;
}

/*
 * Of what has come since the last reply the client hears the numbers first. Told any sooner, they
 * would wake him only to let him wait again.
 */
static void tell_numbers(struct dict_session *session)
{
	while (session->told_number != session->last_number) {
		session->told_number = number_after(session->told_number);
		dict_put_number(session->client->out, session->told_number);
	}
}

struct buf *command_out(struct command *command)
{
	if (!command_has_turn(command))
		return &command->held;
	tell_numbers(command->session);
	return command->session->client->out;
}

void session_tell_client(struct dict_session *session)
{
	if (!session->is_busy)
		session->client->has_replies(session->client);
}

/* Lets out the replies that have waited for the one before. */
static void let_out(struct dict_session *session)
{
	struct command *first;

	while ((first = session->commands) && command_has_turn(first) && !first->number) {
		buf_add_slice(session->client->out, buf_slice(&first->held));
		buf_wipe(&first->held);
		if (!first->is_over)
			break;
		command_free(first);
	}
}

void command_over(struct command *command)
{
	struct dict_session *session = command->session;

	command->is_over = true;
	if (command_has_turn(command))
		command_free(command);
	let_out(session);
	session_tell_client(session);
}

bool command_is_lost(struct command *command)
{
	struct dict_session *session = command->session;

	if (session->client)
		return false;
	command_free(command);
	session_free_if_over(session);
	return true;
}
