/* random.c: see random.h. */
#include "sys/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "base/err.h"

void random_bytes(void *bytes, size_t len)
{
    unsigned char *at = bytes;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno != EINTR)
            fatal("the kernel gives no random bytes: %s", strerror(errno));
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}
