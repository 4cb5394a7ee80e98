/* keys.c: a hash table over entries that also stand in a list by age. */
#include "delivery/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "sys/share.h"

/* Expired entries dropped per commit: at 50,000 commits/s of one key each this keeps up. */
#define EXPIRE_STEP 64

#define MAP_KEY_BYTES (4 + KEY_HASH_BYTES)

struct key_entry {
    struct list node; /* by age, oldest first */
    char map_key[MAP_KEY_BYTES];
    bool claimed; /* counts in keys.share; a restored one may not */
    struct key_record record;
};

struct keys {
    struct strmap entries;
    struct list by_age;
    struct list *walk;  /* the next entry of the walk, or &by_age */
    struct share share; /* so that one company cannot use up the keys of all */
    wall_ms ttl;
};

struct keys *keys_new(size_t max, wall_ms ttl)
{
    struct keys *keys = mem_zero(1, sizeof *keys);
    strmap_init(&keys->entries);
    list_init(&keys->by_age);
    keys->walk = &keys->by_age;
    share_init(&keys->share, max);
    keys->ttl = ttl;
    return keys;
}

static void entry_drop(struct keys *keys, struct key_entry *entry)
{
    if (keys->walk == &entry->node)
        keys->walk = entry->node.next;
    list_remove(&entry->node);
    if (entry->claimed)
        share_give(&keys->share, entry->record.company, 1);
    strmap_remove(&keys->entries, span_make(entry->map_key, MAP_KEY_BYTES));
    free(entry);
}

void keys_free(struct keys *keys)
{
    if (keys == NULL)
        return;
    while (!list_empty(&keys->by_age))
        entry_drop(keys, CONTAINER_OF(keys->by_age.next, struct key_entry, node));
    strmap_release(&keys->entries);
    share_release(&keys->share);
    free(keys);
}

static void make_map_key(const struct key_record *record, char ret_key[MAP_KEY_BYTES])
{
    memcpy(ret_key, &record->company, 4);
    memcpy(ret_key + 4, record->key_hash, KEY_HASH_BYTES);
}

static struct key_entry *find(struct keys *keys, const struct key_record *record)
{
    char map_key[MAP_KEY_BYTES];
    make_map_key(record, map_key);
    return strmap_get(&keys->entries, span_make(map_key, MAP_KEY_BYTES));
}

static void insert(struct keys *keys, const struct key_record *record, bool claimed)
{
    struct key_entry *entry = mem_alloc(sizeof *entry);
    entry->claimed = claimed;
    entry->record = *record;
    make_map_key(record, entry->map_key);
    strmap_put(&keys->entries, span_make(entry->map_key, MAP_KEY_BYTES), entry);
    list_push_back(&keys->by_age, &entry->node);
}

enum keys_answer keys_offer(struct keys *keys, struct key_record *record)
{
    struct key_entry *entry = find(keys, record);
    if (entry != NULL && entry->record.at + keys->ttl <= record->at) {
        entry_drop(keys, entry);
        entry = NULL;
    }
    if (entry != NULL) {
        if (memcmp(entry->record.body_hash, record->body_hash, KEY_HASH_BYTES) != 0)
            return KEYS_CONFLICT;
        memcpy(record->first_id, entry->record.first_id, EVENT_ID_BYTES);
        record->n_events = entry->record.n_events;
        return KEYS_REPEAT;
    }
    if (!share_take(&keys->share, record->company, 1, false))
        return KEYS_FULL;
    insert(keys, record, true);
    return KEYS_NEW;
}

void keys_forget(struct keys *keys, const struct key_record *record)
{
    struct key_entry *entry = find(keys, record);
    if (entry != NULL)
        entry_drop(keys, entry);
}

void keys_expire(struct keys *keys, wall_ms now)
{
    for (int i = 0; i < EXPIRE_STEP && !list_empty(&keys->by_age); i++) {
        struct key_entry *entry = CONTAINER_OF(keys->by_age.next, struct key_entry, node);
        if (entry->record.at + keys->ttl > now)
            return;
        entry_drop(keys, entry);
    }
}

size_t keys_count(const struct keys *keys)
{
    return strmap_len(&keys->entries);
}

void key_record_encode(struct buf *buf, const struct key_record *record)
{
    buf_add_u8(buf, 1);
    buf_add_u32(buf, record->company);
    buf_add(buf, record->key_hash, KEY_HASH_BYTES);
    buf_add(buf, record->body_hash, KEY_HASH_BYTES);
    buf_add(buf, record->first_id, EVENT_ID_BYTES);
    buf_add_u32(buf, record->n_events);
    buf_add_u64(buf, (uint64_t)record->at);
}

enum err key_record_decode(struct span bytes, struct key_record *ret_record)
{
    struct reader reader = {.in = bytes};
    struct key_record record = {0};
    uint8_t format = reader_u8(&reader);
    record.company = reader_u32(&reader);
    struct span key = reader_bytes(&reader, KEY_HASH_BYTES);
    struct span body = reader_bytes(&reader, KEY_HASH_BYTES);
    struct span id = reader_bytes(&reader, EVENT_ID_BYTES);
    record.n_events = reader_u32(&reader);
    record.at = (wall_ms)reader_u64(&reader);
    if (reader.failed || format != 1)
        return ERR_CORRUPT;
    memcpy(record.key_hash, key.ptr, KEY_HASH_BYTES);
    memcpy(record.body_hash, body.ptr, KEY_HASH_BYTES);
    memcpy(record.first_id, id.ptr, EVENT_ID_BYTES);
    *ret_record = record;
    return OK;
}

void keys_restore(struct keys *keys, const struct key_record *record, wall_ms now)
{
    if (record->at + keys->ttl <= now || find(keys, record) != NULL)
        return;
    insert(keys, record, share_take(&keys->share, record->company, 1, false));
}

const struct key_record *keys_walk(struct keys *keys, bool begin)
{
    if (begin)
        keys->walk = keys->by_age.next;
    if (keys->walk == &keys->by_age)
        return NULL;
    struct key_entry *entry = CONTAINER_OF(keys->walk, struct key_entry, node);
    keys->walk = entry->node.next;
    return &entry->record;
}
