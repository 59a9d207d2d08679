#include "tally.h"

#include <ctype.h>
#include <stdio.h>

/* A broken server would fill the terminal: the count tells the rest. */
enum { MOST_LINES = 10, LONGEST_SHOWN = 200 };

/* A slice for people: cut to a line's length, control characters as \xXX. */
static void show(FILE *out, struct slice text)
{
	for (size_t i = 0; i < text.size && i < LONGEST_SHOWN; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		if (iscntrl(byte))
			fprintf(out, "\\x%02x", byte);
		else
			fputc(byte, out);
	}
	if (text.size > LONGEST_SHOWN)
		fprintf(out, "... (%zu bytes)", text.size);
}

static bool is_right(
	const struct options *options, struct slice expected, const struct reply_seen *reply)
{
	if (reply->class == REPLY_TEMPORARY && options->allow_temporary)
		return true;
	if (!expected.size)
		return reply->class == REPLY_NOT_FOUND;
	return reply->class == REPLY_FOUND && slice_equal(reply->text, expected);
}

static void show_wrong(struct slice name, struct slice expected, const struct reply_seen *reply)
{
	fputs("tabled-bench: wrong answer for \"", stderr);
	show(stderr, name);
	fputs("\": should be ", stderr);
	fputs(expected.size ? "\"" : "not found", stderr);
	show(stderr, expected);
	fprintf(stderr, "%s, is %s", expected.size ? "\"" : "", reply_class_text(reply->class));
	if (reply->class != REPLY_NOT_FOUND) {
		fputs(" \"", stderr);
		show(stderr, reply->text);
		fputc('"', stderr);
	}
	fputc('\n', stderr);
}

void tally_reply(struct tally *tally, const struct options *options, const struct keys *keys,
	size_t key, const struct reply_seen *reply, uint64_t nanoseconds)
{
	struct slice expected;

	histogram_add(&tally->times, nanoseconds);
	tally->classes[reply->class]++;
	if (!keys->has_expected)
		return;
	expected = key_expected(keys, key);
	if (is_right(options, expected, reply))
		return;
	if (tally->wrong++ < MOST_LINES)
		show_wrong(key_name(keys, key), expected, reply);
}

void tally_loss(struct tally *tally, size_t in_flight, const struct error *why)
{
	tally->requests_lost += in_flight;
	if (tally->connections_lost++ < MOST_LINES)
		fprintf(stderr, "tabled-bench: lost a connection with %zu requests in flight: %s\n",
			in_flight, why->text);
}

void tally_restart(struct tally *tally)
{
	tally->times = (struct histogram){0};
	for (size_t i = 0; i < REPLY_CLASS_COUNT; i++)
		tally->classes[i] = 0;
}

uint64_t tally_replies(const struct tally *tally)
{
	return tally->times.count;
}
