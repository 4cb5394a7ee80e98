/* engine.c: the SQLite engine: opening and closing a data directory, figures, the table of verbs.
 *
 *   config.db           what companies, credentials and webhooks are          config.c
 *   log-FIRSTSEQ.db     events, and one block of records per commit           append.c, log_file.c
 *   index-FIRSTSEQ.db   derived: (webhook, sequence) -> event, attempts       index.c
 *
 * Each file has one writing connection and no transaction spans two files. One process per
 * directory: whoever opens it holds a lock elsewhere. */
#include "store/sqlite/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"

static void sqlite_close(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    log_files_close(s);
    config_close(s->config);
    vfs_free(s->vfs);
    buf_release(&s->targets_buf);
    buf_release(&s->block_buf);
    free(s->offsets);
    pthread_mutex_destroy(&s->write_lock);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->tail_lock);
    pthread_cond_destroy(&s->released);
    free(s);
}

static void sqlite_end(struct store *store, struct store_end *ret_end)
{
    struct sqlite_store *s = sqlite_of(store);
    pthread_mutex_lock(&s->lock);
    *ret_end = s->end;
    pthread_mutex_unlock(&s->lock);
}

static uint64_t size_of(const char *path)
{
    char name[PATH_MAX + 24];
    static const char *const endings[] = {"", "-wal", "-shm"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < 3; i++) {
        struct stat info;
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        if (stat(name, &info) == 0)
            bytes += (uint64_t)info.st_size;
    }
    return bytes;
}

static void sqlite_stats(struct store *store, struct store_stats *ret_stats)
{
    struct sqlite_store *s = sqlite_of(store);
    struct store_stats stats = {0};
    struct pinned pinned;
    char path[PATH_MAX + 16];
    files_pin(s, &pinned);
    stats.log_files = pinned.n;
    for (size_t i = 0; i < pinned.n; i++) {
        log_file_path(s, "log", pinned.files[i]->first_seq, path);
        stats.bytes_on_disk += size_of(path);
        log_file_path(s, "index", pinned.files[i]->first_seq, path);
        stats.bytes_on_disk += size_of(path);
    }
    files_unpin(s, &pinned);
    snprintf(path, sizeof path, "%s/config.db", s->dir);
    stats.bytes_on_disk += size_of(path);
    stats.free_bytes = sqlite_free_bytes(s);
    stats.fsync_us_total = vfs_sync_us(s->vfs);
    pthread_mutex_lock(&s->lock);
    stats.commits = s->commits;
    stats.commit_us_total = s->commit_us;
    pthread_mutex_unlock(&s->lock);
    *ret_stats = stats;
}

static void sqlite_inject_fault(struct store *store, enum store_fault fault, unsigned countdown)
{
    vfs_inject(sqlite_of(store)->vfs, fault, countdown);
}

static enum err put_company(struct store *store,
                            struct company *company,
                            struct credential *first,
                            struct error *error)
{
    return config_put_company(sqlite_of(store)->config, company, first, error);
}

static enum err
put_credential(struct store *store, const struct credential *credential, struct error *error)
{
    return config_put_credential(sqlite_of(store)->config, credential, error);
}

static enum err delete_credential(struct store *store, const char *api_id, struct error *error)
{
    return config_delete_credential(sqlite_of(store)->config, api_id, error);
}

static enum err put_webhook(struct store *store, struct webhook *webhook, struct error *error)
{
    return config_put_webhook(sqlite_of(store)->config, webhook, error);
}

static enum err delete_webhook(struct store *store, uint32_t number, struct error *error)
{
    return config_delete_webhook(sqlite_of(store)->config, number, error);
}

static enum err webhook_url(
    struct store *store, uint32_t number, uint32_t revision, char **ret_url, struct error *error)
{
    return config_webhook_url(sqlite_of(store)->config, number, revision, ret_url, error);
}

static enum err
load_conf(struct store *store, const struct store_conf_visitor *visitor, struct error *error)
{
    return config_load(sqlite_of(store)->config, visitor, error);
}

static const struct store_ops ops = {
    .close = sqlite_close,
    .append = sqlite_append,
    .maintain = sqlite_maintain,
    .mark_snapshot = sqlite_mark_snapshot,
    .retain = sqlite_retain,
    .end = sqlite_end,
    .replay = sqlite_replay,
    .events = sqlite_events,
    .event_by_id = sqlite_event_by_id,
    .lane = sqlite_lane,
    .attempts = sqlite_attempts,
    .last_attempts = sqlite_last_attempts,
    .put_company = put_company,
    .put_credential = put_credential,
    .delete_credential = delete_credential,
    .put_webhook = put_webhook,
    .delete_webhook = delete_webhook,
    .webhook_url = webhook_url,
    .load_conf = load_conf,
    .stats = sqlite_stats,
    .inject_fault = sqlite_inject_fault,
};

/* Logs without config.db: its companies would be numbered anew and read each other's events. */
static enum err check_config_is_there(struct sqlite_store *s, struct error *error)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/config.db", s->dir);
    if (size_of(path) > 0 || !log_files_exist(s))
        return OK;
    return error_set(error, ERR_CORRUPT,
                     "'%s' is missing or empty beside log files; restore it from a backup (without "
                     "it nobody knows whose events these are), or move the log files away",
                     path);
}

enum err
store_open_sqlite(const struct store_conf *conf, struct store **ret_store, struct error *error)
{
    struct sqlite_store *s = mem_zero(1, sizeof *s);
    s->store.ops = &ops;
    s->conf = *conf;
    if (s->conf.readers == 0)
        s->conf.readers = 1;
    int n = snprintf(s->dir, sizeof s->dir, "%s", conf->dir);
    if (n < 0 || (size_t)n + 64 > sizeof s->dir) {
        free(s);
        return error_set(error, ERR_STORE, "the path of the data directory is too long");
    }
    pthread_mutex_init(&s->write_lock, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->tail_lock, NULL);
    pthread_cond_init(&s->released, NULL);
    list_init(&s->idle);
    s->end.first_seq = 1;
    s->vfs = vfs_new();
    enum err err = log_files_check(s, error);
    if (err == OK)
        err = check_config_is_there(s, error);
    if (err == OK)
        err = config_open(s->vfs, s->dir, &s->config, error);
    if (err == OK)
        err = log_files_open(s, error);
    if (err != OK) {
        sqlite_close(&s->store);
        return err;
    }
    *ret_store = &s->store;
    return OK;
}
