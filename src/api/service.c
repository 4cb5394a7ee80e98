/* service.c: the small routes about the server itself. */
#include "api/handlers.h"

static void answer_literal(struct call *call, unsigned status, const char *text)
{
    struct buf body = BUF_INIT;

    buf_add_text(&body, text);
    call_answer(call, status, &body);
}

void ping_get(struct call *call)
{
    answer_literal(call, 200, "{\"ping\":\"pong\"}");
}

void index_get(struct call *call)
{
    answer_literal(call, 200,
                   "{\"resource\":\"Hookswitch Documentation\",\"version\":\"" HOOKSWITCH_VERSION
                   "\",\"api\":\"/v1\",\"event_types\":\"/v1/event_types\"}");
}

void healthz_get(struct call *call)
{
    answer_literal(call, 200, "{\"status\":\"ok\"}");
}

void readyz_get(struct call *call)
{
    if (engine_ready(call->api->engine))
        answer_literal(call, 200, "{\"status\":\"ok\"}");
    else
        answer_literal(call, 503, "{\"status\":\"unavailable\"}");
}
