/* dial.h: one TCP connection to one of several addresses: the next address is tried after an error
 * or 250 ms, the first that connects wins, the others are closed. Private to the client. */
#ifndef HTTP_DIAL_H
#define HTTP_DIAL_H

#include <stdbool.h>

#include "sys/loop.h"
#include "sys/sock.h"

#define DIAL_ADDRESSES_MAX 16
#define DIAL_STAGGER_MS    250

struct dial;

struct dial_try {
    struct loop_io io; /* fd -1: not under way */
    struct dial *dial;
    union address address;
};

/* The caller fills the first group and zeroes the rest. */
struct dial {
    struct loop *loop;
    void *owner;
    /* Called once from the loop after dial_start returned DIAL_UNDERWAY: `fd` is connected and the
     * owner's, or -1 and `cause` says why. The dial must be freed (dial_stop) by then or in it. */
    void (*done)(struct dial *dial);
    /* We are out of descriptors: close one that is not needed and return true. */
    bool (*make_room)(void *owner);

    int fd;
    int cause; /* errno of the most telling failure */
    union address address;

    struct loop_timer timer;
    unsigned n_tries, next, flying;
    struct dial_try tries[DIAL_ADDRESSES_MAX];
};

enum dial_result { DIAL_UNDERWAY, DIAL_FAILED };

/* Adds a candidate; what is beyond DIAL_ADDRESSES_MAX is ignored. */
void dial_add(struct dial *dial, const union address *address);

/* Starts with the first candidate; there must be one. DIAL_FAILED: all failed at once, `cause`
 * says why, done is not called. */
enum dial_result dial_start(struct dial *dial);

/* Closes what is under way. Does not free. */
void dial_stop(struct dial *dial);

#endif
