/*
 * tabledctl copy: all rows of our tables from one source to another, and the proof that they are
 * the same.
 */
#ifndef TABLED_CTL_COPY_H
#define TABLED_CTL_COPY_H

/* Runs "copy FROM TO" by the configuration at `path`. Returns the exit status: 1, not the same. */
int copy_run(const char *path, int argc, char **argv);

#endif
