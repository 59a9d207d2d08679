/* What is PostgreSQL's alone, for contract/pgsql.c. */
#ifndef TABLED_TESTS_CONTRACT_PGSQL_H
#define TABLED_TESTS_CONTRACT_PGSQL_H

#include <check.h>

void pgsql_add_cases(TCase *tcase);

#endif
