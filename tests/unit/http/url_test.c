/* url_test.c: which URLs a webhook may have, and which host each of them really means. */
#include "http/url.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

/* Parses a copy that ends where the memory ends, so that ASan sees a step too far. The spans of
 * *url are moved to `text`. */
static enum err parse(const char *text, struct url *url, struct error *error)
{
    size_t len = strlen(text);
    char *copy = mem_alloc(len);
    memcpy(copy, text, len);
    enum err code = url_parse(span_make(copy, len), url, error);
    if (code == OK) {
        url->authority.ptr = text + (url->authority.ptr - copy);
        url->target.ptr = text + (url->target.ptr - copy);
    }
    free(copy);
    return code;
}

static void parse_ok(const char *text, struct url *url)
{
    struct error error = {0};
    if (parse(text, url, &error) != OK)
        fail_msg("%s: %s", text, error.message);
}

static void assert_span(struct span span, const char *text)
{
    if (!span_eq_text(span, text))
        fail_msg("'%.*s' is not '%s'", (int)span.len, span.ptr, text);
}

static void takes_a_url_apart(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *authority, *target;
    } cases[] = {
        {"https://example.com", "example.com", 443, "example.com", ""},
        {"https://example.com/", "example.com", 443, "example.com", "/"},
        {"HTTPS://EXAMPLE.com:8443/A/b?c=%20d", "example.com", 8443, "EXAMPLE.com:8443",
         "/A/b?c=%20d"},
        {"https://example.com?x=1", "example.com", 443, "example.com", "?x=1"},
        {"https://example.com#f", "example.com", 443, "example.com", ""},
        {"https://example.com/p?q#f?g/h", "example.com", 443, "example.com", "/p?q"},
        {"https://example.com/a//b/../c/./?q=a@b:c[]\"<>{}|^`%zz", "example.com", 443,
         "example.com", "/a//b/../c/./?q=a@b:c[]\"<>{}|^`%zz"},
        {"https://example.com./x", "example.com", 443, "example.com.", "/x"},
        {"https://localhost.:1/x", "localhost", 1, "localhost.:1", "/x"},
        {"https://a_b.ex-ample.c0m:65535", "a_b.ex-ample.c0m", 65535, "a_b.ex-ample.c0m:65535", ""},
        {"https://_x/", "_x", 443, "_x", "/"},
        {"https://xn--bcher-kva.example:00443/", "xn--bcher-kva.example", 443,
         "xn--bcher-kva.example:00443", "/"},
        {"https://1.2.3.4.example.com/", "1.2.3.4.example.com", 443, "1.2.3.4.example.com", "/"},
        {"https://0x7f.0x.com/", "0x7f.0x.com", 443, "0x7f.0x.com", "/"},
        {"https://a.0xg/", "a.0xg", 443, "a.0xg", "/"},
        {"https://127.0.0.1x/", "127.0.0.1x", 443, "127.0.0.1x", "/"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url url;
        parse_ok(cases[i].text, &url);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_span(url.authority, cases[i].authority);
        assert_span(url.target, cases[i].target);
        assert_false(url.is_literal);
    }
}

static void recognises_addresses_in_every_notation(void **state)
{
    static const struct {
        const char *written, *canonical;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"},
        {"127.0.0.1.", "127.0.0.1"},
        {"1.2.3.4.", "1.2.3.4"},
        {"2130706433", "127.0.0.1"},
        {"2130706433.", "127.0.0.1"},
        {"127.1", "127.0.0.1"},
        {"127.0.1", "127.0.0.1"},
        {"127.65535", "127.0.255.255"},
        {"10.1.65535", "10.1.255.255"},
        {"0x7f.1", "127.0.0.1"},
        {"0X7F.0x0.0.0X1", "127.0.0.1"},
        {"0x7f000001", "127.0.0.1"},
        {"0177.0.0.1", "127.0.0.1"},
        {"017700000001", "127.0.0.1"},
        {"00000000177.0.0.1", "127.0.0.1"},
        {"0x0000000000000000007f.1", "127.0.0.1"},
        {"0", "0.0.0.0"},
        {"0x", "0.0.0.0"},
        {"1.0x", "1.0.0.0"},
        {"00", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"4294967295", "255.255.255.255"},
        {"169.254.169.254", "169.254.169.254"},
        {"0xa9fea9fe", "169.254.169.254"},
        {"[::1]", "::1"},
        {"[0:0:0:0:0:0:0:1]", "::1"},
        {"[FE80::ABCD]", "fe80::abcd"},
        {"[::]", "::"},
        {"[2001:db8::192.0.2.1]", "2001:db8::c000:201"},
        {"[::ffff:127.0.0.1]", "127.0.0.1"},
        {"[::FFFF:7f00:1]", "127.0.0.1"},
        {"[0:0:0:0:0:ffff:a9fe:a9fe]", "169.254.169.254"},
        {"[::127.0.0.1]", "::127.0.0.1"},
        {"[64:ff9b::7f00:1]", "64:ff9b::7f00:1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[128];
        struct url url;
        snprintf(text, sizeof(text), "https://%s:8443/x", cases[i].written);
        parse_ok(text, &url);
        assert_true(url.is_literal);
        assert_string_equal(url.host, cases[i].canonical);
        assert_int_equal(url.port, 8443);
        char shown[INET6_ADDRSTRLEN];
        in_port_t port;
        if (url.literal.ss_family == AF_INET) {
            struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&url.literal;
            inet_ntop(AF_INET, &v4->sin_addr, shown, sizeof(shown));
            port = v4->sin_port;
        } else {
            assert_int_equal(url.literal.ss_family, AF_INET6);
            struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&url.literal;
            inet_ntop(AF_INET6, &v6->sin6_addr, shown, sizeof(shown));
            port = v6->sin6_port;
        }
        assert_string_equal(shown, cases[i].canonical);
        assert_int_equal(ntohs(port), 8443);
        struct span written = url.authority;
        written.len -= strlen(":8443");
        assert_span(written, cases[i].written);
    }
}

static void refuses_with_a_sentence(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "empty"},
        {"http://example.com/", "is not https"},
        {"example.com/", "is not https"},
        {"//example.com/", "is not https"},
        {"https:/example.com/", "is not https"},
        {"https:example.com", "is not https"},
        {"ftp://example.com/", "is not https"},
        {"https://", "no host"},
        {"https:///path", "no host"},
        {"https://?q", "no host"},
        {"https://#f", "no host"},
        {"https://:443/", "no host"},
        {"https://./", "no host"},
        {"https://::1/", "no host"},
        {"https://user@example.com/", "user name"},
        {"https://user:secret@example.com/", "user name"},
        {"https://@example.com/", "user name"},
        {"https://example.com:80@10.0.0.1/", "user name"},
        {"https://example.com\\@10.0.0.1/", "backslash at byte 19"},
        {"https://example.com/a b", "space at byte 21"},
        {" https://example.com/", "space at byte 0"},
        {"https://example.com/\t", "control character 0x09"},
        {"https://example.com/\r\nX: y", "control character 0x0D"},
        {"https://example.com/#\x7f", "control character 0x7F"},
        {"https://b\xc3\xbc"
         "cher.example/",
         "outside ASCII"},
        {"https://example.com/\xc3\xbc", "outside ASCII"},
        {"https://example..com/", "not a valid name"},
        {"https://.example.com/", "not a valid name"},
        {"https://example.com../", "not a valid name"},
        {"https://-a.com/", "not a valid name"},
        {"https://a-.com/", "not a valid name"},
        {"https://ex%61mple.com/", "not a valid name"},
        {"https://127%2e0.0.1x/", "not a valid name"},
        {"https://exa,mple.com/", "not a valid name"},
        {"https://*.example.com/", "not a valid name"},
        {"https://a.b]/", "not a valid name"},
        {"https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/",
         "not a valid"},
        {"https://example.com:/", "port"},
        {"https://example.com:0/", "port"},
        {"https://example.com:65536/", "port"},
        {"https://example.com:4294967739/", "port"},
        {"https://example.com:-1/", "port"},
        {"https://example.com:443a/", "port"},
        {"https://example.com:1:2/", "port"},
        {"https://1.2.3.4:/", "port"},
        {"https://256.0.0.1/", "looks like an IPv4"},
        {"https://1.2.3.256/", "looks like an IPv4"},
        {"https://1.2.3.4.5/", "looks like an IPv4"},
        {"https://1..2/", "looks like an IPv4"},
        {"https://4294967296/", "looks like an IPv4"},
        {"https://18446744073709551617/", "looks like an IPv4"},
        {"https://0x100000000/", "looks like an IPv4"},
        {"https://127.0.0.08/", "looks like an IPv4"},
        {"https://0x7g.1/", "looks like an IPv4"},
        {"https://example.1/", "looks like an IPv4"},
        {"https://a.0x1f/", "looks like an IPv4"},
        {"https://[::1/", "closing ']'"},
        {"https://[/", "closing ']'"},
        {"https://[]/", "not an IPv6"},
        {"https://[:::1]/", "not an IPv6"},
        {"https://[1.2.3.4]/", "not an IPv6"},
        {"https://[example.com]/", "not an IPv6"},
        {"https://[::1]x/", "only ':' and a port"},
        {"https://[::1].com/", "only ':' and a port"},
        {"https://[::1]:/", "port"},
        {"https://[::ffff:127.0.0.01]/", "not an IPv6"},
        {"https://[fe80::1%25eth0]/", "zone"},
        {"https://[::1%25eth0]/", "zone"},
        {"https://[::1%eth0]/", "zone"},
        {"https://[v1.fe]/", "not an IPv6"},
        {"https://[0000000000000000000000000000000000000000000000000000000001::]/", "not an IPv6"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url url = {.port = 7};
        struct error error = {0};
        enum err code = parse(cases[i].text, &url, &error);
        if (code != ERR_INVALID || strstr(error.message, cases[i].part) == NULL)
            fail_msg("%s: %d %s", cases[i].text, (int)code, error.message);
        assert_int_equal(error.code, ERR_INVALID);
        assert_true(error.offset <= strlen(cases[i].text));
        assert_int_equal(url.port, 7);
    }
}

static void refuses_a_nul_byte(void **state)
{
    struct url url;
    struct error error;
    assert_int_equal(url_parse(SPAN_LIT("https://a.com\0.b.com/"), &url, &error), ERR_INVALID);
    assert_int_equal(error.offset, 13);
    assert_int_equal(url_parse(span_make(NULL, 0), &url, NULL), ERR_INVALID);
}

static void limits_the_length(void **state)
{
    char text[URL_MAX_BYTES + 2];
    struct url url;
    struct error error;
    memset(text, 'a', sizeof(text));
    memcpy(text, "https://a.com/", 14);
    assert_int_equal(url_parse(span_make(text, URL_MAX_BYTES), &url, &error), OK);
    assert_int_equal(url.target.len, URL_MAX_BYTES - 13);
    assert_int_equal(url_parse(span_make(text, URL_MAX_BYTES + 1), &url, &error), ERR_INVALID);
    assert_non_null(strstr(error.message, "2048"));
}

static void limits_the_host(void **state)
{
    char text[URL_MAX_BYTES];
    struct url url;
    struct error error;
    memset(text, 'a', sizeof(text));
    memcpy(text, "https://", 8);
    for (size_t i = 8 + 63; i < sizeof(text); i += 64)
        text[i] = '.';
    assert_int_equal(url_parse(span_make(text, 8 + URL_HOST_MAX), &url, &error), OK);
    assert_int_equal(strlen(url.host), URL_HOST_MAX);
    text[8 + URL_HOST_MAX] = '.';
    assert_int_equal(url_parse(span_make(text, 8 + URL_HOST_MAX + 1), &url, &error), OK);
    assert_int_equal(strlen(url.host), URL_HOST_MAX);
    text[8 + URL_HOST_MAX] = 'a';
    assert_int_equal(url_parse(span_make(text, 8 + URL_HOST_MAX + 1), &url, &error), ERR_INVALID);
    assert_non_null(strstr(error.message, "253"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_url_apart),
        cmocka_unit_test(recognises_addresses_in_every_notation),
        cmocka_unit_test(refuses_with_a_sentence),
        cmocka_unit_test(refuses_a_nul_byte),
        cmocka_unit_test(limits_the_length),
        cmocka_unit_test(limits_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
