/* fixture.h: a store under test, and the history that it must agree with.
 *
 * Events, targets and attempts are made from a seeded generator; what was acknowledged is kept in
 * plain arrays, and fixture_check compares every reading verb with them. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "store/store.h"

enum { WEBHOOKS = 5, LANE_MAX = 20000 };

/* One acknowledged commit. */
struct past_block {
    wall_ms time;
    struct event **events;
    size_t n_events;
    struct store_record *records; /* bytes owned, one piece each */
    size_t n_records;
};

struct fixture {
    bool is_sqlite;
    char dir[64];
    struct store_conf conf;
    struct store *store;
    struct rng rng;
    wall_ms now;
    struct past_block *blocks; /* [0] is block 1 */
    size_t n_blocks, cap_blocks;
    uint64_t last_seq;
    uint64_t last_sequence[WEBHOOKS + 1]; /* by webhook number, from 1 */
    uint64_t first_seq, first_block;      /* what retention left */
    uint8_t last_id[16];
};

/* The engine is the program's argument: "sqlite" or "memory". */
void fixture_engine(const char *name);
bool fixture_is_sqlite(void);

int fixture_setup(void **state); /* a fresh directory, default limits; store open */
int fixture_teardown(void **state);
void fixture_open(struct fixture *f);
/* Closes and opens again, as a restart would. */
void fixture_reopen(struct fixture *f);
/* Closes without a check that it can be opened again. */
void fixture_close(struct fixture *f);

/* The next commit: made, then appended; kept when it was acknowledged. */
enum err fixture_append(struct fixture *f, size_t n_events, size_t n_records);
/* The same in two steps; accept keeps, drop forgets. */
struct past_block *fixture_make(struct fixture *f, size_t n_events, size_t n_records);
enum err fixture_try(struct fixture *f, const struct past_block *block);
void fixture_accept(struct fixture *f, struct past_block *block);
void fixture_drop(struct past_block *block);

/* Every reading verb against the history. */
void fixture_check(struct fixture *f);
/* Forgets the acknowledged blocks before this one, as retention did. */
void fixture_forget(struct fixture *f, uint64_t first_seq, uint64_t first_block);

#endif
