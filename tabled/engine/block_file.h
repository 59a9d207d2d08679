/*
 * A file of blocks that is there whole or not at all: written beside the old one and renamed, read
 * only if every byte is as it was written. Any thread; one at a time writes a file.
 *
 *	title, a line: what it is and its version
 *	blocks: size (4 bytes, little-endian), size ^ 0xffffffff, bytes; the last one is empty
 *	checksum of all before (8 bytes)
 *
 * The checksum also says whether the file is the last word of who wrote it (BLOCK_FILE_FINAL), or
 * whether more may have happened since. The last word is believed once.
 */
#ifndef TABLED_ENGINE_BLOCK_FILE_H
#define TABLED_ENGINE_BLOCK_FILE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

enum { BLOCK_MOST = 1 << 20 }; /* bytes in a block */

enum block_file_kind { BLOCK_FILE_ON_THE_WAY, BLOCK_FILE_FINAL };

struct block_writer {
	int fd;
	char *path, *new_path; /* owned */
	uint64_t sum;
};

/*
 * Begins PATH.new, which nobody else may read. `title` ends with a blank and the version. Returns
 * -1 with `why`, also if at the path there is something else than a file of this kind: it is not
 * overwritten. Then nothing is open.
 */
int block_writer_open(
	struct block_writer *writer, const char *path, const char *title, struct error *why);

/* Adds a block of 1 to BLOCK_MOST bytes. Returns -1 with `why`. */
int block_writer_add(struct block_writer *writer, struct slice block, struct error *why);

/* Ends the file, has it reach the disk, and puts it into place. Returns -1 with `why`. Closes. */
int block_writer_commit(struct block_writer *writer, enum block_file_kind kind, struct error *why);

/* Removes what was begun. */
void block_writer_cancel(struct block_writer *writer);

struct block_reader {
	int fd;
	enum block_file_kind kind;
};

/*
 * Opens a file and checks all of it. Returns 1; 0 if there is no file; -1 with `why` if it is
 * damaged, none of ours, or may have been written by others. `title` is what block_writer_open()
 * got. From then on it is BLOCK_FILE_ON_THE_WAY for whoever opens it next.
 */
int block_reader_open(
	struct block_reader *reader, const char *path, const char *title, struct error *why);

/* Puts the next block into `block`. Returns false behind the last. */
bool block_reader_next(struct block_reader *reader, struct buf *block);

void block_reader_close(struct block_reader *reader);

#endif
