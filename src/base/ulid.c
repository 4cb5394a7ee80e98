/* ulid.c: see ulid.h. */
#include "base/ulid.h"

#include "base/err.h"

enum { TIME_BYTES = 6 };

static const wall_ms time_max = (INT64_C(1) << 48) - 1;
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const char event_prefix[] = "evt_";

wall_ms ulid_time(const struct ulid *ulid)
{
    wall_ms time = 0;
    for (int i = 0; i < TIME_BYTES; i++)
        time = (time << 8) | ulid->bytes[i];
    return time;
}

/* Adds one to the whole number: in the rare case that the random part overflows, the time part
 * runs a millisecond ahead, which only makes the next ids continue from there. */
static void increment(struct ulid *ulid)
{
    for (int i = ULID_BYTES - 1; i >= 0; i--) {
        if (++ulid->bytes[i] != 0)
            return;
    }
    BUG("no id is left after the greatest one");
}

void ulid_next(const struct ulid *previous, wall_ms now, struct rng *rng, struct ulid *ret_ulid)
{
    wall_ms time = now < 0 ? 0 : now > time_max ? time_max : now;
    if (previous != NULL && time <= ulid_time(previous)) {
        struct ulid next = *previous;
        increment(&next);
        *ret_ulid = next;
        return;
    }
    for (int i = TIME_BYTES - 1; i >= 0; i--) {
        ret_ulid->bytes[i] = (uint8_t)time;
        time >>= 8;
    }
    rng_fill(rng, ret_ulid->bytes + TIME_BYTES, ULID_BYTES - TIME_BYTES);
}

/* 26 characters hold 130 bits: two zero bits, then the 128 of the id. */
void ulid_text(const struct ulid *ulid, char ret_text[ULID_TEXT_LEN + 1])
{
    unsigned bits = 0; /* how many of the low bits of `rest` are still to be written */
    unsigned rest = 0;
    size_t at = ULID_TEXT_LEN;
    ret_text[at] = '\0';
    for (int i = ULID_BYTES - 1; i >= 0; i--) {
        rest |= (unsigned)ulid->bytes[i] << bits;
        for (bits += 8; bits >= 5; bits -= 5) {
            ret_text[--at] = alphabet[rest & 31];
            rest >>= 5;
        }
    }
    ret_text[--at] = alphabet[rest & 31];
}

static int digit_of(char c)
{
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);
    return at == NULL ? -1 : (int)(at - alphabet);
}

bool ulid_parse(struct span text, struct ulid *ret_ulid)
{
    if (text.len != ULID_TEXT_LEN || text.ptr[0] > '7')
        return false;
    struct ulid ulid;
    unsigned bits = 0;
    unsigned rest = 0;
    int at = ULID_BYTES - 1;
    for (size_t i = ULID_TEXT_LEN; i-- > 0;) {
        int digit = digit_of(text.ptr[i]);
        if (digit < 0)
            return false;
        rest |= (unsigned)digit << bits;
        bits += 5;
        if (bits >= 8 && at >= 0) {
            ulid.bytes[at--] = (uint8_t)rest;
            rest >>= 8;
            bits -= 8;
        }
    }
    *ret_ulid = ulid;
    return true;
}

void event_id_text(const struct ulid *id, char ret_text[EVENT_ID_TEXT_LEN + 1])
{
    memcpy(ret_text, event_prefix, sizeof(event_prefix) - 1);
    ulid_text(id, ret_text + sizeof(event_prefix) - 1);
}

bool event_id_parse(struct span text, struct ulid *ret_id)
{
    return span_starts(text, event_prefix) &&
           ulid_parse(span_from_at(text, sizeof(event_prefix) - 1), ret_id);
}
