#include "engine/block_file.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is no regular file may do something when it is opened. */
#define READ_FLAGS (O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

enum { HEAD_BYTES = 8, SUM_BYTES = 8, TITLE_MOST = 64 };

static void put_number(unsigned char *to, uint64_t number, size_t size)
{
	for (size_t i = 0; i < size; i++)
		to[i] = (unsigned char)(number >> 8 * i);
}

static uint64_t get_number(const unsigned char *from, size_t size)
{
	uint64_t number = 0;

	for (size_t i = 0; i < size; i++)
		number |= (uint64_t)from[i] << 8 * i;
	return number;
}

/* One-to-one for each word, so that no change within one of them is lost. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
	return sum ^ sum >> 32;
}

static uint64_t sum_bytes(uint64_t sum, const void *data, size_t size)
{
	const unsigned char *at = data;

	sum = mix(sum, size);
	for (; size >= 8; at += 8, size -= 8)
		sum = mix(sum, get_number(at, 8));
	return mix(sum, get_number(at, size));
}

static uint64_t sum_end(uint64_t sum, enum block_file_kind kind)
{
	return mix(sum, kind == BLOCK_FILE_FINAL ? 0xf1a1 : 0);
}

static int write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t written = write(fd, at, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		at += written;
		size -= (size_t)written;
	}
	return 0;
}

/* Reads so many bytes; fewer are there only at the end of a file that was cut off. */
static int read_all(int fd, void *data, size_t size)
{
	char *at = data;

	while (size) {
		ssize_t got = read(fd, at, size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		at += got;
		size -= (size_t)got;
	}
	return 0;
}

static int writer_fail(const struct block_writer *writer, struct error *why)
{
	return error_set(why, "%s can't be written: %s", writer->new_path, strerror(errno));
}

static int writer_put(struct block_writer *writer, const void *data, size_t size, struct error *why)
{
	writer->sum = sum_bytes(writer->sum, data, size);
	return write_all(writer->fd, data, size) < 0 ? writer_fail(writer, why) : 0;
}

static void writer_finish(struct block_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	free(writer->path);
	free(writer->new_path);
	*writer = (struct block_writer){.fd = -1};
}

/* The part of the title that says what the file is. */
static size_t name_size(const char *title)
{
	return (size_t)(strrchr(title, ' ') - title) + 1;
}

/* A wrong path must not cost somebody a file. */
static bool may_replace(const char *path, const char *title)
{
	char found[TITLE_MOST];
	size_t size = name_size(title);
	struct stat info;
	int fd = open(path, READ_FLAGS | O_RDONLY);
	bool is_ours;

	if (fd < 0)
		return errno == ENOENT;
	is_ours = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
		  (info.st_size == 0 ||
			  (read_all(fd, found, size) == 0 && memcmp(found, title, size) == 0));
	close(fd);
	return is_ours;
}

int block_writer_open(
	struct block_writer *writer, const char *path, const char *title, struct error *why)
{
	struct buf new_path = {0};

	assert(strlen(title) <= TITLE_MOST);
	if (!may_replace(path, title))
		return error_set(why,
			"%s is not written: there is something else; remove it, or choose another "
			"name",
			path);
	buf_add_format(&new_path, "%s.new", path);
	*writer = (struct block_writer){.path = memory_copy_string(path),
		.new_path = memory_copy_string(buf_string(&new_path))};
	buf_finish(&new_path);
	/* One that was never finished. */
	unlink(writer->new_path);
	writer->fd =
		open(writer->new_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (writer->fd < 0) {
		writer_fail(writer, why);
		writer_finish(writer);
		return -1;
	}
	if (writer_put(writer, title, strlen(title), why) < 0) {
		block_writer_cancel(writer);
		return -1;
	}
	return 0;
}

static int put_block(struct block_writer *writer, struct slice block, struct error *why)
{
	unsigned char head[HEAD_BYTES];

	put_number(head, block.size, 4);
	put_number(head + 4, ~(uint64_t)block.size, 4);
	if (writer_put(writer, head, sizeof(head), why) < 0)
		return -1;
	return block.size ? writer_put(writer, block.data, block.size, why) : 0;
}

int block_writer_add(struct block_writer *writer, struct slice block, struct error *why)
{
	assert(block.size > 0 && block.size <= BLOCK_MOST);
	return put_block(writer, block, why);
}

/* A new name is on the disk only once its directory is. */
static int sync_directory(const char *path)
{
	char *copy = memory_copy_string(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	free(copy);
	return result;
}

static int put_end(struct block_writer *writer, enum block_file_kind kind, struct error *why)
{
	unsigned char sum[SUM_BYTES];

	if (put_block(writer, slice_of(NULL, 0), why) < 0)
		return -1;
	put_number(sum, sum_end(writer->sum, kind), sizeof(sum));
	if (write_all(writer->fd, sum, sizeof(sum)) < 0 || fsync(writer->fd) < 0)
		return writer_fail(writer, why);
	return 0;
}

int block_writer_commit(struct block_writer *writer, enum block_file_kind kind, struct error *why)
{
	int result = 0;

	if (put_end(writer, kind, why) < 0) {
		block_writer_cancel(writer);
		return -1;
	}
	if (rename(writer->new_path, writer->path) < 0 || sync_directory(writer->path) < 0)
		result = error_set(why, "%s can't be replaced: %s", writer->path, strerror(errno));
	writer_finish(writer);
	return result;
}

void block_writer_cancel(struct block_writer *writer)
{
	unlink(writer->new_path);
	writer_finish(writer);
}

/* The bytes of the next block. Returns its size, 0 at the end, -1 if there is none. */
static ssize_t read_block(int fd, unsigned char head[HEAD_BYTES], struct buf *block)
{
	uint64_t size;

	buf_clear(block);
	if (read_all(fd, head, HEAD_BYTES) < 0)
		return -1;
	size = get_number(head, 4);
	if ((size ^ get_number(head + 4, 4)) != 0xffffffff || size > BLOCK_MOST)
		return -1;
	if (read_all(fd, buf_reserve(block, size), size) < 0)
		return -1;
	block->size = size;
	return (ssize_t)size;
}

static int check_blocks(int fd, uint64_t *sum, struct error *why)
{
	unsigned char head[HEAD_BYTES];
	struct buf block = {0};
	ssize_t size;

	do {
		size = read_block(fd, head, &block);
		if (size < 0)
			break;
		*sum = sum_bytes(*sum, head, sizeof(head));
		if (size)
			*sum = sum_bytes(*sum, block.data, block.size);
	} while (size > 0);
	buf_wipe(&block);
	return size < 0 ? error_set(why, "it is damaged, or was cut off") : 0;
}

static int check_title(int fd, const char *title, struct error *why)
{
	char found[TITLE_MOST];
	size_t size = strlen(title);

	if (read_all(fd, found, size) < 0 || memcmp(found, title, name_size(title)) != 0)
		return error_set(why, "it is not a file of this kind");
	if (memcmp(found, title, size) != 0)
		return error_set(why, "it was written by another version of tabled");
	return 0;
}

/* Who could write the file could have answers given that are in no database. */
static int check_rights(int fd, struct error *why)
{
	struct stat info;

	if (fstat(fd, &info) < 0)
		return error_set(why, "%s", strerror(errno));
	if (!S_ISREG(info.st_mode))
		return error_set(why, "it is no regular file");
	if ((info.st_uid != geteuid() && info.st_uid != 0) || info.st_mode & 022)
		return error_set(why, "others than the user of tabled may write it");
	return 0;
}

/* Reads on up to the end of the file, which has to be where it belongs. */
static int check_end(struct block_reader *reader, uint64_t sum, struct error *why)
{
	unsigned char found[SUM_BYTES], beyond;
	uint64_t number;

	if (read_all(reader->fd, found, sizeof(found)) < 0 || read(reader->fd, &beyond, 1) != 0)
		return error_set(why, "it is damaged, or was cut off");
	number = get_number(found, sizeof(found));
	if (number == sum_end(sum, BLOCK_FILE_FINAL))
		reader->kind = BLOCK_FILE_FINAL;
	else if (number != sum_end(sum, BLOCK_FILE_ON_THE_WAY))
		return error_set(why, "it is damaged");
	return 0;
}

/*
 * The next one who reads it must know that something may have happened since: also after the power
 * has failed. Where the file can't be marked so, it is none of the last word now.
 */
static void mark_as_read(struct block_reader *reader, uint64_t sum)
{
	unsigned char mark[SUM_BYTES];
	off_t end = lseek(reader->fd, 0, SEEK_END);

	put_number(mark, sum_end(sum, BLOCK_FILE_ON_THE_WAY), sizeof(mark));
	if (end < 0 || pwrite(reader->fd, mark, sizeof(mark), end - SUM_BYTES) != SUM_BYTES ||
		fdatasync(reader->fd) < 0)
		reader->kind = BLOCK_FILE_ON_THE_WAY;
}

static int check_file(struct block_reader *reader, const char *title, struct error *why)
{
	uint64_t sum = sum_bytes(0, title, strlen(title));

	if (check_rights(reader->fd, why) < 0 || check_title(reader->fd, title, why) < 0 ||
		check_blocks(reader->fd, &sum, why) < 0 || check_end(reader, sum, why) < 0)
		return -1;
	if (reader->kind == BLOCK_FILE_FINAL)
		mark_as_read(reader, sum);
	if (lseek(reader->fd, (off_t)strlen(title), SEEK_SET) < 0)
		return error_set(why, "%s", strerror(errno));
	return 0;
}

int block_reader_open(
	struct block_reader *reader, const char *path, const char *title, struct error *why)
{
	*reader = (struct block_reader){.fd = open(path, READ_FLAGS | O_RDWR)};
	if (reader->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM))
		reader->fd = open(path, READ_FLAGS | O_RDONLY);
	if (reader->fd < 0 && errno == ENOENT)
		return 0;
	if (reader->fd < 0)
		return error_set(why, "%s", strerror(errno));
	if (check_file(reader, title, why) < 0) {
		block_reader_close(reader);
		return -1;
	}
	return 1;
}

bool block_reader_next(struct block_reader *reader, struct buf *block)
{
	unsigned char head[HEAD_BYTES];

	return read_block(reader->fd, head, block) > 0;
}

void block_reader_close(struct block_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
}
