/* clock.h: the only place where the time is read. */
#ifndef SYS_CLOCK_H
#define SYS_CLOCK_H

#include "base/clock.h"

mono_ms clock_mono_ms(void);
mono_us clock_mono_us(void);
wall_ms clock_wall_ms(void);

#endif
