/* egress_test.c: every refused range at both its edges, every way to hide an address in another,
 * and what the operator opens. */
#include "hook/egress.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool allows(const struct egress *egress, const char *text)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&storage;
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
        in6->sin6_family = AF_INET6;
    }
    return egress_allows(egress, (const struct sockaddr *)(const void *)&storage);
}

static void assert_verdicts(const struct egress *egress, const char *const *texts, bool allowed)
{
    for (; *texts != NULL; texts++) {
        if (allows(egress, *texts) != allowed)
            fail_msg("%s is %s", *texts, allowed ? "refused" : "allowed");
    }
}

static const struct egress closed = {0};

static void refuses_every_special_range_of_ipv4(void **state)
{
    static const char *const refused[] = {
        "0.0.0.0",         "0.255.255.255",
        "10.0.0.0",        "10.255.255.255",
        "100.64.0.0",      "100.127.255.255",
        "127.0.0.0",       "127.0.0.1",
        "127.255.255.255", "169.254.0.0",
        "169.254.169.254", "169.254.255.255",
        "172.16.0.0",      "172.31.255.255",
        "192.0.0.0",       "192.0.0.255",
        "192.0.2.0",       "192.0.2.255",
        "192.88.99.0",     "192.88.99.255",
        "192.168.0.0",     "192.168.255.255",
        "198.18.0.0",      "198.19.255.255",
        "198.51.100.0",    "198.51.100.255",
        "203.0.113.0",     "203.0.113.255",
        "224.0.0.0",       "239.255.255.255",
        "240.0.0.0",       "255.255.255.254",
        "255.255.255.255", NULL,
    };
    assert_verdicts(&closed, refused, false);
}

static void allows_the_neighbours_of_those_ranges(void **state)
{
    static const char *const allowed[] = {
        "1.0.0.0",      "9.255.255.255",   "11.0.0.0",     "100.63.255.255",
        "100.128.0.0",  "126.255.255.255", "128.0.0.0",    "169.253.255.255",
        "169.255.0.0",  "172.15.255.255",  "172.32.0.0",   "191.255.255.255",
        "192.0.1.0",    "192.0.1.255",     "192.0.3.0",    "192.88.98.255",
        "192.88.100.0", "192.167.255.255", "192.169.0.0",  "198.17.255.255",
        "198.20.0.0",   "198.51.99.255",   "198.51.101.0", "203.0.112.255",
        "203.0.114.0",  "223.255.255.255", "8.8.8.8",      "1.1.1.1",
        NULL,
    };
    assert_verdicts(&closed, allowed, true);
}

static void refuses_every_special_range_of_ipv6(void **state)
{
    static const char *const refused[] = {
        "::",
        "::1",
        "::2",
        "::8.8.8.8", /* IPv4-compatible, long dead */
        "100::",
        "100::ffff:ffff:ffff:ffff",
        "100:0:0:1::",
        "2001::",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff:ffff::",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002::",
        "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "1fff:ffff::",
        "4000::",
        "5f00::",
        "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fc00::",
        "fd00:ec2::254",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::",
        "fe80::1",
        "febf:ffff::",
        "fec0::1",
        "feff:ffff::",
        "ff00::",
        "ff02::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        NULL,
    };
    assert_verdicts(&closed, refused, false);
}

static void allows_global_unicast(void **state)
{
    static const char *const allowed[] = {
        "2000::",
        "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:200::",
        "2001:4860:4860::8888",
        "2001:db7:ffff::1",
        "2001:db9::",
        "2003::",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "3ffe:ffff::",
        "3fff:1000::",
        NULL,
    };
    assert_verdicts(&closed, allowed, true);
}

static void mapped_addresses_are_judged_as_ipv4(void **state)
{
    static const char *const refused[] = {"::ffff:127.0.0.1", "::ffff:10.1.2.3",
                                          "::ffff:169.254.169.254", "::ffff:0.0.0.0", NULL};
    static const char *const allowed[] = {"::ffff:8.8.8.8", "::ffff:172.32.0.1", NULL};
    assert_verdicts(&closed, refused, false);
    assert_verdicts(&closed, allowed, true);
}

static void transition_ranges_are_refused_whatever_they_carry(void **state)
{
    static const char *const refused[] = {
        "64:ff9b::8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:808:8:800::",
        "2002:808:808::1",
        "2002:7f00:1::",
        "2001:0:808:808:0:0:f7f7:f7f7",
        "2001:0:808:808::1",
        NULL,
    };
    assert_verdicts(&closed, refused, false);
}

static void open_or_fail(struct egress *egress, const char *cidr)
{
    struct error error = {0};
    if (egress_open(egress, span_from(cidr), &error) != OK)
        fail_msg("%s: %s", cidr, error.message);
}

/* The way is open, but not what private addresses lie behind it. */
static void opened_transition_ranges_are_unwrapped(void **state)
{
    static const char *const allowed[] = {
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:808:8:800::", /* 8.8.8.8 in the /48 form */
        "2002:808:808::1",
        "2001:0:808:808:0:0:f7f7:f7f7", /* server and client 8.8.8.8 */
        NULL,
    };
    static const char *const refused[] = {
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::",
        "64:ff9b:1::127.0.0.1",
        "64:ff9b:1:a00:0:100::",    /* 10.0.0.1 in the /48 form */
        "64:ff9b:1:abcd::10.0.0.1", /* a /96 inside */
        "64:ff9b:1:abcd:0:0:7f00:1",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2002:c0a8:101::1",
        "2001:0:808:808:0:0:80ff:fffe", /* client 127.0.0.1 */
        "2001:0:7f00:1:0:0:f7f7:f7f7",  /* server 127.0.0.1 */
        NULL,
    };
    struct egress egress = {0};
    open_or_fail(&egress, "64:ff9b::/96");
    open_or_fail(&egress, "64:ff9b:1::/48");
    open_or_fail(&egress, "2002::/16");
    open_or_fail(&egress, "2001::/32");
    assert_verdicts(&egress, allowed, true);
    assert_verdicts(&egress, refused, false);
    open_or_fail(&egress, "10.0.0.0/8");
    assert_true(allows(&egress, "64:ff9b::10.0.0.1"));
    egress_release(&egress);
}

static void opens_exactly_the_range(void **state)
{
    static const char *const allowed[] = {
        "10.2.0.0", "10.2.255.255", "::ffff:10.2.3.4", "127.0.0.1", "fd00::1", "8.8.8.8", NULL};
    static const char *const refused[] = {"10.1.255.255", "10.3.0.0", "127.0.0.2", "::1",
                                          "fd01::",       "fcff::",   NULL};
    struct egress egress = {0};
    open_or_fail(&egress, "10.2.0.0/16");
    open_or_fail(&egress, "127.0.0.1");
    open_or_fail(&egress, "fd00::/16");
    assert_verdicts(&egress, allowed, true);
    assert_verdicts(&egress, refused, false);
    egress_release(&egress);
}

static void the_families_are_opened_apart(void **state)
{
    struct egress egress = {0};
    open_or_fail(&egress, "::/0");
    assert_true(allows(&egress, "::1") && allows(&egress, "fe80::1"));
    assert_false(allows(&egress, "127.0.0.1") || allows(&egress, "::ffff:127.0.0.1"));
    egress_release(&egress);
    open_or_fail(&egress, "0.0.0.0/0");
    assert_true(allows(&egress, "127.0.0.1") && allows(&egress, "::ffff:127.0.0.1"));
    assert_false(allows(&egress, "::1"));
    egress_release(&egress);
    open_or_fail(&egress, "::ffff:127.0.0.0/104"); /* the mapped notation */
    assert_true(allows(&egress, "127.0.0.1"));
    egress_release(&egress);
}

static void other_families_are_refused(void **state)
{
    struct egress egress = {0};
    open_or_fail(&egress, "::/0");
    open_or_fail(&egress, "0.0.0.0/0");
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    assert_false(egress_allows(&egress, (const struct sockaddr *)(const void *)&address));
    egress_release(&egress);
}

static void refuses_cidr(const char *text, const char *message)
{
    struct egress egress = {0};
    struct error error = {0};
    assert_int_equal(egress_open(&egress, span_from(text), &error), ERR_INVALID);
    if (strstr(error.message, message) == NULL)
        fail_msg("%s: %s", text, error.message);
    assert_int_equal(egress.n_open, 0);
}

static void bad_ranges_are_refused_with_a_hint(void **state)
{
    refuses_cidr("10.1.2.3/8", "did you mean 10.0.0.0/8?");
    refuses_cidr("fd12::1/16", "did you mean fd12::/16?");
    refuses_cidr("192.168.1.1/24", "did you mean 192.168.1.0/24?");
    refuses_cidr("::ffff:10.1.2.3/8", "did you mean ::/8?");
    refuses_cidr("", "not an address range");
    refuses_cidr("/8", "not an address range");
    refuses_cidr("10.0.0/8", "not an address range");
    refuses_cidr("localhost", "not an address range");
    refuses_cidr("[::1]", "not an address range");
    refuses_cidr("10.0.0.0/", "from 0 to 32");
    refuses_cidr("10.0.0.0/33", "from 0 to 32");
    refuses_cidr("10.0.0.0/08", "from 0 to 32");
    refuses_cidr("10.0.0.0/-1", "from 0 to 32");
    refuses_cidr("10.0.0.0/8 ", "from 0 to 32");
    refuses_cidr("fd00::/129", "from 0 to 128");
    refuses_cidr("fd00::/1111", "from 0 to 128");
    refuses_cidr("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8",
                 "not an address range");
}

/* Every prefix length opens its first and last address, and not the one before and behind. */
static void every_prefix_length_has_exact_edges(void **state)
{
    for (unsigned prefix = 10; prefix <= 32; prefix++) {
        uint32_t size = prefix == 32 ? 1 : UINT32_C(1) << (32 - prefix);
        uint32_t base = (UINT32_C(10) << 24) + 4 * (UINT32_C(1) << 21);
        char cidr[64];
        struct egress egress = {0};
        struct in_addr in = {htonl(base)};
        snprintf(cidr, sizeof(cidr), "%s/%u", inet_ntoa(in), prefix);
        if (base % size != 0)
            continue;
        open_or_fail(&egress, cidr);
        uint32_t tried[] = {base - 1, base, base + size - 1, base + size};
        for (size_t i = 0; i < 4; i++) {
            in.s_addr = htonl(tried[i]);
            assert_int_equal(allows(&egress, inet_ntoa(in)), i == 1 || i == 2);
        }
        egress_release(&egress);
    }
}

/* --- registration --- */

static enum err check(const struct egress *egress, const char *text, struct error *error)
{
    struct url url;
    assert_int_equal(url_parse(span_from(text), &url, error), OK);
    return egress_check_url(egress, &url, error);
}

static void literals_are_refused_in_any_notation(void **state)
{
    static const char *const urls[] = {
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1:8443/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://10.0.0.8/",
        "https://169.254.169.254/latest/",
        "https://[fe80::1]/",
        "https://0/",
        "https://[64:ff9b::a00:1]/",
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST:8443/",
        "https://a.localhost/",
        "https://ip6-localhost/",
        "https://localhost.localdomain",
    };
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct error error = {0};
        assert_int_equal(check(&closed, urls[i], &error), ERR_INVALID);
        assert_non_null(strstr(error.message, "public hosts only"));
    }
}

static void public_hosts_are_registered(void **state)
{
    static const char *const urls[] = {"https://example.com/", "https://8.8.8.8/",
                                       "https://[2606:4700:4700::1111]/", "https://mylocalhost/",
                                       "https://localhost.example.com/"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        assert_int_equal(check(&closed, urls[i], NULL), OK);
}

static void an_opened_loopback_opens_localhost(void **state)
{
    struct egress egress = {0};
    open_or_fail(&egress, "127.0.0.0/8");
    assert_int_equal(check(&egress, "https://localhost:8443/", NULL), OK);
    assert_int_equal(check(&egress, "https://127.0.0.9/", NULL), OK);
    assert_int_equal(check(&egress, "https://10.0.0.1/", NULL), ERR_INVALID);
    egress_release(&egress);
    open_or_fail(&egress, "::1");
    assert_int_equal(check(&egress, "https://localhost:8443/", NULL), OK);
    assert_int_equal(check(&egress, "https://127.0.0.9/", NULL), ERR_INVALID);
    egress_release(&egress);
}

static void the_refusal_says_what_the_address_is(void **state)
{
    struct error error;
    assert_int_equal(check(&closed, "https://0x0a.1/", &error), ERR_INVALID);
    assert_string_equal(error.message,
                        "the host '10.0.0.1' is a private address: deliveries go to public hosts "
                        "only; to allow it, start the server with --allow-cidr and its range "
                        "(10.0.0.0/8)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_every_special_range_of_ipv4),
        cmocka_unit_test(allows_the_neighbours_of_those_ranges),
        cmocka_unit_test(refuses_every_special_range_of_ipv6),
        cmocka_unit_test(allows_global_unicast),
        cmocka_unit_test(mapped_addresses_are_judged_as_ipv4),
        cmocka_unit_test(transition_ranges_are_refused_whatever_they_carry),
        cmocka_unit_test(opened_transition_ranges_are_unwrapped),
        cmocka_unit_test(opens_exactly_the_range),
        cmocka_unit_test(the_families_are_opened_apart),
        cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(bad_ranges_are_refused_with_a_hint),
        cmocka_unit_test(every_prefix_length_has_exact_edges),
        cmocka_unit_test(literals_are_refused_in_any_notation),
        cmocka_unit_test(public_hosts_are_registered),
        cmocka_unit_test(an_opened_loopback_opens_localhost),
        cmocka_unit_test(the_refusal_says_what_the_address_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
