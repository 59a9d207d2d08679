#include "engine/block_file.h"

#include "support/text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "/tmp/test_block_file.XXXXXX"
#define TITLE "a kind of file 1\n"

static char directory[] = DIRECTORY;
static char path[64], new_path[80];
static struct error why;

static void begin(void)
{
	strcpy(directory, DIRECTORY);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	why.text[0] = '\0';
}

static void end(void)
{
	unlink(path);
	unlink(new_path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void open_writer(struct block_writer *writer)
{
	ck_assert_msg(block_writer_open(writer, path, TITLE, &why) == 0, "%s", why.text);
}

/* Writes two blocks. */
static void write_file(enum block_file_kind kind)
{
	struct block_writer writer;

	open_writer(&writer);
	ck_assert_int_eq(block_writer_add(&writer, slice_str("first"), &why), 0);
	ck_assert_int_eq(block_writer_add(&writer, slice_str("the second block"), &why), 0);
	ck_assert_msg(block_writer_commit(&writer, kind, &why) == 0, "%s", why.text);
}

/* Opens the file and closes it again. */
static int try(enum block_file_kind *ret_kind)
{
	struct block_reader reader;
	int result = block_reader_open(&reader, path, TITLE, &why);

	if (result > 0) {
		*ret_kind = reader.kind;
		block_reader_close(&reader);
	}
	return result;
}

static void assert_refused(const char *reason)
{
	enum block_file_kind kind;

	ck_assert_int_eq(try(&kind), -1);
	assert_contains(why.text, reason);
}

static void put_bytes(const char *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), size);
	close(fd);
}

static size_t get_bytes(char *bytes, size_t room)
{
	int fd = open(path, O_RDONLY);
	ssize_t size = read(fd, bytes, room);

	close(fd);
	ck_assert_int_gt(size, 0);
	ck_assert_uint_lt(size, room);
	return (size_t)size;
}

START_TEST(what_was_written_is_read)
{
	struct block_reader reader;
	struct buf block = {0};
	struct stat info;

	write_file(BLOCK_FILE_ON_THE_WAY);
	ck_assert_int_eq(stat(path, &info), 0);
	ck_assert_int_eq(info.st_mode & 07777, 0600);
	ck_assert_int_eq(access(new_path, F_OK), -1);
	ck_assert_int_eq(block_reader_open(&reader, path, TITLE, &why), 1);
	ck_assert_int_eq(reader.kind, BLOCK_FILE_ON_THE_WAY);
	ck_assert(block_reader_next(&reader, &block));
	assert_buf(&block, "first");
	ck_assert(block_reader_next(&reader, &block));
	assert_buf(&block, "the second block");
	ck_assert(!block_reader_next(&reader, &block));
	block_reader_close(&reader);
	buf_finish(&block);
}
END_TEST

START_TEST(a_block_may_be_as_big_as_it_says)
{
	struct block_writer writer;
	struct block_reader reader;
	struct buf big = {0}, block = {0};

	memset(buf_reserve(&big, BLOCK_MOST), 'x', BLOCK_MOST);
	big.size = BLOCK_MOST;
	open_writer(&writer);
	ck_assert_int_eq(block_writer_add(&writer, buf_slice(&big), &why), 0);
	ck_assert_int_eq(block_writer_commit(&writer, BLOCK_FILE_FINAL, &why), 0);
	ck_assert_int_eq(block_reader_open(&reader, path, TITLE, &why), 1);
	ck_assert(block_reader_next(&reader, &block));
	ck_assert(slice_equal(buf_slice(&block), buf_slice(&big)));
	ck_assert(!block_reader_next(&reader, &block));
	block_reader_close(&reader);
	buf_finish(&big);
	buf_finish(&block);
}
END_TEST

START_TEST(the_last_word_is_believed_once)
{
	enum block_file_kind kind;

	write_file(BLOCK_FILE_FINAL);
	ck_assert_int_eq(try(&kind), 1);
	ck_assert_int_eq(kind, BLOCK_FILE_FINAL);
	ck_assert_int_eq(try(&kind), 1);
	ck_assert_int_eq(kind, BLOCK_FILE_ON_THE_WAY);
	ck_assert_int_eq(try(&kind), 1);
	ck_assert_int_eq(kind, BLOCK_FILE_ON_THE_WAY);
}
END_TEST

START_TEST(no_file_is_no_mistake)
{
	enum block_file_kind kind;

	ck_assert_int_eq(try(&kind), 0);
}
END_TEST

START_TEST(every_truncation_is_seen)
{
	enum block_file_kind kind;
	char bytes[256];
	size_t size;

	write_file(BLOCK_FILE_FINAL);
	size = get_bytes(bytes, sizeof(bytes));
	for (size_t rest = 0; rest < size; rest++) {
		put_bytes(bytes, rest);
		ck_assert_msg(try(&kind) == -1, "cut off at %zu of %zu", rest, size);
	}
	put_bytes(bytes, size + 1);
	assert_refused("damaged");
	put_bytes(bytes, size);
	ck_assert_int_eq(try(&kind), 1);
}
END_TEST

START_TEST(every_changed_byte_is_seen)
{
	enum block_file_kind kind;
	char bytes[256];
	size_t size;

	write_file(BLOCK_FILE_ON_THE_WAY);
	size = get_bytes(bytes, sizeof(bytes));
	for (size_t at = 0; at < size; at++) {
		for (unsigned change = 1; change < 256; change++) {
			bytes[at] = (char)(bytes[at] ^ change);
			put_bytes(bytes, size);
			bytes[at] = (char)(bytes[at] ^ change);
			ck_assert_msg(try(&kind) == -1, "byte %zu ^ %u", at, change);
		}
	}
}
END_TEST

START_TEST(other_files_are_left_alone)
{
	static const char text[] = "root:x:0:0:root:/root:/bin/bash and so on\n";
	struct block_writer writer;
	char bytes[256];

	put_bytes(text, sizeof(text));
	assert_refused("not a file of this kind");
	ck_assert_int_eq(block_writer_open(&writer, path, TITLE, &why), -1);
	assert_contains(why.text, "there is something else");
	ck_assert_uint_eq(get_bytes(bytes, sizeof(bytes)), sizeof(text));
	ck_assert_int_eq(memcmp(bytes, text, sizeof(text)), 0);
	/* An empty one somebody may have made to set its rights. */
	put_bytes("", 0);
	write_file(BLOCK_FILE_FINAL);
}
END_TEST

START_TEST(other_versions_are_told)
{
	char bytes[256];
	size_t size;

	write_file(BLOCK_FILE_FINAL);
	size = get_bytes(bytes, sizeof(bytes));
	bytes[strlen(TITLE) - 2] = '2';
	put_bytes(bytes, size);
	assert_refused("another version");
	/* This one is replaced. */
	write_file(BLOCK_FILE_FINAL);
}
END_TEST

START_TEST(what_others_may_write_is_not_read)
{
	enum block_file_kind kind;

	write_file(BLOCK_FILE_FINAL);
	ck_assert_int_eq(chmod(path, 0620), 0);
	assert_refused("others than the user");
	ck_assert_int_eq(chmod(path, 0602), 0);
	assert_refused("others than the user");
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(try(&kind), 1);
}
END_TEST

START_TEST(links_and_pipes_are_not_followed)
{
	char target[80];
	struct block_writer writer;
	enum block_file_kind kind;

	snprintf(target, sizeof(target), "%s/target", directory);
	write_file(BLOCK_FILE_FINAL);
	ck_assert_int_eq(rename(path, target), 0);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_eq(try(&kind), -1);
	ck_assert_int_eq(block_writer_open(&writer, path, TITLE, &why), -1);
	unlink(path);
	unlink(target);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	assert_refused("no regular file");
	ck_assert_int_eq(block_writer_open(&writer, path, TITLE, &why), -1);
}
END_TEST

START_TEST(what_was_never_finished_is_replaced)
{
	struct block_writer writer;
	enum block_file_kind kind;

	write_file(BLOCK_FILE_FINAL);
	/* Somebody would like it to be written elsewhere. */
	ck_assert_int_eq(symlink("/tmp/test_block_file.elsewhere", new_path), 0);
	open_writer(&writer);
	ck_assert_int_eq(access("/tmp/test_block_file.elsewhere", F_OK), -1);
	ck_assert_int_eq(access(new_path, F_OK), 0);
	block_writer_cancel(&writer);
	ck_assert_int_eq(access(new_path, F_OK), -1);
	ck_assert_int_eq(try(&kind), 1);
	ck_assert_int_eq(kind, BLOCK_FILE_FINAL);
}
END_TEST

START_TEST(a_directory_that_is_not_there)
{
	struct block_writer writer;

	ck_assert_int_eq(
		block_writer_open(&writer, "/nonexistent/directory/file", TITLE, &why), -1);
	assert_contains(why.text, "/nonexistent/directory/file.new can't be written");
}
END_TEST

START_TEST(a_full_disk)
{
	struct block_writer writer;
	struct buf big = {0};
	int result = 0;

	/* Every write to it fails as a full disk does. */
	open_writer(&writer);
	ck_assert_int_ge(dup2(open("/dev/full", O_WRONLY), writer.fd), 0);
	memset(buf_reserve(&big, BLOCK_MOST), 'x', BLOCK_MOST);
	big.size = BLOCK_MOST;
	result = block_writer_add(&writer, buf_slice(&big), &why);
	ck_assert_int_eq(result, -1);
	assert_contains(why.text, "No space left");
	ck_assert_int_eq(block_writer_commit(&writer, BLOCK_FILE_FINAL, &why), -1);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(access(new_path, F_OK), -1);
	buf_finish(&big);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("block_file");
	TCase *tcase = tcase_create("block_file");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, what_was_written_is_read);
	tcase_add_test(tcase, a_block_may_be_as_big_as_it_says);
	tcase_add_test(tcase, the_last_word_is_believed_once);
	tcase_add_test(tcase, no_file_is_no_mistake);
	tcase_add_test(tcase, every_truncation_is_seen);
	tcase_add_test(tcase, every_changed_byte_is_seen);
	tcase_add_test(tcase, other_files_are_left_alone);
	tcase_add_test(tcase, other_versions_are_told);
	tcase_add_test(tcase, what_others_may_write_is_not_read);
	tcase_add_test(tcase, links_and_pipes_are_not_followed);
	tcase_add_test(tcase, what_was_never_finished_is_replaced);
	tcase_add_test(tcase, a_directory_that_is_not_there);
	tcase_add_test(tcase, a_full_disk);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
