/* pack.c: see pack.h. Varints and distances, because most numbers are near their neighbours. */
#include "store/sqlite/pack.h"

#include <stdlib.h>

#include "base/mem.h"

enum { BLOCK_FORMAT = 1 };

static void *grow(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = *cap == 0 ? 64 : 2 * *cap;
    return mem_realloc(array, *cap * size);
}

void targets_pack(struct buf *buf, const struct event *event)
{
    for (uint32_t i = 0; i < event->n_targets; i++) {
        buf_add_varint(buf, event->targets[i].webhook);
        buf_add_varint(buf, event->targets[i].sequence);
    }
}

enum err targets_unpack(struct span bytes, struct targets *targets, uint32_t *ret_n)
{
    struct reader reader = {.in = bytes};
    uint32_t n = 0;
    while (reader.at < bytes.len && !reader.failed) {
        targets->list = grow(targets->list, targets->n, &targets->cap, sizeof(*targets->list));
        struct event_target *target = &targets->list[targets->n++];
        target->webhook = (uint32_t)reader_varint(&reader);
        target->sequence = reader_varint(&reader);
        n++;
    }
    if (reader.failed)
        return ERR_CORRUPT;
    *ret_n = n;
    return OK;
}

void block_pack(struct buf *buf,
                const struct store_record *records,
                size_t n,
                uint32_t *ret_offsets)
{
    buf_add_u8(buf, BLOCK_FORMAT);
    buf_add_varint(buf, n);
    for (size_t i = 0; i < n; i++) {
        buf_add_u8(buf, records[i].kind);
        buf_add_varint(buf, records[i].webhook);
        buf_add_varint(buf, records[i].sequence);
        buf_add_varint(buf, records[i].bytes.len);
        ret_offsets[i] = (uint32_t)buf->len;
        buf_add_span(buf, records[i].bytes);
    }
}

enum err block_unpack(struct span bytes, struct records *records)
{
    struct reader reader = {.in = bytes};
    records->n = 0;
    if (reader_u8(&reader) != BLOCK_FORMAT)
        return ERR_CORRUPT;
    uint64_t n = reader_varint(&reader);
    for (uint64_t i = 0; i < n && !reader.failed; i++) {
        records->list = grow(records->list, records->n, &records->cap, sizeof(*records->list));
        struct store_record *record = &records->list[records->n++];
        record->kind = reader_u8(&reader);
        record->webhook = (uint32_t)reader_varint(&reader);
        record->sequence = reader_varint(&reader);
        record->bytes = reader_blob(&reader);
    }
    return reader.failed || reader.at != bytes.len ? ERR_CORRUPT : OK;
}

uint8_t attempt_outcome(struct span record)
{
    struct attempt attempt;
    return attempt_decode(record, &attempt) == OK ? (uint8_t)attempt.outcome : 0;
}

/* A bitmap of the slots that are there, the first seq, then distances: most are small. */
void entries_pack(struct buf *buf, const struct lane_entry *entries, size_t n)
{
    uint64_t bitmap = 0;
    for (size_t i = 0; i < n; i++)
        bitmap |= UINT64_C(1) << (entries[i].sequence % CHUNK);
    buf_add_u64(buf, bitmap);
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        buf_add_varint(buf, entries[i].seq - before);
        before = entries[i].seq;
    }
}

enum err
entries_unpack(struct span bytes, uint64_t chunk, struct lane_entry ret[CHUNK], size_t *ret_n)
{
    struct reader reader = {.in = bytes};
    uint64_t bitmap = reader_u64(&reader);
    uint64_t seq = 0;
    size_t n = 0;
    for (unsigned slot = 0; slot < CHUNK; slot++) {
        if ((bitmap >> slot & 1) == 0)
            continue;
        seq += reader_varint(&reader);
        ret[n++] = (struct lane_entry){.sequence = chunk * CHUNK + slot, .seq = seq};
    }
    if (reader.failed || reader.at != bytes.len)
        return ERR_CORRUPT;
    *ret_n = n;
    return OK;
}

/* Slot and outcome share a byte (6 and 2 bits). */
void refs_pack(struct buf *buf, const struct attempt_ref *refs, size_t n)
{
    uint64_t block = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned outcome = refs[i].outcome == 0 ? 0 : refs[i].outcome - 1U;
        buf_add_u8(buf, (uint8_t)((refs[i].sequence % CHUNK) << 2 | (outcome & 3)));
        buf_add_varint(buf, refs[i].block - block);
        buf_add_varint(buf, refs[i].offset);
        buf_add_varint(buf, refs[i].len);
        block = refs[i].block;
    }
}

enum err refs_unpack(struct span bytes, uint64_t chunk, struct refs *refs)
{
    struct reader reader = {.in = bytes};
    uint64_t block = 0;
    while (reader.at < bytes.len && !reader.failed) {
        uint8_t head = reader_u8(&reader);
        block += reader_varint(&reader);
        struct attempt_ref ref = {
            .sequence = chunk * CHUNK + (head >> 2), .block = block, .outcome = (head & 3) + 1};
        ref.offset = (uint32_t)reader_varint(&reader);
        ref.len = (uint32_t)reader_varint(&reader);
        refs_add(refs, ref);
    }
    return reader.failed ? ERR_CORRUPT : OK;
}

void refs_add(struct refs *refs, struct attempt_ref ref)
{
    refs->list = grow(refs->list, refs->n, &refs->cap, sizeof(*refs->list));
    refs->list[refs->n++] = ref;
}

static int compare_refs(const void *a, const void *b)
{
    const struct attempt_ref *left = a;
    const struct attempt_ref *right = b;
    if (left->block != right->block)
        return left->block < right->block ? -1 : 1;
    if (left->offset != right->offset)
        return left->offset < right->offset ? -1 : 1;
    return 0;
}

void refs_sort(struct refs *refs)
{
    bool sorted = true;
    for (size_t i = 1; i < refs->n && sorted; i++)
        sorted = compare_refs(&refs->list[i - 1], &refs->list[i]) < 0;
    if (sorted)
        return;
    qsort(refs->list, refs->n, sizeof(*refs->list), compare_refs);
    size_t kept = 1;
    for (size_t i = 1; i < refs->n; i++)
        if (compare_refs(&refs->list[kept - 1], &refs->list[i]) != 0)
            refs->list[kept++] = refs->list[i];
    refs->n = kept;
}
