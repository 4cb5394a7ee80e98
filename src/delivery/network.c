/* network.c: who answered lately, who fails now. */
#include "delivery/network.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

#define PROVEN_MS      (10 * MS_PER_MIN) /* an answer proves a host for so long */
#define FAILING_MS     (30 * MS_PER_S)
#define PROVEN_MIN     20
#define JUDGE_EVERY_MS 100
#define HOSTS_MAX      10000 /* a sample is enough */

struct network_host {
    mono_ms answered_at; /* never 0: only hosts that answered are here */
    mono_ms failed_at;   /* 0 = not since the last answer */
};

void network_init(struct network *network)
{
    *network = (struct network){.judged_at = INT64_MIN / 2};
    map_init(&network->hosts);
}

void network_release(struct network *network)
{
    struct map_iter iter = {0};
    void *host = NULL;
    while (map_next(&network->hosts, &iter, NULL, &host))
        free(host);
    map_release(&network->hosts);
}

static bool tips(const struct network *network)
{
    size_t proven = map_len(&network->hosts);
    return proven >= PROVEN_MIN && network->failing * 2 > proven;
}

/* Counts anew, leaving out what is too long ago. */
static void judge(struct network *network, mono_ms now)
{
    struct map_iter iter = {0};
    uint64_t key = 0;
    void *value = NULL;
    network->failing = 0;
    while (map_next(&network->hosts, &iter, &key, &value)) {
        struct network_host *host = value;
        if (now - host->answered_at > PROVEN_MS && !network->suspect) {
            map_remove(&network->hosts, key);
            free(host);
            continue;
        }
        if (now - host->failed_at > FAILING_MS)
            host->failed_at = 0;
        network->failing += host->failed_at != 0;
    }
    network->judged_at = now;
    network->suspect = tips(network);
}

bool network_note(struct network *network, uint64_t host_hash, bool answered, mono_ms now)
{
    struct network_host *host = map_get(&network->hosts, host_hash);
    if (answered && host == NULL && map_len(&network->hosts) < HOSTS_MAX) {
        host = mem_zero(1, sizeof *host);
        map_put(&network->hosts, host_hash, host);
    }
    if (host != NULL && answered) {
        host->answered_at = now;
        network->failing -= host->failed_at != 0;
        host->failed_at = 0;
    } else if (host != NULL) {
        network->failing += host->failed_at == 0;
        host->failed_at = now;
    }
    bool question = network->suspect || (!answered && host != NULL);
    bool tipped = !network->suspect && tips(network);
    if (question && (tipped || now - network->judged_at >= JUDGE_EVERY_MS))
        judge(network, now);
    return network->suspect;
}

/* --- shared --- */

struct network_watch {
    pthread_mutex_t lock;
    struct network network;
};

struct network_watch *network_watch_new(void)
{
    struct network_watch *watch = mem_zero(1, sizeof *watch);
    pthread_mutex_init(&watch->lock, NULL);
    network_init(&watch->network);
    return watch;
}

void network_watch_free(struct network_watch *watch)
{
    if (watch == NULL)
        return;
    network_release(&watch->network);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

bool network_watch_note(
    struct network_watch *watch, uint64_t host, bool answered, mono_ms now, bool *ret_changed)
{
    pthread_mutex_lock(&watch->lock);
    bool before = watch->network.suspect;
    bool suspect = network_note(&watch->network, host, answered, now);
    pthread_mutex_unlock(&watch->lock);
    *ret_changed = before != suspect;
    return suspect;
}
