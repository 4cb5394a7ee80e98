/* recovery.c: from the files to the state in memory.
 *
 * config.db says which webhooks exist and what their owners want; the log, from the last complete
 * snapshot on, says what they are owed. Webhooks that were deleted meanwhile are skipped. */
#include "base/log.h"
#include "delivery/engine_private.h"
#include "delivery/keys.h"
#include "sys/clock.h"

struct recovery {
    struct engine *engine;
    struct keys *keys;
    wall_ms now;
    uint64_t blocks, events, bytes;
};

static void configure(void *ctx, const struct webhook *webhook)
{
    struct engine *engine = ctx;
    ledger_configure(engine->ledger, webhook);
}

static void fold_record(struct recovery *recovery, const struct store_record *record)
{
    struct ledger *ledger = recovery->engine->ledger;
    struct key_record key;
    switch ((enum record_kind)record->kind) {
    case RECORD_LANE:
        ledger_restore(ledger, record->webhook, record->bytes);
        return;
    case RECORD_KEY:
        if (key_record_decode(record->bytes, &key) != OK)
            fatal("an Idempotency-Key record cannot be decoded: the log is damaged or from a newer "
                  "version");
        keys_restore(recovery->keys, &key, recovery->now);
        return;
    case RECORD_ATTEMPT:
    case RECORD_DEACTIVATED:
    case RECORD_EXPIRED:
    case RECORD_REOPENED:
        ledger_fold(ledger, record->kind, record->webhook, record->bytes);
        return;
    case RECORD_SNAPSHOT_END:
        ledger_partial(ledger, false);
        return;
    case RECORD_SNAPSHOT_BEGIN:
        return;
    }
}

static enum err fold_block(void *ctx, const struct store_block *block)
{
    struct recovery *recovery = ctx;
    for (size_t i = 0; i < block->n_records; i++) {
        fold_record(recovery, &block->records[i]);
        recovery->bytes += block->records[i].bytes.len;
    }
    for (size_t i = 0; i < block->n_events; i++) {
        const struct event *event = block->events[i];
        recovery->bytes += sizeof(*event) + event->n_targets * sizeof(*event->targets);
        for (uint32_t t = 0; t < event->n_targets; t++)
            ledger_raise(recovery->engine->ledger, event->targets[t].webhook,
                         event->targets[t].sequence);
    }
    recovery->blocks++;
    recovery->events += block->n_events;
    return OK;
}

enum err recovery_run(struct engine *engine, struct error *error)
{
    mono_ms begin = clock_mono_ms();
    enum err err = registry_load(engine->registry, engine->store, error);
    if (err != OK)
        return err;
    registry_each_webhook(engine->registry, configure, engine);
    struct store_end end;
    store_end(engine->store, &end);
    struct recovery recovery = {
        .engine = engine,
        .keys = committer_keys(engine->committer),
        .now = clock_wall_ms(),
    };
    uint64_t from = end.snapshot == 0 ? 1 : end.snapshot;
    ledger_partial(engine->ledger, end.snapshot != 0);
    err = store_replay(engine->store, from, fold_block, &recovery, error);
    if (err != OK)
        return err;
    ledger_partial(engine->ledger, false);
    committer_resume(engine->committer, &end, recovery.bytes);
    LOG_FIELDS(LOG_LEVEL_INFO, "recovered", LOG_NUM("webhooks", ledger_count(engine->ledger)),
               LOG_NUM("blocks", recovery.blocks), LOG_NUM("events", recovery.events),
               LOG_NUM("ms", clock_mono_ms() - begin));
    return OK;
}
