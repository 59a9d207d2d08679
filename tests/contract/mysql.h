/* What is MariaDB's alone, for contract/mysql.c. */
#ifndef TABLED_TESTS_CONTRACT_MYSQL_H
#define TABLED_TESTS_CONTRACT_MYSQL_H

#include <check.h>

void mysql_add_cases(TCase *tcase);

/* Runs a statement as root, who comes by the socket. */
void mysql_run_as_root(const char *sql);

#endif
