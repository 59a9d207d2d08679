/*
 * A client connection: reads bytes, has the protocol cut requests out of them, hands those on
 * (exchange.c) and writes the replies, one write for all that one read has brought. With much under
 * way, or with a client that does not read its replies, it stops reading.
 */
#include "net/internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utlist.h>

enum {
	KEEP_BYTES = 1024, /* of a buffer while the client is idle */
	LINGER_MS = 2000,
};

uint64_t conn_idle(const struct conn *conn, uint64_t now)
{
	if (conn->heard || conn_owes(conn) || conn->sending.size || conn->in.size ||
		now < conn->since)
		return 0;
	return now - conn->since;
}

static void on_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;
	struct listener *listener = conn->listener;

	buf_finish(&conn->in);
	buf_wipe(&conn->out);
	buf_wipe(&conn->sending);
	free(conn);
	listener_lost_handle(listener);
}

void conn_close(struct conn *conn)
{
	struct listener *listener = conn->listener;

	if (conn->closed)
		return;
	conn->closed = true;
	conn_forget(conn);
	DL_DELETE(listener->conns, conn);
	atomic_fetch_sub(&listener->door->clients[listener->loop->number], 1);
	atomic_fetch_sub(&listener->loop->conn_count, 1);
	uv_close((uv_handle_t *)&conn->handle, on_closed);
}

static void on_written(uv_write_t *request, int status)
{
	struct conn *conn = request->data;

	if (conn->closed)
		return;
	buf_wipe(&conn->sending);
	conn->since = loop_now(conn->listener->loop);
	if (status < 0)
		conn_close(conn);
	else
		conn_settle(conn);
}

/* Sends what the kernel takes at once; libuv sends the rest. Returns -1 if the client is gone. */
static int conn_flush(struct conn *conn)
{
	uv_buf_t bytes = uv_buf_init(conn->out.data, (unsigned)conn->out.size);
	int sent;

	if (conn->sending.size || !conn->out.size)
		return 0;
	conn->since = loop_now(conn->listener->loop);
	sent = uv_try_write(&conn->handle.stream, &bytes, 1);
	if (sent < 0 && sent != UV_EAGAIN)
		return -1;
	buf_consume(&conn->out, sent < 0 ? 0 : (size_t)sent);
	if (!conn->out.size) {
		if (conn->out.room > KEEP_BYTES)
			buf_wipe(&conn->out);
		return 0;
	}
	conn->sending = conn->out;
	buf_init(&conn->out);
	bytes = uv_buf_init(conn->sending.data, (unsigned)conn->sending.size);
	conn->write.data = conn;
	return uv_write(&conn->write, &conn->handle.stream, &bytes, 1, on_written);
}

/* Serves the requests at the front of the bytes. Returns how many bytes are done with. */
static size_t conn_process(struct conn *conn, char *data, size_t size)
{
	size_t at = 0;

	conn->processing = true;
	while (at < size && !conn->ending && !conn_is_full(conn)) {
		struct request request = {.map = {NULL, 0}};
		struct error why;
		size_t used = 0;
		enum cut cut =
			conn->listener->proto->cut(data + at, size - at, &used, &request, &why);

		if (cut == CUT_MORE)
			break;
		at += used;
		conn->since = loop_now(conn->listener->loop);
		conn_serve(conn, cut, &request, &why);
		conn->ending = conn->ending || cut == CUT_CLOSE;
	}
	conn->processing = false;
	if (!conn->ending && conn_is_full(conn))
		conn->paused = true;
	return conn->ending ? size : at;
}

/* Alone if nothing waits, else behind what does. */
void conn_take(struct conn *conn, char *data, size_t size)
{
	size_t used;

	if (conn->closed)
		return;
	if (conn->in.size || !size) {
		buf_add(&conn->in, data, size);
		used = conn_process(conn, conn->in.data, conn->in.size);
		buf_consume(&conn->in, used);
	} else {
		used = conn_process(conn, data, size);
		if (used < size)
			conn->since = loop_now(conn->listener->loop);
		buf_add(&conn->in, data + used, size - used);
	}
	if (!conn->in.size)
		buf_finish(&conn->in);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct conn *conn = handle->data;
	struct loop *loop = conn->listener->loop;
	bool has_turn = conn->turn != loop->turn && !conn->paused;

	/*
	 * All clients read into the loop's one buffer: what is left over is copied, and is rare. No
	 * room means "not now": libuv would go on reading from a client that sends without end.
	 */
	(void)suggested;
	conn->turn = loop->turn;
	*buf = uv_buf_init(heard_room(loop), has_turn ? READ_BUFFER_BYTES : 0);
}

/* Reads no more. What is under way is answered, then the connection is closed. */
static void conn_stop_reading(struct conn *conn)
{
	uv_read_stop(&conn->handle.stream);
	buf_finish(&conn->in);
	conn->ending = true;
	conn->lingering = true;
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
	struct conn *conn = stream->data;
	struct loop *loop = conn->listener->loop;

	if (size < 0 && conn->heard)
		heard_answer(loop);
	if (size == UV_EOF && !conn->lingering) {
		/* The client may have closed only its sending side: what it asked is answered. */
		conn_stop_reading(conn);
		conn_settle(conn);
	} else if (size == UV_ENOBUFS && conn->paused) {
		/* Not sooner: most send nothing meanwhile, and it costs two system calls. */
		uv_read_stop(stream);
	} else if (size < 0 && size != UV_ENOBUFS) {
		conn_close(conn);
	} else if (size > 0 && !conn->ending) {
		heard_add(loop, conn, buf->base, (size_t)size);
	}
}

static void on_shut_down(uv_shutdown_t *request, int status)
{
	(void)status;
	free(request);
}

/*
 * All is answered and sent. A client that still sends would lose the last reply if the socket were
 * closed under it, so what it sends is read and thrown away for a moment.
 */
static void conn_linger(struct conn *conn)
{
	uv_shutdown_t *request;

	if (conn->lingering) {
		conn_close(conn);
		return;
	}
	conn->paused = false;
	conn->lingering = true;
	conn->since = loop_now(conn->listener->loop);
	request = memory_new(1, sizeof(*request));
	if (uv_shutdown(request, &conn->handle.stream, on_shut_down) < 0) {
		free(request);
		conn_close(conn);
		return;
	}
	uv_read_start(&conn->handle.stream, on_allocate, on_read);
}

/* Reads on once there is room again, beginning with what came before. */
static void conn_resume(struct conn *conn)
{
	conn->paused = false;
	uv_read_start(&conn->handle.stream, on_allocate, on_read);
	conn_take(conn, NULL, 0);
}

/* Whether there is nothing to read: a request that is in the socket already will be answered. */
static bool conn_is_drained(const struct conn *conn)
{
	uv_os_fd_t fd;
	int unread = 0;

	if (conn->paused || conn->heard)
		return false;
	if (uv_fileno((const uv_handle_t *)&conn->handle, &fd) == 0)
		ioctl(fd, FIONREAD, &unread);
	return unread == 0;
}

void conn_settle(struct conn *conn)
{
	if (conn->closed)
		return;
	for (;;) {
		if (conn_flush(conn) < 0) {
			conn_close(conn);
			return;
		}
		if (conn->session && dict_session_waits(conn->session) && !conn_has_no_room(conn))
			dict_session_resume(conn->session, loop_now(conn->listener->loop));
		else if (!conn->paused || conn->ending || conn_is_full(conn))
			break;
		else
			conn_resume(conn);
	}
	if (conn->leaving && !conn->ending && conn_is_drained(conn))
		conn_stop_reading(conn);
	if (conn->ending && !conn_owes(conn) && !conn->out.size && !conn->sending.size)
		conn_linger(conn);
}

void conn_end(struct conn *conn)
{
	conn->leaving = true;
	if (!conn->processing) /* else it was one of its own requests that led here */
		conn_settle(conn);
}

/* The client is told why, and ends. */
static void conn_give_up_request(struct conn *conn)
{
	struct error why;

	error_set(&why, "the request was not whole after request_timeout");
	buf_finish(&conn->in);
	conn_serve(conn, CUT_CLOSE, NULL, &why);
	/* Only now, for the reply alone would have ended it, and what ends twice is closed. */
	conn->ending = true;
	conn_settle(conn);
}

void conn_sweep(struct conn *conn, uint64_t now)
{
	const struct listener *listener = conn->listener;
	uint64_t since = now > conn->since ? now - conn->since : 0;

	if (conn->lingering && !conn_owes(conn) && !conn->sending.size && since > LINGER_MS) {
		conn_close(conn);
	} else if (conn->sending.size && since > (uint64_t)listener->request_timeout) {
		conn_log(conn, "a client was disconnected", "it does not read its replies");
		conn_close(conn);
	} else if (conn->in.size && !conn->paused && !conn_owes(conn) &&
		   since > (uint64_t)listener->request_timeout) {
		conn_give_up_request(conn);
	} else if (conn_idle(conn, now) > (uint64_t)listener->idle_timeout) {
		conn_close(conn);
	}
}

void conn_open(struct listener *listener, int fd)
{
	struct conn *conn = memory_new(1, sizeof(*conn));
	uv_loop_t *uv = &listener->loop->uv;
	bool is_unix = listener->door->endpoint.is_unix;
	int code;

	conn->listener = listener;
	conn->since = loop_now(listener->loop);
	if (is_unix)
		uv_pipe_init(uv, &conn->handle.pipe, 0);
	else
		uv_tcp_init(uv, &conn->handle.tcp);
	conn->handle.stream.data = conn;
	if (listener->proto->kind == PROTO_SESSION)
		conn_start_session(conn);
	DL_APPEND(listener->conns, conn);
	listener->handle_count++;
	code = is_unix ? uv_pipe_open(&conn->handle.pipe, fd) : uv_tcp_open(&conn->handle.tcp, fd);
	if (code < 0)
		close(fd);
	else
		listener->accepted++;
	if (code == 0 && !is_unix)
		uv_tcp_nodelay(&conn->handle.tcp, 1);
	if (code == 0)
		code = uv_read_start(&conn->handle.stream, on_allocate, on_read);
	if (code < 0)
		conn_close(conn);
}
