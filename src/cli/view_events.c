/* view_events.c: what is known of an event. */
#include "cli/view_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/safe_text.h"
#include "cli/table.h"

void view_event_types(struct buf *out, const struct view *view, const json_t *answer)
{
    static const char *const heads[] = {"event", "what happened"};
    const json_t *types = json_object_get(answer, "event_types"), *type;
    struct table table;
    size_t i;

    table_init(&table, heads, 2);
    table.width = view->width;
    json_array_foreach(types, i, type)
    {
        char *name = view_cell(view_text(type, "name"), SIZE_MAX);
        char *description = view_cell(view_text(type, "description"), SIZE_MAX);
        const char *cells[] = {name, description};
        table_add(&table, cells);
        free(name);
        free(description);
    }
    table_print(&table, out);
    table_release(&table);
}

static void add_deliveries(struct buf *out, const struct view *view, const json_t *deliveries)
{
    static const char *const heads[] = {"delivery", "status", "attempts"};
    const json_t *delivery;
    struct table table;
    size_t i;

    if (json_array_size(deliveries) == 0)
        return;
    buf_add_char(out, '\n');
    table_init(&table, heads, 3);
    table.width = view->width;
    json_array_foreach(deliveries, i, delivery)
    {
        char attempts[24];
        char *id = view_cell(view_text(delivery, "id"), SIZE_MAX);
        char *status = view_cell(view_text(delivery, "status"), SIZE_MAX);
        snprintf(attempts, sizeof attempts, "%lld", (long long)view_number(delivery, "attempts"));
        const char *cells[] = {id, status, attempts};
        table_add(&table, cells);
        free(id);
        free(status);
    }
    table_print(&table, out);
    table_release(&table);
}

/* The length of the string at the start of `json`, quotes included. */
static size_t string_len(struct span json)
{
    size_t at = 1;

    while (at < json.len && json.ptr[at] != '"')
        at += json.ptr[at] == '\\' ? 2 : 1;
    return at < json.len ? at + 1 : json.len;
}

static void add_newline(struct buf *buf, size_t depth)
{
    buf_add_char(buf, '\n');
    for (size_t i = 0; i < depth; i++)
        buf_add_text(buf, "  ");
}

/* Valid JSON with a line for each member; every token stays as it was written. */
static void add_indented(struct buf *buf, struct span json)
{
    size_t depth = 0;
    bool opened = false; /* directly behind a '{' or '[' */

    while (json.len > 0) {
        char c = json.ptr[0];
        size_t len = c == '"' ? string_len(json) : 1;
        bool closes = c == '}' || c == ']';
        if (strchr(" \t\r\n", c) == NULL) {
            depth -= closes && depth > 0;
            if (opened != closes)
                add_newline(buf, depth);
            buf_add(buf, json.ptr, len);
            opened = c == '{' || c == '[';
            depth += opened;
        }
        if (c == ',')
            add_newline(buf, depth);
        else if (c == ':')
            buf_add_char(buf, ' ');
        json = span_from_at(json, len);
    }
}

void view_event(struct buf *out, const struct view *view, const json_t *answer)
{
    long long owed_to = (long long)view_number(answer, "owed_to");

    view_add_field(out, view, "event", view_text(answer, "id"));
    view_add_field(out, view, "name", view_text(answer, "event"));
    view_add_field_time(out, view, "accepted", view_text(answer, "created_at"));
    view_add_fieldf(out, view, "timestamp", "%lld", (long long)view_number(answer, "timestamp"));
    if (owed_to == 0)
        view_add_field(out, view, "owed to", SPAN_LIT("nobody: no webhook was subscribed to it"));
    else
        view_add_fieldf(out, view, "owed to", "%lld webhook%s", owed_to, owed_to == 1 ? "" : "s");
    add_deliveries(out, view, json_object_get(answer, "deliveries"));
    if (view->data.len > 0) {
        struct buf data = BUF_INIT;
        add_indented(&data, view->data);
        buf_add_text(out, "\ndata\n");
        safe_add_lines(out, "  ", buf_span(&data));
        buf_release(&data);
    }
}

void view_event_posted(struct buf *out, const struct view *view, const json_t *answer)
{
    const json_t *events = json_object_get(answer, "events"), *event;
    size_t i;

    json_array_foreach(events, i, event)
    {
        char *id = view_cell(view_text(event, "id"), SIZE_MAX);
        buf_printf(
            out, "accepted %s; `hookswitch events show` and this id tell what became of it\n", id);
        free(id);
    }
}
