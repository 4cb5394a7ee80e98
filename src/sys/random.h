/* random.h: entropy from the kernel: secrets, keys, seeds. */
#ifndef SYS_RANDOM_H
#define SYS_RANDOM_H

/* With src/ as include root <sys/random.h> finds this file before the C library's own of that name:
 * hand that one through. */
#include_next <sys/random.h>

#include <stddef.h>

/* Fills `bytes` from getrandom(2), which waits only in the first moments of a machine's life.
 * fatal() when the kernel refuses: nothing secret may be made without it. Any thread. */
void random_bytes(void *bytes, size_t len);

#endif
