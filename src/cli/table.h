/* table.h: columns of text for people. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>

#include "base/buf.h"

#define TABLE_COLUMNS_MAX 6

struct table {
    char **cells; /* copies, row by row, the heads first */
    size_t n_cells;
    size_t n_columns;
    size_t width; /* of the terminal: the last column is cut to it; 0 = not cut */
};

void table_init(struct table *table, const char *const *heads, size_t n_columns);
void table_release(struct table *table);
/* n_columns cells; copied. */
void table_add(struct table *table, const char *const *cells);
/* Pads all columns but the last; widths count characters of UTF-8. */
void table_print(const struct table *table, struct buf *buf);

#endif
