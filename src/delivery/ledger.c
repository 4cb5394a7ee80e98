/* ledger.c: lanes in a map and, for walks, in an array. */
#include "delivery/ledger.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#define EACH_STEP 256

struct ledger_lane {
    struct lane lane;
    uint64_t assigned; /* >= lane.last: given out in the commit that is being prepared */
    size_t slot;       /* index in ledger.order */
    wall_ms paused_at;
    uint32_t epoch; /* the webhook's intent, for ledger_restore */
    bool paused;
    bool touched; /* is in ledger.touched */
};

struct ledger {
    pthread_mutex_t lock;
    struct map lanes;           /* number -> ledger_lane */
    struct ledger_lane **order; /* holes are NULL until compacted */
    size_t n_order, cap_order, holes;
    size_t walk, walk_end;
    bool walking;
    bool partial;     /* ledger_partial */
    unsigned looking; /* ledger_each runs: it remembers positions while the lock is free */
    struct ledger_lane **touched; /* lanes with assigned > last */
    size_t n_touched, cap_touched;
};

struct ledger *ledger_new(void)
{
    struct ledger *ledger = mem_zero(1, sizeof *ledger);
    pthread_mutex_init(&ledger->lock, NULL);
    map_init(&ledger->lanes);
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    for (size_t i = 0; i < ledger->n_order; i++) {
        if (ledger->order[i] == NULL)
            continue;
        lane_release(&ledger->order[i]->lane);
        free(ledger->order[i]);
    }
    free(ledger->order);
    free(ledger->touched);
    map_release(&ledger->lanes);
    pthread_mutex_destroy(&ledger->lock);
    free(ledger);
}

bool ledger_with(struct ledger *ledger,
                 uint32_t webhook,
                 void (*fn)(void *ctx, const struct lane *lane),
                 void *ctx)
{
    pthread_mutex_lock(&ledger->lock);
    const struct ledger_lane *own = map_get(&ledger->lanes, webhook);
    if (own != NULL)
        fn(ctx, &own->lane);
    pthread_mutex_unlock(&ledger->lock);
    return own != NULL;
}

void ledger_each(struct ledger *ledger, void (*fn)(void *ctx, const struct lane *lane), void *ctx)
{
    size_t i = 0;
    bool more = true;
    pthread_mutex_lock(&ledger->lock);
    ledger->looking++;
    pthread_mutex_unlock(&ledger->lock);
    while (more) {
        pthread_mutex_lock(&ledger->lock);
        size_t end = i + EACH_STEP;
        for (; i < ledger->n_order && i < end; i++)
            if (ledger->order[i] != NULL)
                fn(ctx, &ledger->order[i]->lane);
        more = i < ledger->n_order;
        ledger->looking -= !more;
        pthread_mutex_unlock(&ledger->lock);
    }
}

uint64_t ledger_last(struct ledger *ledger, uint32_t webhook)
{
    pthread_mutex_lock(&ledger->lock);
    const struct ledger_lane *own = map_get(&ledger->lanes, webhook);
    uint64_t last = own == NULL ? 0 : own->lane.last;
    pthread_mutex_unlock(&ledger->lock);
    return last;
}

size_t ledger_count(const struct ledger *ledger)
{
    return map_len(&ledger->lanes);
}

static struct ledger_lane *add(struct ledger *ledger, uint32_t webhook)
{
    struct ledger_lane *own = mem_zero(1, sizeof *own);
    lane_init(&own->lane, webhook);
    if (ledger->n_order == ledger->cap_order) {
        ledger->cap_order = ledger->cap_order == 0 ? 64 : 2 * ledger->cap_order;
        ledger->order = mem_realloc(ledger->order, ledger->cap_order * sizeof(*ledger->order));
    }
    own->slot = ledger->n_order;
    ledger->order[ledger->n_order++] = own;
    map_put(&ledger->lanes, webhook, own);
    return own;
}

void ledger_configure(struct ledger *ledger, const struct webhook *webhook)
{
    pthread_mutex_lock(&ledger->lock);
    struct ledger_lane *own = map_get(&ledger->lanes, webhook->number);
    if (own == NULL)
        own = add(ledger, webhook->number);
    own->epoch = webhook->epoch;
    own->paused = webhook->paused;
    own->paused_at = webhook->paused_at;
    lane_configure(&own->lane, own->epoch, own->paused, own->paused_at);
    pthread_mutex_unlock(&ledger->lock);
}

/* Squeezes the holes out, unless somebody remembers positions. Under the lock. */
static void compact(struct ledger *ledger)
{
    if (ledger->walking || ledger->looking > 0)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < ledger->n_order; i++) {
        if (ledger->order[i] == NULL)
            continue;
        ledger->order[kept] = ledger->order[i];
        ledger->order[kept]->slot = kept;
        kept++;
    }
    ledger->n_order = kept;
    ledger->holes = 0;
}

uint64_t ledger_remove(struct ledger *ledger, uint32_t webhook)
{
    pthread_mutex_lock(&ledger->lock);
    struct ledger_lane *own = map_remove(&ledger->lanes, webhook);
    uint64_t owed = 0;
    if (own != NULL) {
        owed = lane_owed(&own->lane) + (own->touched ? own->assigned - own->lane.last : 0);
        ledger->order[own->slot] = NULL;
        ledger->holes++;
        if (own->touched)
            for (size_t i = 0; i < ledger->n_touched; i++)
                if (ledger->touched[i] == own)
                    ledger->touched[i] = ledger->touched[--ledger->n_touched];
        if (ledger->holes > 64 && ledger->holes > ledger->n_order / 2)
            compact(ledger);
        lane_release(&own->lane);
        free(own);
    }
    pthread_mutex_unlock(&ledger->lock);
    return owed;
}

uint64_t ledger_assign(struct ledger *ledger, uint32_t webhook)
{
    struct ledger_lane *own = map_get(&ledger->lanes, webhook);
    if (own == NULL)
        BUG("webhook %u has no lane", webhook);
    if (!own->touched) {
        if (ledger->n_touched == ledger->cap_touched) {
            ledger->cap_touched = ledger->cap_touched == 0 ? 64 : 2 * ledger->cap_touched;
            ledger->touched =
                mem_realloc(ledger->touched, ledger->cap_touched * sizeof(*ledger->touched));
        }
        ledger->touched[ledger->n_touched++] = own;
        own->touched = true;
        own->assigned = own->lane.last;
    }
    return ++own->assigned;
}

void ledger_assign_rollback(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->n_touched; i++)
        ledger->touched[i]->touched = false;
    ledger->n_touched = 0;
}

void ledger_assign_commit(struct ledger *ledger)
{
    pthread_mutex_lock(&ledger->lock);
    for (size_t i = 0; i < ledger->n_touched; i++) {
        lane_raise(&ledger->touched[i]->lane, ledger->touched[i]->assigned);
        ledger->touched[i]->touched = false;
    }
    pthread_mutex_unlock(&ledger->lock);
    ledger->n_touched = 0;
}

static bool fits(const struct lane *lane, const struct attempt *attempt)
{
    return lane_settled(lane, attempt->sequence) ||
           (attempt->sequence <= lane->last && attempt->sequence - lane->cursor <= LANE_WINDOW);
}

static enum err fold_record(struct lane *lane, uint8_t kind, struct span bytes, bool partial)
{
    struct attempt attempt;
    struct deactivation deactivation;
    struct expiry expiry;
    struct reopening reopening;
    enum err err = OK;
    switch ((enum record_kind)kind) {
    case RECORD_ATTEMPT:
        err = attempt_decode(bytes, &attempt);
        if (err == OK && (!partial || fits(lane, &attempt)))
            lane_fold_attempt(lane, &attempt);
        break;
    case RECORD_DEACTIVATED:
        err = deactivation_decode(bytes, &deactivation);
        if (err == OK)
            lane_fold_deactivation(lane, &deactivation);
        break;
    case RECORD_EXPIRED:
        err = expiry_decode(bytes, &expiry);
        if (err == OK)
            lane_fold_expiry(lane, &expiry);
        break;
    case RECORD_REOPENED:
        err = reopening_decode(bytes, &reopening);
        if (err == OK)
            lane_fold_reopening(lane, &reopening);
        break;
    case RECORD_KEY:
    case RECORD_LANE:
    case RECORD_SNAPSHOT_BEGIN:
    case RECORD_SNAPSHOT_END:
        break;
    }
    return err;
}

void ledger_fold(struct ledger *ledger, uint8_t kind, uint32_t webhook, struct span bytes)
{
    pthread_mutex_lock(&ledger->lock);
    struct ledger_lane *own = map_get(&ledger->lanes, webhook);
    if (own != NULL && fold_record(&own->lane, kind, bytes, ledger->partial) != OK)
        fatal("a record of webhook %u (kind %u) cannot be decoded: the log is damaged or from a "
              "newer version",
              webhook, kind);
    pthread_mutex_unlock(&ledger->lock);
}

void ledger_partial(struct ledger *ledger, bool partial)
{
    pthread_mutex_lock(&ledger->lock);
    ledger->partial = partial;
    pthread_mutex_unlock(&ledger->lock);
}

void ledger_raise(struct ledger *ledger, uint32_t webhook, uint64_t sequence)
{
    pthread_mutex_lock(&ledger->lock);
    struct ledger_lane *own = map_get(&ledger->lanes, webhook);
    if (own != NULL)
        lane_raise(&own->lane, sequence);
    pthread_mutex_unlock(&ledger->lock);
}

void ledger_restore(struct ledger *ledger, uint32_t webhook, struct span bytes)
{
    pthread_mutex_lock(&ledger->lock);
    struct ledger_lane *own = map_get(&ledger->lanes, webhook);
    if (own != NULL) {
        if (lane_decode(bytes, &own->lane) != OK || own->lane.webhook != webhook)
            fatal("the snapshot of webhook %u cannot be decoded: the log is damaged or from a "
                  "newer version",
                  webhook);
        lane_configure(&own->lane, own->epoch, own->paused, own->paused_at);
    }
    pthread_mutex_unlock(&ledger->lock);
}

bool ledger_walk(struct ledger *ledger, bool begin, struct buf *buf, uint32_t *ret_webhook)
{
    if (begin) {
        pthread_mutex_lock(&ledger->lock);
        compact(ledger);
        ledger->walk = 0;
        ledger->walk_end = ledger->n_order;
        ledger->walking = true;
        pthread_mutex_unlock(&ledger->lock);
    }
    while (ledger->walk < ledger->walk_end) {
        const struct ledger_lane *own = ledger->order[ledger->walk++];
        if (own == NULL)
            continue;
        lane_encode(buf, &own->lane);
        *ret_webhook = own->lane.webhook;
        return true;
    }
    pthread_mutex_lock(&ledger->lock);
    ledger->walking = false;
    pthread_mutex_unlock(&ledger->lock);
    return false;
}
