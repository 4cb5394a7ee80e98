/* config.c: see config.h. Statements are prepared for each call: changes are rare, and a
 * statement that is not kept cannot be left in the middle. Numbers come from AUTOINCREMENT, which
 * never gives one twice, also not after a deletion. */
#include "store/sqlite/config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/sqlite/db.h"

struct config {
    struct db db;
    pthread_mutex_t lock;
};

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE company(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " created_at INTEGER NOT NULL);"
    "CREATE TABLE credential(api_id TEXT PRIMARY KEY, company INTEGER NOT NULL,"
    " token_hash BLOB NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE webhook(number INTEGER PRIMARY KEY AUTOINCREMENT, company INTEGER NOT NULL,"
    " uuid BLOB NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE, secret BLOB NOT NULL,"
    " custom_name TEXT, url TEXT NOT NULL, url_revision INTEGER NOT NULL,"
    " all_events INTEGER NOT NULL, events TEXT NOT NULL, paused INTEGER NOT NULL,"
    " paused_at INTEGER NOT NULL, epoch INTEGER NOT NULL, created_at INTEGER NOT NULL);"
    "CREATE TABLE webhook_url(number INTEGER, revision INTEGER, url TEXT NOT NULL,"
    " PRIMARY KEY(number, revision)) WITHOUT ROWID;"
    "PRAGMA user_version=1;"
    "COMMIT;";

enum err
config_open(const struct vfs *vfs, const char *dir, struct config **ret_config, struct error *error)
{
    struct config *config = mem_zero(1, sizeof *config);
    char path[PATH_MAX];
    int format = 0;
    snprintf(path, sizeof path, "%s/config.db", dir);
    enum err err = db_open(&config->db, vfs, path, DB_WRITE_FULL, &format, error);
    if (err == OK && format == 0)
        err = db_exec(&config->db, schema, error);
    if (err != OK) {
        db_close(&config->db);
        free(config);
        return err;
    }
    pthread_mutex_init(&config->lock, NULL);
    *ret_config = config;
    return OK;
}

void config_close(struct config *config)
{
    if (config == NULL)
        return;
    db_close(&config->db);
    pthread_mutex_destroy(&config->lock);
    free(config);
}

/* --- one change at a time --- */

/* Under the lock: prepares, after `*err` is still OK; NULL otherwise. */
static sqlite3_stmt *
prepare(struct config *config, const char *sql, enum err *err, struct error *error)
{
    sqlite3_stmt *stmt = NULL;
    if (*err == OK)
        *err = db_prepare(&config->db, sql, &stmt, error);
    return stmt;
}

/* Runs a change and drops the statement. `taken`: what to say when something unique exists. */
static void run(struct config *config,
                sqlite3_stmt *stmt,
                const char *taken,
                enum err *err,
                struct error *error)
{
    if (*err == OK) {
        int rc = db_run(stmt);
        if ((rc & 0xff) == SQLITE_CONSTRAINT)
            *err = error_set(error, ERR_EXISTS, "%s", taken);
        else if (rc != SQLITE_OK)
            *err = db_error(&config->db, rc, "change", error);
    }
    sqlite3_finalize(stmt);
}

/* Ends the transaction in the way that *err says. */
static void end(struct config *config, enum err *err, struct error *error)
{
    if (*err == OK)
        *err = db_exec(&config->db, "COMMIT", error);
    if (sqlite3_get_autocommit(config->db.sqlite) == 0)
        sqlite3_exec(config->db.sqlite, "ROLLBACK", NULL, NULL, NULL);
}

static void bind_number(sqlite3_stmt *stmt, int at, uint32_t number)
{
    if (number == 0)
        sqlite3_bind_null(stmt, at);
    else
        db_bind_u64(stmt, at, number);
}

static void insert_credential(struct config *config,
                              const struct credential *credential,
                              enum err *err,
                              struct error *error)
{
    sqlite3_stmt *stmt = prepare(config, "INSERT INTO credential VALUES(?,?,?,?)", err, error);
    if (*err == OK) {
        db_bind_text(stmt, 1, span_from(credential->api_id));
        db_bind_u64(stmt, 2, credential->company);
        db_bind_blob(stmt, 3, span_make(credential->token_hash, TOKEN_HASH_BYTES));
        sqlite3_bind_int64(stmt, 4, credential->created_at);
    }
    run(config, stmt, "there is a credential with this api_id already", err, error);
}

enum err config_put_company(struct config *config,
                            struct company *company,
                            struct credential *first,
                            struct error *error)
{
    pthread_mutex_lock(&config->lock);
    enum err err = db_exec(&config->db, "BEGIN IMMEDIATE", error);
    sqlite3_stmt *stmt = prepare(config,
                                 "INSERT INTO company VALUES(?,?,?) ON CONFLICT(id) DO UPDATE SET"
                                 " name=excluded.name, created_at=excluded.created_at",
                                 &err, error);
    if (err == OK) {
        bind_number(stmt, 1, company->id);
        db_bind_text(stmt, 2, span_from(company->name));
        sqlite3_bind_int64(stmt, 3, company->created_at);
    }
    char taken[sizeof company->name + 80];
    snprintf(taken, sizeof taken, "there is a company \"%s\" already; choose another name",
             company->name);
    run(config, stmt, taken, &err, error);
    uint32_t id = company->id;
    if (err == OK && id == 0)
        id = (uint32_t)sqlite3_last_insert_rowid(config->db.sqlite);
    if (err == OK && first != NULL) {
        first->company = id;
        insert_credential(config, first, &err, error);
    }
    end(config, &err, error);
    if (err == OK)
        company->id = id;
    pthread_mutex_unlock(&config->lock);
    return err;
}

enum err config_put_credential(struct config *config,
                               const struct credential *credential,
                               struct error *error)
{
    pthread_mutex_lock(&config->lock);
    enum err err = OK;
    insert_credential(config, credential, &err, error);
    pthread_mutex_unlock(&config->lock);
    return err;
}

/* Runs a deletion; ERR_NOT_FOUND when nothing was deleted. */
static void run_delete(
    struct config *config, sqlite3_stmt *stmt, const char *what, enum err *err, struct error *error)
{
    run(config, stmt, "", err, error);
    if (*err == OK && sqlite3_changes(config->db.sqlite) == 0)
        *err = error_set(error, ERR_NOT_FOUND, "there is no such %s", what);
}

enum err config_delete_credential(struct config *config, const char *api_id, struct error *error)
{
    pthread_mutex_lock(&config->lock);
    enum err err = OK;
    sqlite3_stmt *stmt = prepare(config, "DELETE FROM credential WHERE api_id=?", &err, error);
    if (err == OK)
        db_bind_text(stmt, 1, span_from(api_id));
    run_delete(config, stmt, "credential", &err, error);
    pthread_mutex_unlock(&config->lock);
    return err;
}

/* --- webhooks --- */

/* Names, not numbers: the catalogue's order may change from version to version. */
static void events_text(struct buf *buf, const struct webhook *webhook)
{
    for (size_t i = 0; i < catalogue_size() && !webhook->all_events; i++) {
        if (!event_set_has(&webhook->events, i))
            continue;
        if (buf->len > 0)
            buf_add_char(buf, ' ');
        buf_add_text(buf, catalogue_at(i)->name);
    }
}

static void events_parse(struct span text, struct event_set *ret_events)
{
    *ret_events = (struct event_set){0};
    while (text.len > 0) {
        size_t len = span_find(text, ' ');
        int at = catalogue_find(span_make(text.ptr, len));
        if (at >= 0)
            event_set_add(ret_events, (size_t)at);
        text = span_from_at(text, len < text.len ? len + 1 : len);
    }
}

static void bind_webhook(sqlite3_stmt *stmt, const struct webhook *webhook, struct span events)
{
    bind_number(stmt, 1, webhook->number);
    db_bind_u64(stmt, 2, webhook->company);
    db_bind_blob(stmt, 3, span_make(webhook->uuid, sizeof webhook->uuid));
    db_bind_text(stmt, 4, span_from(webhook->token));
    db_bind_blob(stmt, 5, span_make(webhook->secret, sizeof webhook->secret));
    if (webhook->custom_name == NULL)
        sqlite3_bind_null(stmt, 6);
    else
        db_bind_text(stmt, 6, span_from(webhook->custom_name));
    db_bind_text(stmt, 7, span_from(webhook->url));
    db_bind_u64(stmt, 8, webhook->url_revision);
    db_bind_u64(stmt, 9, webhook->all_events);
    db_bind_text(stmt, 10, events);
    db_bind_u64(stmt, 11, webhook->paused);
    sqlite3_bind_int64(stmt, 12, webhook->paused_at);
    db_bind_u64(stmt, 13, webhook->epoch);
    sqlite3_bind_int64(stmt, 14, webhook->created_at);
}

enum err config_put_webhook(struct config *config, struct webhook *webhook, struct error *error)
{
    static const char put[] =
        "INSERT INTO webhook VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(number) DO UPDATE SET"
        " company=excluded.company, uuid=excluded.uuid, token=excluded.token,"
        " secret=excluded.secret, custom_name=excluded.custom_name, url=excluded.url,"
        " url_revision=excluded.url_revision, all_events=excluded.all_events,"
        " events=excluded.events, paused=excluded.paused, paused_at=excluded.paused_at,"
        " epoch=excluded.epoch, created_at=excluded.created_at";
    struct buf events = BUF_INIT;
    events_text(&events, webhook);
    pthread_mutex_lock(&config->lock);
    enum err err = db_exec(&config->db, "BEGIN IMMEDIATE", error);
    sqlite3_stmt *stmt = prepare(config, put, &err, error);
    if (err == OK)
        bind_webhook(stmt, webhook, buf_span(&events));
    run(config, stmt, "there is a webhook with this token or uuid already", &err, error);
    uint32_t number = webhook->number;
    if (number == 0)
        number = (uint32_t)sqlite3_last_insert_rowid(config->db.sqlite);
    stmt = prepare(config, "INSERT OR REPLACE INTO webhook_url VALUES(?,?,?)", &err, error);
    if (err == OK) {
        db_bind_u64(stmt, 1, number);
        db_bind_u64(stmt, 2, webhook->url_revision);
        db_bind_text(stmt, 3, span_from(webhook->url));
    }
    run(config, stmt, "", &err, error);
    end(config, &err, error);
    pthread_mutex_unlock(&config->lock);
    buf_release(&events);
    if (err == OK)
        webhook->number = number;
    return err;
}

enum err config_delete_webhook(struct config *config, uint32_t number, struct error *error)
{
    pthread_mutex_lock(&config->lock);
    enum err err = OK;
    sqlite3_stmt *stmt = prepare(config, "DELETE FROM webhook WHERE number=?", &err, error);
    if (err == OK)
        db_bind_u64(stmt, 1, number);
    run_delete(config, stmt, "webhook", &err, error);
    pthread_mutex_unlock(&config->lock);
    return err;
}

static char *copy_text(sqlite3_stmt *row, int column)
{
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return NULL;
    struct span text = db_text(row, column);
    return mem_strndup(text.ptr, text.len);
}

enum err config_webhook_url(
    struct config *config, uint32_t number, uint32_t revision, char **ret_url, struct error *error)
{
    pthread_mutex_lock(&config->lock);
    enum err err = OK;
    sqlite3_stmt *stmt =
        prepare(config, "SELECT url FROM webhook_url WHERE number=? AND revision=?", &err, error);
    if (err == OK) {
        db_bind_u64(stmt, 1, number);
        db_bind_u64(stmt, 2, revision);
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            *ret_url = copy_text(stmt, 0);
        else if (rc == SQLITE_DONE)
            *ret_url = NULL;
        else
            err = db_error(&config->db, rc, "read", error);
    }
    sqlite3_finalize(stmt);
    pthread_mutex_unlock(&config->lock);
    return err;
}

/* --- everything, at start --- */

static void copy_bytes(void *ret, size_t size, struct span bytes)
{
    if (bytes.len == size)
        memcpy(ret, bytes.ptr, size);
}

static void visit_company(const struct store_conf_visitor *visitor, sqlite3_stmt *row)
{
    struct company company = {.id = (uint32_t)db_u64(row, 0),
                              .created_at = sqlite3_column_int64(row, 2)};
    snprintf(company.name, sizeof company.name, "%s", (const char *)sqlite3_column_text(row, 1));
    visitor->company(visitor->ctx, &company);
}

static void visit_credential(const struct store_conf_visitor *visitor, sqlite3_stmt *row)
{
    struct credential credential = {.company = (uint32_t)db_u64(row, 1),
                                    .created_at = sqlite3_column_int64(row, 3)};
    snprintf(credential.api_id, sizeof credential.api_id, "%s",
             (const char *)sqlite3_column_text(row, 0));
    copy_bytes(credential.token_hash, TOKEN_HASH_BYTES, db_blob(row, 2));
    visitor->credential(visitor->ctx, &credential);
}

static void visit_webhook(const struct store_conf_visitor *visitor, sqlite3_stmt *row)
{
    struct webhook webhook = {
        .number = (uint32_t)db_u64(row, 0),
        .company = (uint32_t)db_u64(row, 1),
        .custom_name = copy_text(row, 5),
        .url = copy_text(row, 6),
        .url_revision = (uint32_t)db_u64(row, 7),
        .all_events = db_u64(row, 8) != 0,
        .paused = db_u64(row, 10) != 0,
        .paused_at = sqlite3_column_int64(row, 11),
        .epoch = (uint32_t)db_u64(row, 12),
        .created_at = sqlite3_column_int64(row, 13),
    };
    copy_bytes(webhook.uuid, sizeof webhook.uuid, db_blob(row, 2));
    snprintf(webhook.token, sizeof webhook.token, "%s", (const char *)sqlite3_column_text(row, 3));
    copy_bytes(webhook.secret, sizeof webhook.secret, db_blob(row, 4));
    events_parse(db_text(row, 9), &webhook.events);
    visitor->webhook(visitor->ctx, &webhook);
    webhook_release(&webhook);
}

static enum err visit(struct config *config,
                      const char *sql,
                      const struct store_conf_visitor *visitor,
                      void (*row)(const struct store_conf_visitor *visitor, sqlite3_stmt *row),
                      struct error *error)
{
    enum err err = OK;
    sqlite3_stmt *stmt = prepare(config, sql, &err, error);
    int rc = SQLITE_DONE;
    while (err == OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        row(visitor, stmt);
    if (err == OK && rc != SQLITE_DONE)
        err = db_error(&config->db, rc, "read", error);
    sqlite3_finalize(stmt);
    return err;
}

enum err
config_load(struct config *config, const struct store_conf_visitor *visitor, struct error *error)
{
    pthread_mutex_lock(&config->lock);
    enum err err =
        visit(config, "SELECT * FROM company ORDER BY id", visitor, visit_company, error);
    if (err == OK)
        err = visit(config, "SELECT * FROM credential ORDER BY created_at, api_id", visitor,
                    visit_credential, error);
    if (err == OK)
        err = visit(config, "SELECT * FROM webhook ORDER BY number", visitor, visit_webhook, error);
    pthread_mutex_unlock(&config->lock);
    return err;
}
