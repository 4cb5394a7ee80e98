/* network.h: is the fault ours? Pure; one per courier loop.
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
    mono_ms judged_at;
    bool suspect;
};

void network_init(struct network *network);
void network_release(struct network *network);
/* A request to the host got an HTTP answer, or failed before one. Returns whether our network is
 * suspected now. Cost: O(1), and linear in the hosts at most ten times a second while hosts fail.
 */
bool network_note(struct network *network, uint64_t host, bool answered, mono_ms now);

#endif
