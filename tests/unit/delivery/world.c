/* world.c: see world.h. */
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static void tell(bool *flag)
{
    pthread_mutex_lock(&lock);
    *flag = true;
    pthread_cond_broadcast(&done);
    pthread_mutex_unlock(&lock);
}

static void await(const bool *flag)
{
    pthread_mutex_lock(&lock);
    while (!*flag)
        pthread_cond_wait(&done, &lock);
    pthread_mutex_unlock(&lock);
}

static void change_done(struct change *change)
{
    /* The engine releases its webhook after this: only numbers may be used later. */
    tell(change->arg);
}

enum err world_change(struct world *world, struct change *change)
{
    bool flag = false;
    change->done = change_done;
    change->arg = &flag;
    engine_change(world->engine, change);
    await(&flag);
    return change->result.code;
}

static void ingest_done(struct ingest_request *request)
{
    tell(request->arg);
}

void world_ingest_padded(
    struct world *world, struct ingest_request *request, size_t n, unsigned id, size_t pad)
{
    bool flag = false;
    char key[16];
    struct buf data = BUF_INIT;
    snprintf(key, sizeof key, "%u", id);
    buf_printf(&data, "{\"id\":%u,\"pad\":\"%*s\"}", id, (int)pad, "");
    request->company = world->company;
    request->events = mem_zero(n, sizeof(struct event *));
    request->n_events = n;
    for (size_t i = 0; i < n; i++)
        request->events[i] = event_new(world->company, SPAN_LIT("call.created"), SPAN_LIT("call"),
                                       span_from(key), 5, buf_span(&data));
    buf_release(&data);
    request->done = ingest_done;
    request->arg = &flag;
    engine_ingest(world->engine, request);
    await(&flag);
}

void world_ingest_id(struct world *world, struct ingest_request *request, size_t n, unsigned id)
{
    world_ingest_padded(world, request, n, id, 0);
}

void world_ingest(struct world *world, struct ingest_request *request, size_t n)
{
    world_ingest_id(world, request, n, 1);
}

void world_start(struct world *world)
{
    struct error error = {0};
    if (engine_start(&world->settings, world->store, &world->egress, world->deliver, &world->engine,
                     &error) != OK)
        fail_msg("%s", error.message);
}

void world_restart(struct world *world)
{
    engine_stop(world->engine, 0);
    world_start(world);
}

int world_set_up(void **state)
{
    struct world *world = mem_zero(1, sizeof *world);
    struct error error = {0};
    settings_init(&world->settings);
    const struct store_conf conf = {
        .readers = 1, .log_file_bytes = 1 << 30, .log_file_ms = 1 << 30};
    assert_int_equal(store_open_memory(&conf, &world->store, &error), OK);
    world_start(world);
    struct change change = {.kind = CHANGE_COMPANY_ADD};
    strcpy(change.company.name, "Acme");
    memset(change.credential.api_id, 'a', API_ID_TEXT);
    assert_int_equal(world_change(world, &change), OK);
    world->company = change.company.id;
    *state = world;
    return 0;
}

int world_tear_down(void **state)
{
    struct world *world = *state;
    engine_stop(world->engine, 0);
    store_close(world->store);
    egress_release(&world->egress);
    settings_release(&world->settings);
    free(world);
    return 0;
}

uint32_t world_add_webhook_at(struct world *world, const char *url)
{
    struct change change = {.kind = CHANGE_WEBHOOK_CREATE,
                            .company_id = world->company,
                            .patch = {.url = url, .events_action = PATCH_EVENTS_ALL, .active = -1}};
    assert_int_equal(world_change(world, &change), OK);
    return change.webhook.number;
}

uint32_t world_add_webhook(struct world *world)
{
    return world_add_webhook_at(world, "https://example.com/hook");
}

void world_update_webhook(struct world *world, uint32_t webhook, const char *url, int active)
{
    struct change change = {
        .kind = CHANGE_WEBHOOK_UPDATE,
        .company_id = world->company,
        .webhook_number = webhook,
        .patch = {.url = url, .events_action = PATCH_EVENTS_KEEP, .active = active}};
    assert_int_equal(world_change(world, &change), OK);
}
