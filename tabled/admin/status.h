/*
 * What operators read about the engines, as JSON. Each worker tells of its own, in its thread; the
 * parts are joined in worker 0's.
 */
#ifndef TABLED_ADMIN_STATUS_H
#define TABLED_ADMIN_STATUS_H

#include "engine/engine.h"

#include <jansson.h>

/*
 * Adds "sources" (state of each) and "maps" (answers of each by status, and how often the cache had
 * them) to an object.
 */
void status_add_engine(json_t *status, const struct engine *engine);

/*
 * Adds another worker's part, made for the same configuration: numbers are summed, wherever they
 * stand, and of a source's states the worst is kept, with its reason.
 */
void status_join(json_t *whole, json_t *part);

#endif
