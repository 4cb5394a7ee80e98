/* keys.h: the Idempotency-Keys of the last hours, in memory, as the log has them.
 *
 * The committer's thread only. Entries are forgotten by age alone, never early: when the table
 * is full, or a company has its share of it, keyed requests are refused. */
#ifndef DELIVERY_KEYS_H
#define DELIVERY_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "delivery/engine.h"

struct keys;

enum keys_answer { KEYS_NEW, KEYS_REPEAT, KEYS_CONFLICT, KEYS_FULL };

/* What a key stands for. */
struct key_record {
    uint32_t company;
    uint8_t key_hash[KEY_HASH_BYTES];
    uint8_t body_hash[KEY_HASH_BYTES];
    uint8_t first_id[EVENT_ID_BYTES];
    uint32_t n_events;
    wall_ms at;
};

/* max: entries; ttl: how long a key is remembered. */
struct keys *keys_new(size_t max, wall_ms ttl);
void keys_free(struct keys *keys);

/* KEYS_NEW remembers *record; KEYS_REPEAT fills first_id and n_events of *record from the first
 * request. Source: the wire contract (same key and body = same answer, other body = 409). */
enum keys_answer keys_offer(struct keys *keys, struct key_record *record);
/* Takes back what keys_offer remembered: the commit did not happen. */
void keys_forget(struct keys *keys, const struct key_record *record);
/* Drops what is older than the ttl; a few per call, so that no commit waits long. */
void keys_expire(struct keys *keys, wall_ms now);
size_t keys_count(const struct keys *keys);

void key_record_encode(struct buf *buf, const struct key_record *record);
MUST_USE enum err key_record_decode(struct span bytes, struct key_record *ret_record);
/* Recovery: remembers it unless it is there or too old. */
void keys_restore(struct keys *keys, const struct key_record *record, wall_ms now);

/* Walks in order of age, for snapshots: *walk NULL begins; NULL result = the end. The entry
 * that the walk stands on may expire meanwhile. */
const struct key_record *keys_walk(struct keys *keys, bool begin);

#endif
