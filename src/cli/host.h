/* host.h: the engine with its store and its HTTP face: the one place where rooms are wired. */
#ifndef CLI_HOST_H
#define CLI_HOST_H

#include <stdbool.h>

#include "api/api.h"
#include "base/settings.h"
#include "delivery/engine.h"
#include "hook/egress.h"
#include "store/store.h"

struct host {
    struct egress egress;
    struct store *store;
    struct engine *engine;
    struct api *api;
};

/* Opens the store in settings->data (which is locked by the caller), recovers, and starts to
 * deliver if `deliver`. `settings` is borrowed until host_close. */
MUST_USE enum err host_open(struct host *host,
                            const struct settings *settings,
                            const char *public_url,
                            bool deliver,
                            struct error *error);

/* Refuses new work, commits and answers what was taken. */
void host_quiesce(struct host *host);

/* After host_quiesce and after the servers were stopped: waits at most timeout_ms for attempts in
 * flight, commits, closes everything. */
void host_close(struct host *host, int timeout_ms);

#endif
