/*
 * Time, in milliseconds or microseconds of a clock that never jumps. The engine never reads it:
 * time is passed in, so that tests can pass their own.
 */
#ifndef TABLED_BASE_CLOCK_H
#define TABLED_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* What the clock shows at boot: some 34 years, more than anything is kept. */
#define CLOCK_AT_BOOT_MS ((uint64_t)1 << 40)

uint64_t clock_ms(void);
uint64_t clock_us(void);

/*
 * The same for who has CLOCK_MONOTONIC (ms) from elsewhere, as libuv tells it. That one begins when
 * the machine boots; ours much earlier, so that what is older than that has a time, too.
 */
static inline uint64_t clock_of_monotonic(uint64_t ms)
{
	return CLOCK_AT_BOOT_MS + ms;
}

/* The other way round, for who waits by CLOCK_MONOTONIC until then. */
struct timespec clock_monotonic_at(uint64_t ms);

/* A condition to be waited for in this way, by pthread_cond_timedwait(). */
void clock_init_condition(pthread_cond_t *condition);

/* The time of the world (ms since 1970), which may jump: only for what outlives the process. */
uint64_t clock_wall_ms(void);
uint64_t clock_wall_us(void);

#endif
