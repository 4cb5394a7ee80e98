/* ulid.h: 16-byte ids that sort by time: 48 bits of milliseconds, then 80 random bits.
 *
 * Pure: clock, randomness and the id before are arguments. Ids are not secrets (rng.h).
 * Source: github.com/ulid/spec (text: Crockford's base 32, upper case). */
#ifndef BASE_ULID_H
#define BASE_ULID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "base/span.h"

#define ULID_BYTES    16
#define ULID_TEXT_LEN 26

struct ulid {
    uint8_t bytes[ULID_BYTES]; /* big endian: memcmp orders by time */
};

/* A new id that is greater than *previous (NULL: there is none) even when the clock stood still or
 * went back: then it is *previous plus one. Times outside 48 bits are clamped. `ret_ulid` may be
 * `previous`. The very last id of all has no successor: BUG. */
void ulid_next(const struct ulid *previous, wall_ms now, struct rng *rng, struct ulid *ret_ulid);

/* The milliseconds in the id. */
wall_ms ulid_time(const struct ulid *ulid);

/* <0, 0, >0 as memcmp. */
static inline int ulid_cmp(const struct ulid *a, const struct ulid *b)
{
    return memcmp(a->bytes, b->bytes, ULID_BYTES);
}

/* Exactly the 26 characters that ulid_text writes: upper case, no I, L, O, U, not over 7ZZZ... */
void ulid_text(const struct ulid *ulid, char ret_text[ULID_TEXT_LEN + 1]);
bool ulid_parse(struct span text, struct ulid *ret_ulid);

/* Event ids, as the API and `webhook-id` show them: "evt_" and the 26 characters. */
#define EVENT_ID_TEXT_LEN (4 + ULID_TEXT_LEN)
void event_id_text(const struct ulid *id, char ret_text[EVENT_ID_TEXT_LEN + 1]);
bool event_id_parse(struct span text, struct ulid *ret_id);

#endif
