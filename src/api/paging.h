/* paging.h: `page`, `per_page`, `order` and the meta object of lists. */
#ifndef API_PAGING_H
#define API_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "http/server.h"

#define PER_PAGE_DEFAULT 20
#define PER_PAGE_MAX     50

struct paging {
    uint32_t page;     /* from 1 */
    uint32_t per_page; /* 1..PER_PAGE_MAX */
    bool descending;
};

/* ERR_INVALID with a sentence that names the parameter. `from` and `to` and whatever else is
 * accepted and kept in the links. */
MUST_USE enum err
paging_read(struct http_request *request, struct paging *ret_paging, struct error *error);

/* Reads a whole number without sign of min..max; ERR_INVALID names `name`. `text` NULL gives
 * `fallback`. */
MUST_USE enum err paging_number(const char *name,
                                const char *text,
                                uint32_t min,
                                uint32_t max,
                                uint32_t fallback,
                                uint32_t *ret_number,
                                struct error *error);

/* How many items come before this page. */
static inline size_t paging_offset(const struct paging *paging)
{
    return (size_t)(paging->page - 1) * paging->per_page;
}

/* Appends {"count","total","current_page","per_page","next_page_link","previous_page_link"}.
 * count: items on this page. `base` is the URL of the list without query; `query` is the raw query
 * of the request, of which everything but page and per_page stays in the links. */
void paging_add_meta(struct buf *buf,
                     const struct paging *paging,
                     size_t count,
                     size_t total,
                     const char *base,
                     const char *query);

#endif
