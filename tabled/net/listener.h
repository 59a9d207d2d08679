/*
 * The options of a listener section (socketmap, tcp_table, control …). To add one: one field, one
 * row in listener.c.
 */
#ifndef TABLED_NET_LISTENER_H
#define TABLED_NET_LISTENER_H

#include "proto.h"
#include "setting.h"

struct listener_settings {
	char *listen;
	char *owner;
	char *group;
	mode_t mode;
	int64_t max_connections;
	int64_t idle_timeout;    /* ms */
	int64_t request_timeout; /* ms */
};

/* The further option of listeners whose protocol names no map. */
struct listener_map_settings {
	char *map;
};

/* That of those who hold conversations about dictionaries. */
struct listener_dictionary_settings {
	struct text_list dictionaries;
};

extern const struct setting listener_setting_table[];
extern const struct setting listener_map_setting_table[];
extern const struct setting listener_dictionary_setting_table[];

/* A listener section as it was read. Everything is borrowed from the configuration. */
struct listener_config {
	const struct proto *proto;
	const struct listener_settings *settings;
	const char *map;                      /* NULL unless the protocol is PROTO_ONE_MAP */
	const struct text_list *dictionaries; /* NULL unless it is PROTO_SESSION; empty: all */
};

#endif
