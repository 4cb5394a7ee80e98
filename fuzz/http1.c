/* http1.c: however a response is cut into pieces, the parser reads the same from it, and never
 * more than there is. */
#include "base/buf.h"
#include "base/map.h"
#include "base/rng.h"
#include "fuzz.h"
#include "http/parser.h"

enum { HEAD_BYTES = 512 }; /* small, so that inputs reach it */

struct reading {
    struct parser parser;
    enum parser_result last;
    bool head;
    size_t used; /* up to the end of the response */
    struct buf body;
};

/* One piece; false when the parser is used up. */
static bool feed(struct reading *reading, struct span piece)
{
    for (;;) {
        size_t used = SIZE_MAX;
        struct span body;
        reading->last = parser_feed(&reading->parser, piece, &used, &body);
        ASSERT(used <= piece.len);
        ASSERT(body.len == 0 || span_inside(body, piece));
        reading->used += used;
        if (reading->last == PARSER_HEAD) {
            ASSERT(!reading->head);
            reading->head = true;
        } else if (reading->last == PARSER_BODY) {
            ASSERT(reading->head && body.len > 0);
            buf_add_span(&reading->body, body);
        } else {
            ASSERT(body.len == 0);
            ASSERT(reading->last != PARSER_MORE || used == piece.len);
            return reading->last == PARSER_MORE;
        }
        piece = span_from_at(piece, used);
    }
}

/* `rng` NULL: in one piece, else in pieces of random length. */
static void read_response(struct reading *reading, struct span text, struct rng *rng)
{
    *reading = (struct reading){.body = BUF_INIT};
    parser_init(&reading->parser, HEAD_BYTES);
    do {
        size_t len = text.len;
        if (rng != NULL && len > 0)
            len = 1 + rng_below(rng, rng_below(rng, 4) == 0 ? len : 1);
        if (!feed(reading, span_make(text.ptr, len)))
            return;
        text = span_from_at(text, len);
    } while (text.len > 0);
}

static void check_head(const struct reading *reading)
{
    const struct parser *parser = &reading->parser;
    ASSERT(parser->status >= 200 && parser->status <= 999);
    ASSERT(strlen(parser->retry_after) <= PARSER_VALUE_MAX);
    ASSERT(parser_retry_after_s(parser->retry_after, INT64_C(1700000000000)) >= -1);
    if (parser->framing == FRAMING_LENGTH)
        ASSERT(reading->body.len <= parser->content_length);
    if (parser->framing == FRAMING_LENGTH && reading->last == PARSER_END)
        ASSERT(reading->body.len == parser->content_length);
    if (parser->framing == FRAMING_UNTIL_CLOSE)
        ASSERT(!parser->keep_alive && reading->last == PARSER_MORE);
    ASSERT(parser_end_of_input(parser) == (parser->framing == FRAMING_UNTIL_CLOSE));
}

static void check_same(const struct reading *a, const struct reading *b)
{
    ASSERT(a->last == b->last && a->head == b->head);
    ASSERT(span_eq(buf_span(&a->body), buf_span(&b->body)));
    if (a->last == PARSER_MORE || a->last == PARSER_END)
        ASSERT(a->used == b->used);
    if (!a->head)
        return;
    ASSERT(a->parser.status == b->parser.status);
    ASSERT(a->parser.framing == b->parser.framing);
    ASSERT(a->parser.keep_alive == b->parser.keep_alive);
    ASSERT(a->parser.content_length == b->parser.content_length);
    ASSERT(a->parser.keep_alive_s == b->parser.keep_alive_s);
    ASSERT(strcmp(a->parser.retry_after, b->parser.retry_after) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[16];
    struct span text = span_make(data, size);
    struct reading whole, pieces;
    struct rng rng;
    rng_seed(&rng, siphash(key, data, size));
    read_response(&whole, text, NULL);
    read_response(&pieces, text, &rng);
    if (whole.head)
        check_head(&whole);
    check_same(&whole, &pieces);
    buf_release(&whole.body);
    buf_release(&pieces.body);
    return 0;
}
