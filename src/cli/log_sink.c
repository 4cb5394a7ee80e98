/* log_sink.c: a whole line per write(2), so that lines of several processes on one terminal or
 * pipe do not mix. A reader that is gone or slow costs lines, never the server. */
#include "cli/log_sink.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/clock.h"

static void write_line(void *arg, const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        line += n;
        len -= (size_t)n;
    }
}

static enum log_format format_of(const struct settings *settings)
{
    if (strcmp(settings->log_format, "json") == 0)
        return LOG_FORMAT_JSON;
    if (strcmp(settings->log_format, "human") == 0)
        return LOG_FORMAT_HUMAN;
    return isatty(STDERR_FILENO) ? LOG_FORMAT_HUMAN : LOG_FORMAT_JSON;
}

void log_sink_open(const struct settings *settings, bool quiet)
{
    struct log_setup setup = {
        .format = format_of(settings),
        .sink = write_line,
        .now = clock_wall_ms,
    };

    if (!log_level_parse(span_from(settings->log_level), &setup.level))
        BUG("log level \"%s\" is in the settings table but not in the log", settings->log_level);
    if (quiet && setup.level == LOG_LEVEL_INFO)
        setup.level = LOG_LEVEL_WARN;
    log_init(&setup);
}
