/*
 * What every unit test's main() needs. A test is one executable with one suite:
 *
 *	int main(void)
 *	{
 *		return unit_run(thing_suite());
 *	}
 *
 * It prints check's summary ("100%: Checks: 12, Failures: 0, Errors: 0"), which tests/run counts,
 * and returns the exit status. Each check runs in a process of its own unless CK_FORK=no is set
 * or a sanitizer is built in, which then sees the leaks of all of them at exit.
 */
#ifndef TABLED_TESTS_SUPPORT_UNIT_H
#define TABLED_TESTS_SUPPORT_UNIT_H

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNIT_SANITIZED 1
#endif
#ifndef UNIT_SANITIZED
#define UNIT_SANITIZED 0
#endif

/* Whether each check has its own process. A CK_FORK that somebody set is law. */
static inline bool unit_forks(void)
{
	const char *wish = getenv("CK_FORK");

	return wish ? strcmp(wish, "no") != 0 : !UNIT_SANITIZED;
}

static inline int unit_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_set_fork_status(runner, unit_forks() ? CK_FORK : CK_NOFORK);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * Adds a test that must end in a failed assert(). It can run only in a process of its own, and
 * only where asserts are compiled in.
 */
static inline void unit_add_assert_test(TCase *tcase, const TTest *test)
{
#ifdef NDEBUG
	const char *reason = "asserts are compiled out (NDEBUG)";
#else
	const char *reason = unit_forks() ? NULL : "checks share one process (CK_FORK=no)";
#endif

	if (reason)
		printf("skipped: %s: %s\n", test->name, reason);
	else
		tcase_add_test_raise_signal(tcase, test, SIGABRT);
}

#endif
