/* url.c: see url.h.
 *
 * Strict where a lenient reader could be led to another host than the one that was checked: no
 * backslashes, no userinfo, no percent-encoding in the host, and a host whose last label is a
 * number is an IPv4 address or nothing, because resolvers and browsers read it as one. */
#include "http/url.h"

#include <arpa/inet.h>
#include <string.h>

static const char scheme[] = "https://";
enum { DEFAULT_PORT = 443, LABEL_MAX = 63, PORT_DIGITS_MAX = 5, IPV4_PARTS_MAX = 4 };

/* ---- addresses ---- */

static void set_ipv4(struct url *url, uint32_t address)
{
    struct sockaddr_in *literal = (struct sockaddr_in *)(void *)&url->literal;
    literal->sin_family = AF_INET;
    literal->sin_addr.s_addr = htonl(address);
    url->is_literal = true;
    inet_ntop(AF_INET, &literal->sin_addr, url->host, sizeof(url->host));
}

static void set_ipv6(struct url *url, const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        uint32_t inner;
        memcpy(&inner, address->s6_addr + 12, sizeof(inner));
        set_ipv4(url, ntohl(inner));
        return;
    }
    struct sockaddr_in6 *literal = (struct sockaddr_in6 *)(void *)&url->literal;
    literal->sin6_family = AF_INET6;
    literal->sin6_addr = *address;
    url->is_literal = true;
    inet_ntop(AF_INET6, &literal->sin6_addr, url->host, sizeof(url->host));
}

static void set_literal_port(struct url *url)
{
    if (url->literal.ss_family == AF_INET)
        ((struct sockaddr_in *)(void *)&url->literal)->sin_port = htons(url->port);
    else
        ((struct sockaddr_in6 *)(void *)&url->literal)->sin6_port = htons(url->port);
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* One part of an IPv4 address in lower case: decimal, octal behind 0, hexadecimal behind 0x ("0x"
 * alone is 0, as the WHATWG reads it). What does not fit into 32 bits comes back as 2^32. */
static bool ipv4_part(struct span part, uint64_t *ret_value)
{
    const uint64_t too_much = UINT64_C(1) << 32;
    int base = 10;
    size_t at = 0;
    if (span_starts(part, "0x")) {
        base = 16;
        at = 2;
    } else if (part.len > 1 && part.ptr[0] == '0') {
        base = 8;
        at = 1;
    } else if (part.len == 0) {
        return false;
    }
    uint64_t value = 0;
    for (; at < part.len; at++) {
        int digit = digit_value(part.ptr[at]);
        if (digit >= base)
            return false;
        value = value * (uint64_t)base + (uint64_t)digit;
        value = value > too_much ? too_much : value;
    }
    *ret_value = value;
    return true;
}

/* `host` as inet_aton reads it: one to four parts, the last one fills what is left. */
static bool ipv4_parse(struct span host, uint32_t *ret_address)
{
    uint64_t parts[IPV4_PARTS_MAX];
    unsigned count = 0;
    for (;;) {
        size_t dot = span_find(host, '.');
        if (count == IPV4_PARTS_MAX || !ipv4_part(span_make(host.ptr, dot), &parts[count++]))
            return false;
        if (dot == host.len)
            break;
        host = span_from_at(host, dot + 1);
    }
    uint64_t last = parts[count - 1];
    if (last >= UINT64_C(1) << (8 * (IPV4_PARTS_MAX + 1 - count)))
        return false;
    uint64_t address = last;
    for (unsigned i = 0; i + 1 < count; i++) {
        if (parts[i] > 255)
            return false;
        address |= parts[i] << (8 * (IPV4_PARTS_MAX - 1 - i));
    }
    *ret_address = (uint32_t)address;
    return true;
}

/* Whether the last label is a number, well-formed or not. Source: WHATWG URL, "ends in a number".
 */
static bool ends_in_number(struct span host)
{
    size_t begin = host.len;
    while (begin > 0 && host.ptr[begin - 1] != '.')
        begin--;
    struct span label = span_from_at(host, begin);
    uint64_t ignored;
    if (span_starts(label, "0x") && ipv4_part(label, &ignored))
        return true;
    for (size_t i = 0; i < label.len; i++) {
        if (label.ptr[i] < '0' || label.ptr[i] > '9')
            return false;
    }
    return label.len > 0;
}

/* ---- host ---- */

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Source: RFC 1123 section 2.1; the underscore because receivers use it. */
static bool is_label(struct span label)
{
    if (label.len == 0 || label.len > LABEL_MAX || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!is_host_char(label.ptr[i]))
            return false;
    }
    return true;
}

static enum err parse_name(struct span host, size_t offset, struct url *url, struct error *error)
{
    struct span written = host;
    if (host.len > 0 && host.ptr[host.len - 1] == '.')
        host.len--;
    if (host.len == 0)
        return error_set_at(error, ERR_INVALID, offset,
                            "the url has no host: write https://, then the receiver's host name");
    if (host.len > URL_HOST_MAX)
        return error_set_at(error, ERR_INVALID, offset,
                            "the host of the url is longer than %d characters", URL_HOST_MAX);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        url->host[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    url->host[host.len] = '\0';
    struct span name = span_make(url->host, host.len);
    if (ends_in_number(name)) {
        uint32_t address;
        if (!ipv4_parse(name, &address))
            return error_set_at(error, ERR_INVALID, offset,
                                "the host '%.*s' looks like an IPv4 address, but is none",
                                (int)written.len, written.ptr);
        set_ipv4(url, address);
        return OK;
    }
    for (struct span rest = name;;) {
        size_t dot = span_find(rest, '.');
        if (!is_label(span_make(rest.ptr, dot)))
            return error_set_at(error, ERR_INVALID, offset,
                                "the host '%.*s' is not a valid name: use labels of letters, "
                                "digits and '-' (1 to 63 characters), separated by dots",
                                (int)written.len, written.ptr);
        if (dot == rest.len)
            return OK;
        rest = span_from_at(rest, dot + 1);
    }
}

/* `inner`: what stands between the brackets. */
static enum err parse_ipv6(struct span inner, size_t offset, struct url *url, struct error *error)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (span_find(inner, '%') < inner.len)
        return error_set_at(error, ERR_INVALID, offset,
                            "the address in the url has a zone ('%%'), which only means something "
                            "on one machine: leave it out");
    if (inner.len < sizeof(text)) {
        memcpy(text, inner.ptr, inner.len);
        text[inner.len] = '\0';
        if (inet_pton(AF_INET6, text, &address) == 1) {
            set_ipv6(url, &address);
            return OK;
        }
    }
    return error_set_at(error, ERR_INVALID, offset, "'%.*s' is not an IPv6 address",
                        (int)(inner.len < 100 ? inner.len : 100), inner.ptr);
}

/* ---- the whole ---- */

static enum err parse_port(struct span digits, size_t offset, struct url *url, struct error *error)
{
    unsigned port = 0;
    bool valid = digits.len > 0 && digits.len <= PORT_DIGITS_MAX;
    for (size_t i = 0; valid && i < digits.len; i++) {
        valid = digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
        port = port * 10 + (unsigned)(digits.ptr[i] - '0');
    }
    if (!valid || port == 0 || port > UINT16_MAX)
        return error_set_at(error, ERR_INVALID, offset,
                            "the port of the url must be a number from 1 to 65535, or be left out "
                            "together with its ':'");
    url->port = (uint16_t)port;
    return OK;
}

static enum err
parse_authority(struct span authority, size_t offset, struct url *url, struct error *error)
{
    if (span_find(authority, '@') < authority.len)
        return error_set_at(error, ERR_INVALID, offset,
                            "the url must not contain a user name or password: leave out what "
                            "stands before '@'; the token of the webhook tells who sends");
    bool bracket = authority.len > 0 && authority.ptr[0] == '[';
    size_t host_end = span_find(authority, bracket ? ']' : ':');
    if (bracket && host_end == authority.len)
        return error_set_at(error, ERR_INVALID, offset,
                            "the IPv6 address in the url lacks its closing ']'");
    struct span host = {authority.ptr, host_end};
    enum err code;
    if (bracket) {
        host_end++;
        code = parse_ipv6(span_make(host.ptr + 1, host.len - 1), offset, url, error);
    } else {
        code = parse_name(host, offset, url, error);
    }
    if (code != OK)
        return code;
    struct span rest = span_from_at(authority, host_end);
    if (rest.len == 0)
        return OK;
    if (rest.ptr[0] != ':')
        return error_set_at(error, ERR_INVALID, offset + host_end,
                            "behind the ']' of the url's address only ':' and a port may stand");
    return parse_port(span_from_at(rest, 1), offset + host_end + 1, url, error);
}

static enum err check_bytes(struct span text, struct error *error)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\\')
            return error_set_at(error, ERR_INVALID, i,
                                "the url contains a backslash at byte %zu: write '/' or %%5C", i);
        if (c == ' ')
            return error_set_at(error, ERR_INVALID, i,
                                "the url contains a space at byte %zu: write %%20", i);
        if (c < 0x20 || c == 0x7F)
            return error_set_at(error, ERR_INVALID, i,
                                "the url contains the control character 0x%02X at byte %zu", c, i);
        if (c > 0x7F)
            return error_set_at(error, ERR_INVALID, i,
                                "the url contains a character outside ASCII at byte %zu: "
                                "percent-encode it, or write the host as punycode (xn--...)",
                                i);
    }
    return OK;
}

enum err url_parse(struct span text, struct url *ret_url, struct error *error)
{
    const size_t begin = sizeof(scheme) - 1;
    struct url url = {.port = DEFAULT_PORT};
    if (text.len == 0)
        return error_set_at(error, ERR_INVALID, 0,
                            "the url is empty: write one that begins with https://");
    if (text.len > URL_MAX_BYTES)
        return error_set_at(error, ERR_INVALID, URL_MAX_BYTES, "the url is longer than %d bytes",
                            URL_MAX_BYTES);
    enum err code = check_bytes(text, error);
    if (code != OK)
        return code;
    if (text.len < begin || strncasecmp(text.ptr, scheme, begin) != 0)
        return error_set_at(error, ERR_INVALID, 0,
                            "the url '%.*s' is not https: write one that begins with https://",
                            (int)(text.len < 100 ? text.len : 100), text.ptr);
    struct span rest = span_from_at(text, begin);
    rest.len = span_find(rest, '#');
    size_t authority_len = 0;
    while (authority_len < rest.len && rest.ptr[authority_len] != '/' &&
           rest.ptr[authority_len] != '?')
        authority_len++;
    url.authority = span_make(rest.ptr, authority_len);
    url.target = span_from_at(rest, authority_len);
    code = parse_authority(url.authority, begin, &url, error);
    if (code != OK)
        return code;
    if (url.is_literal)
        set_literal_port(&url);
    *ret_url = url;
    return OK;
}
