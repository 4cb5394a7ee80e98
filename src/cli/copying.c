/* copying.c: see copying.h. */
#include "cli/copying.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "cli/command.h"
#include "sys/signal.h"

static bool step(void *ctx, uint64_t done, uint64_t total)
{
    struct copying *copying = ctx;
    sigset_t pending;

    progress_step(&copying->progress, done, total);
    /* main blocks them, so they wait here instead of ending us with half a copy. */
    return sigpending(&pending) != 0 ||
           (sigismember(&pending, SIGINT) == 0 && sigismember(&pending, SIGTERM) == 0);
}

void copying_begin(struct copying *copying, const char *what)
{
    progress_begin(&copying->progress, what);
    copying->watch = (struct store_watch){step, copying};
}

void copying_end(struct copying *copying)
{
    progress_end(&copying->progress);
}

enum err copying_look(const char *path, enum copying_dir *ret_state, struct error *error)
{
    enum copying_dir state = COPYING_EMPTY;
    const struct dirent *entry;
    DIR *dir = opendir(path);

    if (dir == NULL && errno == ENOENT) {
        *ret_state = COPYING_MISSING;
        return OK;
    }
    if (dir == NULL)
        return error_set(error, ERR_IO, "cannot use the directory \"%.200s\": %s", path,
                         strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "lock") != 0)
            state = COPYING_FILLED;
    }
    closedir(dir);
    *ret_state = state;
    return OK;
}

static void add_json(struct buf *buf, const struct store_copied *copied, const char *dir)
{
    char time[WALL_TEXT_LEN + 1] = "";

    if (copied->block > 0)
        wall_text(copied->time, time);
    buf_add_text(buf, "{\"directory\":");
    buf_add_json_string(buf, span_from(dir));
    buf_printf(buf, ",\"files\":%llu,\"bytes\":%llu,\"commits\":%llu,\"last_event\":%llu",
               (unsigned long long)copied->files, (unsigned long long)copied->bytes,
               (unsigned long long)copied->block, (unsigned long long)copied->event_seq);
    buf_add_text(buf, ",\"last_commit_at\":");
    if (copied->block > 0)
        buf_printf(buf, "\"%s\"}\n", time);
    else
        buf_add_text(buf, "null}\n");
}

static void add_text(struct buf *buf,
                     const struct store_copied *copied,
                     const char *done,
                     const char *dir,
                     const char *note)
{
    char time[WALL_TEXT_LEN + 1], bytes[24];

    progress_bytes_text(copied->bytes, bytes, sizeof bytes);
    buf_printf(buf, "%s \"%s\": %llu files, %s\n", done, dir, (unsigned long long)copied->files,
               bytes);
    if (copied->block > 0) {
        wall_text(copied->time, time);
        buf_printf(buf, "up to event %llu, last commit at %s\n",
                   (unsigned long long)copied->event_seq, time);
    }
    buf_printf(buf, "%s\n", note);
}

int copying_print(const struct store_copied *copied,
                  const char *done,
                  const char *dir,
                  const char *note,
                  bool json)
{
    struct buf text = BUF_INIT;

    if (json)
        add_json(&text, copied, dir);
    else
        add_text(&text, copied, done, dir, note);
    bool printed = command_print(&text);
    buf_release(&text);
    return printed ? 0 : 1;
}
