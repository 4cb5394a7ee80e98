/* ingest.c: see ingest.h. One walk over the body, and one more over the data of each event for its
 * order key.
 *
 * The scanner stops at what is not JSON; what is JSON but no event is noted here, and the walk goes
 * on, so that a producer sees all mistakes of a batch at once. */
#include "hook/ingest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "base/mem.h"

#define TIMESTAMP_MAX INT64_C(253402300799) /* the end of the year 9999 */
enum { SHOWN_MAX = 80, FIRST_CAP = 16 };

struct walk {
    struct scan_cursor cursor;
    const struct ingest_limits *limits;
    struct ingest *ingest;
    struct error error; /* the scanner's */
    size_t index;       /* of the event that is being read */
    size_t cap;
    bool too_large;
    bool guessed; /* "did you mean" was said once, which is enough work for one request */
};

/* The fields of one event as they come. */
struct fields {
    bool has_event, has_data, has_timestamp;
    struct scan_value event, data, timestamp;
    bool any; /* at least one key, from .. to: the bytes of the event's text */
    size_t from, to;
};

static void complain(struct walk *walk, size_t offset, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void complain(struct walk *walk, size_t offset, const char *fmt, ...)
{
    struct ingest *ingest = walk->ingest;
    if (ingest->n_errors == INGEST_ERRORS_MAX)
        return;
    struct ingest_error *error = &ingest->errors[ingest->n_errors++];
    error->index = walk->index;
    error->offset = offset;
    va_list args;
    va_start(args, fmt);
    vsnprintf(error->message, sizeof(error->message), fmt, args);
    va_end(args);
}

/* At most SHOWN_MAX bytes of what the user wrote, not cut inside a character. */
static int shown(struct span text)
{
    size_t len = text.len < SHOWN_MAX ? text.len : SHOWN_MAX;
    while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len--;
    return (int)len;
}

/* --- one event --- */

static int find_type(const struct scan_value *name)
{
    if (!name->escaped)
        return catalogue_find(scan_inner(name));
    struct buf text = BUF_INIT;
    scan_string_add(name, &text);
    int type = catalogue_find(buf_span(&text));
    buf_release(&text);
    return type;
}

static void complain_of_name(struct walk *walk, size_t offset, struct span text)
{
    const char *meant = walk->guessed ? NULL : catalogue_nearest(text);
    walk->guessed = true;
    complain(walk, offset,
             "unknown event '%.*s'%s%s%s: GET /v1/event_types lists the names that exist",
             shown(text), text.ptr, meant != NULL ? " (did you mean '" : "",
             meant != NULL ? meant : "", meant != NULL ? "'?)" : "");
}

static int check_name(struct walk *walk, const struct scan_value *name)
{
    if (name->kind != SCAN_STRING) {
        complain(walk, name->offset, "'event' must be a string: the name of an event type");
        return -1;
    }
    int type = find_type(name);
    struct span text = scan_inner(name);
    if (type < 0)
        complain_of_name(walk, name->offset, text);
    return type;
}

static bool check_timestamp(struct walk *walk, const struct scan_value *value, int64_t *ret_s)
{
    int64_t seconds;
    if (value->kind == SCAN_NUMBER && scan_integer(value, &seconds) && seconds >= 0 &&
        seconds <= TIMESTAMP_MAX) {
        *ret_s = seconds;
        return true;
    }
    complain(walk, value->offset,
             "'timestamp' must be an integer: UNIX seconds from 0 to 253402300799");
    return false;
}

/* The key by which deliveries of the event are ordered; anything but a string or an integer leaves
 * it unordered. */
static bool
find_order_key(struct walk *walk, int type, const struct scan_value *data, struct span *ret_key)
{
    const char *path = catalogue_at((size_t)type)->order_path;
    struct scan_value key;
    switch (scan_find(data->raw, path, &key)) {
    case SCAN_ABSENT:
        return true;
    case SCAN_TWICE:
        complain(walk, data->offset,
                 "'data' holds '%s' twice, and receivers would not agree which one counts", path);
        return false;
    case SCAN_FOUND:
        break;
    }
    if (key.kind != SCAN_STRING && (key.kind != SCAN_NUMBER || !key.integer))
        return true;
    if (key.raw.len > INGEST_ORDER_KEY_MAX) {
        complain(walk, data->offset,
                 "'%s' in 'data' orders the deliveries; it is longer than %d bytes", path,
                 INGEST_ORDER_KEY_MAX);
        return false;
    }
    *ret_key = key.raw;
    return true;
}

static void add_event(struct walk *walk, const struct ingest_event *event)
{
    struct ingest *ingest = walk->ingest;
    if (ingest->n_events == walk->cap) {
        walk->cap = walk->cap == 0 ? FIRST_CAP : 2 * walk->cap;
        ingest->events = mem_realloc(ingest->events, walk->cap * sizeof(*ingest->events));
    }
    ingest->events[ingest->n_events++] = *event;
}

/* All keys are read: are they an event? offset: where its '{' stands. */
static void check_event(struct walk *walk, const struct fields *fields, size_t offset)
{
    struct ingest_event event = {.type = -1};
    bool valid = fields->has_event && fields->has_data;
    if (fields->has_event)
        event.type = check_name(walk, &fields->event);
    else
        complain(walk, offset, "'event' is missing: the name of an event type");
    if (!fields->has_data) {
        complain(walk, offset, "'data' is missing: an object with what happened");
    } else if (fields->data.kind != SCAN_OBJECT) {
        complain(walk, fields->data.offset, "'data' must be an object");
        valid = false;
    }
    if (fields->has_timestamp) {
        event.has_timestamp = check_timestamp(walk, &fields->timestamp, &event.timestamp_s);
        valid &= event.has_timestamp;
    }
    if (fields->any && fields->to - fields->from > walk->limits->max_event_bytes) {
        complain(walk, offset,
                 "the event is larger than %zu bytes (--max-event-bytes): send less in 'data'",
                 walk->limits->max_event_bytes);
        walk->too_large = true;
        valid = false;
    }
    if (!valid || event.type < 0 ||
        !find_order_key(walk, event.type, &fields->data, &event.order_key))
        return;
    event.data = fields->data.raw;
    add_event(walk, &event);
}

static void take_field(struct walk *walk,
                       const struct scan_value *key,
                       const struct scan_value *value,
                       struct fields *fields)
{
    static const char *const names[] = {"event", "data", "timestamp"};
    bool *const seen[] = {&fields->has_event, &fields->has_data, &fields->has_timestamp};
    struct scan_value *const values[] = {&fields->event, &fields->data, &fields->timestamp};
    for (size_t i = 0; i < 3; i++) {
        if (!scan_string_is(key, names[i]))
            continue;
        if (*seen[i])
            complain(walk, key->offset, "'%s' occurs twice", names[i]);
        *seen[i] = true;
        *values[i] = *value;
        return;
    }
    struct span text = scan_inner(key);
    complain(walk, key->offset, "unknown key '%.*s': an event has 'event', 'data' and 'timestamp'",
             shown(text), text.ptr);
}

/* Where the value begins that `before` stood at. Walks it again: for complaints only. */
static size_t offset_of(struct scan_cursor before)
{
    struct scan_value value;
    before.error = NULL;
    return scan_take(&before, &value) ? value.offset : 0;
}

/* Reads the key that was just met, with its value; extends the event's text by both. */
static bool read_field(struct walk *walk, const struct scan_value *key, struct fields *fields)
{
    struct scan_value value;
    if (!scan_take(&walk->cursor, &value))
        return false;
    if (!fields->any)
        fields->from = key->offset;
    fields->any = true;
    fields->to = value.offset + value.raw.len;
    take_field(walk, key, &value, fields);
    return true;
}

static void finish_event(struct walk *walk, const struct fields *fields, struct scan_cursor before)
{
    size_t offset = fields->any ? fields->from : 0;
    if (!fields->has_event || !fields->has_data)
        offset = offset_of(before);
    check_event(walk, fields, offset);
}

/* --- the document --- */

/* False: stop, at what is not JSON or at enough complaints. */
static bool read_item(struct walk *walk)
{
    struct scan_cursor before = walk->cursor;
    enum scan_kind kind;
    struct scan_value key, value;
    struct fields fields = {0};
    if (!scan_peek(&walk->cursor, &kind))
        return false;
    if (kind != SCAN_OBJECT) {
        if (!scan_take(&walk->cursor, &value))
            return false;
        complain(walk, value.offset, "an event must be an object");
        return true;
    }
    scan_enter_object(&walk->cursor);
    while (scan_next_key(&walk->cursor, &key)) {
        if (!read_field(walk, &key, &fields))
            return false;
    }
    if (scan_failed(&walk->cursor))
        return false;
    finish_event(walk, &fields, before);
    return walk->ingest->n_errors < INGEST_ERRORS_MAX;
}

/* The array behind "events". False: stop, what was found is told. */
static bool read_batch(struct walk *walk, const struct scan_value *key)
{
    enum scan_kind kind;
    struct scan_value value;
    if (!scan_peek(&walk->cursor, &kind))
        return false;
    if (kind != SCAN_ARRAY) {
        if (!scan_take(&walk->cursor, &value))
            return false;
        complain(walk, value.offset, "'events' must be an array of events");
        return true;
    }
    size_t n = 0;
    scan_enter_array(&walk->cursor);
    for (; scan_next_item(&walk->cursor); n++) {
        if (n == walk->limits->max_events) {
            walk->index = 0;
            complain(walk, offset_of(walk->cursor),
                     "more than %zu events: send the rest in another request",
                     walk->limits->max_events);
            return false;
        }
        walk->index = n;
        if (!read_item(walk))
            return false;
    }
    if (scan_failed(&walk->cursor))
        return false;
    walk->index = 0;
    if (n == 0)
        complain(walk, key->offset, "'events' is empty: send at least one event");
    return true;
}

/* False: stop. */
static bool read_document(struct walk *walk)
{
    struct scan_cursor before = walk->cursor;
    struct scan_value key, events_key = {0};
    struct fields fields = {0};
    if (!scan_enter_object(&walk->cursor))
        return false;
    while (scan_next_key(&walk->cursor, &key)) {
        if (!scan_string_is(&key, "events")) {
            if (!read_field(walk, &key, &fields))
                return false;
            continue;
        }
        if (walk->ingest->batch) {
            complain(walk, key.offset, "'events' occurs twice");
            return false;
        }
        walk->ingest->batch = true;
        events_key = key;
        if (!read_batch(walk, &key))
            return false;
    }
    if (scan_failed(&walk->cursor))
        return false;
    if (!walk->ingest->batch)
        finish_event(walk, &fields, before);
    else if (fields.any && walk->ingest->n_errors == 0)
        complain(walk, events_key.offset,
                 "'events' must stand alone: write either one event or {\"events\": [...]}");
    return true;
}

enum err
ingest_parse(struct span body, const struct ingest_limits *limits, struct ingest *ret_ingest)
{
    *ret_ingest = (struct ingest){0};
    struct walk walk = {.limits = limits, .ingest = ret_ingest};
    scan_cursor_init(&walk.cursor, body, &walk.error);
    bool whole = read_document(&walk);
    /* A walk that stopped for a complaint has not seen the end: it is not asked about it. */
    if (whole || scan_failed(&walk.cursor)) {
        if (scan_finish(&walk.cursor) != OK)
            complain(&walk, walk.error.offset, "%s", walk.error.message);
    }
    if (ret_ingest->n_errors > 0)
        return walk.too_large ? ERR_TOO_LARGE : ERR_INVALID;
    return OK;
}

void ingest_release(struct ingest *ingest)
{
    free(ingest->events);
    ingest->events = NULL;
    ingest->n_events = 0;
}
