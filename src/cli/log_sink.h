/* log_sink.h: where the log goes: stderr, one write(2) per line. */
#ifndef CLI_LOG_SINK_H
#define CLI_LOG_SINK_H

#include <stdbool.h>

#include "base/settings.h"

/* Sets the log up as log-level and log-format say. Before threads are started. `quiet`: what is
 * only information is left out (a local command that works says nothing beside its result). */
void log_sink_open(const struct settings *settings, bool quiet);

#endif
