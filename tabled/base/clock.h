/*
 * Time, in milliseconds or microseconds of a clock that never jumps. The engine never reads it:
 * time is passed in, so that tests can pass their own.
 */
#ifndef TABLED_BASE_CLOCK_H
#define TABLED_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_ms(void);
uint64_t clock_us(void);

#endif
