/*
 * tabledctl feed: makes, removes and shows the triggers of a source's change feed. Works by the
 * configuration, whether tabled runs or not.
 */
#ifndef TABLED_CTL_FEED_H
#define TABLED_CTL_FEED_H

/*
 * Runs "feed VERB [--dry-run] SOURCE" by the configuration at `path`. Returns the exit status: 0
 * done, or all maps are covered; 1 some are not; 2 error, which has been told.
 */
int feed_run(const char *path, int argc, char **argv);

#endif
