/* parser_test.c: responses of HTTP/1.x, each fed whole and byte by byte: both must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/parser.h"

struct outcome {
    enum parser_result result; /* the last one: END, MALFORMED, TOO_LARGE or MORE */
    unsigned status;           /* 0 = no head */
    bool keep_alive;
    char body[256];
    size_t body_len;
    size_t left; /* bytes behind the response */
    bool complete_at_close;
};

/* A copy in memory of its exact size, so that ASan sees a read beyond the piece. */
static char *exact_copy(struct span piece)
{
    char *copy = malloc(piece.len == 0 ? 1 : piece.len);
    assert_non_null(copy);
    if (piece.len > 0)
        memcpy(copy, piece.ptr, piece.len);
    return copy;
}

static bool feed_piece(struct parser *parser, struct span piece, struct outcome *ret)
{
    size_t used;
    struct span body;
    char *copy = exact_copy(piece);
    struct span in = {copy, piece.len};
    do {
        ret->result = parser_feed(parser, in, &used, &body);
        assert_true(used <= in.len);
        in = span_from_at(in, used);
        if (ret->result == PARSER_MORE)
            assert_int_equal(in.len, 0);
        if (body.len > 0) {
            assert_true(ret->body_len + body.len <= sizeof(ret->body));
            memcpy(ret->body + ret->body_len, body.ptr, body.len);
            ret->body_len += body.len;
        }
        if (ret->result == PARSER_HEAD) {
            ret->status = parser->status;
            ret->keep_alive = parser->keep_alive;
        }
    } while (ret->result == PARSER_HEAD || ret->result == PARSER_BODY);
    ret->left = in.len;
    free(copy);
    return ret->result == PARSER_MORE;
}

static struct outcome parse(struct span text, size_t piece, size_t head_bytes)
{
    struct outcome outcome = {.result = PARSER_MORE};
    struct parser parser;
    parser_init(&parser, head_bytes);
    for (size_t at = 0; at < text.len; at += piece) {
        size_t n = text.len - at < piece ? text.len - at : piece;
        if (!feed_piece(&parser, span_make(text.ptr + at, n), &outcome)) {
            outcome.left += text.len - at - n;
            break;
        }
    }
    outcome.complete_at_close = parser_end_of_input(&parser);
    return outcome;
}

static struct outcome parse_both_ways(struct span text)
{
    struct outcome whole = parse(text, text.len, 1000);
    for (size_t piece = 1; piece < 8; piece++) {
        struct outcome parts = parse(text, piece, 1000);
        assert_int_equal(whole.result, parts.result);
        assert_int_equal(whole.status, parts.status);
        assert_int_equal(whole.keep_alive, parts.keep_alive);
        assert_int_equal(whole.body_len, parts.body_len);
        assert_memory_equal(whole.body, parts.body, whole.body_len);
        if (whole.result == PARSER_END)
            assert_int_equal(whole.left, parts.left);
    }
    return whole;
}

static const struct {
    const char *text;
    enum parser_result result;
    unsigned status;
    bool keep_alive;
    const char *body;
    size_t left;
} responses[] = {
    /* plain */
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", PARSER_END, 200, true, "ok", 0},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", PARSER_END, 200, true, "", 0},
    {"HTTP/1.1 200 \r\ncontent-length:\t 2 \t\r\n\r\nokHTTP", PARSER_END, 200, true, "ok", 4},
    {"HTTP/1.1 204 No\r\n\r\nX", PARSER_END, 204, true, "", 1},
    {"HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n", PARSER_END, 304, true, "", 0},
    {"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", PARSER_END, 200, true, "x", 0},
    {"HTTP/1.9 299 Fine\r\nContent-Length: 1\r\n\r\nx", PARSER_END, 299, true, "x", 0},
    /* the connection */
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, CLOSE\r\n\r\n", PARSER_END, 200, false,
     "", 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", PARSER_END, 200, false, "", 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", PARSER_END, 200,
     true, "", 0},
    {"HTTP/1.1 200 OK\r\n\r\nto the end", PARSER_MORE, 200, false, "to the end", 0},
    /* interim */
    {"HTTP/1.1 100 Continue\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     PARSER_END, 200, true, "", 0},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    /* chunked */
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0A;n=v\r\n0123456789\r\n"
     "000\r\nTrailer: t\r\n\r\n!",
     PARSER_END, 200, true, "ok0123456789", 1},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
     PARSER_END, 200, false, "", 0},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n",
     PARSER_END, 200, false, "", 0},
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    {CHUNKED "\r\n", PARSER_MALFORMED, 200, true, "", 0},
    {CHUNKED "-1\r\n", PARSER_MALFORMED, 200, true, "", 0},
    {CHUNKED "0x2\r\nok\r\n", PARSER_MALFORMED, 200, true, "", 0},
    {CHUNKED "2\nok\n0\n\n", PARSER_MALFORMED, 200, true, "", 0},
    {CHUNKED "2\r\nokay\r\n", PARSER_MALFORMED, 200, true, "ok", 0},
    {CHUNKED "1000000000000000\r\n", PARSER_MALFORMED, 200, true, "", 0},
    {CHUNKED "0\r\nA: b\n\r\n", PARSER_MALFORMED, 200, true, "", 0},
    /* the status line */
    {"HTTP/1.1 200OK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1  200 OK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 20 OK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 2000 OK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 020 OK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/2 200 OK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"http/1.1 200 OK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 O\rK\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    /* fields */
    {"HTTP/1.1 200 OK\r\n: x\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nA : x\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nA: x\r\n folded\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nA: x\ry\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nA: x\r\n\rx", PARSER_MALFORMED, 0, false, "", 0},
    /* lengths */
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n", PARSER_MALFORMED, 0,
     false, "", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", PARSER_MALFORMED, 0, false,
     "", 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n", PARSER_MALFORMED, 0, false, "", 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", PARSER_MALFORMED, 0, false, "",
     0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     PARSER_MALFORMED, 0, false, "", 0},
    /* not all there yet */
    {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", PARSER_MORE, 200, true, "ok", 0},
    {"HTTP/1.1 200 OK\r\n", PARSER_MORE, 0, false, "", 0},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        struct outcome outcome = parse_both_ways(span_from(responses[i].text));
        if (outcome.result != responses[i].result || outcome.status != responses[i].status)
            print_error("response %zu: %s\n", i, responses[i].text);
        assert_int_equal(outcome.result, responses[i].result);
        assert_int_equal(outcome.status, responses[i].status);
        assert_int_equal(outcome.keep_alive, responses[i].keep_alive);
        assert_int_equal(outcome.body_len, strlen(responses[i].body));
        assert_memory_equal(outcome.body, responses[i].body, outcome.body_len);
        if (outcome.result == PARSER_END)
            assert_int_equal(outcome.left, responses[i].left);
    }
}

static void test_nul_bytes(void **state)
{
    static const struct span texts[] = {
        SPAN_LIT("HTTP/1.1 200 O\0K\r\n\r\n"),
        SPAN_LIT("HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n"),
        SPAN_LIT("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"),
        SPAN_LIT("HTTP/1.1 200 OK\r\nConnection: \0close\r\n\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(parse_both_ways(texts[i]).result, PARSER_MALFORMED);
}

static void test_until_close(void **state)
{
    (void)state;
    assert_true(parse(SPAN_LIT("HTTP/1.1 200 OK\r\n\r\nx"), 99, 1000).complete_at_close);
    assert_false(parse(SPAN_LIT("HTTP/1.1 200 OK\r\n"), 99, 1000).complete_at_close);
    assert_false(parse(SPAN_LIT("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx"), 99, 1000)
                     .complete_at_close);
}

static void test_head_limit(void **state)
{
    const struct span text = SPAN_LIT("HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nA: bcd\r\n\r\n");
    (void)state;
    for (size_t piece = 1; piece <= text.len; piece++) {
        for (size_t limit = 0; limit < text.len; limit++)
            assert_int_equal(parse(text, piece, limit).result, PARSER_TOO_LARGE);
        assert_int_equal(parse(text, piece, text.len).status, 200);
    }
}

static void test_interim_limit(void **state)
{
    char text[2000] = "";
    (void)state;
    for (unsigned i = 0; i < PARSER_INTERIM_MAX; i++)
        strcat(text, "HTTP/1.1 103 E\r\n\r\n");
    size_t len = strlen(text);
    strcat(text, "HTTP/1.1 204 N\r\n\r\n");
    assert_int_equal(parse(span_from(text), 7, 10000).status, 204);
    strcpy(text + len, "HTTP/1.1 103 E\r\n\r\n");
    assert_int_equal(parse(span_from(text), 7, 10000).result, PARSER_MALFORMED);
}

static void test_chunk_limits(void **state)
{
    char *text = malloc(40000);
    (void)state;
    assert_non_null(text);
    strcpy(text, CHUNKED "1;");
    size_t len = strlen(text);
    memset(text + len, 'x', 39000 - len);
    assert_int_equal(parse(span_make(text, 39000), 100, 1000).result, PARSER_MALFORMED);
    strcpy(text, CHUNKED "0\r\nA: ");
    len = strlen(text);
    memset(text + len, 'x', 39000 - len);
    assert_int_equal(parse(span_make(text, 39000), 100, 1000).result, PARSER_MALFORMED);
    free(text);
}

static void test_kept_values(void **state)
{
    struct parser parser;
    size_t used;
    struct span body;
    char text[400];
    (void)state;
    parser_init(&parser, 1000);
    const struct span head =
        SPAN_LIT("HTTP/1.1 503 No\r\nRetry-After:  120 \r\n"
                 "Keep-Alive: max=100, timeout=15\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(parser_feed(&parser, head, &used, &body), PARSER_HEAD);
    assert_string_equal(parser.retry_after, "120");
    assert_int_equal(parser.keep_alive_s, 15);
    /* A value that is too long to be kept must not be read in part. */
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: %0*d\r\n\r\n",
             PARSER_VALUE_MAX + 1, 0);
    assert_false(parse_both_ways(span_from(text)).keep_alive);
    snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %0*d\r\n\r\n",
             PARSER_VALUE_MAX + 1, 0);
    assert_int_equal(parse_both_ways(span_from(text)).result, PARSER_MALFORMED);
}

static void test_retry_after(void **state)
{
    const wall_ms now = INT64_C(784111777) * 1000; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *value;
        int64_t seconds;
    } values[] = {
        {"", -1},
        {"0", 0},
        {"120", 120},
        {"-1", -1},
        {"1.5", -1},
        {"99999999999999999999", INT64_C(10) * 365 * 86400},
        {"9999999999", INT64_C(315360000)},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60},
        {"Sun, 06 Nov 1994 08:00:00 GMT", 0},
        {"Sunday, 06-Nov-94 08:50:37 GMT", 60},
        {"Sun Nov  6 08:50:37 1994", 60},
        {"Sun Nov 16 08:49:37 1994", 864000},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Foo 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT!", -1},
        {"Sun", -1},
        {",", -1},
        {"soon", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        int64_t seconds = parser_retry_after_s(values[i].value, now);
        if (seconds != values[i].seconds)
            print_error("'%s'\n", values[i].value);
        assert_int_equal(seconds, values[i].seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),         cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_until_close),   cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_interim_limit), cmocka_unit_test(test_chunk_limits),
        cmocka_unit_test(test_kept_values),   cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
