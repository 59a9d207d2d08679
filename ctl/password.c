#include "ctl/password.h"

#include <crypt.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
	PASSWORD_MOST = 511,
	BLOWFISH_MOST = 72, /* what is behind, bcrypt does not look at */
	BLOWFISH_COST = 12, /* a quarter of a second or so */
};

/* --- Reading */

/* One line, without its end. Not by stdio, whose buffers nobody wipes. */
static int read_line(struct buf *line, struct error *why)
{
	char byte = 0;
	ssize_t size;

	while ((size = read(STDIN_FILENO, &byte, 1)) == 1 && byte != '\n') {
		if (line->size == PASSWORD_MOST)
			return error_set(why, "a password has at most %d bytes", PASSWORD_MOST);
		/* In its whole size at once: growing leaves copies behind. */
		buf_reserve(line, line->room ? 1 : PASSWORD_MOST + 1);
		buf_add_byte(line, byte);
	}
	if (size < 0)
		return error_set(why, "the password can't be read: %s", strerror(errno));
	if (line->size && line->data[line->size - 1] == '\r')
		line->size--;
	if (!line->size)
		return error_set(why, "there is no password: an empty one is none");
	if (memchr(line->data, '\0', line->size))
		return error_set(why, "there is a NUL in the password");
	return 0;
}

static int ask(const char *prompt, struct buf *line, struct error *why)
{
	struct termios before, silent;
	int result;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return error_set(why, "the terminal: %s", strerror(errno));
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* What was typed before is thrown away; what is typed at the prompt is not. */
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	fputs(prompt, stderr);
	result = read_line(line, why);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	fputc('\n', stderr);
	return result;
}

int password_read(struct buf *password, struct error *why)
{
	struct buf again = {0};
	int result;

	if (!isatty(STDIN_FILENO))
		return read_line(password, why);
	if (ask("New password: ", password, why) < 0 || ask("Once more: ", &again, why) < 0) {
		buf_wipe(&again);
		return -1;
	}
	result = slice_equal(buf_slice(password), buf_slice(&again)) ? 0 : -1;
	buf_wipe(&again);
	return result < 0 ? error_set(why, "the two are not the same") : 0;
}

/* --- Hashing */

static int hash_by_crypt(const char *password, const char *prefix, unsigned long cost,
	struct buf *out, struct error *why)
{
	struct crypt_data *data = calloc(1, sizeof(*data));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash = NULL;

	if (data && crypt_gensalt_rn(prefix, cost, NULL, 0, setting, sizeof(setting)))
		hash = crypt_rn(password, setting, data, sizeof(*data));
	if (hash)
		buf_add_string(out, hash);
	else
		error_set(why, "libcrypt: %s", strerror(errno));
	if (data)
		explicit_bzero(data, sizeof(*data));
	free(data);
	return hash ? 0 : -1;
}

static int hash_by_yescrypt(const char *password, size_t size, struct buf *out, struct error *why)
{
	(void)size;
	return hash_by_crypt(password, "$y$", 0, out, why);
}

static int hash_by_bcrypt(const char *password, size_t size, struct buf *out, struct error *why)
{
	if (size > BLOWFISH_MOST)
		return error_set(why, "with bcrypt a password has at most %d bytes", BLOWFISH_MOST);
	return hash_by_crypt(password, "$2y$", BLOWFISH_COST, out, why);
}

/* Dovecot's auth process has to have the memory, too: vsz_limit is 1 GB or less there. */
static int hash_by_argon2(const char *password, size_t size, struct buf *out, struct error *why)
{
	char hash[crypto_pwhash_STRBYTES];

	if (sodium_init() < 0 || crypto_pwhash_argon2id_str(hash, password, size,
					 crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE,
					 crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE) != 0)
		return error_set(why, "libsodium has no memory for argon2id");
	buf_add_string(out, hash);
	return 0;
}

static const struct {
	const char *name;
	const char *label; /* Dovecot's */
	int (*hash)(const char *password, size_t size, struct buf *out, struct error *why);
} schemes[] = {
	{"yescrypt", "{CRYPT}", hash_by_yescrypt},
	{"bcrypt", "{BLF-CRYPT}", hash_by_bcrypt},
	{"argon2id", "{ARGON2ID}", hash_by_argon2},
};
enum { SCHEME_COUNT = sizeof(schemes) / sizeof(schemes[0]) };

static size_t find_scheme(const char *name)
{
	size_t at = 0;

	while (at < SCHEME_COUNT && strcmp(schemes[at].name, name) != 0)
		at++;
	return at;
}

int password_check_scheme(const char *scheme, struct error *why)
{
	if (find_scheme(scheme) < SCHEME_COUNT)
		return 0;
	return error_set(why, "--scheme %s: there are yescrypt, bcrypt and argon2id", scheme);
}

int password_hash(
	const struct buf *password, const char *scheme, struct buf *out, struct error *why)
{
	size_t at = find_scheme(scheme);
	struct buf copy = {0};
	int result;

	if (at == SCHEME_COUNT)
		return password_check_scheme(scheme, why);
	buf_add_slice(&copy, buf_slice(password));
	buf_add_string(out, schemes[at].label);
	result = schemes[at].hash(buf_string(&copy), password->size, out, why);
	buf_wipe(&copy);
	return result;
}
