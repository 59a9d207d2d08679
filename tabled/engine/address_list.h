/*
 * Lists of mail addresses, as headers and results of maps have them. Text in, text out; no thread,
 * no state. Its twin in postfix: src/global/{tok822_parse,mail_addr_crunch}.c.
 */
#ifndef TABLED_ENGINE_ADDRESS_LIST_H
#define TABLED_ENGINE_ADDRESS_LIST_H

#include "base/buf.h"

/*
 * Appends an address list with `extension` added to each local part, as Postfix does with what
 * was not matched of a key. The addresses come out in external form, joined by commas. Returns
 * the number of addresses; 0 means that the text is none, and nothing was appended.
 */
size_t address_list_extend(struct slice list, struct slice extension, struct buf *out);

#endif
