/*
 * Any keys to maps of each shape, over a real file that is there, and then is not: what is kept is
 * what would be asked, and when the file is away nothing is said that it has not said before. The
 * first byte chooses the map, the rest is the key.
 */
#include "base/log.h"
#include "fuzz/files.h"
#include "support/poller.h"

#include <sqlite3.h>

enum { TTL_MS = 60 * 1000, KEEP_BYTES = 256 * 1024 };

static const char schema[] =
	"CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT);"
	"INSERT INTO t VALUES ('a@b.ex', 'x@y.ex'), ('@c.ex', '@d.ex'), ('u', 'v'),"
	"	('b.ex', 'b.ex'), ('.ex', 'smtp:'), ('192.0.2', 'OK'), ('a@', 'REJECT');"
	"CREATE TABLE d (k TEXT PRIMARY KEY);"
	"INSERT INTO d VALUES ('b.ex'), ('gone.ex');";

/* Two of each: one whose answers are kept, and one that asks each time. */
static const char *const served[] = {"virtual_alias_maps", "canonical_maps", "smtp_generic_maps",
	"virtual_mailbox_maps", "relay_domains", "transport_maps", "check_client_access",
	"check_recipient_access", "mynetworks", "smtp_tls_policy_maps", "header_checks", ""};

enum { SERVED = sizeof(served) / sizeof(served[0]), VARIANTS = 3 };

/* Of each map: as it is; not folded, for a bare local part, too; and made of two others. */
static const char variants[] =
	"map %1$c%2$d_0 { serves = \"%3$s\"  source = mail  query = \"SELECT v FROM t WHERE k = "
	"'%%s'\" %4$s }\n"
	"map %1$c%2$d_1 { serves = \"%3$s\"  source = mail  query = \"SELECT v FROM t WHERE k = "
	"'%%u' AND '%%d' = 'b.ex'\"\n"
	"    fold = no  local_domains = {\"b.ex\"}  %4$s }\n"
	"map %1$c%2$d_2 { serves = \"%3$s\"  maps = {%1$c%2$d_0, %1$c%2$d_1} }\n";

static char path[FUZZ_PATH_ROOM], away[FUZZ_PATH_ROOM + 8];
static struct config *config;
static struct cache *cache;
static struct poller poller;
static struct engine *engine;
static uint64_t now; /* ms; never behind the clock, since queries have their deadline there */

static void remove_file(void)
{
	unlink(path);
	unlink(away);
}

static void make_file(void)
{
	sqlite3 *file;

	fuzz_database("lookup", path);
	snprintf(away, sizeof(away), "%s.away", path);
	remove_file();
	atexit(remove_file);
	FUZZ_CHECK(sqlite3_open(path, &file) == SQLITE_OK);
	FUZZ_CHECK(sqlite3_exec(file, schema, NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(file);
}

static void read_config(void)
{
	struct buf text = {0};

	buf_add_format(&text,
		"sqlite mail { path = \"%s\" }\n"
		"map domains { serves = virtual_alias_domains  source = mail  query = "
		"\"SELECT k FROM d WHERE k = '%%s'\"  ttl = 1m  negative_ttl = 1m }\n",
		path);
	for (int i = 0; i < SERVED; i++) {
		buf_add_format(&text, variants, 'k', i, served[i],
			"ttl = 1m  negative_ttl = 1m  stale_ttl = 1d  cache = yes");
		buf_add_format(&text, variants, 'p', i, served[i], "cache = no");
	}
	config = fuzz_config(text.data, text.size);
	buf_finish(&text);
}

/* Once for all inputs: the engine and its cache live on, as a daemon's would. */
static void start(void)
{
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	make_file();
	read_config();
	poller_init(&poller);
	cache = cache_create(KEEP_BYTES);
	engine = engine_create(config->catalog, cache, NULL, &poller.connector);
}

struct heard {
	unsigned count;
	enum status status;
	struct buf text;
};

static void on_reply(void *owner, const struct reply *reply)
{
	struct heard *heard = owner;

	heard->count++;
	heard->status = reply->status;
	buf_clear(&heard->text);
	buf_add_slice(&heard->text, reply->text);
}

/* A file answers at once. */
static void ask(char kind, unsigned choice, struct slice key, struct heard *heard)
{
	char name[32];
	struct request request = {.map = slice_str(name), .key = key};

	snprintf(name, sizeof(name), "%c%u_%u", kind, choice % SERVED, choice / SERVED % VARIANTS);
	request.map = slice_str(name);
	heard->count = 0;
	now = now < clock_ms() ? clock_ms() : now;
	engine_lookup(engine, &request, now, NULL, on_reply, heard);
	FUZZ_CHECK(heard->count == 1);
	engine_rest(engine, now); /* asks behind what was given, and lets go of the file */
	FUZZ_CHECK(!engine_pending(engine));
}

static bool is_same(const struct heard *one, const struct heard *other)
{
	return one->status == other->status &&
	       slice_equal(buf_slice(&one->text), buf_slice(&other->text));
}

/* Whether Postfix rejects who is not found there, in a domain of the schema above. */
static bool is_rejected(unsigned choice, struct slice key)
{
	ptrdiff_t at = slice_find_last(key, '@');
	struct slice domain = at < 0 ? slice_of(NULL, 0) : slice_from(key, (size_t)at + 1);

	return choice % SERVED == 0 && (slice_equal(domain, slice_str("b.ex")) ||
					       slice_equal(domain, slice_str("gone.ex")));
}

/* What is said without asking, of keys that can't be anywhere, is said as before. */
static void check_outage(unsigned choice, struct slice key, const struct heard *before)
{
	struct heard plain = {0}, kept = {0};

	FUZZ_CHECK(rename(path, away) == 0);
	now += 2 * TTL_MS;
	ask('p', choice, key, &plain);
	ask('k', choice, key, &kept);
	FUZZ_CHECK(plain.status == TRY_LATER || is_same(&plain, before));
	FUZZ_CHECK(kept.status == TRY_LATER || is_same(&kept, before));
	FUZZ_CHECK(plain.status == TRY_LATER || kept.status == plain.status);
	if (plain.status == TRY_LATER && is_rejected(choice, key))
		FUZZ_CHECK(kept.status != NOT_FOUND);
	FUZZ_CHECK(rename(away, path) == 0);
	now += 2 * TTL_MS;
	buf_finish(&plain.text);
	buf_finish(&kept.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heard plain = {0}, kept = {0};
	struct slice key;
	char *copy;

	if (!size)
		return 0;
	if (!engine)
		start();
	copy = fuzz_copy(data + 1, size - 1);
	key = slice_of(copy, size - 1);
	ask('p', data[0], key, &plain);
	for (int i = 0; i < 2; i++) {
		ask('k', data[0], key, &kept);
		FUZZ_CHECK(is_same(&kept, &plain));
	}
	if (size % 4 == 0) /* it costs more than all else */
		check_outage(data[0], key, &plain);
	buf_finish(&plain.text);
	buf_finish(&kept.text);
	free(copy);
	return 0;
}
