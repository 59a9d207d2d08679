/*
 * tabledctl schema: makes the tables of schema/ in a source's database, brings those of an older
 * version up to date, and tells what is there.
 */
#ifndef TABLED_CTL_SCHEMA_H
#define TABLED_CTL_SCHEMA_H

/* Runs "schema init|upgrade|status SOURCE" by the configuration at `path`. Returns the exit status.
 */
int schema_run(const char *path, int argc, char **argv);

#endif
