/* clock.h: clocks are types, so that a duration is never compared with a date.
 * Rooms up to store/ take the time as an argument; sys/clock.h reads it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef int64_t mono_ms; /* milliseconds of CLOCK_MONOTONIC: durations, deadlines */
typedef int64_t mono_us; /* microseconds of CLOCK_MONOTONIC: timings of an attempt */
typedef int64_t wall_ms; /* milliseconds since the UNIX epoch: what is stored and shown */

#define WALL_NEVER  INT64_MAX
#define MS_PER_S    INT64_C(1000)
#define MS_PER_MIN  (60 * MS_PER_S)
#define MS_PER_HOUR (60 * MS_PER_MIN)

#endif
