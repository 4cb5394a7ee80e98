/* lane_codec.c: the snapshot of a lane; see lane.h. Parts that are empty take no room but a flag.
 * The retries stand in order of sequence, as distances, so that equal lanes encode equally. */
#include <stdlib.h>

#include "base/mem.h"
#include "hook/codec.h"
#include "hook/lane.h"

enum { FORMAT = 1 };
enum {
    FLAG_PAUSED = 1,
    FLAG_DEACTIVATED = 2,
    FLAG_PROVEN = 4,
    FLAG_FAILURES = 8,
    FLAG_COUNTERS = 16,
    FLAGS_ALL = 31,
};

static unsigned flags_of(const struct lane *lane)
{
    bool counted =
        lane->delivered > 0 || lane->failed > 0 || lane->expired > 0 || lane->last_success_at != 0;
    return (lane->paused ? FLAG_PAUSED : 0u) | (lane->deactivated ? FLAG_DEACTIVATED : 0u) |
           (lane->proven ? FLAG_PROVEN : 0u) | (lane->failures > 0 ? FLAG_FAILURES : 0u) |
           (counted ? FLAG_COUNTERS : 0u);
}

static void encode_failures(struct buf *buf, const struct lane *lane)
{
    buf_add_varint(buf, lane->failures);
    add_signed(buf, lane->first_failure_at);
    for (unsigned i = 0; i < LANE_TALLY; i++) {
        buf_add_varint(buf, lane->tally[i].count);
        if (lane->tally[i].count == 0)
            continue;
        buf_add_varint(buf, lane->tally[i].http_status);
        buf_add_varint(buf, lane->tally[i].error);
    }
}

static int by_sequence(const void *a, const void *b)
{
    const struct lane_retry *const *x = a;
    const struct lane_retry *const *y = b;
    return (*x)->sequence < (*y)->sequence ? -1 : 1;
}

static void encode_retries(struct buf *buf, const struct lane *lane)
{
    size_t n = map_len(&lane->retries);
    buf_add_varint(buf, n);
    if (n == 0)
        return;
    const struct lane_retry **sorted = mem_zero(n, sizeof(struct lane_retry *));
    struct map_iter iter = {0};
    void *value;
    for (size_t i = 0; map_next(&lane->retries, &iter, NULL, &value); i++)
        sorted[i] = value;
    qsort(sorted, n, sizeof(struct lane_retry *), by_sequence);
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        const struct lane_retry *retry = sorted[i];
        buf_add_varint(buf, retry->sequence - before);
        before = retry->sequence;
        buf_add_varint(buf, retry->event_seq);
        buf_add_u64(buf, retry->order_hash);
        add_signed(buf, retry->event_accepted_at);
        add_signed(buf, retry->due_at);
        buf_add_varint(buf, retry->attempts);
        buf_add_varint(buf, retry->epoch);
        buf_add_varint(buf, retry->step);
    }
    free(sorted);
}

void lane_encode(struct buf *buf, const struct lane *lane)
{
    unsigned flags = flags_of(lane);
    buf_add_u8(buf, FORMAT);
    buf_add_u8(buf, (uint8_t)flags);
    buf_add_varint(buf, lane->webhook);
    buf_add_varint(buf, lane->epoch);
    buf_add_varint(buf, lane->cursor);
    buf_add_varint(buf, lane->last - lane->cursor);
    buf_add_varint(buf, lane->ahead);
    if (lane->paused)
        add_signed(buf, lane->paused_at);
    if (lane->deactivated) {
        buf_add_u8(buf, (uint8_t)lane->reason);
        add_signed(buf, lane->deactivated_at);
    }
    if ((flags & FLAG_FAILURES) != 0)
        encode_failures(buf, lane);
    if ((flags & FLAG_COUNTERS) != 0) {
        buf_add_varint(buf, lane->delivered);
        buf_add_varint(buf, lane->failed);
        buf_add_varint(buf, lane->expired);
        add_signed(buf, lane->last_success_at);
    }
    encode_retries(buf, lane);
}

/* --- decoding: whatever is not possible in a lane makes the reader fail --- */

static void require(struct reader *reader, bool possible)
{
    if (!possible)
        reader->failed = true;
}

static void decode_failures(struct reader *reader, struct lane *lane)
{
    lane->failures = read_u32(reader);
    lane->first_failure_at = read_signed(reader);
    uint64_t tallied = 0;
    for (unsigned i = 0; i < LANE_TALLY; i++) {
        lane->tally[i].count = read_u32(reader);
        if (lane->tally[i].count == 0)
            continue;
        tallied += lane->tally[i].count;
        lane->tally[i].http_status = (uint16_t)read_max(reader, UINT16_MAX);
        lane->tally[i].error = (uint16_t)read_max(reader, UINT16_MAX);
    }
    require(reader, lane->failures > 0 && tallied == lane->failures && lane->first_failure_at != 0);
}

static void decode_retry(struct reader *reader, struct lane *lane, uint64_t *sequence)
{
    struct lane_retry *retry = mem_zero(1, sizeof(*retry));
    uint64_t distance = reader_varint(reader);
    retry->sequence = *sequence + distance;
    require(reader, distance > 0 && retry->sequence > *sequence);
    *sequence = retry->sequence;
    retry->event_seq = reader_varint(reader);
    retry->order_hash = reader_u64(reader);
    retry->event_accepted_at = read_signed(reader);
    retry->due_at = read_signed(reader);
    retry->attempts = read_u32(reader);
    retry->epoch = read_u32(reader);
    retry->step = (uint8_t)read_max(reader, UINT8_MAX);
    require(reader, lane_settled(lane, retry->sequence));
    if (reader->failed) {
        free(retry);
        return;
    }
    retry->heap_due = lane_retry_due(lane, retry);
    map_put(&lane->retries, retry->sequence, retry);
    heap_push(&lane->retries_due, &retry->node);
}

static void decode_position(struct reader *reader, struct lane *lane)
{
    lane->webhook = read_u32(reader);
    lane->epoch = read_u32(reader);
    lane->cursor = reader_varint(reader);
    uint64_t room = reader_varint(reader);
    lane->last = lane->cursor + room;
    lane->ahead = reader_varint(reader);
    require(reader, lane->last >= lane->cursor && (lane->ahead & 1) == 0 &&
                        (room >= LANE_WINDOW || lane->ahead >> room == 0));
}

enum err lane_decode(struct span bytes, struct lane *lane)
{
    struct reader reader = {.in = bytes};
    struct lane read;
    lane_init(&read, 0);
    require(&reader, reader_u8(&reader) == FORMAT);
    unsigned flags = reader_u8(&reader);
    require(&reader, flags <= FLAGS_ALL);
    decode_position(&reader, &read);
    read.paused = (flags & FLAG_PAUSED) != 0;
    if (read.paused)
        read.paused_at = read_signed(&reader);
    read.deactivated = (flags & FLAG_DEACTIVATED) != 0;
    if (read.deactivated) {
        uint8_t reason = reader_u8(&reader);
        require(&reader, reason == DEACTIVATED_FAILURES || reason == DEACTIVATED_GONE);
        read.reason = (enum deactivation_reason)reason;
        read.deactivated_at = read_signed(&reader);
    }
    read.proven = (flags & FLAG_PROVEN) != 0;
    if ((flags & FLAG_FAILURES) != 0)
        decode_failures(&reader, &read);
    if ((flags & FLAG_COUNTERS) != 0) {
        read.delivered = reader_varint(&reader);
        read.failed = reader_varint(&reader);
        read.expired = reader_varint(&reader);
        read.last_success_at = read_signed(&reader);
    }
    uint64_t n = reader_varint(&reader);
    uint64_t sequence = 0;
    for (uint64_t i = 0; i < n && !reader.failed; i++)
        decode_retry(&reader, &read, &sequence);
    if (read_end(&reader) != OK) {
        lane_release(&read);
        return ERR_CORRUPT;
    }
    lane_release(lane);
    *lane = read;
    return OK;
}
