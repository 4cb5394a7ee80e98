/* table.c: measures all rows, then prints them. */
#include "cli/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GAP      2
#define LAST_MIN 8 /* a last column of less room than this is not worth cutting */

void table_init(struct table *table, const char *const *heads, size_t n_columns)
{
    ASSERT(n_columns >= 1 && n_columns <= TABLE_COLUMNS_MAX);
    table->cells = NULL;
    table->n_cells = 0;
    table->n_columns = n_columns;
    table->width = 0;
    table_add(table, heads);
}

void table_release(struct table *table)
{
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->n_cells = 0;
}

void table_add(struct table *table, const char *const *cells)
{
    table->cells =
        mem_realloc(table->cells, (table->n_cells + table->n_columns) * sizeof *table->cells);
    for (size_t i = 0; i < table->n_columns; i++)
        table->cells[table->n_cells++] = mem_strdup(cells[i]);
}

/* Continuation bytes take no column. Wide characters are rare enough in names to be left alone. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void add_cut(struct buf *buf, const char *text, size_t room)
{
    size_t n = 0;

    if (width_of(text) <= room) {
        buf_add_text(buf, text);
        return;
    }
    for (const char *at = text; *at != '\0'; at++) {
        n += ((unsigned char)*at & 0xC0) != 0x80;
        if (n > room - 3)
            break;
        buf_add_char(buf, *at);
    }
    buf_add_text(buf, "...");
}

/* SIZE_MAX = it is not cut. */
static size_t room_of_last(const struct table *table, const size_t *widths)
{
    size_t taken = 0;

    for (size_t i = 0; i + 1 < table->n_columns; i++)
        taken += widths[i] + GAP;
    return table->width >= taken + LAST_MIN ? table->width - taken : SIZE_MAX;
}

void table_print(const struct table *table, struct buf *buf)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->n_cells; i++) {
        size_t width = width_of(table->cells[i]);
        if (width > widths[i % table->n_columns])
            widths[i % table->n_columns] = width;
    }
    size_t room = room_of_last(table, widths);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % table->n_columns;
        if (column + 1 == table->n_columns) {
            add_cut(buf, table->cells[i], room);
            buf_add_char(buf, '\n');
            continue;
        }
        buf_add_text(buf, table->cells[i]);
        for (size_t n = width_of(table->cells[i]); n < widths[column] + GAP; n++)
            buf_add_char(buf, ' ');
    }
}
