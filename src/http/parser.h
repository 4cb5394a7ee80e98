/* parser.h: HTTP/1.x responses to a POST, incremental: head, then the framing of the body. Pure.
 *
 * No allocation, no clock, no I/O; may be fed byte by byte. Strict where leniency could shift the
 * border between two responses of a kept connection. Interim (1xx) responses are skipped.
 * Source: RFC 9112 (syntax and framing), RFC 9110 (fields, dates). */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/span.h"

#define PARSER_INTERIM_MAX    8     /* 1xx responses before the final one */
#define PARSER_CHUNK_LINE_MAX 4096  /* a chunk's size line, extensions included */
#define PARSER_TRAILER_MAX    16384 /* all trailer fields */
#define PARSER_VALUE_MAX      95    /* of the few field values that are read */

enum parser_result {
    PARSER_MORE,      /* all of the input was used; more is needed */
    PARSER_HEAD,      /* the final head is complete (once); what follows is the body */
    PARSER_BODY,      /* a piece of the body was found */
    PARSER_END,       /* the response is complete; what follows is not part of it */
    PARSER_MALFORMED, /* not HTTP/1.x, or framing that two readers could read differently */
    PARSER_TOO_LARGE, /* the head, 1xx included, is over its limit */
};

enum parser_framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_UNTIL_CLOSE };

struct parser {
    /* To be read from PARSER_HEAD on. */
    unsigned status; /* 200..999 */
    bool keep_alive; /* the connection may carry another request once the response is complete */
    enum parser_framing framing;
    uint64_t content_length;                /* with FRAMING_LENGTH */
    uint32_t keep_alive_s;                  /* Keep-Alive: timeout=N; 0 = absent */
    char retry_after[PARSER_VALUE_MAX + 1]; /* as sent; "" = absent */

    /* The parser's own. */
    uint8_t state;
    uint8_t field;
    uint8_t minor; /* of HTTP/1.minor */
    uint8_t n_interim;
    uint8_t digits;
    bool head_done;
    bool has_length, has_chunked, says_close, says_keep_alive, bad;
    uint16_t name_len;
    uint16_t value_len;
    size_t head_left;
    size_t line_left;
    uint64_t body_left; /* of the body (length) or of the chunk */
    char name[20];
    char value[PARSER_VALUE_MAX + 1];
};

/* For one response. `head_bytes`: limit of all heads together, 1xx included. */
void parser_init(struct parser *parser, size_t head_bytes);

/* Reads on. *ret_used: how many bytes of `in` were used (all of them with PARSER_MORE). With
 * PARSER_BODY *ret_body is the piece, inside `in`; else it is empty. Call again with the rest after
 * PARSER_HEAD and PARSER_BODY, also when the rest is empty: a response without body ends then.
 * After END, MALFORMED and TOO_LARGE the parser is used up. */
enum parser_result
parser_feed(struct parser *parser, struct span in, size_t *ret_used, struct span *ret_body);

/* The connection ended: true when that completes the response (FRAMING_UNTIL_CLOSE). */
bool parser_end_of_input(const struct parser *parser);

/* Seconds to wait from a Retry-After value: a number, or an HTTP date in any of its three forms
 * seen from `now`; past dates give 0. -1 when absent or malformed; capped at 10 years. */
int64_t parser_retry_after_s(const char *value, wall_ms now);

#endif
