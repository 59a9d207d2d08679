/*
 * What not all backends promise, and how the suite comes to a server.
 */
#ifndef TABLED_TESTS_CONTRACT_CASES_H
#define TABLED_TESTS_CONTRACT_CASES_H

#include <check.h>

/* Of what is asked once, and of what changes rows. */
void add_writing_cases(TCase *tcase);

/* Of servers. */
void add_server_cases(TCase *tcase);

/*
 * Has the command start a server, and reads contract_server_facts. Returns the exit status for the
 * suite: 0; 77, having said why, if it is not installed; or another one.
 */
int server_start(char **command);

/* Removes what server_start() has made, if anything. */
void server_stop(void);

#endif
