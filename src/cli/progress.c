/* progress.c: see progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "sys/clock.h"

#define WIDTH    30
#define EVERY_MS 100

void progress_bytes_text(uint64_t bytes, char *ret, unsigned room)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    unsigned unit = 0;

    while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    snprintf(ret, room, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void progress_begin(struct progress *progress, const char *what)
{
    *progress = (struct progress){.what = what, .shown = isatty(STDERR_FILENO) == 1};
}

void progress_step(struct progress *progress, uint64_t done, uint64_t total)
{
    char bar[WIDTH + 1], done_text[24], total_text[24];
    int64_t now = clock_mono_ms();

    if (!progress->shown || now < progress->next_ms)
        return;
    progress->next_ms = now + EVERY_MS;
    progress->drawn = true;
    if (done > total)
        total = done;
    double share = total == 0 ? 1 : (double)done / (double)total;
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < (int)(share * WIDTH) ? '#' : '.';
    bar[WIDTH] = '\0';
    progress_bytes_text(done, done_text, sizeof done_text);
    progress_bytes_text(total, total_text, sizeof total_text);
    fprintf(stderr, "\r%s [%s] %3d %%  %s of %s\033[K", progress->what, bar, (int)(share * 100),
            done_text, total_text);
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->drawn = false;
}
