/* What backend.h promises of servers. The SQL in here is what all of them understand. */
#include "contract/cases.h"
#include "contract/place.h"
#include "contract/relay.h"

#include <poll.h>

enum { LONGEST_BATCH = 500, COPIES = 4, CANCEL_AGAIN_MS = 100, SHORT_MS = 200 };

#define FOR_ANY_KEY "'%s' = '%s'"

/* All keys of the table several times, and some that it does not have. */
static size_t all_keys(const char **keys)
{
	size_t count = 0;

	for (int copy = 0; copy < COPIES; copy++) {
		for (const struct contract_row *row = contract_rows; row->key; row++)
			keys[count++] = row->key;
		keys[count++] = copy % 2 ? "" : "three";
		keys[count++] = "no'body@\"\\{},nowhere";
	}
	keys[count] = NULL;
	return count;
}

static bool is_same_cell(struct slice one, struct slice other)
{
	return !one.data == !other.data && slice_equal(one, other);
}

static bool is_same_answer(const struct rows *one, const struct rows *other)
{
	if (one->count != other->count || (one->count && one->columns != other->columns))
		return false;
	for (size_t row = 0; row < one->count; row++)
		for (size_t column = 0; column < one->columns; column++)
			if (!is_same_cell(
				    rows_cell(one, row, column), rows_cell(other, row, column)))
				return false;
	return true;
}

/* One by one, and all at once: statuses, rows, columns, order and NULLs are the same. */
static void assert_alike(const char *text, const char *const *keys)
{
	const struct query *query = add_query(text);
	struct group one_by_one, at_once;

	group_init(&one_by_one, query, keys);
	group_init(&at_once, query, keys);
	for (size_t i = 0; i < one_by_one.count; i++)
		ck_assert_int_eq(group_ask_part(&one_by_one, i, 1), DONE);
	group_ask(&at_once);
	for (size_t i = 0; i < one_by_one.count; i++) {
		const struct question *one = &one_by_one.questions[i],
				      *other = &at_once.questions[i];

		ck_assert_msg(
			one->status == other->status && is_same_answer(one->rows, other->rows),
			"%s, for %s: alone %s (%s), in a batch %s (%s)", text, keys[i],
			status_text(one->status), one->why->text, status_text(other->status),
			other->why->text);
	}
	group_finish(&one_by_one);
	group_finish(&at_once);
}

START_TEST(batches_answer_alike)
{
	const char *keys[COPIES * 64];

	all_keys(keys);
	assert_alike(tested->queries.value, keys);
	assert_alike(tested->queries.both, keys);
	assert_alike(tested->queries.expressions, keys);
	assert_alike(tested->server->keys, keys);
	assert_alike(tested->server->poison, keys);
	for (const struct contract_alike *alike = tested->server->alike; alike->query; alike++)
		assert_alike(alike->query, alike->keys);
}
END_TEST

START_TEST(a_batch_needs_no_splitting)
{
	const char *texts[] = {
		tested->queries.value, tested->server->keys, tested->queries.expressions};
	const char *keys[COPIES * 64];
	struct group group;

	all_keys(keys);
	for (int i = 0; i < 3; i++) {
		group_init(&group, add_query(texts[i]), keys);
		ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
		assert_group_value(&group, 0, i < 2 ? "1" : "one");
		group_finish(&group);
	}
}
END_TEST

START_TEST(one_poison_key)
{
	static const char *const keys[] = {"one", "three", "poison", "two", "mixed", NULL};
	const struct query *query = add_query(tested->server->poison);
	struct group group;

	group_init(&group, query, keys);
	ck_assert_int_eq(group_ask_part(&group, 0, group.count), SPLIT);
	group_ask(&group);
	assert_group_value(&group, 0, "1");
	ck_assert_int_eq(group.questions[1].status, NOT_FOUND);
	ck_assert_int_eq(group.questions[2].status, BROKEN);
	ck_assert_uint_gt(strlen(group.questions[2].why->text), 5);
	assert_group_value(&group, 3, "first|second");
	assert_group_value(&group, 4, "NULL|value");
	group_finish(&group);
	ck_assert_int_eq(ask(query, "poison"), BROKEN);
	assert_value(query, "one", "1");
}
END_TEST

/* The key is not a part of the answer. */
START_TEST(keys_by_a_list)
{
	static const char *const keys[] = {"two", "three", "null", "empty", "two", NULL};
	const struct query *query = add_query(tested->server->keys);
	struct group group;

	ck_assert_int_eq(query->statement.kind, STATEMENT_KEYS);
	assert_value(query, "two", "first|second");
	ck_assert_uint_eq(place.rows.columns, 1);
	ck_assert_int_eq(ask(query, "three"), NOT_FOUND);
	group_init(&group, query, keys);
	ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
	assert_group_value(&group, 0, "first|second");
	ck_assert_uint_eq(group.questions[0].rows->columns, 1);
	ck_assert_int_eq(group.questions[1].status, NOT_FOUND);
	assert_group_value(&group, 2, "NULL");
	assert_group_value(&group, 3, "");
	assert_group_value(&group, 4, "first|second");
	group_finish(&group);
}
END_TEST

/* The key of a row is no column of the answer, unless it is all of it. */
START_TEST(names_by_a_list)
{
	static const char *const keys[] = {"two", "three", "one", NULL};
	const char *const texts[] = {
		tested->server->keys, "SELECT k FROM contract WHERE k IN (:keys)"};

	for (size_t i = 0; i < 2; i++) {
		const struct query *query = add_query(texts[i]);
		struct group group;

		place.queries[i].statement.named = true;
		ck_assert_int_eq(ask(query, "two"), FOUND);
		assert_slice(rows_name(&place.rows, 0), i ? "k" : "v");
		ck_assert_uint_eq(place.rows.names.size, 2);
		group_init(&group, query, keys);
		ck_assert_int_eq(group_ask_part(&group, 0, group.count), DONE);
		for (size_t at = 0; at < group.count; at++) {
			assert_slice(rows_name(group.questions[at].rows, 0), i ? "k" : "v");
			ck_assert_uint_eq(group.questions[at].rows->names.size, 2);
		}
		group_finish(&group);
	}
}
END_TEST

/* However often a batch fails before all is answered, each gets its names once. */
START_TEST(names_beside_poison)
{
	static const char *const keys[] = {"one", "three", "poison", "two", "mixed", NULL};
	struct group group;

	group_init(&group, add_query(tested->server->poison), keys);
	place.queries[0].statement.named = true;
	for (int i = 0; i < 2; i++) {
		group_ask(&group);
		for (size_t at = 0; at < group.count; at++)
			ck_assert_uint_eq(group.questions[at].rows->names.size,
				at == 2 ? 0 : strlen("v") + 1);
	}
	group_finish(&group);
}
END_TEST

/* It does not depend on a key: all get the same. */
START_TEST(a_query_without_parameters)
{
	static const char *const keys[] = {"one", "two", NULL};

	assert_alike("SELECT v FROM contract WHERE k = 'one'", keys);
	assert_value(&place.queries[0], "three", "1");
}
END_TEST

static void assert_all(const struct query *query, const char *const *keys, enum status status)
{
	struct group group;

	group_init(&group, query, keys);
	group_ask(&group);
	for (size_t i = 0; i < group.count; i++) {
		ck_assert_int_eq(group.questions[i].status, status);
		if (status == BROKEN)
			ck_assert_uint_gt(strlen(group.questions[i].why->text), 5);
	}
	group_finish(&group);
}

/* Its rows are not "not found", and they are back as soon as it is. */
START_TEST(a_table_that_is_away)
{
	static const char *const keys[] = {"one", "two", "mixed", NULL};
	const struct query *query = add_query(tested->queries.value);

	for (int i = 0; i < 2; i++) {
		assert_value(query, "one", "1");
		assert_all(query, keys, FOUND);
		tested->server->run("ALTER TABLE contract RENAME TO away");
		ck_assert_int_eq(ask(query, "one"), BROKEN);
		assert_all(query, keys, BROKEN);
		ck_assert_int_eq(ask(query, "one"), BROKEN);
		tested->server->run("ALTER TABLE away RENAME TO contract");
		assert_all(query, keys, FOUND);
	}
	assert_value(query, "two", "first|second");
}
END_TEST

/* What was prepared before no longer fits. */
START_TEST(a_schema_that_changes)
{
	static const char *const keys[] = {"one", "a@b", NULL};
	const struct query *query =
		add_query("SELECT contract.* FROM contract WHERE k = '%s' AND v = '1'");
	size_t columns;

	ck_assert_int_eq(ask(query, "one"), FOUND);
	columns = place.rows.columns;
	for (int i = 0; i < 3; i++) {
		struct group group;

		tested->server->run(i % 2 ? "ALTER TABLE contract DROP COLUMN more"
					  : "ALTER TABLE contract ADD COLUMN more VARCHAR(20)");
		if (i < 2) {
			ck_assert_int_eq(ask(query, "one"), FOUND);
			ck_assert_uint_eq(place.rows.columns, columns + 1 - (size_t)i);
		}
		group_init(&group, query, keys);
		group_ask(&group);
		ck_assert_int_eq(group.questions[0].status, FOUND);
		ck_assert_uint_eq(group.questions[0].rows->columns, columns + 1 - (size_t)(i % 2));
		ck_assert_int_eq(group.questions[1].status, NOT_FOUND);
		group_finish(&group);
	}
}
END_TEST

/* More than the buffers of the system hold. Returned are the keys. */
static const char **init_huge(struct group *group)
{
	static char texts[LONGEST_BATCH][LOOKUP_KEY_MAX];
	static const char *keys[LONGEST_BATCH + 1];

	for (int i = 0; i < LONGEST_BATCH; i++) {
		memset(texts[i], i % 2 ? '"' : '\\', sizeof(texts[i]) - 1);
		snprintf(texts[i], sizeof(texts[i]), "%d", i);
		texts[i][strlen(texts[i])] = i % 3 ? 'x' : '\0';
		keys[i] = texts[i];
	}
	group_init(group, add_query("SELECT '%s'"), keys);
	return keys;
}

static void assert_echoed(const struct group *group, const char *const *keys)
{
	for (size_t i = 0; i < group->count; i++) {
		ck_assert_int_eq(group->questions[i].status, FOUND);
		ck_assert(
			slice_equal(rows_cell(group->questions[i].rows, 0, 0), slice_str(keys[i])));
	}
}

/* Writing and reading have to take turns. */
START_TEST(a_huge_batch)
{
	struct group group;
	const char **keys = init_huge(&group);

	group_ask(&group);
	assert_echoed(&group, keys);
	group_finish(&group);
}
END_TEST

/* More rows than anybody can want are the query's fault, and don't stay in memory. */
START_TEST(too_many_rows)
{
	static const char *const keys[] = {"a", "b", NULL};
	const struct query *good = add_query(tested->queries.value);
	const struct query *bad = add_query("SELECT x.v FROM contract x, contract y, contract z "
					    "WHERE x.k = 'long' AND y.k <> '%s'");

	ck_assert_int_eq(ask(bad, "a"), BROKEN);
	assert_contains(place.why.text, "MB");
	ck_assert_uint_eq(place.rows.count, 0);
	assert_all(bad, keys, BROKEN);
	assert_value(good, "one", "1");
}
END_TEST

/* Neither text nor a part of it: not what the bytes before the NUL would find. */
START_TEST(a_key_with_a_nul)
{
	const struct query *query = add_query(tested->queries.value);

	ask_bytes(query, slice_of("one\0", 4));
	ck_assert_int_eq(place.progress, DONE);
	ck_assert_uint_eq(place.rows.count, 0);
	assert_value(query, "one", "1");
}
END_TEST

/* A key that is no UTF-8 is that key's trouble. */
START_TEST(a_key_of_no_characters)
{
	static const char *const keys[] = {"one", "gr\xfcn", "two", "\xf0\x9f", NULL};
	struct group group;

	group_init(&group, add_query(tested->queries.value), keys);
	group_ask(&group);
	assert_group_value(&group, 0, "1");
	assert_group_value(&group, 2, "first|second");
	ck_assert_int_ne(group.questions[1].status, FOUND);
	ck_assert_int_ne(group.questions[3].status, FOUND);
	group_finish(&group);
}
END_TEST

/* Lost connections. */

START_TEST(killed_while_idle)
{
	assert_value(add_query(tested->queries.value), "one", "1");
	tested->server->kill();
	wait_until_lost();
	close_place();
	open_place();
	assert_value(&place.queries[0], "one", "1");
}
END_TEST

/* Whoever asks before the driver was told of it. */
START_TEST(killed_and_asked)
{
	assert_value(add_query(tested->queries.value), "one", "1");
	tested->server->kill();
	ask_bytes(&place.queries[0], slice_str("one"));
	ck_assert_int_eq(place.progress, LOST);
	ck_assert_uint_gt(strlen(place.why.text), 5);
}
END_TEST

/* Starts a query that takes minutes. */
static void start_sleeping(struct group *group)
{
	static const char *const keys[] = {"one", NULL};
	enum progress progress;

	group_init(group, add_query(tested->server->sleep), keys);
	group->batch =
		(struct batch){.questions = group->questions, .count = 1, .deadline = PATIENCE_MS};
	progress = tested->backend->start(place.conn, &group->batch);
	ck_assert(progress == WANT_READ || progress == WANT_WRITE);
}

START_TEST(killed_while_asking)
{
	struct group group;

	start_sleeping(&group);
	tested->server->kill();
	ck_assert_int_eq(wait_for(WANT_READ), LOST);
	ck_assert_uint_gt(strlen(group.questions[0].why->text), 5);
	group_finish(&group);
}
END_TEST

START_TEST(cancels)
{
	enum progress progress;
	struct group group;

	start_sleeping(&group);
	do {
		struct pollfd fd = {tested->backend->fd(place.conn), POLLIN, 0};

		/* One that comes before the query has begun has no effect. */
		tested->backend->cancel(place.conn);
		poll(&fd, 1, CANCEL_AGAIN_MS);
		progress = tested->backend->advance(place.conn);
	} while (progress == WANT_READ);
	ck_assert(progress == LOST || progress == DONE);
	ck_assert_int_eq(group.questions[0].status, TRY_LATER);
	group_finish(&group);
}
END_TEST

/* A relay between the driver and the server. */
static struct relay *begin_relay(const char *address)
{
	struct relay *relay =
		relay_start(address, contract_server_facts.host, contract_server_facts.port);

	close_place();
	place.server.host = address;
	place.server.port = relay_port(relay);
	return relay;
}

/* Whether it is under way after a look at what has arrived. */
static bool look(enum progress *progress)
{
	struct pollfd fd = {tested->backend->fd(place.conn), POLLIN, 0};

	poll(&fd, 1, 1);
	if (*progress == WANT_READ || *progress == WANT_WRITE)
		*progress = tested->backend->advance(place.conn);
	return *progress == WANT_READ || *progress == WANT_WRITE;
}

/* Asks, with so many bytes of the answer at first: whoever waits for the rest waits for ever. */
static void ask_by_pieces(struct relay *relay, struct group *group, long bytes)
{
	enum progress progress;

	relay_let(relay, bytes);
	group->batch = (struct batch){
		.questions = group->questions, .count = group->count, .deadline = PATIENCE_MS};
	batch_clear(&group->batch);
	progress = tested->backend->start(place.conn, &group->batch);
	while (!relay_is_silent(relay))
		ck_assert(look(&progress));
	for (int i = 0; i < 3; i++)
		look(&progress);
	relay_let(relay, RELAY_ALL);
	ck_assert_int_eq(wait_for(progress), DONE);
	assert_group_value(group, 0, "first|second");
}

static void assert_never_blocks(void)
{
	static const char *const keys[] = {"two", "three", "two", NULL};
	struct relay *relay = begin_relay("127.0.0.1");
	struct group group;
	size_t before, answer;

	open_place();
	group_init(&group, add_query(tested->queries.value), keys);
	group_ask(&group);
	before = relay_passed(relay);
	group_ask(&group);
	answer = relay_passed(relay) - before;
	for (size_t bytes = 0; bytes < answer; bytes++)
		ask_by_pieces(relay, &group, (long)bytes);
	group_finish(&group);
	close_place();
	relay_stop(relay);
}

START_TEST(half_a_message)
{
	assert_never_blocks();
}
END_TEST

START_TEST(half_a_message_encrypted)
{
	place.settings.tls = TLS_REQUIRE;
	assert_never_blocks();
}
END_TEST

/* The driver's first questions of a connection, too, when statements are prepared. */
START_TEST(half_of_the_first_messages)
{
	static const char *const keys[] = {"two", "three", NULL};
	struct relay *relay = begin_relay("127.0.0.1");
	const struct query *query = add_query(tested->queries.value);
	struct group group;
	size_t before, answer;

	open_place();
	group_init(&group, query, keys);
	before = relay_passed(relay);
	group_ask(&group);
	answer = relay_passed(relay) - before;
	close_place();
	for (size_t bytes = 0; bytes < answer; bytes += 7) {
		open_place();
		ask_by_pieces(relay, &group, (long)bytes);
		close_place();
	}
	group_finish(&group);
	relay_stop(relay);
}
END_TEST

/* Nobody waits until it does. */
START_TEST(a_server_that_does_not_read)
{
	struct relay *relay = begin_relay("127.0.0.1");
	enum progress progress;
	struct group group;
	const char **keys;

	open_place();
	keys = init_huge(&group);
	group_ask(&group);
	relay_be_deaf(relay, true);
	group.batch = (struct batch){
		.questions = group.questions, .count = group.count, .deadline = PATIENCE_MS};
	batch_clear(&group.batch);
	progress = tested->backend->start(place.conn, &group.batch);
	for (int i = 0; i < 3; i++)
		ck_assert(look(&progress));
	relay_be_deaf(relay, false);
	ck_assert_int_eq(wait_for(progress), DONE);
	assert_echoed(&group, keys);
	group_finish(&group);
	close_place();
	relay_stop(relay);
}
END_TEST

START_TEST(a_server_that_is_gone)
{
	struct relay *relay = begin_relay("127.0.0.1");
	const struct query *query = add_query(tested->queries.value);

	open_place();
	assert_value(query, "one", "1");
	relay_stop(relay);
	ask_bytes(query, slice_str("one"));
	ck_assert_int_eq(place.progress, LOST);
	ck_assert_uint_gt(strlen(place.why.text), 5);
	ck_assert_int_eq(try_to_open(), -1);
}
END_TEST

/* Without a word, as when its process is killed. */
START_TEST(a_server_that_goes_while_asked)
{
	struct relay *relay = begin_relay("127.0.0.1");
	struct group group;

	open_place();
	assert_value(add_query(tested->queries.value), "one", "1");
	start_sleeping(&group);
	relay_stop(relay);
	ck_assert_int_eq(wait_for(WANT_READ), LOST);
	ck_assert_uint_gt(strlen(group.questions[0].why->text), 5);
	group_finish(&group);
	tested->server->kill();
}
END_TEST

/* It accepts, and says nothing. */
START_TEST(a_server_that_is_silent)
{
	struct relay *relay = begin_relay("127.0.0.1");

	place.settings.connect_timeout = SHORT_MS;
	relay_let(relay, 0);
	ck_assert_int_eq(try_to_open(), -1);
	relay_let(relay, 10);
	ck_assert_int_eq(try_to_open(), -1);
	place.settings.connect_timeout = PATIENCE_MS;
	relay_let(relay, RELAY_ALL);
	ck_assert_msg(try_to_open() == 0, "%s", place.why.text);
	relay_stop(relay);
}
END_TEST

/* Who may connect. */

START_TEST(a_wrong_password)
{
	place.server.password = "guessed wrong";
	ck_assert_int_eq(try_to_open(), -1);
	ck_assert_ptr_null(strstr(place.why.text, "guessed"));
	place.server.password = NULL;
	ck_assert_int_eq(try_to_open(), -1);
	place.server.password = contract_server_facts.password;
	ck_assert_int_eq(try_to_open(), 0);
}
END_TEST

START_TEST(by_a_socket)
{
	close_place();
	place.server.host = contract_server_facts.socket;
	open_place();
	assert_value(add_query(tested->queries.value), "one", "1");
}
END_TEST

static void set_tls(int mode, const char *ca)
{
	const struct setting *row = setting_find(server_setting_table, "tls_ca");

	place.settings.tls = mode;
	if (ca)
		ck_assert_int_eq(setting_set(row, &place.settings, &ca, 1, &place.why), 0);
}

/* Opens anew by these options, and asks whether the connection is encrypted. */
static void assert_encrypted(int mode, const char *ca, const char *should)
{
	if (place.conn)
		close_place();
	set_tls(mode, ca);
	open_place();
	assert_value(add_query(tested->server->encrypted), "x", should);
}

static void assert_refused(int mode, const char *ca)
{
	set_tls(mode, ca);
	ck_assert_int_eq(try_to_open(), -1);
}

/* Records of TLS and messages of the database end at all places of the driver's buffers. */
START_TEST(long_rows_encrypted)
{
	char text[200];

	place.settings.tls = TLS_REQUIRE;
	close_place();
	open_place();
	for (int size = 2000; size < 20000; size += 1500) {
		snprintf(text, sizeof(text),
			"SELECT repeat('x', %d) FROM contract x WHERE x.k <> '%%s'", size);
		ck_assert_int_eq(ask(add_query(text), ""), FOUND);
		for (size_t row = 0; row < place.rows.count; row++)
			ck_assert_uint_eq(rows_cell(&place.rows, row, 0).size, (size_t)size);
	}
}
END_TEST

START_TEST(tls_off)
{
	assert_encrypted(TLS_OFF, NULL, "no");
	assert_encrypted(TLS_OFF, contract_server_facts.ca, "no");
	assert_encrypted(TLS_AUTO, NULL, "no");
}
END_TEST

START_TEST(tls_require)
{
	assert_encrypted(TLS_REQUIRE, NULL, "yes");
	/* Whoever answers, so it is not asked who has signed. */
	assert_encrypted(TLS_REQUIRE, contract_server_facts.certificate, "yes");
}
END_TEST

START_TEST(tls_verify_ca)
{
	struct relay *relay;

	assert_encrypted(TLS_VERIFY_CA, contract_server_facts.ca, "yes");
	assert_refused(TLS_VERIFY_CA, contract_server_facts.certificate);
	assert_refused(TLS_VERIFY_CA, "/nowhere/ca.pem");
	/* The server's certificate is not made out to that address, which does not matter. */
	relay = begin_relay("127.0.0.2");
	assert_encrypted(TLS_VERIFY_CA, contract_server_facts.ca, "yes");
	assert_refused(TLS_VERIFY_CA, contract_server_facts.certificate);
	close_place();
	relay_stop(relay);
}
END_TEST

START_TEST(tls_verify_full)
{
	struct relay *relay;

	assert_encrypted(TLS_VERIFY_FULL, contract_server_facts.ca, "yes");
	assert_refused(TLS_VERIFY_FULL, contract_server_facts.certificate);
	relay = begin_relay("127.0.0.2");
	assert_refused(TLS_VERIFY_FULL, contract_server_facts.ca);
	/* It was for the name alone. */
	assert_encrypted(TLS_VERIFY_CA, contract_server_facts.ca, "yes");
	close_place();
	relay_stop(relay);
}
END_TEST

START_TEST(tls_of_the_client)
{
	const struct setting *cert = setting_find(server_setting_table, "tls_cert");
	const struct setting *key = setting_find(server_setting_table, "tls_key");
	const struct setting *user = setting_find(server_setting_table, "user");
	const char *name = "certified";

	place.server.password = NULL;
	setting_set(user, &place.settings, &name, 1, &place.why);
	assert_refused(TLS_VERIFY_FULL, contract_server_facts.ca);
	setting_set(cert, &place.settings, (const char **)&contract_server_facts.certificate, 1,
		&place.why);
	setting_set(key, &place.settings, (const char **)&contract_server_facts.key, 1, &place.why);
	assert_encrypted(TLS_VERIFY_FULL, NULL, "yes");
	assert_encrypted(TLS_REQUIRE, NULL, "yes");
}
END_TEST

static void add_tls_cases(TCase *tcase)
{
	if (!contract_server_facts.ca) {
		printf("skipped: TLS: the server of these facts has none\n");
		return;
	}
	tcase_add_test(tcase, half_a_message_encrypted);
	tcase_add_test(tcase, long_rows_encrypted);
	tcase_add_test(tcase, tls_off);
	tcase_add_test(tcase, tls_require);
	tcase_add_test(tcase, tls_verify_ca);
	tcase_add_test(tcase, tls_verify_full);
	tcase_add_test(tcase, tls_of_the_client);
}

void add_server_cases(TCase *tcase)
{
	tcase_add_test(tcase, batches_answer_alike);
	tcase_add_test(tcase, a_batch_needs_no_splitting);
	tcase_add_test(tcase, one_poison_key);
	tcase_add_test(tcase, keys_by_a_list);
	tcase_add_test(tcase, names_by_a_list);
	tcase_add_test(tcase, names_beside_poison);
	tcase_add_test(tcase, a_query_without_parameters);
	tcase_add_test(tcase, a_table_that_is_away);
	tcase_add_test(tcase, a_schema_that_changes);
	tcase_add_test(tcase, a_huge_batch);
	tcase_add_test(tcase, too_many_rows);
	tcase_add_test(tcase, a_key_with_a_nul);
	tcase_add_test(tcase, a_key_of_no_characters);
	tcase_add_test(tcase, killed_while_idle);
	tcase_add_test(tcase, killed_and_asked);
	tcase_add_test(tcase, killed_while_asking);
	if (tested->backend->cancel)
		tcase_add_test(tcase, cancels);
	else
		printf("skipped: cancels: the server ends its queries by itself\n");
	tcase_add_test(tcase, half_a_message);
	tcase_add_test(tcase, half_of_the_first_messages);
	tcase_add_test(tcase, a_server_that_does_not_read);
	tcase_add_test(tcase, a_server_that_is_gone);
	tcase_add_test(tcase, a_server_that_goes_while_asked);
	tcase_add_test(tcase, a_server_that_is_silent);
	tcase_add_test(tcase, a_wrong_password);
	tcase_add_test(tcase, by_a_socket);
	add_tls_cases(tcase);
	if (tested->server->add_cases)
		tested->server->add_cases(tcase);
}
