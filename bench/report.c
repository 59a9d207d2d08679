#include "report.h"

#include <inttypes.h>
#include <stdio.h>

static double seconds(uint64_t nanoseconds)
{
	return (double)nanoseconds / 1e9;
}

static double rate(const struct tally *tally)
{
	return tally->elapsed ? (double)tally_replies(tally) / seconds(tally->elapsed) : 0;
}

static double quantile_us(const struct tally *tally, double share)
{
	return (double)histogram_quantile(&tally->times, share) / 1e3;
}

/* Percent of one processor. */
static double processor_share(const struct tally *tally)
{
	return tally->elapsed ? 100 * (double)tally->processor / (double)tally->elapsed : 0;
}

static const char *order_text(const struct options *options)
{
	if (options->in_order)
		return "in order";
	return options->zipf > 0 ? "by Zipf's law" : "at random";
}

static void print_load(
	const struct options *options, const struct keys *keys, const struct tally *tally)
{
	printf("%s %s, connections %zu, in flight on each %zu, keys %zu %s\n", options->wire->name,
		options->address_text, options->connections, options->depth, keys->count,
		order_text(options));
	printf("rate     %.0f per second: %" PRIu64 " replies in %.2f s\n", rate(tally),
		tally_replies(tally), seconds(tally->elapsed));
	printf("times    p50 %.1f us, p99 %.1f us, p99.9 %.1f us (each within 0.4 %%), max %.1f "
	       "us\n",
		quantile_us(tally, 0.5), quantile_us(tally, 0.99), quantile_us(tally, 0.999),
		(double)tally->times.longest / 1e3);
	printf("replies ");
	for (int i = 0; i < REPLY_CLASS_COUNT; i++)
		printf("%s %s %" PRIu64, i ? "," : "", reply_class_text((enum reply_class)i),
			tally->classes[i]);
	printf("\nlost     connections %" PRIu64 ", requests %" PRIu64 "\n",
		tally->connections_lost, tally->requests_lost);
	if (keys->has_expected)
		printf("wrong    %" PRIu64 "\n", tally->wrong);
}

static void print_text(
	const struct options *options, const struct keys *keys, const struct tally *tally)
{
	if (options->connections)
		print_load(options, keys, tally);
	if (options->idle)
		printf("idle     open at the end %" PRIu64 ", closed by the server %" PRIu64 "\n",
			tally->idle_open, tally->idle_lost);
	if (options->connections)
		printf("load     this program used %.0f %% of a processor\n",
			processor_share(tally));
}

static void print_json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			printf("\\%c", byte);
		else if (byte < ' ')
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
}

static void print_json(
	const struct options *options, const struct keys *keys, const struct tally *tally)
{
	printf("{\"protocol\": \"%s\", \"address\": ", options->wire->name);
	print_json_string(options->address_text);
	printf(", \"connections\": %zu, \"depth\": %zu, \"keys\": %zu, \"seconds\": %.6f, "
	       "\"replies\": %" PRIu64 ", \"rate\": %.1f, ",
		options->connections, options->depth, keys->count, seconds(tally->elapsed),
		tally_replies(tally), rate(tally));
	printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, ",
		quantile_us(tally, 0.5), quantile_us(tally, 0.99), quantile_us(tally, 0.999),
		(double)tally->times.longest / 1e3);
	printf("\"found\": %" PRIu64 ", \"not_found\": %" PRIu64 ", \"temporary\": %" PRIu64
	       ", \"permanent\": %" PRIu64 ", \"other\": %" PRIu64 ", ",
		tally->classes[REPLY_FOUND], tally->classes[REPLY_NOT_FOUND],
		tally->classes[REPLY_TEMPORARY], tally->classes[REPLY_PERMANENT],
		tally->classes[REPLY_OTHER]);
	printf("\"connections_lost\": %" PRIu64 ", \"requests_lost\": %" PRIu64
	       ", \"wrong\": %" PRIu64 ", \"idle_open\": %" PRIu64 ", \"idle_lost\": %" PRIu64
	       ", \"processor_percent\": %.1f}\n",
		tally->connections_lost, tally->requests_lost, tally->wrong, tally->idle_open,
		tally->idle_lost, processor_share(tally));
}

void report_print(const struct options *options, const struct keys *keys, const struct tally *tally)
{
	if (options->json)
		print_json(options, keys, tally);
	else
		print_text(options, keys, tally);
}
