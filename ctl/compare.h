/*
 * tabledctl compare: asks two sources all maps for all keys, and tells where they answer
 * differently.
 */
#ifndef TABLED_CTL_COMPARE_H
#define TABLED_CTL_COMPARE_H

/* Runs "compare FROM TO" by the configuration at `path`. Returns the exit status: 1, differences.
 */
int compare_run(const char *path, int argc, char **argv);

#endif
