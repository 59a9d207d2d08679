#include "base/clock.h"

static uint64_t read_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_us(void)
{
	return CLOCK_AT_BOOT_MS * 1000 + read_us(CLOCK_MONOTONIC);
}

uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}

struct timespec clock_monotonic_at(uint64_t ms)
{
	ms -= CLOCK_AT_BOOT_MS;
	return (struct timespec){(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
}

void clock_init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

uint64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

uint64_t clock_wall_ms(void)
{
	return clock_wall_us() / 1000;
}
