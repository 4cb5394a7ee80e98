/* progress.h: a bar on stderr for work that takes a while; nothing when stderr is no terminal.
 *
 * One thread. Nothing can fail: what cannot be shown is not. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* "backing up" */
    bool shown;       /* stderr is a terminal */
    int64_t next_ms;  /* no drawing before */
    bool drawn;
};

void progress_begin(struct progress *progress, const char *what);
/* Bytes done of about so many. Draws ten times a second at most. */
void progress_step(struct progress *progress, uint64_t done, uint64_t total);
/* Takes the bar away, so that a result or complaint stands alone. */
void progress_end(struct progress *progress);

/* "1.5 GiB"; at least 16 bytes of room. */
void progress_bytes_text(uint64_t bytes, char *ret, unsigned room);

#endif
