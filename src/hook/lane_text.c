/* lane_text.c: the disable ledger in plain words; see lane.h. */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "hook/lane.h"
#include "http/client.h"

/* "2026-11-25 01:02:03 UTC" */
static void add_time(struct buf *buf, wall_ms time)
{
    char text[WALL_TEXT_LEN + 1];
    wall_text(time, text);
    buf_printf(buf, "%.10s %.8s UTC", text, text + 11);
}

/* "1,234,567" */
static void add_number(struct buf *buf, uint64_t number)
{
    if (number >= 1000) {
        add_number(buf, number / 1000);
        buf_printf(buf, ",%03u", (unsigned)(number % 1000));
    } else {
        buf_printf(buf, "%u", (unsigned)number);
    }
}

/* "1 delivery", "2,345 deliveries" */
static void add_count(struct buf *buf, uint64_t n, const char *one, const char *many)
{
    add_number(buf, n);
    buf_printf(buf, " %s", n == 1 ? one : many);
}

static bool is_timeout(uint16_t error)
{
    return error < HTTP_ERROR_COUNT &&
           strncmp(http_error_slug((enum http_error)error), "timeout", strlen("timeout")) == 0;
}

static void add_kind(struct buf *buf, const struct lane_tally *kind, int timeout_ms)
{
    if (kind->http_status != 0)
        buf_printf(buf, "%u", kind->http_status);
    else if (kind->error == 0 || kind->error >= HTTP_ERROR_COUNT)
        buf_add_text(buf, "other failures");
    else
        buf_add_text(buf, http_error_sentence((enum http_error)kind->error));
    if (kind->http_status == 0 && is_timeout(kind->error))
        buf_printf(buf, " at %d.%d s", timeout_ms / 1000, timeout_ms % 1000 / 100);
}

static int most_first(const void *a, const void *b)
{
    const struct lane_tally *x = a;
    const struct lane_tally *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->http_status != y->http_status)
        return x->http_status < y->http_status ? -1 : 1;
    return (int)x->error - (int)y->error;
}

/* ": 7 x time-out ..., 3 x 503; first failure ..." */
static void add_failures(struct buf *buf, const struct lane *lane, int timeout_ms)
{
    struct lane_tally kinds[LANE_TALLY];
    memcpy(kinds, lane->tally, sizeof(kinds));
    qsort(kinds, LANE_TALLY, sizeof(kinds[0]), most_first);
    for (unsigned i = 0; i < LANE_TALLY && kinds[i].count > 0; i++) {
        buf_add_text(buf, i == 0 ? ": " : ", ");
        add_number(buf, kinds[i].count);
        buf_add_text(buf, " x ");
        add_kind(buf, &kinds[i], timeout_ms);
    }
    buf_add_text(buf, "; first failure ");
    add_time(buf, lane->first_failure_at);
}

static void add_held(struct buf *buf, const struct lane *lane)
{
    buf_add_text(buf, "; ");
    add_count(buf, lane_owed(lane), "delivery held", "deliveries held");
}

static void text_inactive(struct buf *buf, const struct lane *lane, int timeout_ms)
{
    buf_add_text(buf, "inactive since ");
    add_time(buf, lane->deactivated_at);
    if (lane->reason == DEACTIVATED_GONE) {
        buf_add_text(buf, " because the receiver answered 410 (gone)");
        if (lane->failures > 1) {
            buf_add_text(buf, " after ");
            add_count(buf, lane->failures, "failed request", "consecutive failed requests");
            add_failures(buf, lane, timeout_ms);
        }
    } else {
        buf_add_text(buf, " after ");
        add_count(buf, lane->failures, "failed request", "consecutive failed requests");
        if (lane->failures > 0)
            add_failures(buf, lane, timeout_ms);
    }
    add_held(buf, lane);
}

void lane_ledger_text(struct buf *buf, const struct lane *lane, uint32_t threshold, int timeout_ms)
{
    if (lane->paused) {
        buf_add_text(buf, "switched off by hand since ");
        add_time(buf, lane->paused_at);
        add_held(buf, lane);
    } else if (lane->deactivated) {
        text_inactive(buf, lane, timeout_ms);
    } else if (lane->failures == 0) {
        buf_add_text(buf, lane->last_success_at == 0 ? "active; nothing has failed so far"
                                                     : "active; no failure since the last success");
    } else {
        buf_add_text(buf, "active; ");
        if (threshold > 0) {
            add_number(buf, lane->failures);
            buf_add_text(buf, " of ");
            add_count(buf, threshold, "failure", "failures");
        } else {
            add_count(buf, lane->failures, "failure", "consecutive failures");
        }
        add_failures(buf, lane, timeout_ms);
    }
}
