#include "sqlite_internal.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pages that a handle keeps at most: SQLite's own default is 2 MB, less than the upper levels of a
 * big index. */
#define PAGE_CACHE "PRAGMA cache_size = -32768"

const struct setting sqlite_settings[] = {{.name = "path",
						  .type = SETTING_TEXT,
						  .offset = offsetof(struct sqlite_config, path),
						  .required = true,
						  .help = "The database file. tabled only reads "
							  "it, but for what dictionaries write."},
	{.name = "immutable",
		.type = SETTING_BOOL,
		.offset = offsetof(struct sqlite_config, immutable),
		.fallback = "no",
		.help = "yes: nobody ever changes the file, as on a read-only medium, so it is "
			"read "
			"without locks. If somebody does all the same, answers may be wrong."},
	{0}};

static int interrupt_at_deadline(void *context)
{
	const struct sqlite_handle *handle = context;

	return clock_ms() >= handle->deadline;
}

/* The path as a URI, so that a '?' in it stays what it is and `immutable` can be asked for. */
static char *path_to_uri(const char *path, const char *query)
{
	static const char hex[] = "0123456789ABCDEF";
	struct buf uri = {0};

	buf_add_string(&uri, "file:");
	for (; *path; path++) {
		if (strchr("%?#", *path)) {
			buf_add_byte(&uri, '%');
			buf_add_byte(&uri, hex[(unsigned char)*path >> 4]);
			buf_add_byte(&uri, hex[(unsigned char)*path & 15]);
		} else {
			buf_add_byte(&uri, *path);
		}
	}
	buf_add_string(&uri, query);
	buf_string(&uri);
	return uri.data;
}

int sqlite_explain(const struct sqlite_handle *handle, int code, struct error *why)
{
	const char *path = handle->config->path;
	const char *text = handle->db ? sqlite3_errmsg(handle->db) : sqlite3_errstr(code);

	switch (code & 0xff) {
	case SQLITE_NOTADB:
		return error_set(why, "%s is not an SQLite database", path);
	case SQLITE_CORRUPT:
		return error_set(why,
			"%s is damaged (%s): check it by \"PRAGMA integrity_check\" and restore it",
			path, text);
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		if (handle->for_writing)
			return error_set(why,
				"%s can't be written to (%s): the user of tabled needs to write to "
				"the file and to its directory",
				path, text);
		return error_set(why,
			"%s can't be read (%s): the user of tabled needs to read the file, and for "
			"a database in WAL mode to write to its directory (or immutable = yes, if "
			"nobody ever changes it)",
			path, text);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return error_set(why, "%s is locked by another process", path);
	case SQLITE_INTERRUPT:
		return error_set(why, "the query took longer than query_timeout");
	default:
		return error_set(why, "%s: %s", path, text);
	}
}

/* The value of a hexadecimal digit, or -1. */
static int digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 'a' - 'A';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* tabled_unhex(text): the bytes, or NULL for what is no hexadecimal. SQLite has unhex() since 3.41.
 */
static void unhex(sqlite3_context *context, int count, sqlite3_value **values)
{
	const char *text = (const char *)sqlite3_value_text(values[0]);
	int size = sqlite3_value_bytes(values[0]);
	struct buf bytes = {0};

	(void)count;
	for (int i = 0; text && i + 1 < size; i += 2) {
		int high = digit_value(text[i]), low = digit_value(text[i + 1]);

		if (high < 0 || low < 0)
			break;
		buf_add_byte(&bytes, (char)(high << 4 | low));
	}
	if (text && 2 * bytes.size == (size_t)size)
		sqlite3_result_blob(
			context, buf_slice(&bytes).data, (int)bytes.size, SQLITE_TRANSIENT);
	buf_wipe(&bytes);
}

/* What a handle is told before the first question. */
static int set_up(struct sqlite_handle *handle)
{
	sqlite3_extended_result_codes(handle->db, 1);
	sqlite3_busy_timeout(handle->db, 0);
	sqlite3_exec(handle->db, PAGE_CACHE, NULL, NULL, NULL);
	sqlite3_progress_handler(
		handle->db, SQLITE_STEPS_BETWEEN_CLOCKS, interrupt_at_deadline, handle);
	if (handle->for_writing) {
		int code = sqlite3_exec(handle->db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);

		if (code != SQLITE_OK)
			return code;
	}
	return sqlite3_create_function(handle->db, "tabled_unhex", 1,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL, unhex, NULL, NULL);
}

int sqlite_handle_open(struct sqlite_handle *handle, const struct sqlite_config *config,
	bool for_writing, struct error *why)
{
	int flags = for_writing ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY, code;
	char *uri;

	handle->config = config;
	handle->for_writing = for_writing;
	if (stat(config->path, &handle->file) < 0)
		return error_set(why, "%s: %s", config->path, strerror(errno));
	uri = path_to_uri(config->path, config->immutable ? "?immutable=1" : "");
	code = sqlite3_open_v2(
		uri, &handle->db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	free(uri);
	if (code == SQLITE_OK)
		code = set_up(handle);
	return code == SQLITE_OK ? 0 : sqlite_explain(handle, code, why);
}

void sqlite_handle_close(struct sqlite_handle *handle)
{
	sqlite3_close(handle->db);
	handle->db = NULL;
}

/* SQLite's own descriptor, since closing another one would give up its locks. NULL if there is
 * none. */
static sqlite3_file *own_file(const struct sqlite_handle *handle)
{
	sqlite3_file *file = NULL;

	sqlite3_file_control(handle->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	return file && file->pMethods ? file : NULL;
}

static void read_version(const struct sqlite_handle *handle, char version[SQLITE_VERSION_SIZE])
{
	sqlite3_file *file = own_file(handle);

	memset(version, 0, SQLITE_VERSION_SIZE);
	if (file)
		file->pMethods->xRead(file, version, SQLITE_VERSION_SIZE, SQLITE_VERSION_AT);
}

/* Whether somebody is in the middle of writing to the file; in WAL mode nobody does without a
 * checkpoint. */
static bool is_being_written(const struct sqlite_handle *handle)
{
	sqlite3_file *file = own_file(handle);
	int held = 0;

	return file && file->pMethods->xCheckReservedLock(file, &held) == SQLITE_OK && held;
}

static bool is_same_file(const struct stat *old, const struct stat *new)
{
	return old->st_ino == new->st_ino && old->st_dev == new->st_dev;
}

static bool is_as_before(const struct stat *old, const struct stat *new)
{
	return old->st_size == new->st_size && old->st_mtim.tv_sec == new->st_mtim.tv_sec &&
	       old->st_mtim.tv_nsec == new->st_mtim.tv_nsec;
}

/* The header's version of the format for writing. */
static bool is_wal(const char version[SQLITE_VERSION_SIZE])
{
	return version[0] == 2;
}

/*
 * Keeps how the file looks, with the version that was read before. Not while somebody writes: his
 * last pages would come after the version that says so, and look like a copy over the file.
 */
static void remember(struct sqlite_handle *handle, const char version[SQLITE_VERSION_SIZE])
{
	struct stat file;

	memcpy(handle->version, version, SQLITE_VERSION_SIZE);
	handle->asked = !is_being_written(handle) && stat(handle->config->path, &file) == 0 &&
			is_same_file(&handle->file, &file);
	if (handle->asked)
		handle->file = file;
}

/*
 * Was something copied over the file? SQLite trusts the pages that it keeps as long as the header
 * says that nothing has changed, and a backup's header may well say so. In WAL mode it does so at
 * any checkpoint: then the pages are let go of, which is right whatever has happened. Otherwise
 * it may be a writer whose new version is still to come.
 */
static int check_content(struct sqlite_handle *handle, const struct stat *file, struct error *why)
{
	char version[SQLITE_VERSION_SIZE];

	if (handle->asked && is_as_before(&handle->file, file))
		return 0;
	read_version(handle, version);
	if (handle->asked && memcmp(version, handle->version, SQLITE_VERSION_SIZE) == 0 &&
		!is_wal(version)) {
		if (is_being_written(handle))
			return 0;
		/* He may have finished since. */
		read_version(handle, version);
		if (memcmp(version, handle->version, SQLITE_VERSION_SIZE) == 0)
			return error_set(why, "%s was overwritten", handle->config->path);
	}
	if (is_wal(version))
		sqlite3_db_release_memory(handle->db);
	remember(handle, version);
	return 0;
}

int sqlite_handle_check(struct sqlite_handle *handle, struct error *why)
{
	struct stat file;

	if (handle->damaged)
		return error_set(why, "%s is damaged", handle->config->path);
	if (stat(handle->config->path, &file) < 0)
		return error_set(why, "%s: %s", handle->config->path, strerror(errno));
	if (!is_same_file(&handle->file, &file))
		return error_set(why, "%s was replaced", handle->config->path);
	/* To SQLite that is a database without tables, but somebody may be about to fill it. */
	if (!file.st_size)
		return error_set(why, "%s is empty", handle->config->path);
	return check_content(handle, &file, why);
}

void sqlite_handle_note(struct sqlite_handle *handle)
{
	char version[SQLITE_VERSION_SIZE];

	read_version(handle, version);
	remember(handle, version);
}

/*
 * Not for others to read, since it will hold passwords; and when root makes it, it is for whom the
 * directory is, or tabled could not open it.
 */
static int make_file(const char *path, struct error *why)
{
	char *copy = memory_copy_string(path);
	struct stat directory;
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640), result = -1;

	if (fd < 0)
		error_set(why, "%s: %s", path, strerror(errno));
	else if (stat(dirname(copy), &directory) < 0 ||
		 (geteuid() == 0 && fchown(fd, directory.st_uid, directory.st_gid) < 0))
		error_set(why, "%s: its owner can't be set: %s", path, strerror(errno));
	else
		result = 0;
	if (fd >= 0)
		close(fd);
	free(copy);
	return result;
}

/* A file of no bytes is no database to us: so it gets its header. */
int sqlite_create(const void *opaque, struct error *why)
{
	const struct sqlite_config *config = opaque;
	struct sqlite_handle handle = {0};
	struct stat file;
	int code, result;

	if (stat(config->path, &file) == 0 && file.st_size)
		return 0;
	if (make_file(config->path, why) < 0)
		return -1;
	result = sqlite_handle_open(&handle, config, true, why);
	if (result == 0) {
		handle.deadline = UINT64_MAX;
		code = sqlite3_exec(handle.db, "PRAGMA user_version = 1", NULL, NULL, NULL);
		if (code != SQLITE_OK)
			result = sqlite_explain(&handle, code, why);
	}
	sqlite_handle_close(&handle);
	return result;
}
