/*
 * The log: one line for each change of state, `key=value`, never a password or a hash; addresses
 * of people only at debug. Set up once by main() before any thread starts; then any thread may
 * write. The sink is the one mutable global of the house, since a line must never be lost for
 * want of a pointer.
 */
#ifndef TABLED_BASE_LOG_H
#define TABLED_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* syslog's numbers, which journald reads as "<6>" in front of a line. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* Chooses the sink; lines less important than `level` are dropped. May be called again (reload). */
void log_open(enum log_target target, enum log_level level);

bool log_wants(enum log_level level);

/* One line; control characters in it come out as '?'. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Lets a few lines pass in each period, counts the rest. Zeroed is ready. Not shared by threads. */
struct log_limit {
	uint64_t period_start; /* ms */
	unsigned passed;
	unsigned held;
};

/*
 * Whether a line may be written at `now` (ms). When a new period starts after lines were held
 * back, writes first how many `what` they were.
 */
bool log_limit_pass(struct log_limit *limit, uint64_t now, const char *what);

#endif
