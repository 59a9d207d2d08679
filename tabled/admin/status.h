/*
 * What operators read about the engine, as JSON. The numbers are those of one worker; call it in
 * that worker's thread.
 */
#ifndef TABLED_ADMIN_STATUS_H
#define TABLED_ADMIN_STATUS_H

#include "engine/engine.h"

#include <jansson.h>

/* Adds "sources" (state of each) and "maps" (answers of each by status) to an object. */
void status_add_engine(json_t *status, const struct engine *engine);

#endif
