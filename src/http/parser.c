/* parser.c: see parser.h.
 *
 * One state per kind of byte that may come next. Of all fields only five values are kept, each in
 * the same small array, so an idle connection costs nothing for having had a long head.
 * Refused on purpose: obsolete line folding, white space before a colon, NUL and a CR without LF
 * anywhere in a head, two Content-Length fields (even equal ones: nobody sends them in good faith),
 * transfer codings other than chunked (none was offered), 101 (no upgrade was asked for).
 * A bare LF ends a line of a head (RFC 9112 section 2.2 allows it) but never one of a chunked body.
 */
#include "http/parser.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum state {
    AT_VERSION,     /* "HTTP/1." */
    AT_MINOR,       /* its last digit */
    AT_MINOR_SPACE, /* one space */
    AT_STATUS,      /* three digits */
    AT_STATUS_END,  /* space, or the end of the line */
    AT_REASON,
    AT_LINE_LF, /* the LF after a CR that ended a line of the head */
    AT_FIELD,   /* the first byte of a line */
    AT_NAME,
    AT_VALUE,
    AT_HEAD_LF, /* the LF after the CR of the empty line */
    AT_BODY_START,
    AT_LENGTH_BODY,
    AT_CLOSE_BODY,
    AT_CHUNK_SIZE,
    AT_CHUNK_EXTENSION,
    AT_CHUNK_SIZE_LF,
    AT_CHUNK_DATA,
    AT_CHUNK_DATA_CR,
    AT_CHUNK_DATA_LF,
    AT_TRAILER,      /* the first byte of a line */
    AT_TRAILER_LINE, /* the rest of it */
    AT_TRAILER_LF,
    AT_TRAILER_END_LF,
    AT_END,
};

enum field {
    FIELD_OTHER,
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    FIELD_CONNECTION,
    FIELD_KEEP_ALIVE,
    FIELD_RETRY_AFTER,
};

static const char version_text[] = "HTTP/1.";

/* Forgets the response, not the limits: also after an interim one. */
static void begin_response(struct parser *parser)
{
    parser->state = AT_VERSION;
    parser->digits = 0;
    parser->status = 0;
    parser->has_length = parser->has_chunked = false;
    parser->says_close = parser->says_keep_alive = parser->bad = false;
    parser->keep_alive_s = 0;
    parser->retry_after[0] = '\0';
}

void parser_init(struct parser *parser, size_t head_bytes)
{
    parser->n_interim = 0;
    parser->head_done = false;
    parser->head_left = head_bytes;
    parser->keep_alive = false;
    parser->framing = FRAMING_NONE;
    parser->content_length = parser->body_left = 0;
    begin_response(parser);
}

/* ---- fields ---- */

/* Source: RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static enum field field_of(const struct parser *parser)
{
    static const char *const names[] = {
        [FIELD_CONTENT_LENGTH] = "content-length", [FIELD_TRANSFER_ENCODING] = "transfer-encoding",
        [FIELD_CONNECTION] = "connection",         [FIELD_KEEP_ALIVE] = "keep-alive",
        [FIELD_RETRY_AFTER] = "retry-after",
    };
    if (parser->name_len > sizeof(parser->name))
        return FIELD_OTHER;
    struct span name = span_make(parser->name, parser->name_len);
    for (unsigned i = FIELD_CONTENT_LENGTH; i <= FIELD_RETRY_AFTER; i++) {
        if (span_eq_nocase(name, names[i]))
            return i;
    }
    return FIELD_OTHER;
}

static struct span trimmed(struct span text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = span_from_at(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static bool parse_decimal(struct span digits, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = (unsigned)(unsigned char)digits.ptr[i] - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return digits.len > 0;
}

/* Members of a comma list, one by one; false at the end. */
static bool next_member(struct span *rest, struct span *ret_member)
{
    if (rest->len == 0)
        return false;
    size_t comma = span_find(*rest, ',');
    *ret_member = trimmed(span_make(rest->ptr, comma));
    *rest = span_from_at(*rest, comma < rest->len ? comma + 1 : comma);
    return true;
}

static void take_connection(struct parser *parser, struct span value)
{
    struct span member;
    while (next_member(&value, &member)) {
        if (span_eq_nocase(member, "close"))
            parser->says_close = true;
        else if (span_eq_nocase(member, "keep-alive"))
            parser->says_keep_alive = true;
    }
}

static void take_keep_alive(struct parser *parser, struct span value)
{
    struct span member;
    uint64_t seconds;
    while (next_member(&value, &member)) {
        if (member.len > 8 && strncasecmp(member.ptr, "timeout=", 8) == 0 &&
            parse_decimal(span_from_at(member, 8), &seconds))
            parser->keep_alive_s = seconds > 86400 ? 86400 : (uint32_t)seconds;
    }
}

/* A value is complete; one that did not fit spoils what depends on it. */
static void take_value(struct parser *parser)
{
    bool cut = parser->value_len > PARSER_VALUE_MAX;
    struct span value = trimmed(span_make(parser->value, cut ? 0 : parser->value_len));
    switch ((enum field)parser->field) {
    case FIELD_CONTENT_LENGTH:
        if (parser->has_length || !parse_decimal(value, &parser->content_length))
            parser->bad = true;
        parser->has_length = true;
        break;
    case FIELD_TRANSFER_ENCODING:
        if (parser->has_chunked || !span_eq_nocase(value, "chunked"))
            parser->bad = true;
        parser->has_chunked = true;
        break;
    case FIELD_CONNECTION:
        if (cut)
            parser->says_close = true;
        take_connection(parser, value);
        break;
    case FIELD_KEEP_ALIVE:
        take_keep_alive(parser, value);
        break;
    case FIELD_RETRY_AFTER:
        memcpy(parser->retry_after, value.ptr, value.len);
        parser->retry_after[value.len] = '\0';
        break;
    case FIELD_OTHER:
        break;
    }
    parser->field = FIELD_OTHER;
}

/* ---- head ---- */

/* The empty line was read. Source: RFC 9112 section 6.3. */
static enum parser_result end_head(struct parser *parser)
{
    if (parser->bad || parser->status == 101)
        return PARSER_MALFORMED;
    if (parser->status < 200) {
        if (++parser->n_interim > PARSER_INTERIM_MAX)
            return PARSER_MALFORMED;
        begin_response(parser);
        return PARSER_MORE;
    }
    parser->keep_alive =
        parser->minor >= 1 ? !parser->says_close : parser->says_keep_alive && !parser->says_close;
    if (parser->status == 204 || parser->status == 304) {
        parser->framing = FRAMING_NONE;
    } else if (parser->has_chunked) {
        parser->framing = FRAMING_CHUNKED;
        /* Two framings at once, or a coding that HTTP/1.0 does not have: read it, trust it once. */
        if (parser->has_length || parser->minor == 0)
            parser->keep_alive = false;
    } else if (parser->has_length) {
        parser->framing = parser->content_length == 0 ? FRAMING_NONE : FRAMING_LENGTH;
        parser->body_left = parser->content_length;
    } else {
        parser->framing = FRAMING_UNTIL_CLOSE;
        parser->keep_alive = false;
    }
    parser->head_done = true;
    parser->state = AT_BODY_START;
    return PARSER_HEAD;
}

static enum parser_result feed_status_line(struct parser *parser, char c)
{
    switch (parser->state) {
    case AT_VERSION:
        if (c != version_text[parser->digits++])
            return PARSER_MALFORMED;
        if (parser->digits == sizeof(version_text) - 1)
            parser->state = AT_MINOR;
        return PARSER_MORE;
    case AT_MINOR:
        if (c < '0' || c > '9')
            return PARSER_MALFORMED;
        parser->minor = (uint8_t)(c - '0');
        parser->state = AT_MINOR_SPACE;
        return PARSER_MORE;
    case AT_MINOR_SPACE:
        parser->digits = 0;
        parser->state = AT_STATUS;
        return c == ' ' ? PARSER_MORE : PARSER_MALFORMED;
    case AT_STATUS:
        if (c < (parser->digits == 0 ? '1' : '0') || c > '9')
            return PARSER_MALFORMED;
        parser->status = parser->status * 10 + (unsigned)(c - '0');
        if (++parser->digits == 3)
            parser->state = AT_STATUS_END;
        return PARSER_MORE;
    default: /* AT_STATUS_END */
        parser->state = c == '\r' ? AT_LINE_LF : c == '\n' ? AT_FIELD : AT_REASON;
        return c == ' ' || c == '\r' || c == '\n' ? PARSER_MORE : PARSER_MALFORMED;
    }
}

static enum parser_result feed_name(struct parser *parser, char c)
{
    if (c == ':') {
        if (parser->name_len == 0)
            return PARSER_MALFORMED;
        parser->field = (uint8_t)field_of(parser);
        parser->value_len = 0;
        parser->state = AT_VALUE;
        return PARSER_MORE;
    }
    if (!is_token_char(c))
        return PARSER_MALFORMED;
    if (parser->name_len < sizeof(parser->name))
        parser->name[parser->name_len] = c;
    if (parser->name_len <= sizeof(parser->name))
        parser->name_len++;
    return PARSER_MORE;
}

static enum parser_result feed_value(struct parser *parser, char c)
{
    if (c == '\r' || c == '\n') {
        take_value(parser);
        parser->state = c == '\r' ? AT_LINE_LF : AT_FIELD;
        return PARSER_MORE;
    }
    if (c == '\0')
        return PARSER_MALFORMED;
    if (parser->field == FIELD_OTHER || (parser->value_len == 0 && (c == ' ' || c == '\t')))
        return PARSER_MORE;
    if (parser->value_len < PARSER_VALUE_MAX)
        parser->value[parser->value_len] = c;
    if (parser->value_len <= PARSER_VALUE_MAX)
        parser->value_len++;
    return PARSER_MORE;
}

static enum parser_result feed_head(struct parser *parser, char c)
{
    switch (parser->state) {
    case AT_REASON:
        if (c == '\r' || c == '\n')
            parser->state = c == '\r' ? AT_LINE_LF : AT_FIELD;
        return c == '\0' ? PARSER_MALFORMED : PARSER_MORE;
    case AT_LINE_LF:
        parser->state = AT_FIELD;
        return c == '\n' ? PARSER_MORE : PARSER_MALFORMED;
    case AT_FIELD:
        parser->name_len = 0;
        if (c == '\n')
            return end_head(parser);
        parser->state = c == '\r' ? AT_HEAD_LF : AT_NAME;
        return c == '\r' ? PARSER_MORE : feed_name(parser, c);
    case AT_NAME:
        return feed_name(parser, c);
    case AT_VALUE:
        return feed_value(parser, c);
    case AT_HEAD_LF:
        return c == '\n' ? end_head(parser) : PARSER_MALFORMED;
    default:
        return feed_status_line(parser, c);
    }
}

/* Values of fields that are not kept are the bulk of a head: to the end of the line at once. */
static size_t skip_line(const struct parser *parser, struct span in)
{
    if (!(parser->state == AT_VALUE && parser->field == FIELD_OTHER) && parser->state != AT_REASON)
        return 0;
    size_t n = 0;
    while (n < in.len && in.ptr[n] != '\r' && in.ptr[n] != '\n' && in.ptr[n] != '\0')
        n++;
    return n;
}

static enum parser_result feed_heads(struct parser *parser, struct span in, size_t *ret_used)
{
    enum parser_result result = PARSER_MORE;
    size_t at = 0;
    while (at < in.len && result == PARSER_MORE) {
        size_t skip = skip_line(parser, span_from_at(in, at));
        if (skip >= parser->head_left)
            return PARSER_TOO_LARGE;
        parser->head_left -= skip;
        at += skip;
        if (at == in.len)
            break;
        if (parser->head_left == 0)
            return PARSER_TOO_LARGE;
        parser->head_left--;
        result = feed_head(parser, in.ptr[at++]);
    }
    *ret_used = at;
    return result;
}

/* ---- body ---- */

static void begin_body(struct parser *parser)
{
    switch (parser->framing) {
    case FRAMING_NONE:
        parser->state = AT_END;
        break;
    case FRAMING_LENGTH:
        parser->state = AT_LENGTH_BODY;
        break;
    case FRAMING_UNTIL_CLOSE:
        parser->state = AT_CLOSE_BODY;
        break;
    case FRAMING_CHUNKED:
        parser->state = AT_CHUNK_SIZE;
        parser->digits = 0;
        parser->body_left = 0;
        parser->line_left = PARSER_CHUNK_LINE_MAX;
        break;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Source: RFC 9112 section 7.1. */
static enum parser_result feed_chunk_size(struct parser *parser, char c)
{
    int digit = hex_digit(c);
    if (digit >= 0 && parser->state == AT_CHUNK_SIZE) {
        if (parser->digits == 15)
            return PARSER_MALFORMED;
        parser->digits++;
        parser->body_left = parser->body_left * 16 + (unsigned)digit;
        return PARSER_MORE;
    }
    if (parser->digits == 0 || c == '\n' || c == '\0')
        return PARSER_MALFORMED;
    if (c == '\r')
        parser->state = AT_CHUNK_SIZE_LF;
    else if (parser->state == AT_CHUNK_EXTENSION || c == ';' || c == ' ' || c == '\t')
        parser->state = AT_CHUNK_EXTENSION;
    else
        return PARSER_MALFORMED;
    return PARSER_MORE;
}

static enum parser_result feed_trailer(struct parser *parser, char c)
{
    if (c == '\n' || c == '\0')
        return PARSER_MALFORMED;
    if (parser->state == AT_TRAILER)
        parser->state = c == '\r' ? AT_TRAILER_END_LF : AT_TRAILER_LINE;
    else if (c == '\r')
        parser->state = AT_TRAILER_LF;
    return PARSER_MORE;
}

/* Everything of a chunked body that is not data. */
static enum parser_result feed_chunk_frame(struct parser *parser, char c)
{
    if (parser->line_left-- == 0)
        return PARSER_MALFORMED;
    switch (parser->state) {
    case AT_CHUNK_SIZE:
    case AT_CHUNK_EXTENSION:
        return feed_chunk_size(parser, c);
    case AT_CHUNK_SIZE_LF:
        parser->state = parser->body_left == 0 ? AT_TRAILER : AT_CHUNK_DATA;
        parser->line_left = parser->body_left == 0 ? PARSER_TRAILER_MAX : 2;
        return c == '\n' ? PARSER_MORE : PARSER_MALFORMED;
    case AT_CHUNK_DATA_CR:
        parser->state = AT_CHUNK_DATA_LF;
        return c == '\r' ? PARSER_MORE : PARSER_MALFORMED;
    case AT_CHUNK_DATA_LF:
        begin_body(parser);
        return c == '\n' ? PARSER_MORE : PARSER_MALFORMED;
    case AT_TRAILER:
    case AT_TRAILER_LINE:
        return feed_trailer(parser, c);
    case AT_TRAILER_LF:
        parser->state = AT_TRAILER;
        return c == '\n' ? PARSER_MORE : PARSER_MALFORMED;
    default: /* AT_TRAILER_END_LF */
        parser->state = AT_END;
        return c == '\n' ? PARSER_MORE : PARSER_MALFORMED;
    }
}

/* A piece of data, as much of it as there is. */
static enum parser_result
take_data(struct parser *parser, struct span in, size_t *ret_used, struct span *ret_body)
{
    size_t n = in.len;
    if (parser->state != AT_CLOSE_BODY) {
        n = parser->body_left < n ? (size_t)parser->body_left : n;
        parser->body_left -= n;
        if (parser->body_left == 0)
            parser->state = parser->state == AT_LENGTH_BODY ? AT_END : AT_CHUNK_DATA_CR;
    }
    *ret_used += n;
    *ret_body = span_make(in.ptr, n);
    return PARSER_BODY;
}

static enum parser_result
feed_body(struct parser *parser, struct span in, size_t *ret_used, struct span *ret_body)
{
    if (parser->state == AT_BODY_START)
        begin_body(parser);
    for (;;) {
        if (parser->state == AT_END)
            return PARSER_END;
        struct span rest = span_from_at(in, *ret_used);
        if (rest.len == 0)
            return PARSER_MORE;
        if (parser->state == AT_LENGTH_BODY || parser->state == AT_CLOSE_BODY ||
            parser->state == AT_CHUNK_DATA)
            return take_data(parser, rest, ret_used, ret_body);
        ++*ret_used;
        if (feed_chunk_frame(parser, rest.ptr[0]) == PARSER_MALFORMED)
            return PARSER_MALFORMED;
    }
}

enum parser_result
parser_feed(struct parser *parser, struct span in, size_t *ret_used, struct span *ret_body)
{
    *ret_used = 0;
    *ret_body = (struct span){NULL, 0};
    if (parser->head_done)
        return feed_body(parser, in, ret_used, ret_body);
    return feed_heads(parser, in, ret_used);
}

bool parser_end_of_input(const struct parser *parser)
{
    return parser->head_done && parser->framing == FRAMING_UNTIL_CLOSE;
}

/* ---- Retry-After ---- */

/* The three forms of RFC 9110 section 5.6.7, read without the locale that strptime follows. */
struct date_reader {
    const char *at;
    bool failed;
};

static int read_digits(struct date_reader *reader, int count)
{
    int number = 0;
    if (count == 2 && reader->at[0] == ' ') { /* asctime pads the day with a space */
        reader->at++;
        count = 1;
    }
    for (; count > 0; count--) {
        if (reader->failed || *reader->at < '0' || *reader->at > '9') {
            reader->failed = true;
            return 0;
        }
        number = number * 10 + (*reader->at++ - '0');
    }
    return number;
}

static void read_char(struct date_reader *reader, char c)
{
    if (reader->failed || *reader->at != c)
        reader->failed = true;
    else
        reader->at++;
}

static int read_month(struct date_reader *reader)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; !reader->failed && i < 12; i++) {
        if (strncmp(reader->at, months + (size_t)i * 3, 3) == 0) {
            reader->at += 3;
            return i;
        }
    }
    reader->failed = true;
    return 0;
}

static void read_time(struct date_reader *reader, struct tm *tm)
{
    tm->tm_hour = read_digits(reader, 2);
    read_char(reader, ':');
    tm->tm_min = read_digits(reader, 2);
    read_char(reader, ':');
    tm->tm_sec = read_digits(reader, 2);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT" */
static void read_comma_date(struct date_reader *reader, struct tm *tm)
{
    read_char(reader, ' ');
    tm->tm_mday = read_digits(reader, 2);
    char separator = !reader->failed && *reader->at == '-' ? '-' : ' ';
    read_char(reader, separator);
    tm->tm_mon = read_month(reader);
    read_char(reader, separator);
    if (separator == ' ') {
        tm->tm_year = read_digits(reader, 4) - 1900;
    } else {
        int year = read_digits(reader, 2);
        tm->tm_year = year < 70 ? year + 100 : year;
    }
    read_char(reader, ' ');
    read_time(reader, tm);
    for (const char *gmt = " GMT"; *gmt != '\0'; gmt++)
        read_char(reader, *gmt);
}

static bool parse_date(const char *text, wall_ms *ret_time)
{
    struct tm tm = {0};
    const char *comma = strchr(text, ',');
    struct date_reader reader = {text, false};
    if (comma != NULL) {
        reader.at = comma + 1;
        read_comma_date(&reader, &tm);
    } else { /* "Sun Nov  6 08:49:37 1994" */
        if (strlen(text) < 4)
            return false;
        reader.at = text + 3;
        read_char(&reader, ' ');
        tm.tm_mon = read_month(&reader);
        read_char(&reader, ' ');
        tm.tm_mday = read_digits(&reader, 2);
        read_char(&reader, ' ');
        read_time(&reader, &tm);
        read_char(&reader, ' ');
        tm.tm_year = read_digits(&reader, 4) - 1900;
    }
    if (reader.failed || *reader.at != '\0')
        return false;
    *ret_time = (wall_ms)timegm(&tm) * MS_PER_S;
    return true;
}

int64_t parser_retry_after_s(const char *value, wall_ms now)
{
    const int64_t cap_s = INT64_C(10) * 365 * 86400;
    struct span text = span_from(value);
    uint64_t seconds;
    wall_ms then;
    if (parse_decimal(text, &seconds))
        return seconds > (uint64_t)cap_s ? cap_s : (int64_t)seconds;
    if (text.len > 0 && strspn(value, "0123456789") == text.len)
        return cap_s; /* more seconds than a number holds */
    if (!parse_date(value, &then))
        return -1;
    if (then <= now)
        return 0;
    int64_t left = (then - now + MS_PER_S - 1) / MS_PER_S;
    return left > cap_s ? cap_s : left;
}
