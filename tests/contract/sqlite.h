/* What is SQLite's alone, for contract/sqlite.c. */
#ifndef TABLED_TESTS_CONTRACT_SQLITE_H
#define TABLED_TESTS_CONTRACT_SQLITE_H

#include <check.h>

void sqlite_add_cases(TCase *tcase);

/* The file that prepare() has made. */
const char *sqlite_contract_path(void);

#endif
