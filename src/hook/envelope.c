/* envelope.c: see envelope.h. Formatted piece by piece, not by printf: this is the hot path. */
#include "hook/envelope.h"

#include "base/ulid.h"

static void add_number(struct buf *buf, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buf_add(buf, digits + at, sizeof(digits) - at);
}

static void add_signed_number(struct buf *buf, int64_t number)
{
    if (number < 0)
        buf_add_char(buf, '-');
    add_number(buf, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void envelope_prefix(struct buf *prefix, const struct event *event, const char *token)
{
    buf_clear(prefix);
    buf_add_text(prefix, "{\"resource\":");
    buf_add_json_string(prefix, event->resource);
    buf_add_text(prefix, ",\"event\":");
    buf_add_json_string(prefix, event->name);
    buf_add_text(prefix, ",\"timestamp\":");
    add_signed_number(prefix, event->timestamp_s);
    buf_add_text(prefix, ",\"token\":");
    buf_add_json_string(prefix, span_from(token));
    buf_add_text(prefix, ",\"data\":");
}

static void add_target(struct buf *head, const struct url *url)
{
    buf_add_text(head, "POST ");
    if (!span_starts(url->target, "/"))
        buf_add_char(head, '/');
    buf_add_span(head, url->target);
    buf_add_text(head, " HTTP/1.1\r\nhost: ");
    buf_add_span(head, url->authority);
}

void envelope_head(struct buf *head, const struct envelope_head *fields)
{
    struct ulid id;
    char id_text[EVENT_ID_TEXT_LEN + 1];
    memcpy(id.bytes, fields->event->id, sizeof(id.bytes));
    event_id_text(&id, id_text);
    buf_clear(head);
    add_target(head, fields->url);
    buf_add_text(head, "\r\ncontent-type: application/json"
                       "\r\nuser-agent: hookswitch/" HOOKSWITCH_VERSION "\r\ncontent-length: ");
    add_number(head, fields->body_bytes);
    buf_add_text(head, "\r\nwebhook-id: ");
    buf_add_text(head, id_text);
    buf_add_text(head, "\r\nwebhook-timestamp: ");
    add_signed_number(head, fields->timestamp_s);
    buf_add_text(head, "\r\nwebhook-signature: ");
    buf_add_span(head, fields->signature);
    buf_add_text(head, "\r\nhookswitch-sequence: ");
    add_number(head, fields->sequence);
    buf_add_text(head, "\r\nhookswitch-attempt: ");
    add_number(head, fields->attempt);
    buf_add_text(head, "\r\naircall-origin: webhooks\r\n\r\n");
}
