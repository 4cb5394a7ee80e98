/* span.c: which sequences of which webhooks a finished file holds, so that a look-up opens only
 * the files that can answer it.
 *
 * Read once per file, from its finished index, when a look-up first comes there; a finished file
 * never changes. With so many webhooks that this would take much memory, it is not kept, and such
 * files are asked every time. */
#include "store/sqlite/engine.h"

#include <stdlib.h>

#include "base/mem.h"

#define ROWS_MAX ((size_t)2 << 20) /* over all files: 48 MB */

/* Chunks of one webhook in one table of one file. */
struct span_row {
    uint32_t webhook;
    uint64_t first, last;
};

struct file_spans {
    struct span_rows {
        struct span_row *list; /* ascending by webhook */
        size_t n, cap;
    } of[SPAN_TABLES];
};

void spans_free(struct file_spans *spans)
{
    if (spans == NULL)
        return;
    for (size_t i = 0; i < SPAN_TABLES; i++)
        free(spans->of[i].list);
    free(spans);
}

/* From webhook to webhook by seeking: the rows between are not read. */
static const char *const queries[SPAN_TABLES] = {
    [SPAN_SEQS] = "WITH RECURSIVE w(x) AS (SELECT min(webhook) FROM seqs UNION ALL"
                  " SELECT (SELECT min(webhook) FROM seqs WHERE webhook > x) FROM w"
                  " WHERE x IS NOT NULL)"
                  " SELECT x, (SELECT min(chunk) FROM seqs WHERE webhook=x),"
                  " (SELECT max(chunk) FROM seqs WHERE webhook=x) FROM w WHERE x IS NOT NULL",
    [SPAN_ATTEMPTS] = "WITH RECURSIVE w(x) AS (SELECT min(webhook) FROM attempts UNION ALL"
                      " SELECT (SELECT min(webhook) FROM attempts WHERE webhook > x) FROM w"
                      " WHERE x IS NOT NULL)"
                      " SELECT x, (SELECT min(chunk) FROM attempts WHERE webhook=x),"
                      " (SELECT max(chunk) FROM attempts WHERE webhook=x) FROM w"
                      " WHERE x IS NOT NULL",
};

static enum err
load_table(struct db *index, const char *query, struct span_rows *rows, struct error *error)
{
    sqlite3_stmt *stmt = NULL;
    enum err err = db_prepare(index, query, &stmt, error);
    int rc = SQLITE_DONE;
    while (err == OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (rows->n == rows->cap) {
            rows->cap = rows->cap == 0 ? 64 : 2 * rows->cap;
            rows->list = mem_realloc(rows->list, rows->cap * sizeof(*rows->list));
        }
        rows->list[rows->n++] = (struct span_row){.webhook = (uint32_t)db_u64(stmt, 0),
                                                  .first = db_u64(stmt, 1),
                                                  .last = db_u64(stmt, 2)};
    }
    if (err == OK && rc != SQLITE_DONE)
        err = db_error(index, rc, "read", error);
    sqlite3_finalize(stmt);
    return err;
}

/* Makes the spans of a finished file known, when there is memory for them. */
static enum err load(struct sqlite_store *s, struct log_file *file, struct error *error)
{
    struct file_spans *spans = mem_zero(1, sizeof *spans);
    struct read_conn *conn;
    enum err err = pool_acquire(s, file, &conn, error);
    if (err == OK) {
        for (size_t i = 0; i < SPAN_TABLES && err == OK; i++)
            err = load_table(&conn->index, queries[i], &spans->of[i], error);
        pool_release(s, conn);
    }
    size_t rows = spans->of[SPAN_SEQS].n + spans->of[SPAN_ATTEMPTS].n;
    pthread_mutex_lock(&s->lock);
    if (err == OK && file->spans == NULL && s->span_rows + rows <= ROWS_MAX) {
        file->spans = spans;
        file->n_span_rows = rows;
        s->span_rows += rows;
        spans = NULL;
    } else if (err == OK && file->spans == NULL) {
        file->too_many_spans = true;
    }
    pthread_mutex_unlock(&s->lock);
    spans_free(spans);
    return err;
}

static bool overlaps(const struct span_rows *rows, uint32_t webhook, uint64_t from, size_t n)
{
    size_t low = 0;
    size_t high = rows->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows->list[middle].webhook < webhook)
            low = middle + 1;
        else
            high = middle;
    }
    return low < rows->n && rows->list[low].webhook == webhook &&
           rows->list[low].first <= (from + n - 1) / CHUNK && rows->list[low].last >= from / CHUNK;
}

enum err spans_may_hold(struct sqlite_store *s,
                        struct log_file *file,
                        enum span_table table,
                        uint32_t webhook,
                        uint64_t from,
                        size_t n,
                        bool *ret_may,
                        struct error *error)
{
    pthread_mutex_lock(&s->lock);
    bool loadable = file->finished && !file->too_many_spans;
    const struct file_spans *spans = file->spans;
    pthread_mutex_unlock(&s->lock);
    if (loadable && spans == NULL) {
        enum err err = load(s, file, error);
        if (err != OK)
            return err;
        pthread_mutex_lock(&s->lock);
        spans = file->spans;
        pthread_mutex_unlock(&s->lock);
    }
    *ret_may = spans == NULL || overlaps(&spans->of[table], webhook, from, n);
    return OK;
}
