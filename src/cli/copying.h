/* copying.h: what `backup` and `restore` share: the bar, Ctrl-C, looking at directories, the
 * result. */
#ifndef CLI_COPYING_H
#define CLI_COPYING_H

#include "cli/progress.h"
#include "store/store.h"

struct copying {
    struct progress progress;
    struct store_watch watch; /* for the store */
};

/* From now on SIGINT and SIGTERM make the watch say stop. The object must not move. */
void copying_begin(struct copying *copying, const char *what);
void copying_end(struct copying *copying);

/* How a directory stands. Its lock file does not count. ERR_IO when it cannot be read or is none.
 */
enum copying_dir { COPYING_MISSING, COPYING_EMPTY, COPYING_FILLED };
MUST_USE enum err copying_look(const char *path, enum copying_dir *ret_state, struct error *error);

/* Prints one line of JSON or a few for people; the exit status. `note`: the last of the latter. */
int copying_print(const struct store_copied *copied,
                  const char *done,
                  const char *dir,
                  const char *note,
                  bool json);

#endif
