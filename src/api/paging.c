/* paging.c: pages by number, for the few lists that Aircall pages so. Long lists of our own use
 * cursors (deliveries.c). */
#include "api/paging.h"

#include <string.h>

enum err paging_number(const char *name,
                       const char *text,
                       uint32_t min,
                       uint32_t max,
                       uint32_t fallback,
                       uint32_t *ret_number,
                       struct error *error)
{
    uint64_t number = 0;
    size_t len = text == NULL ? 0 : strlen(text);

    if (text == NULL) {
        *ret_number = fallback;
        return OK;
    }
    if (len > 0 && len <= 10 && strspn(text, "0123456789") == len) {
        for (size_t i = 0; i < len; i++)
            number = number * 10 + (uint64_t)(text[i] - '0');
        if (number >= min && number <= max) {
            *ret_number = (uint32_t)number;
            return OK;
        }
    }
    return error_set(error, ERR_INVALID, "'%s' is '%.40s'; it must be a whole number from %u to %u",
                     name, text, min, max);
}

enum err paging_read(struct http_request *request, struct paging *ret_paging, struct error *error)
{
    struct paging paging = {1, PER_PAGE_DEFAULT, false};
    const char *order = http_request_param(request, "order");
    enum err code;

    code = paging_number("page", http_request_param(request, "page"), 1, INT32_MAX, 1, &paging.page,
                         error);
    if (code == OK)
        code = paging_number("per_page", http_request_param(request, "per_page"), 1, PER_PAGE_MAX,
                             PER_PAGE_DEFAULT, &paging.per_page, error);
    if (code != OK)
        return code;
    if (order != NULL && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0)
        return error_set(error, ERR_INVALID,
                         "'order' is '%.40s'; it must be 'asc' (oldest first) or 'desc'", order);
    paging.descending = order != NULL && strcmp(order, "desc") == 0;
    *ret_paging = paging;
    return OK;
}

/* Every "name=value" of the raw query that is not the page's. */
static void add_filters(struct buf *url, struct span query)
{
    while (query.len > 0) {
        struct span pair = span_make(query.ptr, span_find(query, '&'));
        struct span name = span_make(pair.ptr, span_find(pair, '='));
        if (pair.len > 0 && !span_eq_text(name, "page") && !span_eq_text(name, "per_page")) {
            buf_add_char(url, '&');
            buf_add_span(url, pair);
        }
        query = span_from_at(query, pair.len < query.len ? pair.len + 1 : pair.len);
    }
}

static void add_link(
    struct buf *buf, const struct paging *paging, size_t page, const char *base, const char *query)
{
    struct buf url = BUF_INIT;

    buf_printf(&url, "%s?page=%zu&per_page=%u", base, page, paging->per_page);
    add_filters(&url, span_from(query));
    buf_add_json_string(buf, buf_span(&url));
    buf_release(&url);
}

void paging_add_meta(struct buf *buf,
                     const struct paging *paging,
                     size_t count,
                     size_t total,
                     const char *base,
                     const char *query)
{
    size_t last = total == 0 ? 1 : (total - 1) / paging->per_page + 1;
    size_t page = paging->page;

    buf_printf(buf, "{\"count\":%zu,\"total\":%zu,\"current_page\":%zu,\"per_page\":%u", count,
               total, page, paging->per_page);
    buf_add_text(buf, ",\"next_page_link\":");
    if (page < last)
        add_link(buf, paging, page + 1, base, query);
    else
        buf_add_text(buf, "null");
    buf_add_text(buf, ",\"previous_page_link\":");
    /* Behind the end the way back leads to the last page, not through empty ones. */
    if (page > 1)
        add_link(buf, paging, page - 1 < last ? page - 1 : last, base, query);
    else
        buf_add_text(buf, "null");
    buf_add_char(buf, '}');
}
