/*
 * Any lines to a session of the dict protocol, over a real file: each command that is taken gets
 * one reply, in its order if it has no number, no row comes where there is no room, and nothing is
 * left of a client who has gone.
 */
#include "base/log.h"
#include "fuzz/files.h"
#include "support/dict_session.h"
#include "support/poller.h"

#include <sqlite3.h>

enum {
	ROOM = 2000, /* bytes of replies that a client takes at a time */
	ROW_MOST = 300000,
	TURNS_MOST = 100000,
	INPUTS_EACH = 50, /* and then the tables are as at first */
};

static const char schema[] =
	"PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL;"
	"DROP TABLE IF EXISTS quota; DROP TABLE IF EXISTS note; DROP TABLE IF EXISTS meta;"
	"CREATE TABLE quota (username TEXT PRIMARY KEY, bytes INTEGER, messages INTEGER);"
	"CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT, until INTEGER);"
	"CREATE TABLE meta (username TEXT, guid BLOB, entry TEXT, value TEXT, more TEXT,"
	"	PRIMARY KEY (username, guid, entry));"
	"INSERT INTO quota VALUES ('u', 1, 2);"
	"INSERT INTO meta VALUES ('u', x'00ff', 'e', 'v', 'w');"
	"WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 1100)"
	"	INSERT INTO note SELECT 'n/' || i, 'value ' || i, NULL FROM c;";

static const char text[] =
	"sqlite mail { path = \"%s\" }\n"
	"map quota { source = mail  query = \"SELECT bytes FROM quota WHERE username = '%%s'\" }\n"
	"dictionary d {\n"
	"    key \"priv/quota/storage\" { source = mail  table = quota  username_field = username\n"
	"        value_field = bytes  value_type = int  ttl = 1h }\n"
	"    key \"priv/quota/messages\" { source = mail  table = quota  username_field = "
	"username\n"
	"        value_field = messages  value_type = uint }\n"
	"    key \"shared/note/$name\" { source = mail  table = note  value_field = value\n"
	"        fields = {\"name = $name\"}  ttl = 1h  negative_ttl = 1h }\n"
	"    key \"shared/timed/$name\" { source = mail  table = note  value_field = value\n"
	"        fields = {\"name = $name\"}  expire_field = until }\n"
	"    key \"priv/meta/$guid/x/$entry\" { source = mail  table = meta\n"
	"        username_field = username  value_field = {value, more}\n"
	"        fields = {\"guid = $guid:hexblob\", \"entry = $entry\"} }\n"
	"    key \"shared/userdb/$user\" { map = quota  format = json\n"
	"        iterate = \"SELECT username FROM quota\" }\n"
	"    key \"shared/passdb/$user\" { map = quota }\n"
	"}\n";

static char path[FUZZ_PATH_ROOM];
static sqlite3 *file;
static struct config *config;
static struct cache *cache;
static struct poller poller;
static struct engine *engine;

static void make_tables(void)
{
	FUZZ_CHECK(sqlite3_exec(file, schema, NULL, NULL, NULL) == SQLITE_OK);
}

static void remove_file(void)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
	char name[FUZZ_PATH_ROOM + 8];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
}

static void read_config(void)
{
	struct buf whole = {0};

	buf_add_format(&whole, text, path);
	config = fuzz_config(whole.data, whole.size);
	buf_finish(&whole);
}

/* Once for all inputs: the engine and its cache live on, as a daemon's would. */
static void start(void)
{
	fuzz_database("session", path);
	remove_file();
	atexit(remove_file);
	FUZZ_CHECK(sqlite3_open(path, &file) == SQLITE_OK);
	make_tables();
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	read_config();
	poller_init(&poller);
	cache = cache_create(1 << 20);
	engine = engine_create(config->catalog, cache, NULL, &poller.connector);
}

/* What a client has been told. */
struct heard {
	unsigned numbers; /* of commands; the last of them */
	unsigned replies; /* that end a command, by their number */
};

/* Of a reply with a number: is it the last one of its command? Rows have no times. */
static bool is_last(struct slice line)
{
	unsigned digits = 0, fields = 0;

	for (size_t at = line.size; at-- > 0 && fields < 4;) {
		if (line.data[at] == '\t' && digits) {
			fields++;
			digits = 0;
		} else if (line.data[at] >= '0' && line.data[at] <= '9') {
			digits++;
		} else {
			return false;
		}
	}
	return fields == 4;
}

static void hear_line(struct heard *heard, struct slice line)
{
	if (line.size && line.data[0] == '*') {
		FUZZ_CHECK(strtoul(line.data + 1, NULL, 10) == heard->numbers + 1);
		heard->numbers++;
	} else if (line.size && line.data[0] == '+') {
		unsigned long number = strtoul(line.data + 1, NULL, 10);

		FUZZ_CHECK(number >= 1 && number <= heard->numbers);
		heard->replies += is_last(line);
	}
}

/* Whole lines, and no more of them than there is room. */
static void hear(struct dict_peer *peer, struct heard *heard)
{
	struct slice rest = buf_slice(&peer->out);

	FUZZ_CHECK(rest.size <= ROOM + ROW_MOST);
	while (rest.size) {
		ptrdiff_t newline = slice_find(rest, '\n');

		FUZZ_CHECK(newline >= 0);
		hear_line(heard, slice_of(rest.data, (size_t)newline));
		rest = slice_from(rest, (size_t)newline + 1);
	}
	buf_clear(&peer->out);
}

/* As conn.c does between two lines. */
static void turn(struct dict_peer *peer, struct heard *heard)
{
	poller_turn(&poller, engine);
	hear(peer, heard);
	if (dict_session_waits(peer->session))
		dict_session_resume(peer->session, clock_ms());
}

static void settle(struct dict_peer *peer, struct heard *heard)
{
	for (int i = 0; dict_session_pending(peer->session); i++) {
		FUZZ_CHECK(i < TURNS_MOST);
		turn(peer, heard);
	}
	hear(peer, heard);
	FUZZ_CHECK(!dict_session_waits(peer->session));
	FUZZ_CHECK(!dict_session_commits(peer->session));
}

/* Says all lines. Returns whether it is still listened to. */
static bool talk(struct dict_peer *peer, struct heard *heard, struct slice rest, bool patient)
{
	while (rest.size) {
		ptrdiff_t newline = slice_find(rest, '\n');
		struct slice line = slice_of(rest.data, newline < 0 ? rest.size : (size_t)newline);

		rest = slice_from(rest, newline < 0 ? rest.size : (size_t)newline + 1);
		if (dict_session_commits(peer->session) || patient)
			settle(peer, heard);
		if (dict_peer_say(peer, engine, line) < 0) {
			FUZZ_CHECK(*peer->why.text);
			return false;
		}
		hear(peer, heard);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned inputs;
	struct slice lines = slice_of(size ? (const char *)data : "", size);
	struct dict_peer peer;
	struct heard heard = {0};
	bool patient = size && data[0] == ' ';

	if (!engine)
		start();
	dict_peer_begin(&peer);
	peer.room = ROOM;
	/* A blank in front: he waits for each reply. */
	if (talk(&peer, &heard, slice_from(lines, patient), patient)) {
		settle(&peer, &heard);
		FUZZ_CHECK(heard.replies == heard.numbers);
	}
	dict_peer_leave(&peer);
	for (int i = 0; engine_pending(engine); i++) {
		FUZZ_CHECK(i < TURNS_MOST);
		poller_turn(&poller, engine);
	}
	FUZZ_CHECK(!peer.out.size);
	dict_peer_end(&peer);
	engine_rest(engine, clock_ms());
	if (++inputs % INPUTS_EACH == 0)
		make_tables();
	return 0;
}
