/*
 * Threads take no signals: only the main thread has handlers for them, and once it lets go of
 * these, a signal that another thread takes would kill the process. What a thread starts, and what
 * libuv starts for it, has its mask of signals.
 */
#ifndef TABLED_NET_THREAD_H
#define TABLED_NET_THREAD_H

#include <signal.h>

/* Around whatever starts a thread. */
void thread_hold_signals(sigset_t *ret_before);
void thread_release_signals(const sigset_t *before);

#endif
