/* "tabledctl dict": what Dovecot would find in a dictionary, and writing to it. */
#ifndef TABLED_CTL_DICT_H
#define TABLED_CTL_DICT_H

#include "command.h"

enum exit_status run_dict(struct client *client, int argc, char **argv);

#endif
