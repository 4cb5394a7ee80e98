/* view_deliveries.c: the list of deliveries, and what happened in each attempt of one. */
#include "cli/view_deliveries.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/safe_text.h"
#include "cli/table.h"

#define BAR_WIDTH 40
#define PHASE_MAX UINT32_MAX /* what a server can count; sums do not overflow */

void view_delivery_list(struct buf *out, const struct view *view, const json_t *answer)
{
    static const char *const heads[] = {"delivery", "created UTC", "status", "try", "event"};
    const json_t *deliveries = json_object_get(answer, "deliveries"), *delivery;
    const json_t *next = json_object_get(answer, "next");
    struct table table;
    size_t i;

    table_init(&table, heads, 5);
    table.width = view->width;
    json_array_foreach(deliveries, i, delivery)
    {
        struct buf time = BUF_INIT;
        char attempts[24];
        char *id = view_cell(view_text(delivery, "id"), SIZE_MAX);
        char *status = view_cell(view_text(delivery, "status"), SIZE_MAX);
        char *event = view_cell(view_text(delivery, "event"), SIZE_MAX);
        snprintf(attempts, sizeof attempts, "%lld", (long long)view_number(delivery, "attempts"));
        view_add_time(&time, view_text(delivery, "created_at"));
        /* The year stays away: the log reaches back by days. */
        const char *cells[] = {id, time.len == 19 ? time.ptr + 5 : time.ptr, status, attempts,
                               event};
        table_add(&table, cells);
        free(id);
        free(status);
        free(event);
        buf_release(&time);
    }
    if (json_array_size(deliveries) > 0)
        table_print(&table, out);
    else if (json_is_string(next))
        buf_add_text(out, "none that match up to here\n");
    else
        buf_add_text(out, "no deliveries\n");
    table_release(&table);
    if (json_is_string(next) && view->more != NULL) {
        buf_printf(out, "\nolder ones: %s --before ", view->more);
        safe_add(out, view_text(answer, "next"));
        buf_add_char(out, '\n');
    }
}

/* ---- one attempt ------------------------------------------------------------------------- */

static void add_duration(struct buf *out, json_int_t us)
{
    char text[32];

    if (us < 1000)
        snprintf(text, sizeof text, "%" PRIdMAX " us", (intmax_t)us);
    else if (us < 10000000)
        snprintf(text, sizeof text, "%.1f ms", (double)us / 1e3);
    else
        snprintf(text, sizeof text, "%.1f s", (double)us / 1e6);
    buf_printf(out, "%11s", text);
}

static json_int_t phase_us(const json_t *timings, const char *name)
{
    json_int_t us = view_number(timings, name);

    return us < 0 ? 0 : us > PHASE_MAX ? PHASE_MAX : us;
}

/* Where of BAR_WIDTH columns `us` of `total` falls. */
static size_t column_of(json_int_t us, json_int_t total)
{
    double part = (double)us / (double)total;

    return (size_t)((part > 1 ? 1 : part) * BAR_WIDTH);
}

static void add_bar(struct buf *out, json_int_t from, json_int_t us, json_int_t total)
{
    size_t begin = column_of(from, total), end = column_of(from + us, total);

    if (begin == BAR_WIDTH)
        begin--;
    if (end == begin)
        end++;
    buf_add_text(out, "  [");
    for (size_t i = 0; i < BAR_WIDTH; i++)
        buf_add_char(out, i >= begin && i < end ? '#' : '.');
    buf_add_text(out, "]\n");
}

/* The phases one behind the other; one that did not happen (a kept connection) is left out. */
static void add_waterfall(struct buf *out, const json_t *timings)
{
    static const char *const phases[][2] = {
        {"dns", "dns"}, {"connect", "connect"}, {"tls", "tls"}, {"first_byte", "first byte"}};
    json_int_t at = 0, total = phase_us(timings, "total");

    for (size_t i = 0; i < 4; i++)
        at += phase_us(timings, phases[i][0]);
    if (total < at)
        total = at;
    if (total == 0)
        return;
    at = 0;
    for (size_t i = 0; i < 4; i++) {
        json_int_t us = phase_us(timings, phases[i][0]);
        if (us == 0)
            continue;
        buf_printf(out, "  %-10s", phases[i][1]);
        add_duration(out, us);
        add_bar(out, at, us, total);
        at += us;
    }
    buf_printf(out, "  %-10s", "total");
    add_duration(out, total);
    add_bar(out, 0, total, total);
}

static void add_result(struct buf *out, const json_t *attempt)
{
    const json_t *status = json_object_get(attempt, "status");

    if (json_is_integer(status))
        buf_printf(out, "HTTP %lld", (long long)json_integer_value(status));
    else
        safe_add(out, view_text(attempt, "reason"));
}

static void add_outcome(struct buf *out, const json_t *attempt)
{
    buf_add_text(out, "  ");
    safe_add(out, view_text(attempt, "outcome"));
    if (json_is_string(json_object_get(attempt, "next_attempt_at"))) {
        buf_add_text(out, " at ");
        view_add_time(out, view_text(attempt, "next_attempt_at"));
        buf_add_text(out, " UTC");
    }
    if (json_is_false(json_object_get(attempt, "counted")) &&
        !span_eq_text(view_text(attempt, "outcome"), "delivered"))
        buf_add_text(out, "; not counted as a failure");
    if (json_is_true(json_object_get(attempt, "connection_reused")))
        buf_add_text(out, "; on a kept connection");
    else if (json_is_true(json_object_get(attempt, "tls_resumed")))
        buf_add_text(out, "; TLS session resumed");
    buf_add_char(out, '\n');
}

/* A head ends with an empty line, which is none to show. */
static struct span without_end(struct span head)
{
    while (head.len > 0 && (head.ptr[head.len - 1] == '\n' || head.ptr[head.len - 1] == '\r'))
        head.len--;
    return head;
}

static void add_attempt(struct buf *out, const struct view *view, const json_t *attempt)
{
    buf_printf(out, "\nattempt %-3lld", (long long)view_number(attempt, "attempt"));
    view_add_time(out, view_text(attempt, "started_at"));
    buf_add_text(out, " UTC  ");
    add_result(out, attempt);
    buf_add_char(out, '\n');
    add_outcome(out, attempt);
    add_waterfall(out, json_object_get(attempt, "timings"));
    if (json_is_string(json_object_get(attempt, "response_body"))) {
        buf_add_text(out, "  answer\n");
        safe_add_lines(out, "    | ", view_text(attempt, "response_body"));
    }
    if (view->request && json_is_string(json_object_get(attempt, "request"))) {
        buf_add_text(out, "  request\n");
        safe_add_lines(out, "    > ", without_end(view_text(attempt, "request")));
    }
}

void view_delivery(struct buf *out, const struct view *view, const json_t *answer)
{
    const json_t *attempts = json_object_get(answer, "attempt_log"), *attempt;
    size_t i;

    view_add_field(out, view, "delivery", view_text(answer, "id"));
    view_add_field(out, view, "event", view_text(answer, "event"));
    view_add_field(out, view, "event id", view_text(answer, "event_id"));
    view_add_field(out, view, "webhook",
                   json_is_string(json_object_get(answer, "webhook_id"))
                       ? view_text(answer, "webhook_id")
                       : SPAN_LIT("deleted since"));
    view_add_fieldf(out, view, "sequence", "%lld", (long long)view_number(answer, "sequence"));
    view_add_field_time(out, view, "accepted", view_text(answer, "created_at"));
    view_add_field(out, view, "status", view_text(answer, "status"));
    if (json_is_string(json_object_get(answer, "next_attempt_at")))
        view_add_field_time(out, view, "next try", view_text(answer, "next_attempt_at"));
    json_array_foreach(attempts, i, attempt) add_attempt(out, view, attempt);
}
