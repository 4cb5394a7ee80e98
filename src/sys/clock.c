/* clock.c: see clock.h. Both clocks come from the vDSO: about 30 ns, no system call. */
#include "sys/clock.h"

#include <time.h>

#include "base/err.h"

static int64_t read_clock(clockid_t id, int64_t units_per_s)
{
    struct timespec ts;
    if (clock_gettime(id, &ts) != 0)
        fatal("cannot read the clock");
    return (int64_t)ts.tv_sec * units_per_s + (int64_t)ts.tv_nsec / (1000000000 / units_per_s);
}

mono_ms clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

mono_us clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

wall_ms clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}
