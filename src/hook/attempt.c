/* attempt.c: see attempt.h. Varints, and times as distances from each other: an attempt that was
 * delivered takes about 45 bytes. */
#include "hook/attempt.h"

#include <string.h>

#include "hook/codec.h"

enum { FORMAT = 1 };
enum { FLAG_COUNTED = 1, FLAG_REUSED = 2, FLAG_RESUMED = 4, FLAGS_ALL = 7 };

void attempt_encode(struct buf *buf, const struct attempt *attempt)
{
    buf_add_u8(buf, FORMAT);
    buf_add_u8(buf, (uint8_t)attempt->outcome);
    buf_add_u8(buf, (uint8_t)((attempt->counted ? FLAG_COUNTED : 0) |
                              (attempt->reused ? FLAG_REUSED : 0) |
                              (attempt->resumed ? FLAG_RESUMED : 0)));
    buf_add_varint(buf, attempt->webhook);
    buf_add_varint(buf, attempt->sequence);
    buf_add_varint(buf, attempt->number);
    buf_add_varint(buf, attempt->epoch);
    buf_add_varint(buf, attempt->url_revision);
    buf_add_varint(buf, attempt->event_seq);
    buf_add_u64(buf, attempt->order_hash);
    add_signed(buf, attempt->event_accepted_at);
    add_delta(buf, attempt->started_at, attempt->event_accepted_at);
    add_delta(buf, attempt->sent_timestamp_s, attempt->started_at / MS_PER_S);
    if (attempt->outcome == OUTCOME_RETRY)
        add_delta(buf, attempt->due_at, attempt->started_at);
    buf_add_varint(buf, attempt->step);
    buf_add_varint(buf, attempt->http_status);
    buf_add_varint(buf, attempt->error);
    buf_add_varint(buf, attempt->dns_us);
    buf_add_varint(buf, attempt->connect_us);
    buf_add_varint(buf, attempt->tls_us);
    buf_add_varint(buf, attempt->first_byte_us);
    buf_add_varint(buf, attempt->total_us);
    buf_add_blob(buf, span_make(attempt->peer, attempt->peer_len));
    buf_add_blob(buf, attempt->detail);
    buf_add_blob(buf, attempt->body);
}

static uint8_t read_format(struct reader *reader)
{
    uint8_t format = reader_u8(reader);
    if (format != FORMAT)
        reader->failed = true;
    return format;
}

static void read_timings(struct reader *reader, struct attempt *attempt)
{
    attempt->dns_us = read_u32(reader);
    attempt->connect_us = read_u32(reader);
    attempt->tls_us = read_u32(reader);
    attempt->first_byte_us = read_u32(reader);
    attempt->total_us = read_u32(reader);
}

static void read_peer(struct reader *reader, struct attempt *attempt)
{
    struct span peer = reader_blob(reader);
    if (peer.len != 0 && peer.len != 4 && peer.len != 16) {
        reader->failed = true;
        return;
    }
    attempt->peer_len = (uint8_t)peer.len;
    if (peer.len > 0)
        memcpy(attempt->peer, peer.ptr, peer.len);
}

enum err attempt_decode(struct span bytes, struct attempt *ret_attempt)
{
    struct reader reader = {.in = bytes};
    struct attempt attempt = {0};
    read_format(&reader);
    uint8_t outcome = reader_u8(&reader);
    uint8_t flags = reader_u8(&reader);
    if (outcome < OUTCOME_DELIVERED || outcome > OUTCOME_HELD || (flags & ~FLAGS_ALL) != 0)
        return ERR_CORRUPT;
    attempt.outcome = (enum outcome)outcome;
    attempt.counted = (flags & FLAG_COUNTED) != 0;
    attempt.reused = (flags & FLAG_REUSED) != 0;
    attempt.resumed = (flags & FLAG_RESUMED) != 0;
    attempt.webhook = read_u32(&reader);
    attempt.sequence = reader_varint(&reader);
    attempt.number = read_u32(&reader);
    attempt.epoch = read_u32(&reader);
    attempt.url_revision = read_u32(&reader);
    attempt.event_seq = reader_varint(&reader);
    attempt.order_hash = reader_u64(&reader);
    attempt.event_accepted_at = read_signed(&reader);
    attempt.started_at = read_delta(&reader, attempt.event_accepted_at);
    attempt.sent_timestamp_s = read_delta(&reader, attempt.started_at / MS_PER_S);
    if (attempt.outcome == OUTCOME_RETRY)
        attempt.due_at = read_delta(&reader, attempt.started_at);
    attempt.step = (uint8_t)read_max(&reader, UINT8_MAX);
    attempt.http_status = (uint16_t)read_max(&reader, UINT16_MAX);
    attempt.error = (uint16_t)read_max(&reader, UINT16_MAX);
    read_timings(&reader, &attempt);
    read_peer(&reader, &attempt);
    attempt.detail = reader_blob(&reader);
    attempt.body = reader_blob(&reader);
    bool numbered = attempt.number > 0 || attempt.outcome == OUTCOME_FAILED;
    if (read_end(&reader) != OK || attempt.sequence == 0 || !numbered)
        return ERR_CORRUPT;
    *ret_attempt = attempt;
    return OK;
}

void deactivation_encode(struct buf *buf, const struct deactivation *deactivation)
{
    buf_add_u8(buf, FORMAT);
    buf_add_u8(buf, (uint8_t)deactivation->reason);
    buf_add_varint(buf, deactivation->webhook);
    buf_add_varint(buf, deactivation->epoch);
    add_signed(buf, deactivation->at);
}

enum err deactivation_decode(struct span bytes, struct deactivation *ret_deactivation)
{
    struct reader reader = {.in = bytes};
    read_format(&reader);
    uint8_t reason = reader_u8(&reader);
    if (reason < DEACTIVATED_FAILURES || reason > DEACTIVATED_GONE)
        return ERR_CORRUPT;
    struct deactivation deactivation = {.reason = (enum deactivation_reason)reason};
    deactivation.webhook = read_u32(&reader);
    deactivation.epoch = read_u32(&reader);
    deactivation.at = read_signed(&reader);
    if (read_end(&reader) != OK)
        return ERR_CORRUPT;
    *ret_deactivation = deactivation;
    return OK;
}

void expiry_encode(struct buf *buf, const struct expiry *expiry)
{
    buf_add_u8(buf, FORMAT);
    buf_add_varint(buf, expiry->webhook);
    buf_add_varint(buf, expiry->through);
    buf_add_varint(buf, expiry->count);
    add_signed(buf, expiry->at);
}

enum err expiry_decode(struct span bytes, struct expiry *ret_expiry)
{
    struct reader reader = {.in = bytes};
    struct expiry expiry = {0};
    read_format(&reader);
    expiry.webhook = read_u32(&reader);
    expiry.through = reader_varint(&reader);
    expiry.count = reader_varint(&reader);
    expiry.at = read_signed(&reader);
    if (read_end(&reader) != OK)
        return ERR_CORRUPT;
    *ret_expiry = expiry;
    return OK;
}

void reopening_encode(struct buf *buf, const struct reopening *reopening)
{
    buf_add_u8(buf, FORMAT);
    buf_add_varint(buf, reopening->webhook);
    buf_add_varint(buf, reopening->sequence);
    buf_add_varint(buf, reopening->event_seq);
    buf_add_u64(buf, reopening->order_hash);
    add_signed(buf, reopening->event_accepted_at);
    buf_add_varint(buf, reopening->attempts);
    add_delta(buf, reopening->at, reopening->event_accepted_at);
}

enum err reopening_decode(struct span bytes, struct reopening *ret_reopening)
{
    struct reader reader = {.in = bytes};
    struct reopening reopening = {0};
    read_format(&reader);
    reopening.webhook = read_u32(&reader);
    reopening.sequence = reader_varint(&reader);
    reopening.event_seq = reader_varint(&reader);
    reopening.order_hash = reader_u64(&reader);
    reopening.event_accepted_at = read_signed(&reader);
    reopening.attempts = read_u32(&reader);
    reopening.at = read_delta(&reader, reopening.event_accepted_at);
    if (read_end(&reader) != OK || reopening.sequence == 0)
        return ERR_CORRUPT;
    *ret_reopening = reopening;
    return OK;
}
