/* egress.c: see egress.h. Addresses are judged as 16 bytes, IPv4 as v4-mapped.
 *
 * An IPv6 address that carries an IPv4 one is judged in both forms, and the range that it is
 * written in is refused as well: opening a transition range opens only the way, not what private
 * addresses lie behind it. */
#include "hook/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ADDRESS_BYTES = 16, V4_AT = 12, V4_PREFIX = 96, V6_BITS = 128 };

static const uint8_t v4_mapped[V4_AT] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

struct range {
    const char *cidr; /* as people write it */
    const char *what; /* "10.0.0.1" is a ... address */
    uint8_t bytes[ADDRESS_BYTES];
    unsigned prefix;
};

#define V4(a, b, c, d, bits) \
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d}, V4_PREFIX + (bits)
#define V6(a, b, c, d, bits) \
    {(a) >> 8, (a)&0xFF, (b) >> 8, (b)&0xFF, (c) >> 8, (c)&0xFF, (d) >> 8, (d)&0xFF}, bits

/* The most exact range first: its words are shown. Source: the IANA special-purpose registries. */
static const struct range refused[] = {
    {"0.0.0.0/8", "'this network'", V4(0, 0, 0, 0, 8)},
    {"10.0.0.0/8", "private", V4(10, 0, 0, 0, 8)},
    {"100.64.0.0/10", "carrier-grade NAT", V4(100, 64, 0, 0, 10)},
    {"127.0.0.0/8", "loopback", V4(127, 0, 0, 0, 8)},
    {"169.254.0.0/16", "link-local", V4(169, 254, 0, 0, 16)},
    {"172.16.0.0/12", "private", V4(172, 16, 0, 0, 12)},
    {"192.0.0.0/24", "reserved", V4(192, 0, 0, 0, 24)},
    {"192.0.2.0/24", "documentation", V4(192, 0, 2, 0, 24)},
    {"192.88.99.0/24", "reserved", V4(192, 88, 99, 0, 24)},
    {"192.168.0.0/16", "private", V4(192, 168, 0, 0, 16)},
    {"198.18.0.0/15", "benchmarking", V4(198, 18, 0, 0, 15)},
    {"198.51.100.0/24", "documentation", V4(198, 51, 100, 0, 24)},
    {"203.0.113.0/24", "documentation", V4(203, 0, 113, 0, 24)},
    {"224.0.0.0/4", "multicast", V4(224, 0, 0, 0, 4)},
    {"255.255.255.255/32", "broadcast", V4(255, 255, 255, 255, 32)},
    {"240.0.0.0/4", "reserved", V4(240, 0, 0, 0, 4)},
    {"::1/128", "loopback", {[15] = 1}, 128},
    {"::/128", "unspecified", {0}, 128},
    {"64:ff9b::/96", "NAT64", V6(0x64, 0xFF9B, 0, 0, 96)},
    {"64:ff9b:1::/48", "NAT64", V6(0x64, 0xFF9B, 1, 0, 48)},
    {"100::/64", "discard", V6(0x100, 0, 0, 0, 64)},
    {"2001::/32", "Teredo", V6(0x2001, 0, 0, 0, 32)},
    {"2001::/23", "reserved", V6(0x2001, 0, 0, 0, 23)},
    {"2001:db8::/32", "documentation", V6(0x2001, 0xDB8, 0, 0, 32)},
    {"2002::/16", "6to4", V6(0x2002, 0, 0, 0, 16)},
    {"3fff::/20", "documentation", V6(0x3FFF, 0, 0, 0, 20)},
    {"5f00::/16", "segment routing", V6(0x5F00, 0, 0, 0, 16)},
    {"fc00::/7", "private", V6(0xFC00, 0, 0, 0, 7)},
    {"fe80::/10", "link-local", V6(0xFE80, 0, 0, 0, 10)},
    {"fec0::/10", "site-local", V6(0xFEC0, 0, 0, 0, 10)},
    {"ff00::/8", "multicast", V6(0xFF00, 0, 0, 0, 8)},
};

/* Global unicast is 2000::/3; nobody can be reached in the rest of IPv6, whatever it is for. */
static const struct range not_global = {"::/0", "reserved", V6(0x2000, 0, 0, 0, 3)};

static bool in_prefix(const uint8_t *address, const uint8_t *network, unsigned prefix)
{
    unsigned whole = prefix / 8;
    if (memcmp(address, network, whole) != 0)
        return false;
    unsigned bits = prefix % 8;
    return bits == 0 || ((address[whole] ^ network[whole]) >> (8 - bits)) == 0;
}

static bool is_v4(const uint8_t *address)
{
    return memcmp(address, v4_mapped, sizeof(v4_mapped)) == 0;
}

/* A short IPv6 prefix, such as ::/0, does not speak of IPv4, although it covers its mapped form. */
static bool is_opened(const struct egress *egress, const uint8_t *address)
{
    for (size_t i = 0; i < egress->n_open; i++) {
        const struct cidr *open = &egress->open[i];
        if ((open->prefix >= V4_PREFIX || !is_v4(address)) &&
            in_prefix(address, open->bytes, open->prefix))
            return true;
    }
    return false;
}

/* The range that refuses this one form, or NULL. */
static const struct range *form_refused(const struct egress *egress, const uint8_t *address)
{
    const struct range *found = NULL;
    for (size_t i = 0; found == NULL && i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (in_prefix(address, refused[i].bytes, refused[i].prefix))
            found = &refused[i];
    }
    if (found == NULL && !is_v4(address) &&
        !in_prefix(address, not_global.bytes, not_global.prefix))
        found = &not_global;
    return found != NULL && is_opened(egress, address) ? NULL : found;
}

static const struct range *v4_refused(const struct egress *egress, const uint8_t v4[4])
{
    uint8_t address[ADDRESS_BYTES];
    memcpy(address, v4_mapped, sizeof(v4_mapped));
    memcpy(address + V4_AT, v4, 4);
    return form_refused(egress, address);
}

static const struct range *or_else(const struct range *a, const struct range *b)
{
    return a != NULL ? a : b;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* In 64:ff9b:1::/48 a network may use the /48 form (bytes 6, 7, 9, 10) or any /96 in it (the last
 * four): whichever can be meant must be harmless. Source: RFC 8215, RFC 6052 section 2.2. */
static const struct range *local_nat64_refused(const struct egress *egress, const uint8_t *a)
{
    const uint8_t inner[4] = {a[6], a[7], a[9], a[10]};
    const struct range *found = NULL;
    if (!all_zero(a + 11, 5))
        found = v4_refused(egress, a + V4_AT);
    if (!all_zero(a + 6, 6))
        found = or_else(found, v4_refused(egress, inner));
    return found;
}

/* The IPv4 addresses inside an IPv6 one. Teredo holds two: its server's and, with all bits turned
 * over, the client's. Source: RFC 6052, RFC 3056, RFC 4380 section 4. */
static const struct range *inner_refused(const struct egress *egress, const uint8_t *a)
{
    static const uint8_t nat64[V4_AT] = {0, 0x64, 0xFF, 0x9B};
    static const uint8_t local_nat64[6] = {0, 0x64, 0xFF, 0x9B, 0, 1};
    static const uint8_t teredo[4] = {0x20, 0x01, 0, 0};
    static const uint8_t six_to_four[2] = {0x20, 0x02};
    if (memcmp(a, nat64, sizeof(nat64)) == 0)
        return v4_refused(egress, a + V4_AT);
    if (memcmp(a, local_nat64, sizeof(local_nat64)) == 0)
        return local_nat64_refused(egress, a);
    if (memcmp(a, six_to_four, sizeof(six_to_four)) == 0)
        return v4_refused(egress, a + 2);
    if (memcmp(a, teredo, sizeof(teredo)) == 0) {
        const uint8_t client[4] = {a[12] ^ 0xFF, a[13] ^ 0xFF, a[14] ^ 0xFF, a[15] ^ 0xFF};
        return or_else(v4_refused(egress, a + 4), v4_refused(egress, client));
    }
    return NULL;
}

static bool bytes_of(const struct sockaddr *address, uint8_t ret_bytes[ADDRESS_BYTES])
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        memcpy(ret_bytes, v4_mapped, sizeof(v4_mapped));
        memcpy(ret_bytes + V4_AT, &in->sin_addr, 4);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        memcpy(ret_bytes, &in6->sin6_addr, ADDRESS_BYTES);
        return true;
    }
    return false;
}

/* NULL = allowed. */
static const struct range *refusal(const struct egress *egress, const struct sockaddr *address)
{
    uint8_t bytes[ADDRESS_BYTES];
    if (!bytes_of(address, bytes))
        return &not_global;
    return or_else(inner_refused(egress, bytes), form_refused(egress, bytes));
}

bool egress_allows(const struct egress *egress, const struct sockaddr *address)
{
    return refusal(egress, address) == NULL;
}

/* --- opening --- */

/* "10.1.0.0/16" from bytes and prefix. */
static void cidr_text(const struct cidr *cidr, char *ret_text, size_t size)
{
    char address[INET6_ADDRSTRLEN];
    bool v4 = cidr->prefix >= V4_PREFIX && is_v4(cidr->bytes);
    inet_ntop(v4 ? AF_INET : AF_INET6, cidr->bytes + (v4 ? V4_AT : 0), address, sizeof(address));
    snprintf(ret_text, size, "%s/%u", address, cidr->prefix - (v4 ? V4_PREFIX : 0));
}

/* 1 to 3 digits, at most `max`. */
static bool parse_prefix(struct span digits, unsigned max, unsigned *ret_prefix)
{
    unsigned value = 0;
    if (digits.len == 0 || digits.len > 3 || (digits.len > 1 && digits.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(digits.ptr[i] - '0');
    }
    *ret_prefix = value;
    return value <= max;
}

static enum err parse_cidr(struct span text, struct cidr *ret_cidr, struct error *error)
{
    char address[INET6_ADDRSTRLEN];
    struct cidr cidr = {.prefix = V6_BITS};
    size_t slash = span_find(text, '/');
    bool valid = slash > 0 && slash < sizeof(address);
    bool v4 = false;
    if (valid) {
        memcpy(address, text.ptr, slash);
        address[slash] = '\0';
        memcpy(cidr.bytes, v4_mapped, sizeof(v4_mapped));
        v4 = inet_pton(AF_INET, address, cidr.bytes + V4_AT) == 1;
        valid = v4 || inet_pton(AF_INET6, address, cidr.bytes) == 1;
    }
    if (!valid)
        return error_set(error, ERR_INVALID,
                         "'%.*s' is not an address range: write one like 10.0.0.0/8, fd00::/8 or "
                         "127.0.0.1",
                         (int)(text.len < 60 ? text.len : 60), text.ptr);
    unsigned base = v4 ? V4_PREFIX : 0;
    if (slash < text.len) {
        unsigned prefix = 0;
        if (!parse_prefix(span_from_at(text, slash + 1), V6_BITS - base, &prefix))
            return error_set(error, ERR_INVALID,
                             "the prefix of '%.*s' must be a number from 0 to %u",
                             (int)(text.len < 60 ? text.len : 60), text.ptr, V6_BITS - base);
        cidr.prefix = base + prefix;
    }
    *ret_cidr = cidr;
    return OK;
}

/* Clears the bits behind the prefix; false when one was set. */
static bool clear_host_bits(struct cidr *cidr)
{
    bool clean = true;
    for (unsigned bit = cidr->prefix; bit < V6_BITS; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        clean &= (cidr->bytes[bit / 8] & mask) == 0;
        cidr->bytes[bit / 8] &= (uint8_t)~mask;
    }
    return clean;
}

enum err egress_open(struct egress *egress, struct span text, struct error *error)
{
    struct cidr cidr = {.prefix = V6_BITS};
    enum err code = parse_cidr(text, &cidr, error);
    if (code != OK)
        return code;
    if (!clear_host_bits(&cidr)) {
        char meant[INET6_ADDRSTRLEN + 5];
        cidr_text(&cidr, meant, sizeof(meant));
        return error_set(error, ERR_INVALID,
                         "'%.*s' has bits set behind its prefix: did you mean %s?", (int)text.len,
                         text.ptr, meant);
    }
    egress->open = mem_realloc(egress->open, (egress->n_open + 1) * sizeof(cidr));
    egress->open[egress->n_open++] = cidr;
    return OK;
}

void egress_release(struct egress *egress)
{
    free(egress->open);
    *egress = (struct egress){0};
}

/* --- registration --- */

/* Source: RFC 6761 section 6.3; the others stand in the hosts file of common systems. */
static bool is_localhost(struct span host)
{
    static const char *const names[] = {"localhost", "localhost.localdomain", "localhost6",
                                        "ip6-localhost", "ip6-loopback"};
    static const char tail[] = ".localhost";
    const size_t tail_len = sizeof(tail) - 1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_eq_text(host, names[i]))
            return true;
    }
    return host.len > tail_len && span_eq_text(span_from_at(host, host.len - tail_len), tail);
}

static bool loopback_is_open(const struct egress *egress)
{
    static const uint8_t v4[ADDRESS_BYTES] = {[10] = 0xFF, [11] = 0xFF, [12] = 127, [15] = 1};
    static const uint8_t v6[ADDRESS_BYTES] = {[15] = 1};
    return is_opened(egress, v4) || is_opened(egress, v6);
}

enum err egress_check_url(const struct egress *egress, const struct url *url, struct error *error)
{
    if (!url->is_literal) {
        if (!is_localhost(span_from(url->host)) || loopback_is_open(egress))
            return OK;
        return error_set(error, ERR_INVALID,
                         "the host '%s' is this server itself: deliveries go to public hosts "
                         "only; for development start the server with --allow-cidr 127.0.0.0/8",
                         url->host);
    }
    const struct range *range =
        refusal(egress, (const struct sockaddr *)(const void *)&url->literal);
    if (range == NULL)
        return OK;
    return error_set(error, ERR_INVALID,
                     "the host '%s' is a %s address: deliveries go to public hosts only; to allow "
                     "it, start the server with --allow-cidr and its range (%s)",
                     url->host, range->what, range == &not_global ? url->host : range->cidr);
}
