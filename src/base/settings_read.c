/* settings_read.c: the three places settings come from, as bytes, and what must hold between
 * them. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/settings_private.h"

#define VARIABLE_PREFIX "HOOKSWITCH_"

/* ---- flags ----------------------------------------------------------------------------- */

static enum err take_bool(struct settings *settings,
                          const struct setting *setting,
                          const char *value,
                          struct error *error)
{
    return settings_set(settings, span_from(setting->name), span_from(value),
                        (struct setting_origin){SETTING_FROM_FLAG, 0}, error);
}

enum err settings_take_flag(
    struct settings *settings, int argc, char *const *argv, int *at, struct error *error)
{
    struct setting_origin origin = {SETTING_FROM_FLAG, 0};
    struct span arg = span_from(argv[*at]), name, value;
    const struct setting *setting;
    size_t equals;

    if (!span_starts(arg, "--"))
        return error_set(error, ERR_USAGE, "\"%s\" is not a flag; flags begin with \"--\"",
                         argv[*at]);
    arg = span_from_at(arg, 2);
    equals = span_find(arg, '=');
    name = span_make(arg.ptr, equals);
    *at += 1;
    if (equals < arg.len)
        return settings_set(settings, name, span_from_at(arg, equals + 1), origin, error);
    setting = settings_find(name);
    if (setting == NULL && span_starts(name, "no-")) {
        setting = settings_find(span_from_at(name, 3));
        if (setting != NULL && setting->type == SETTING_BOOL)
            return take_bool(settings, setting, "no", error);
        setting = NULL;
    }
    if (setting != NULL && setting->type == SETTING_BOOL)
        return take_bool(settings, setting, "yes", error);
    if (setting != NULL && *at >= argc) {
        struct buf range = BUF_INIT;
        settings_add_range(&range, setting);
        error_set(error, ERR_USAGE, "--%s: the value is missing; give %s", setting->name,
                  range.ptr);
        buf_release(&range);
        return ERR_USAGE;
    }
    /* An unknown name is refused there, with a suggestion. */
    value = setting == NULL ? span_from("") : span_from(argv[(*at)++]);
    return settings_set(settings, name, value, origin, error);
}

/* ---- environment ----------------------------------------------------------------------- */

/* "DELIVER_TIMEOUT_MS" -> "deliver-timeout-ms"; false when it can be no name. */
static bool variable_to_name(struct span variable, char *name, size_t capacity)
{
    if (variable.len == 0 || variable.len >= capacity)
        return false;
    for (size_t i = 0; i < variable.len; i++) {
        char c = variable.ptr[i];
        if (c == '_')
            name[i] = '-';
        else if (c >= 'A' && c <= 'Z')
            name[i] = (char)(c - 'A' + 'a');
        else if (c >= '0' && c <= '9')
            name[i] = c;
        else
            return false;
    }
    name[variable.len] = '\0';
    return true;
}

static enum err apply_variable(struct settings *settings,
                               struct span variable,
                               struct span value,
                               struct error *error)
{
    char name[64];
    struct span suffix = span_from_at(variable, sizeof VARIABLE_PREFIX - 1);
    const struct setting *nearest;

    if (value.len == 0)
        return OK;
    if (variable_to_name(suffix, name, sizeof name) && settings_find(span_from(name)) != NULL)
        return settings_set(settings, span_from(name), value,
                            (struct setting_origin){SETTING_FROM_ENVIRONMENT, 0}, error);
    nearest = settings_nearest(suffix);
    if (nearest != NULL) {
        struct buf meant = BUF_INIT;
        settings_add_variable(&meant, nearest);
        error_set(error, ERR_USAGE,
                  "there is no setting \"%.*s\" (environment); did you mean \"%s\"?",
                  (int)(variable.len < 100 ? variable.len : 100), variable.ptr, meant.ptr);
        buf_release(&meant);
        return ERR_USAGE;
    }
    if (settings->unknown_variables.count < SETTINGS_LIST_MAX)
        settings_texts_add(&settings->unknown_variables, variable);
    return OK;
}

enum err
settings_apply_environment(struct settings *settings, char *const *environment, struct error *error)
{
    for (char *const *entry = environment; *entry != NULL; entry++) {
        struct span text = span_from(*entry);
        size_t equals = span_find(text, '=');
        if (!span_starts(text, VARIABLE_PREFIX) || equals == text.len)
            continue;
        enum err err = apply_variable(settings, span_make(text.ptr, equals),
                                      span_from_at(text, equals + 1), error);
        if (err != OK)
            return err;
    }
    return OK;
}

/* ---- ini file -------------------------------------------------------------------------- */

static enum err
parse_line(struct settings *settings, struct span line, unsigned number, struct error *error)
{
    size_t equals;

    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    line = settings_trim(line);
    if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
        return OK;
    if (line.ptr[0] == '[') {
        if (span_eq_text(line, "[hookswitch]"))
            return OK;
        return error_set(error, ERR_USAGE,
                         "%s:%u: a section that is not known; only [hookswitch] is",
                         settings->file_name, number);
    }
    equals = span_find(line, '=');
    if (equals == line.len)
        return error_set(error, ERR_USAGE, "%s:%u: \"=\" is missing; write `name = value`",
                         settings->file_name, number);
    return settings_set(settings, settings_trim(span_make(line.ptr, equals)),
                        settings_trim(span_from_at(line, equals + 1)),
                        (struct setting_origin){SETTING_FROM_FILE, number}, error);
}

enum err settings_parse_ini(struct settings *settings,
                            struct span bytes,
                            const char *file_name,
                            struct error *error)
{
    unsigned number = 0;
    size_t at = 0;

    free(settings->file_name);
    settings->file_name = mem_strdup(file_name);
    if (bytes.len > SETTINGS_FILE_MAX)
        return error_set_at(error, ERR_USAGE, SETTINGS_FILE_MAX,
                            "%s: the file is larger than %d bytes; is it the right one?", file_name,
                            SETTINGS_FILE_MAX);
    if (span_starts(bytes, "\xef\xbb\xbf")) /* a byte order mark, as some editors write */
        at = 3;
    while (at < bytes.len) {
        struct span rest = span_from_at(bytes, at);
        size_t len = span_find(rest, '\n');
        enum err err = parse_line(settings, span_make(rest.ptr, len), ++number, error);
        if (err != OK) {
            if (error != NULL)
                error->offset = at;
            return err;
        }
        at += len + 1;
    }
    return OK;
}

/* ---- between settings ------------------------------------------------------------------ */

int64_t settings_retry_span_s(const struct settings *settings)
{
    int64_t sum = 0;

    for (size_t i = 0; i < settings->retry_schedule_s.count; i++)
        sum += settings->retry_schedule_s.items[i];
    return sum + sum * settings->retry_jitter_percent / 100;
}

/* "[v6]:port", "addr:port" or "unix:/path"; the address itself is judged when it is bound. */
static bool is_listen(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    size_t host_len, digits = 0;
    long port = 0;

    if (strncmp(listen, "unix:", 5) == 0)
        return listen[5] != '\0';
    if (colon == NULL || colon == listen)
        return false;
    host_len = (size_t)(colon - listen);
    if (memchr(listen, ':', host_len) != NULL &&
        !(host_len > 2 && listen[0] == '[' && listen[host_len - 1] == ']'))
        return false;
    for (const char *c = colon + 1; *c != '\0'; c++, digits++) {
        if (*c < '0' || *c > '9' || digits == 5)
            return false;
        port = port * 10 + (*c - '0');
    }
    return digits > 0 && port <= 65535;
}

static enum err check_inbound(const struct settings *settings, struct error *error)
{
    if (!is_listen(settings->listen))
        return error_set(error, ERR_USAGE,
                         "listen: \"%.100s\" is not ADDR:PORT; give for example 127.0.0.1:8080 "
                         "or [::1]:8080",
                         settings->listen);
    if ((settings->tls_cert == NULL) != (settings->tls_key == NULL))
        return error_set(error, ERR_USAGE, "%s is set without %s; give both or none",
                         settings->tls_cert != NULL ? "tls-cert" : "tls-key",
                         settings->tls_cert != NULL ? "tls-key" : "tls-cert");
    if (settings->public_url != NULL && strncmp(settings->public_url, "http://", 7) != 0 &&
        strncmp(settings->public_url, "https://", 8) != 0)
        return error_set(error, ERR_USAGE,
                         "public-url: \"%.100s\" is no URL; give https://HOST or http://HOST:PORT",
                         settings->public_url);
    if (settings->max_event_bytes > settings->max_request_bytes)
        return error_set(error, ERR_USAGE,
                         "max-event-bytes is larger than max-request-bytes; an event must fit "
                         "into a request");
    if (settings->max_request_bytes > settings->max_waiting_bytes)
        return error_set(error, ERR_USAGE,
                         "max-request-bytes is larger than max-waiting-bytes; a request must fit "
                         "into what may wait");
    return OK;
}

enum err settings_check(const struct settings *settings, struct error *error)
{
    int64_t needed_s =
        settings->hold_hours * INT64_C(3600) + settings_retry_span_s(settings) + INT64_C(86400);
    enum err err = check_inbound(settings, error);

    if (err != OK)
        return err;
    if (settings->retention_days * INT64_C(86400) < needed_s)
        return error_set(error, ERR_USAGE,
                         "retention-days is %d; hold-hours, the retry schedule and a day's margin "
                         "need at least %lld",
                         settings->retention_days, (long long)((needed_s + 86399) / 86400));
    return OK;
}
