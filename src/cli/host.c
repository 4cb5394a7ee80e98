/* host.c: settings -> egress guard -> store -> engine -> api, and back. */
#include "cli/host.h"

#include <string.h>

#include "base/clock.h"

#define STORE_READERS 2

static enum err
open_egress(struct egress *egress, const struct settings *settings, struct error *error)
{
    for (size_t i = 0; i < settings->allow_cidr.count; i++) {
        enum err err = egress_open(egress, span_from(settings->allow_cidr.items[i]), error);
        if (err != OK)
            return err;
    }
    return OK;
}

static enum err
open_store(struct store **ret_store, const struct settings *settings, struct error *error)
{
    const struct store_conf conf = {
        .dir = settings->data,
        .log_file_bytes = (int64_t)settings->log_file_bytes,
        .log_file_ms = settings->log_file_hours * MS_PER_HOUR,
        .readers = STORE_READERS,
        .min_free_bytes = (int64_t)settings->min_free_bytes,
    };

    return store_open_sqlite(&conf, ret_store, error);
}

enum err host_open(struct host *host,
                   const struct settings *settings,
                   const char *public_url,
                   bool deliver,
                   struct error *error)
{
    enum err err;

    memset(host, 0, sizeof *host);
    err = open_egress(&host->egress, settings, error);
    if (err == OK)
        err = open_store(&host->store, settings, error);
    if (err == OK)
        err = engine_start(settings, host->store, &host->egress, deliver, &host->engine, error);
    if (err == OK) {
        host->api = api_new(settings, host->engine, &host->egress, public_url);
        return OK;
    }
    if (host->store != NULL)
        store_close(host->store);
    egress_release(&host->egress);
    memset(host, 0, sizeof *host);
    return err;
}

void host_quiesce(struct host *host)
{
    engine_quiesce(host->engine);
}

void host_close(struct host *host, int timeout_ms)
{
    api_free(host->api);
    engine_stop(host->engine, timeout_ms);
    store_close(host->store);
    egress_release(&host->egress);
    memset(host, 0, sizeof *host);
}
