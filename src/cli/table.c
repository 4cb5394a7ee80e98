/* table.c: measures all rows, then prints them. */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GAP 2

void table_init(struct table *table, const char *const *heads, size_t n_columns)
{
    ASSERT(n_columns >= 1 && n_columns <= TABLE_COLUMNS_MAX);
    table->cells = NULL;
    table->n_cells = 0;
    table->n_columns = n_columns;
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

void table_print(const struct table *table, struct buf *buf)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->n_cells; i++) {
        size_t width = width_of(table->cells[i]);
        if (width > widths[i % table->n_columns])
            widths[i % table->n_columns] = width;
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % table->n_columns;
        buf_add_text(buf, table->cells[i]);
        if (column + 1 == table->n_columns) {
            buf_add_char(buf, '\n');
            continue;
        }
        for (size_t n = width_of(table->cells[i]); n < widths[column] + GAP; n++)
            buf_add_char(buf, ' ');
    }
}
