#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { LIMIT_LINES = 5, LIMIT_PERIOD_MS = 10000, LINE_MAX_BYTES = 2048 };

static struct {
	_Atomic int level;
	_Atomic bool to_syslog;
} sink = {LOG_LEVEL_INFO, false};

void log_open(enum log_target target, enum log_level level)
{
	if (target == LOG_TO_SYSLOG && !sink.to_syslog)
		openlog("tabled", LOG_PID | LOG_NDELAY, LOG_MAIL);
	sink.level = level;
	sink.to_syslog = target == LOG_TO_SYSLOG;
}

bool log_wants(enum log_level level)
{
	return (int)level <= sink.level;
}

/* A client's bytes may stand in a line: they must not start another one, or move a cursor. */
static void log_make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 8];
	va_list arguments;
	int size;

	if (!log_wants(level))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_make_printable(text);
	if (sink.to_syslog) {
		syslog((int)level, "%s", text);
		return;
	}
	/* One write for a line, so that threads don't mix theirs. */
	size = snprintf(line, sizeof(line), "<%d>%s\n", (int)level, text);
	if (write(STDERR_FILENO, line, (size_t)size) < 0)
		return; /* nobody to tell */
}

bool log_limit_pass(struct log_limit *limit, uint64_t now, const char *what)
{
	if (now - limit->period_start >= LIMIT_PERIOD_MS) {
		if (limit->held)
			log_warning("%u more %s were not logged", limit->held, what);
		*limit = (struct log_limit){.period_start = now};
	}
	if (limit->passed < LIMIT_LINES) {
		limit->passed++;
		return true;
	}
	limit->held++;
	return false;
}
