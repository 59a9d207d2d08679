/*
 * What clients have sent in one turn of the loop. All that is there is read first, then all of it
 * is looked up, then all replies are written: each step finds its code and data in the processor's
 * nearest memory, where reading and writing would drive them out in between. With many clients that
 * takes a third off what a hit costs; with one it changes nothing.
 */
#include "net/internal.h"

char *heard_room(struct loop *loop)
{
	return loop->heard.bytes + loop->heard.used;
}

void heard_add(struct loop *loop, struct conn *conn, char *data, size_t size)
{
	struct heard *heard = &loop->heard;

	heard->from[heard->count++] = (struct heard_bytes){conn, data, size};
	heard->used += size;
	conn->heard = true;
	if (heard->count == HEARD_MOST || heard->used > sizeof(heard->bytes) - READ_BUFFER_BYTES)
		heard_answer(loop);
}

void heard_answer(struct loop *loop)
{
	struct heard *heard = &loop->heard;

	for (size_t i = 0; i < heard->count; i++) {
		struct heard_bytes *bytes = &heard->from[i];

		/* What came before may have taken long, and time decides what is fresh. */
		uv_update_time(&loop->uv);
		bytes->conn->heard = false;
		conn_take(bytes->conn, bytes->data, bytes->size);
	}
	for (size_t i = 0; i < heard->count; i++)
		conn_settle(heard->from[i].conn);
	heard->count = heard->used = 0;
}
