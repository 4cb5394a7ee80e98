/* engine.h: the delivery room behind one door: what the faces (api/, dashboard/) may call.
 *
 * Owns the committer, the couriers, the housekeeper, the registry and the ledger. Everything that
 * changes something goes through the committer and comes back by a `done` callback on the
 * committer's thread, after it is durable and in force; callbacks must not block. Reads are
 * synchronous and may touch the disk. */
#ifndef DELIVERY_ENGINE_H
#define DELIVERY_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/settings.h"
#include "delivery/metrics.h"
#include "delivery/registry.h"
#include "hook/company.h"
#include "hook/egress.h"
#include "hook/event.h"
#include "hook/webhook.h"
#include "store/store.h"

struct engine;

/* A place in the commit queue; the engine's own, callers leave it zero. */
struct commit_item {
    struct list node;
    int kind;
};

/* settings, store and egress are borrowed until engine_stop. Recovers (folds the log) before it
 * returns. deliver: begins to deliver at once; false: for a local command that changes something
 * while no server runs, nothing leaves the machine. */
MUST_USE enum err engine_start(const struct settings *settings,
                               struct store *store,
                               const struct egress *egress,
                               bool deliver,
                               struct engine **ret_engine,
                               struct error *error);
/* From now on new ingests and changes end with ERR_SHUTDOWN; what was taken is committed and
 * answered. Returns when every callback was called. */
void engine_quiesce(struct engine *engine);
/* Stops picking, waits at most timeout_ms for attempts in flight, commits their results, stops
 * all threads, frees. The store stays open. */
void engine_stop(struct engine *engine, int timeout_ms);

struct registry *engine_registry(struct engine *engine);
struct metrics *engine_metrics(struct engine *engine);
struct store *engine_store(struct engine *engine);

/* --- ingest --- */

#define KEY_HASH_BYTES 16

struct ingest_request {
    /* filled by the caller */
    uint32_t company;
    struct event **events; /* references and array (malloc) pass to the engine */
    size_t n_events;
    bool keyed;                                   /* there was an Idempotency-Key */
    uint8_t key_hash[KEY_HASH_BYTES];             /* of the key: first bytes of its SHA-256 */
    uint8_t body_hash[KEY_HASH_BYTES];            /* of the body */
    void (*done)(struct ingest_request *request); /* committer's thread; frees the request */
    void *arg;
    /* filled before done: OK, ERR_CONFLICT (key with another body), ERR_LIMIT (too many events
     * wait or too many keys), ERR_FULL, ERR_SHUTDOWN */
    enum err code;
    char message[200];
    bool replayed;                    /* an earlier request with the same key */
    uint8_t first_id[EVENT_ID_BYTES]; /* the ids of one request are consecutive: event_id_after */
    size_t n_ids;
    /* the engine's */
    struct commit_item item;
    size_t waiting_bytes;
    bool refused; /* code is set, nothing was committed for it */
};

/* The id `steps` after `id`: the events of one request have consecutive ids, so that a repeat by
 * Idempotency-Key is answered without reading the log. */
void event_id_after(const uint8_t id[EVENT_ID_BYTES], size_t steps, uint8_t ret_id[EVENT_ID_BYTES]);

/* Any thread. `done` is always called exactly once, perhaps from inside this call (refusals). */
void engine_ingest(struct engine *engine, struct ingest_request *request);

/* --- changes --- */

enum change_kind {
    CHANGE_COMPANY_ADD,       /* company.name, and a first credential */
    CHANGE_CREDENTIAL_ADD,    /* credential */
    CHANGE_CREDENTIAL_REVOKE, /* credential.company and .api_id */
    CHANGE_WEBHOOK_CREATE,    /* company_id, patch (url set); uuid, token, secret are made here */
    CHANGE_WEBHOOK_UPDATE,    /* company_id, webhook_number, patch */
    CHANGE_WEBHOOK_DELETE     /* company_id, webhook_number */
};

enum patch_events {
    PATCH_EVENTS_ALL, /* listens to everything */
    PATCH_EVENTS_REPLACE,
    PATCH_EVENTS_ADD,
    PATCH_EVENTS_REMOVE,
    PATCH_EVENTS_KEEP
};

struct webhook_patch {
    const char *url;         /* NULL = keep; already checked by the caller */
    const char *custom_name; /* NULL = keep */
    enum patch_events events_action;
    struct event_set events;
    int active; /* -1 = keep, 0 = pause, 1 = enable (always a new epoch) */
};

struct change {
    enum change_kind kind;
    uint32_t company_id;
    uint32_t webhook_number;
    struct company company;       /* in and out */
    struct credential credential; /* in and out */
    struct webhook_patch patch;
    void (*done)(struct change *change); /* committer's thread; frees the change and its texts */
    void *arg;
    /* filled before done */
    struct error result;    /* code OK or: ERR_NOT_FOUND, ERR_EXISTS, ERR_INVALID (limits), ... */
    struct webhook webhook; /* the webhook as it is now (create, update): released by the engine
                             * after done */
    bool active;
    uint64_t dropped;        /* delete: deliveries that were owed and are given up */
    struct commit_item item; /* the engine's */
};

/* Any thread; `done` exactly once, perhaps from inside this call (shutdown). */
void engine_change(struct engine *engine, struct change *change);

/* --- once more --- */

/* Asks for one delivery again, whatever became of it; through its lane, like any retry. */
struct retry_request {
    /* filled by the caller, from engine_delivery */
    uint32_t webhook;
    uint64_t sequence;
    uint64_t event_seq;
    uint64_t order_hash;
    wall_ms event_accepted_at;
    uint32_t attempts;
    void (*done)(struct retry_request *request); /* some thread of the engine; frees the request */
    void *arg;
    /* filled before done: OK (durable, due now), ERR_NOT_FOUND (the webhook was deleted),
     * ERR_CONFLICT (inactive, or its first attempt is still to come), ERR_BUSY (the webhook just
     * moves between couriers: ask again) */
    enum err code;
    /* the engine's */
    struct list node;
};
/* Any thread; `done` exactly once. */
void engine_retry(struct engine *engine, struct retry_request *request);

/* --- reads --- */

struct webhook_status {
    bool active;
    bool paused; /* switched off by hand */
    uint32_t failures;
    uint32_t threshold;     /* 0 = never */
    uint64_t owed;          /* deliveries not finished */
    uint64_t held;          /* of those, waiting for an enable: owed when inactive, else 0 */
    wall_ms oldest_owed_at; /* acceptance of the oldest owed event; 0 when none */
    uint64_t delivered, failed, expired;
    uint64_t last_sequence;
    char ledger[1200]; /* plain words */
};
/* False when the webhook is unknown (deleted). */
bool engine_webhook_status(struct engine *engine, uint32_t webhook, struct webhook_status *ret);
bool engine_webhook_active(struct engine *engine, uint32_t webhook);

enum delivery_status {
    DELIVERY_OWED,
    DELIVERY_DELIVERED,
    DELIVERY_RETRYING,
    DELIVERY_HELD,
    DELIVERY_FAILED,
    DELIVERY_EXPIRED,
    DELIVERY_STATUS_COUNT
};
const char *delivery_status_name(enum delivery_status status);
/* -1 when unknown. */
int delivery_status_find(struct span name);

struct delivery {
    uint32_t webhook;
    uint64_t sequence;
    struct event *event; /* a reference; NULL when retention took it */
    enum delivery_status status;
    uint32_t attempts;
    wall_ms next_attempt_at; /* 0 = none planned */
};

/* "dlv_" + ULID of the event + "-" + webhook number */
#define DELIVERY_ID_TEXT 48
void delivery_id_text(const struct delivery *delivery, char *ret_text);
MUST_USE enum err
delivery_id_parse(struct span text, uint8_t ret_event_id[EVENT_ID_BYTES], uint32_t *ret_webhook);

struct delivery_query {
    uint32_t webhook;
    int status;      /* enum delivery_status or -1 */
    int event_type;  /* catalogue index or -1 */
    unsigned limit;  /* 1..200 */
    uint64_t before; /* sequences below; 0 = from the newest */
};
struct delivery_page {
    struct delivery *deliveries; /* newest first; delivery_page_release */
    size_t n;
    uint64_t next; /* `before` of the next page, 0 = the end */
};
/* Looks at no more than 10,000 deliveries per call; then `next` is set even if the page is not
 * full. */
MUST_USE enum err engine_deliveries(struct engine *engine,
                                    const struct delivery_query *query,
                                    struct delivery_page *ret_page,
                                    struct error *error);
void delivery_page_release(struct delivery_page *page);

/* One delivery with all its attempts (store_attempts_release). ERR_NOT_FOUND. event is a new
 * reference. */
MUST_USE enum err engine_delivery(struct engine *engine,
                                  const uint8_t event_id[EVENT_ID_BYTES],
                                  uint32_t webhook,
                                  struct delivery *ret_delivery,
                                  struct store_attempts *ret_attempts,
                                  struct error *error);

/* The event of an id with, for each target, its delivery (event NULL in those). A target whose
 * webhook was deleted has status DELIVERY_EXPIRED unless it was finished before. */
MUST_USE enum err engine_event(struct engine *engine,
                               uint32_t company,
                               const uint8_t event_id[EVENT_ID_BYTES],
                               struct event **ret_event,
                               struct delivery **ret_targets,
                               size_t *ret_n,
                               struct error *error);

/* The request head of an attempt, byte for byte as it was sent (rebuilt from URL revision, times,
 * event and secret). `webhook` may be NULL when it was deleted: then ERR_NOT_FOUND. */
MUST_USE enum err engine_attempt_head(struct engine *engine,
                                      const struct event *event,
                                      const struct webhook *webhook,
                                      const struct attempt *attempt,
                                      struct buf *ret_head,
                                      struct error *error);

/* The events with the sequences after+1 ... of a webhook, at most n: a receiver that missed some
 * reads them here. ret_events[i] is a new reference, NULL when retention took it. *ret_n: how many
 * there are; *ret_last: the highest sequence of the webhook. */
MUST_USE enum err engine_webhook_events(struct engine *engine,
                                        uint32_t webhook,
                                        uint64_t after,
                                        size_t n,
                                        struct event **ret_events,
                                        size_t *ret_n,
                                        uint64_t *ret_last,
                                        struct error *error);

/* True when events can be accepted (not shutting down, store usable): /readyz. */
bool engine_ready(struct engine *engine);

#endif
