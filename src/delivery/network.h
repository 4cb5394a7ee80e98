/* network.h: is the fault ours? Pure, but for the lock of the watch that all couriers share.
 *
 * When more than half of at least 20 hosts that answered recently fail before HTTP within 30 s,
 * our network is suspected: such failures are not counted against anybody until most of the
 * hosts answer again. */
#ifndef DELIVERY_NETWORK_H
#define DELIVERY_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/map.h"

struct network {
    struct map hosts; /* host hash -> struct network_host */
    size_t failing;   /* those that failed since their last answer; at judgement, lately */
    mono_ms judged_at;
    bool suspect;
};

void network_init(struct network *network);
void network_release(struct network *network);
/* A request to the host got an HTTP answer, or failed before one. Returns whether our network is
 * suspected now. Cost: O(1), and linear in the hosts when the balance tips, and at most ten times a
 * second while hosts fail.
 */
bool network_note(struct network *network, uint64_t host, bool answered, mono_ms now);

/* One for all couriers: a sample of one courier's hosts would often be too small to judge by. Any
 * thread. *ret_changed: whether the suspicion rose or fell with this note. */
struct network_watch;
struct network_watch *network_watch_new(void);
void network_watch_free(struct network_watch *watch); /* NULL allowed */
bool network_watch_note(
    struct network_watch *watch, uint64_t host, bool answered, mono_ms now, bool *ret_changed);

#endif
