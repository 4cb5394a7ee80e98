/* settings.h: every setting of the server, from one table (settings.def).
 *
 * Flags, environment and the ini file are handed in as bytes (this room does no I/O) and may be
 * applied in any order: the origin of each value is kept and a weaker origin never overrides a
 * stronger one (flag > environment > file > default). After that `struct settings` is plain data
 * which everyone reads and nobody changes. All failures are ERR_USAGE with a sentence that names
 * the setting, where it came from, the value and what would be accepted. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define SETTINGS_LIST_MAX  256    /* items of a TEXTS or CIDRS setting */
#define SETTINGS_INTS_MAX  64     /* items of an INTS setting */
#define SETTINGS_VALUE_MAX 4096   /* bytes of one value */
#define SETTINGS_FILE_MAX  262144 /* bytes of an ini file */

/* Lists own their items. */
struct settings_texts {
    char **items;
    size_t count;
};

struct settings_ints {
    int *items;
    size_t count;
};

/* Weakest first. */
enum setting_source {
    SETTING_FROM_DEFAULT,
    SETTING_FROM_FILE,
    SETTING_FROM_ENVIRONMENT,
    SETTING_FROM_FLAG
};

struct setting_origin {
    enum setting_source source;
    unsigned line; /* of the file; 0 for the others */
};

enum setting_id {
#define X(type, field, name, def, min, max, hint, group, sentence) SETTING_##field,
#include "base/settings.def"
#undef X
    SETTING_COUNT
};

/* TEXT, PATH and CHOICE are NULL when unset; numbers lie within the range of the table. */
struct settings {
#define SETTINGS_C_TEXT                                            char *
#define SETTINGS_C_PATH                                            char *
#define SETTINGS_C_CHOICE                                          char *
#define SETTINGS_C_INT                                             int
#define SETTINGS_C_BYTES                                           size_t
#define SETTINGS_C_BOOL                                            bool
#define SETTINGS_C_TEXTS                                           struct settings_texts
#define SETTINGS_C_CIDRS                                           struct settings_texts
#define SETTINGS_C_INTS                                            struct settings_ints
#define X(type, field, name, def, min, max, hint, group, sentence) SETTINGS_C_##type field;
#include "base/settings.def"
#undef X
    struct setting_origin origin[SETTING_COUNT];
    char *file_name; /* of the last ini file, for messages; NULL = none */
    /* HOOKSWITCH_… variables that are no setting and resemble none (service managers and
     * container platforms make such names): the caller warns. */
    struct settings_texts unknown_variables;
};

enum setting_type {
    SETTING_TEXT,
    SETTING_PATH,
    SETTING_CHOICE,
    SETTING_INT,
    SETTING_BYTES,
    SETTING_BOOL,
    SETTING_TEXTS,
    SETTING_CIDRS,
    SETTING_INTS
};

enum setting_group {
    SETTING_GROUP_GENERAL,
    SETTING_GROUP_INBOUND,
    SETTING_GROUP_DELIVERY,
    SETTING_GROUP_STORAGE,
    SETTING_GROUP_COUNT
};

/* One line of the table. */
struct setting {
    const char *name;
    const char *fallback; /* the default as written; NULL = unset */
    const char *hint;
    const char *sentence;
    enum setting_type type;
    enum setting_group group;
    int64_t min, max;
    size_t offset; /* in struct settings */
};

extern const struct setting settings_table[SETTING_COUNT];

/* Every setting at its default. */
void settings_init(struct settings *settings);
/* Frees what the settings own. */
void settings_release(struct settings *settings);

/* Sets one setting by its name (without dashes in front). `value` is copied. An origin weaker
 * than the one that set it before changes nothing but is still checked. Lists replace the values
 * of a weaker origin and append to those of the same one. ERR_USAGE: unknown name (the nearest
 * is suggested), value out of range or malformed. */
MUST_USE enum err settings_set(struct settings *settings,
                               struct span name,
                               struct span value,
                               struct setting_origin origin,
                               struct error *error);

/* Handles the flag at argv[*at] (`--name=value`, `--name value`, `--bool`, `--no-bool`) and
 * moves *at behind it. ERR_USAGE also for an unknown flag and a missing value. */
MUST_USE enum err settings_take_flag(
    struct settings *settings, int argc, char *const *argv, int *at, struct error *error);

/* Applies every HOOKSWITCH_NAME=value of a NULL-terminated environ; an empty value counts as
 * unset. A name that nearly is a setting is refused, others go to unknown_variables. */
MUST_USE enum err settings_apply_environment(struct settings *settings,
                                             char *const *environment,
                                             struct error *error);

/* Parses an ini file: `name = value` lines, # and ; start a comment line, a list may repeat its
 * name, the section [hookswitch] is tolerated. Pure over `bytes` (any bytes, fuzzed); `file_name`
 * is for messages and copied. error->offset is the start of the line that failed. */
MUST_USE enum err settings_parse_ini(struct settings *settings,
                                     struct span bytes,
                                     const char *file_name,
                                     struct error *error);

/* What must hold between settings (a key for the certificate, sizes in order, retention longer
 * than hold plus retries). Call after all sources. */
MUST_USE enum err settings_check(const struct settings *settings, struct error *error);

/* How long a delivery may live after its first attempt: all retries with jitter, in seconds. */
int64_t settings_retry_span_s(const struct settings *settings);

/* The value of one setting as a user would write it; nothing when unset. */
void settings_add_value(struct buf *buf, const struct settings *settings, enum setting_id id);
/* Where the value came from, in words: "flag", "environment", "file.ini:12", "default". */
void settings_add_origin(struct buf *buf, const struct settings *settings, enum setting_id id);
/* HOOKSWITCH_NAME of a setting. */
void settings_add_variable(struct buf *buf, const struct setting *setting);
/* What the setting accepts: "0 to 2147483647 failures", "yes or no". */
void settings_add_range(struct buf *buf, const struct setting *setting);
/* "64 MiB" for 67108864; plain digits when not a whole multiple. */
void settings_add_bytes(struct buf *buf, uint64_t bytes);
const char *settings_group_title(enum setting_group group);

/* The flags with ranges and defaults, as --help shows them. */
void settings_add_help(struct buf *buf);
/* docs/settings.md, whole. */
void settings_add_markdown(struct buf *buf);

/* True for "a.b.c.d[/bits]" and "v6[/bits]" without host bits set beyond the prefix. */
bool settings_is_cidr(struct span text);

#endif
