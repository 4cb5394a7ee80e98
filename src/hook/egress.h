/* egress.h: which addresses deliveries may go to. Pure; asked at registration (literals) and at
 * every connect (the address really used). Everything private, reserved or in transition is
 * refused unless a CIDR of the operator opens it. */
#ifndef HOOK_EGRESS_H
#define HOOK_EGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"
#include "http/url.h"

struct cidr {
    uint8_t bytes[16]; /* IPv4 as v4-mapped */
    unsigned prefix;   /* 0..128, v4 + 96 */
};

/* All zero = nothing is opened. */
struct egress {
    struct cidr *open; /* owned */
    size_t n_open;
};

/* "10.0.0.0/8", "::1/128", "127.0.0.1" (= /32). Host bits must be zero: refused with the network
 * that was probably meant. */
MUST_USE enum err egress_open(struct egress *egress, struct span cidr, struct error *error);
void egress_release(struct egress *egress);
/* v4-mapped, NAT64, 6to4 and Teredo forms are unwrapped and both forms checked: opening a
 * transition range does not open the private addresses behind it. Other families than IPv4 and
 * IPv6 are refused. An IPv6 range shorter than /96 (::/0) opens no IPv4 address. */
bool egress_allows(const struct egress *egress, const struct sockaddr *address);
/* The registration rule for a parsed URL: literals that are refused, and localhost names unless
 * loopback is open. */
MUST_USE enum err
egress_check_url(const struct egress *egress, const struct url *url, struct error *error);

#endif
