/* pool.c: reading connections: up to `readers` per file, opened when needed, and over all files
 * no more idle ones than CONNS_MAX, because each costs up to six descriptors. */
#include "store/sqlite/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CONNS_MAX 48

void files_pin(struct sqlite_store *s, struct pinned *ret_pinned)
{
    pthread_mutex_lock(&s->lock);
    ret_pinned->n = s->n_files;
    ret_pinned->files = mem_alloc(s->n_files * sizeof(struct log_file *));
    memcpy(ret_pinned->files, s->files, s->n_files * sizeof(struct log_file *));
    for (size_t i = 0; i < s->n_files; i++)
        s->files[i]->refs++;
    pthread_mutex_unlock(&s->lock);
}

void files_unpin(struct sqlite_store *s, struct pinned *pinned)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < pinned->n; i++)
        pinned->files[i]->refs--;
    pthread_cond_broadcast(&s->released);
    pthread_mutex_unlock(&s->lock);
    free(pinned->files);
    *pinned = (struct pinned){0};
}

static void conn_free(struct read_conn *conn)
{
    db_close(&conn->log);
    db_close(&conn->index);
    free(conn);
}

static enum err prepare(struct read_conn *conn, struct error *error)
{
    struct db *log = &conn->log;
    struct db *index = &conn->index;
    const struct {
        struct db *db;
        const char *sql;
        sqlite3_stmt **stmt;
    } all[] = {
        {log, "BEGIN", &conn->begin},
        {index, "BEGIN", &conn->begin_index},
        {log, "COMMIT", &conn->commit},
        {index, "COMMIT", &conn->commit_index},
        {log,
         "SELECT id,company,name,resource,order_key,order_hash,timestamp,time_ms,targets,data"
         " FROM event WHERE seq=?",
         &conn->event},
        {log, "SELECT id FROM event WHERE seq=?", &conn->id},
        {log, "SELECT data FROM block WHERE k=?", &conn->block},
        {log, "SELECT k,time_ms,first_seq,n_events,data FROM block WHERE k>=? ORDER BY k",
         &conn->blocks},
        {log,
         "SELECT seq,id,company,order_hash,timestamp,time_ms,targets FROM event"
         " WHERE seq BETWEEN ? AND ? ORDER BY seq",
         &conn->targets},
        {index, "SELECT chunk,data FROM seqs WHERE webhook=? AND chunk BETWEEN ? AND ?",
         &conn->seqs},
        {index, "SELECT chunk,data FROM attempts WHERE webhook=? AND chunk BETWEEN ? AND ?",
         &conn->refs},
    };
    enum err err = OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && err == OK; i++)
        err = db_prepare(all[i].db, all[i].sql, all[i].stmt, error);
    return err;
}

/* `rolled`: the file has a successor. */
static enum err conn_open(struct sqlite_store *s,
                          struct log_file *file,
                          bool rolled,
                          bool finished,
                          struct read_conn **ret_conn,
                          struct error *error)
{
    struct read_conn *conn = mem_zero(1, sizeof *conn);
    list_init(&conn->node);
    conn->file = file;
    char path[PATH_MAX];
    int format;
    log_file_path(s, "log", file->first_seq, path);
    enum err err =
        db_open(&conn->log, s->vfs, path, rolled ? DB_READ_FINAL : DB_READ, &format, error);
    log_file_path(s, "index", file->first_seq, path);
    if (err == OK)
        err =
            db_open(&conn->index, s->vfs, path, finished ? DB_READ_FINAL : DB_READ, &format, error);
    if (err == OK)
        err = prepare(conn, error);
    if (err != OK) {
        conn_free(conn);
        return err;
    }
    *ret_conn = conn;
    return OK;
}

/* An idle connection of the file, taken off the list, or NULL. */
static struct read_conn *take_idle(struct sqlite_store *s, const struct log_file *file)
{
    struct list *node;
    LIST_FOREACH (node, &s->idle) {
        struct read_conn *conn = CONTAINER_OF(node, struct read_conn, node);
        if (file == NULL || conn->file == file) {
            list_remove(&conn->node);
            return conn;
        }
    }
    return NULL;
}

enum err pool_acquire(struct sqlite_store *s,
                      struct log_file *file,
                      struct read_conn **ret_conn,
                      struct error *error)
{
    struct read_conn *oldest = NULL;
    pthread_mutex_lock(&s->lock);
    while (file->busy >= s->conf.readers)
        pthread_cond_wait(&s->released, &s->lock);
    file->busy++;
    struct read_conn *conn = take_idle(s, file);
    if (conn == NULL && s->n_conns >= CONNS_MAX && !list_empty(&s->idle))
        oldest = CONTAINER_OF(list_pop_front(&s->idle), struct read_conn, node);
    if (conn == NULL && oldest == NULL)
        s->n_conns++;
    /* A file that retention takes meanwhile is no longer the last either. */
    bool rolled = s->n_files > 0 && file != s->files[s->n_files - 1];
    bool finished = file->finished;
    pthread_mutex_unlock(&s->lock);
    if (oldest != NULL)
        conn_free(oldest);
    enum err err = OK;
    if (conn == NULL)
        err = conn_open(s, file, rolled, finished, &conn, error);
    if (err == OK) {
        *ret_conn = conn;
        return OK;
    }
    pthread_mutex_lock(&s->lock);
    file->busy--;
    s->n_conns--;
    pthread_cond_broadcast(&s->released);
    pthread_mutex_unlock(&s->lock);
    return err;
}

void pool_release(struct sqlite_store *s, struct read_conn *conn)
{
    pthread_mutex_lock(&s->lock);
    conn->file->busy--;
    list_push_back(&s->idle, &conn->node);
    pthread_cond_broadcast(&s->released);
    pthread_mutex_unlock(&s->lock);
}

void pool_close(struct sqlite_store *s, const struct log_file *file)
{
    struct read_conn *conn;
    do {
        pthread_mutex_lock(&s->lock);
        conn = take_idle(s, file);
        if (conn != NULL)
            s->n_conns--;
        pthread_mutex_unlock(&s->lock);
        if (conn != NULL)
            conn_free(conn);
    } while (conn != NULL);
}
