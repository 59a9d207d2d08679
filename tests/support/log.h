/*
 * Reading what was logged: stderr goes to a file of no name until log_capture_end().
 */
#ifndef TABLED_TESTS_SUPPORT_LOG_H
#define TABLED_TESTS_SUPPORT_LOG_H

#include "base/buf.h"
#include "support/unit.h"

#include <sys/mman.h>
#include <unistd.h>

struct log_capture {
	int file, stderr_copy;
	struct buf text;
};

static inline void log_capture_begin(struct log_capture *capture)
{
	*capture = (struct log_capture){
		.file = memfd_create("log", MFD_CLOEXEC), .stderr_copy = dup(STDERR_FILENO)};
	ck_assert_int_ge(capture->file, 0);
	ck_assert_int_ge(dup2(capture->file, STDERR_FILENO), 0);
}

/* All that was logged since the beginning. Borrowed until log_capture_end(). */
static inline const char *log_captured(struct log_capture *capture)
{
	off_t size = lseek(capture->file, 0, SEEK_END);

	buf_clear(&capture->text);
	ck_assert_int_eq(pread(capture->file, buf_reserve(&capture->text, (size_t)size + 1),
				 (size_t)size, 0),
		size);
	capture->text.size = (size_t)size;
	return buf_string(&capture->text);
}

static inline unsigned log_captured_lines(struct log_capture *capture)
{
	unsigned lines = 0;

	for (const char *at = log_captured(capture); (at = strchr(at, '\n')); at++)
		lines++;
	return lines;
}

static inline void log_capture_end(struct log_capture *capture)
{
	dup2(capture->stderr_copy, STDERR_FILENO);
	close(capture->stderr_copy);
	close(capture->file);
	buf_finish(&capture->text);
}

#endif
