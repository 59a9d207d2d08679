#include "engine/hosts.h"

#include "support/unit.h"

enum { START = 1000000, RETRY = 100 };

static struct server_settings settings;
static struct hosts hosts;

static void begin(void)
{
	settings = (struct server_settings){0};
	settings_init(server_setting_table, &settings);
}

static void end(void)
{
	hosts_finish(&hosts);
	settings_finish(server_setting_table, &settings);
}

static void init(size_t count, enum server_order order)
{
	static const char *const names[] = {"one", "two:5", "[::1]:6", "/run/db"};

	settings.order = (int)order;
	if (count)
		ck_assert_int_eq(setting_set(setting_find(server_setting_table, "hosts"), &settings,
					 names, count, NULL),
			0);
	hosts_init(&hosts, &settings, 42);
}

static void refuse(size_t at, uint64_t now)
{
	host_failed(&hosts, &hosts.items[at], RETRY, now);
}

static ptrdiff_t choice(uint64_t now)
{
	const struct host *host = hosts_choose(&hosts, now);

	return host ? host - hosts.items : -1;
}

static ptrdiff_t probe(uint64_t now)
{
	const struct host *host = hosts_to_probe(&hosts, now);

	return host ? host - hosts.items : -1;
}

START_TEST(addresses)
{
	init(4, ORDER_FIRST);
	ck_assert_uint_eq(hosts.count, 4);
	ck_assert_str_eq(hosts.items[0].text, "one");
	ck_assert_str_eq(hosts.items[1].address.host, "two");
	ck_assert_uint_eq(hosts.items[1].address.port, 5);
	ck_assert_str_eq(hosts.items[2].address.host, "::1");
	ck_assert_str_eq(hosts.items[3].address.host, "/run/db");
	ck_assert_uint_eq(hosts.items[3].address.port, 0);
}
END_TEST

/* Without a list there is the one that the client library takes. */
START_TEST(no_list)
{
	init(0, ORDER_RANDOM);
	ck_assert_uint_eq(hosts.count, 1);
	ck_assert_str_eq(hosts.items[0].text, "default");
	ck_assert_ptr_null(hosts.items[0].address.host);
	ck_assert_int_eq(choice(START), 0);
	ck_assert_int_eq(probe(START), -1);
	ck_assert(!hosts_all_down(&hosts));
}
END_TEST

START_TEST(the_first_that_is_up)
{
	init(3, ORDER_FIRST);
	ck_assert_int_eq(choice(START), 0);
	refuse(0, START);
	ck_assert_int_eq(choice(START), 1);
	/* Its time to be tried has come: but not by those who could have a host that is up. */
	ck_assert_int_eq(choice(START + 10000), 1);
	host_up(&hosts.items[0], 100);
	ck_assert_int_eq(choice(START), 0);
	ck_assert(hosts_prefer(&hosts, &hosts.items[0], &hosts.items[1]));
	ck_assert(!hosts_prefer(&hosts, &hosts.items[1], &hosts.items[0]));
	ck_assert(!hosts_prefer(&hosts, &hosts.items[1], &hosts.items[1]));
}
END_TEST

START_TEST(any)
{
	unsigned counts[3] = {0};

	init(3, ORDER_RANDOM);
	for (int i = 0; i < 3000; i++)
		counts[choice(START)]++;
	for (int i = 0; i < 3; i++)
		ck_assert_uint_gt(counts[i], 800);
	refuse(1, START);
	for (int i = 0; i < 100; i++)
		ck_assert_int_ne(choice(START), 1);
	ck_assert(!hosts_prefer(&hosts, &hosts.items[0], &hosts.items[1]));
}
END_TEST

START_TEST(the_nearest)
{
	init(3, ORDER_NEAREST);
	host_up(&hosts.items[0], 1000);
	/* First each of them has to be known. */
	ck_assert_int_eq(probe(START), 1);
	ck_assert_uint_le(hosts_next_probe(&hosts), START);
	host_up(&hosts.items[1], 600);
	host_up(&hosts.items[2], 0); /* faster than can be measured: known all the same */
	ck_assert_int_eq(probe(START), -1);
	ck_assert_uint_eq(hosts_next_probe(&hosts), UINT64_MAX);
	ck_assert_int_eq(choice(START), 2);
	refuse(2, START);
	ck_assert_int_eq(choice(START), 1);
	/* Connections move only if it is worth it. */
	ck_assert(!hosts_prefer(&hosts, &hosts.items[1], &hosts.items[0]));
	host_up(&hosts.items[1], 499);
	ck_assert(hosts_prefer(&hosts, &hosts.items[1], &hosts.items[0]));
	ck_assert(!hosts_prefer(&hosts, &hosts.items[0], &hosts.items[1]));
}
END_TEST

/* Waits double up to 5 s, with a quarter of jitter on both sides. */
START_TEST(waits_grow)
{
	uint64_t should = RETRY, least = UINT64_MAX, most = 0;

	init(1, ORDER_RANDOM);
	for (int i = 0; i < 200; i++) {
		uint64_t wait;

		refuse(0, START);
		wait = hosts.items[0].retry_at - START;
		ck_assert_uint_ge(wait, should * 3 / 4);
		ck_assert_uint_le(wait, should * 5 / 4);
		ck_assert_uint_eq(hosts_next_probe(&hosts), START + wait);
		should = should * 2 < 5000 ? should * 2 : 5000;
		if (i < 10)
			continue;
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	ck_assert_uint_lt(least, 4000);
	ck_assert_uint_gt(most, 6000);
	host_up(&hosts.items[0], 1);
	refuse(0, START);
	ck_assert_uint_le(hosts.items[0].retry_at, START + RETRY * 5 / 4);
}
END_TEST

/* An interval longer than that is what the administrator wants. */
START_TEST(a_long_interval)
{
	init(1, ORDER_RANDOM);
	for (int i = 0; i < 20; i++) {
		host_failed(&hosts, &hosts.items[0], 60000, START);
		ck_assert_uint_ge(hosts.items[0].retry_at, START + 45000);
		ck_assert_uint_le(hosts.items[0].retry_at, START + 75000);
	}
}
END_TEST

START_TEST(no_interval)
{
	init(1, ORDER_RANDOM);
	for (int i = 0; i < 20; i++)
		host_failed(&hosts, &hosts.items[0], 0, START);
	ck_assert_uint_ge(hosts.items[0].retry_at, START + 1000);
}
END_TEST

START_TEST(daemons_do_not_come_at_once)
{
	uint64_t retry_at[2];

	for (int i = 0; i < 2; i++) {
		hosts_init(&hosts, &settings, (uint64_t)i);
		for (int k = 0; k < 10; k++)
			refuse(0, START);
		retry_at[i] = hosts.items[0].retry_at;
		if (i == 0)
			hosts_finish(&hosts);
	}
	ck_assert_uint_ne(retry_at[0], retry_at[1]);
}
END_TEST

START_TEST(all_down)
{
	init(2, ORDER_RANDOM);
	refuse(0, START);
	ck_assert(!hosts_all_down(&hosts));
	refuse(1, START);
	ck_assert(hosts_all_down(&hosts));
	ck_assert_int_eq(choice(START), -1);
	ck_assert_int_eq(probe(START), -1);
	ck_assert_int_ne(choice(START + 1000), -1);
	ck_assert_int_ne(probe(START + 1000), -1);
	/* One attempt at a time for a host that is down. */
	hosts.items[0].opening = hosts.items[1].opening = 1;
	ck_assert_int_eq(choice(START + 1000), -1);
	ck_assert_int_eq(probe(START + 1000), -1);
	ck_assert_uint_eq(hosts_next_probe(&hosts), UINT64_MAX);
	hosts.items[0].opening = 0;
	ck_assert_int_eq(choice(START + 1000), 0);
	host_up(&hosts.items[1], 1);
	ck_assert(!hosts_all_down(&hosts));
}
END_TEST

/* One that refuses a further connection, but keeps those it has, is not down. */
START_TEST(full_is_not_down)
{
	init(2, ORDER_FIRST);
	host_up(&hosts.items[0], 1);
	hosts.items[0].live = 1;
	refuse(0, START);
	ck_assert(!hosts.items[0].down);
	ck_assert_int_eq(choice(START), 0);
	ck_assert_int_eq(probe(START + 100000), -1);
}
END_TEST

/* One that has failed a query is avoided while there is another, and tried again soon. */
START_TEST(in_doubt)
{
	init(2, ORDER_FIRST);
	host_doubt(&hosts.items[0], START);
	ck_assert_int_eq(choice(START), 1);
	ck_assert_int_eq(probe(START), -1);
	ck_assert_uint_gt(hosts_next_probe(&hosts), START);
	ck_assert_uint_le(hosts_next_probe(&hosts), START + 5000);
	ck_assert_int_eq(probe(START + 5000), 0);
	/* While connections to it are at work, their answers will tell. */
	hosts.items[0].live = 1;
	ck_assert_int_eq(probe(START + 5000), -1);
	ck_assert_uint_eq(hosts_next_probe(&hosts), UINT64_MAX);
	/* It is better than one that is down, and than nothing. */
	refuse(1, START);
	ck_assert_int_eq(choice(START), 0);
	host_up(&hosts.items[0], 1);
	ck_assert(!hosts.items[0].doubtful);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hosts");
	TCase *tcase = tcase_create("hosts");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, addresses);
	tcase_add_test(tcase, no_list);
	tcase_add_test(tcase, the_first_that_is_up);
	tcase_add_test(tcase, any);
	tcase_add_test(tcase, the_nearest);
	tcase_add_test(tcase, waits_grow);
	tcase_add_test(tcase, a_long_interval);
	tcase_add_test(tcase, no_interval);
	tcase_add_test(tcase, daemons_do_not_come_at_once);
	tcase_add_test(tcase, all_down);
	tcase_add_test(tcase, full_is_not_down);
	tcase_add_test(tcase, in_doubt);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
