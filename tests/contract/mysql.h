/* What is MariaDB's alone, for contract/mysql.c. */
#ifndef TABLED_TESTS_CONTRACT_MYSQL_H
#define TABLED_TESTS_CONTRACT_MYSQL_H

#include <check.h>

void mysql_add_cases(TCase *tcase);

#endif
