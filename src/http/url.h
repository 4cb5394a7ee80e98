/* url.h: the URLs of webhooks: strict, absolute, https. Pure. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

#define URL_MAX_BYTES 2048
#define URL_HOST_MAX  253

struct url {
    /* Lower case, no brackets, no trailing dot: for DNS, SNI, hashing. A literal stands here in
     * its canonical form, however it was written ("0x7f.1" is "127.0.0.1"). */
    char host[URL_HOST_MAX + 1];
    uint16_t port;   /* 443 when absent */
    bool is_literal; /* the host is an address, in whatever notation it was written */
    struct sockaddr_storage literal; /* that address, canonical (v4-mapped unwrapped), port set */
    struct span authority;           /* as written (host[:port]), into the input: the Host field */
    /* Path and query as written, fragment cut. When it does not begin with '/' (empty, or only a
     * query) the sender puts one before it. */
    struct span target;
};

/* Parses `text` (need not be NUL-terminated); spans point into it. *ret_url is untouched on
 * failure.
 *
 * Refuses with a sentence for the user: not https, userinfo, empty or invalid host (RFC 1123
 * labels, underscore tolerated; IDNA must come as punycode), port outside 1-65535 or missing
 * behind its ':', more than URL_MAX_BYTES, control characters, spaces and bytes over 0x7E,
 * backslash. A target without path ("?x") is sent as "/?x". IPv4 in decimal, octal, hex and short
 * forms (as inet_aton reads) is recognised as a literal; so are bracketed IPv6 and v4-mapped ones;
 * zone ids are refused. `localhost` and other names are no literals: what they may lead to is
 * decided where addresses are known.
 *
 * Source: RFC 3986, RFC 9110, WHATWG URL (host number forms). */
MUST_USE enum err url_parse(struct span text, struct url *ret_url, struct error *error);

#endif
