/* call.c: authentication, limits and the uniform answers.
 *
 * Order of refusals: path (404), credentials (401, 403), method (405), limit (429), then whatever
 * the handler finds. So an unknown path never asks for credentials (right ones still get the limit
 * fields with their 404), and ids are never told apart to somebody without them. */
#include "api/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/auth.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "sys/clock.h"

static const char *status_name(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 429:
        return "Too Many Requests";
    case 503:
        return "Service Unavailable";
    case 507:
        return "Insufficient Storage";
    default:
        return "Internal Server Error";
    }
}

/* --- making a call --- */

static void log_refusal(struct call *call, enum err code)
{
    struct api *api = call->api;
    mono_ms now = clock_mono_ms();
    int_fast64_t last = atomic_load(&api->refusal_logged_at);

    atomic_fetch_add(&api->refused_credentials, 1);
    if (!log_on(LOG_LEVEL_INFO))
        return;
    /* Who guesses credentials must not be able to fill the disk with log lines. */
    if (now - last < MS_PER_S ||
        !atomic_compare_exchange_strong(&api->refusal_logged_at, &last, now)) {
        atomic_fetch_add(&api->refusals_unlogged, 1);
        return;
    }
    LOG_FIELDS(LOG_LEVEL_INFO, "credentials refused",
               LOG_TEXT("peer", http_request_peer(call->request)),
               LOG_TEXT("method", http_request_method_name(call->request)),
               LOG_TEXT("path", http_request_path(call->request)),
               LOG_TEXT("reason", code == ERR_UNAUTHENTICATED ? "none given" : "wrong"),
               LOG_NUM("more_unlogged", atomic_exchange(&api->refusals_unlogged, 0)));
}

static enum err authenticate(struct call *call)
{
    struct auth auth;
    uint8_t hash[TOKEN_HASH_BYTES];
    enum err code = auth_parse(http_request_header(call->request, "Authorization"), &auth);

    if (code == OK) {
        auth_sha256(auth.token, hash);
        if (!registry_authenticate(engine_registry(call->api->engine), auth.api_id, hash,
                                   &call->company))
            code = ERR_FORBIDDEN;
        auth_wipe(&auth);
    }
    return code;
}

/* Takes the call from the company's limit: false when nothing is left. */
static bool charge(struct call *call)
{
    bool events = call->match.route != NULL && call->match.route->access == ROUTE_INGEST;
    struct rate *rate = events ? call->api->ingest : call->api->management;

    call->limited = true;
    /* Events are charged when they are counted; here it only matters that some are left. */
    return rate_take(rate, call->company, events ? 0 : 1, clock_mono_ms(), clock_wall_ms(),
                     &call->rate);
}

/* Fills what the head says. */
static void admit(struct call *call)
{
    enum err found = router_match(api_routes, n_api_routes, http_request_method(call->request),
                                  span_from(http_request_path(call->request)), &call->match);
    enum err known;

    call->refusal = found;
    if (found != ERR_NOT_FOUND && call->match.route->access == ROUTE_OPEN)
        return;
    known = authenticate(call);
    if (known == OK) {
        /* An unknown path counts too, or a broken client would hammer it for free. */
        if (!charge(call) && found == OK)
            call->refusal = ERR_LIMIT;
    } else if (found != ERR_NOT_FOUND) {
        call->refusal = known;
        log_refusal(call, known);
    }
}

static struct call *call_new(struct api *api, struct http_request *request)
{
    struct call *call = mem_zero(1, sizeof(*call));

    call->api = api;
    call->request = request;
    http_request_set_state(request, call, free);
    return call;
}

struct call *call_of(struct api *api, struct http_request *request)
{
    struct call *call = http_request_state(request);

    if (call != NULL)
        return call;
    call = call_new(api, request);
    admit(call);
    return call;
}

struct call *call_of_control(struct api *api, struct http_request *request)
{
    struct call *call = http_request_state(request);

    if (call == NULL)
        call = call_new(api, request);
    return call;
}

/* --- answers --- */

static void add_number_header(struct call *call, const char *name, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    http_answer_header(call->request, name, text);
}

static void add_limit_headers(struct call *call)
{
    const struct rate_view *rate = &call->rate;

    add_number_header(call, "X-AircallApi-Limit", rate->limit);
    add_number_header(call, "X-AircallApi-Remaining", rate->remaining);
    add_number_header(call, "X-AircallApi-Reset", rate->reset_s);
    add_number_header(call, "RateLimit-Limit", rate->limit);
    add_number_header(call, "RateLimit-Remaining", rate->remaining);
    add_number_header(call, "RateLimit-Reset", rate->reset_in_s);
}

void call_answer_text(struct call *call,
                      unsigned status,
                      const char *content_type,
                      struct buf *body)
{
    ASSERT(status >= 100 && status < 600);
    atomic_fetch_add_explicit(&call->api->answers[status / 100], 1, memory_order_relaxed);
    if (call->limited)
        add_limit_headers(call);
    /* Answers repeat what was sent, and hold tokens: no browser shall guess a type, nobody keep
     * one. */
    http_answer_header(call->request, "X-Content-Type-Options", "nosniff");
    http_answer_header(call->request, "Cache-Control", "no-store");
    http_respond(call->request, status, content_type, body);
}

void call_answer(struct call *call, unsigned status, struct buf *body)
{
    call_answer_text(call, status, NULL, body);
}

void call_add_failure(struct buf *buf, unsigned status, struct span sentence)
{
    buf_add_text(buf, "{\"error\":");
    buf_add_json_string(buf, span_from(status_name(status)));
    buf_add_text(buf, ",\"troubleshoot\":");
    buf_add_json_string(buf, sentence);
    buf_add_text(buf, ",\"success\":false");
}

static void fail(struct call *call, unsigned status, struct span sentence)
{
    struct buf body = BUF_INIT;

    call_add_failure(&body, status, sentence);
    buf_add_char(&body, '}');
    call_answer(call, status, &body);
}

static void fail_va(struct call *call, unsigned status, const char *fmt, va_list args)
    PRINTF_LIKE(3, 0);
static void fail_va(struct call *call, unsigned status, const char *fmt, va_list args)
{
    struct buf sentence = BUF_INIT;

    buf_vprintf(&sentence, fmt, args);
    fail(call, status, buf_span(&sentence));
    buf_release(&sentence);
}

void call_fail(struct call *call, unsigned status, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fail_va(call, status, fmt, args);
    va_end(args);
}

void call_fail_later(
    struct call *call, unsigned status, unsigned retry_after_s, const char *fmt, ...)
{
    va_list args;

    add_number_header(call, "Retry-After", retry_after_s);
    va_start(args, fmt);
    fail_va(call, status, fmt, args);
    va_end(args);
}

void call_fail_code(struct call *call, enum err code, const char *message)
{
    unsigned status = (unsigned)err_http_status(code);

    if (message == NULL || message[0] == '\0')
        message = err_sentence(code);
    if (code == ERR_LIMIT || code == ERR_SHUTDOWN) {
        call_fail_later(call, status, 1, "%s", message);
    } else if (status >= 500 && code != ERR_FULL) {
        /* Paths and SQL are for the operator's eyes. */
        LOG_FIELDS(LOG_LEVEL_ERROR, "request failed",
                   LOG_TEXT("method", http_request_method_name(call->request)),
                   LOG_TEXT("path", http_request_path(call->request)),
                   LOG_TEXT("code", err_slug(code)), LOG_TEXT("error", message));
        call_fail(call, status,
                  "the server could not do this (%s); its log says why; try again later",
                  err_slug(code));
    } else {
        call_fail(call, status, "%s", message);
    }
}

static void fail_short(struct call *call, unsigned status, const char *body)
{
    struct buf text = BUF_INIT;

    buf_add_text(&text, body);
    call_answer(call, status, &text);
}

static void fail_method(struct call *call)
{
    struct buf allow = BUF_INIT;

    router_add_allow(&allow, call->match.methods);
    http_answer_header(call->request, "Allow", allow.ptr);
    call_fail(call, 405, "'%s' does not know the method %s; it knows %s",
              call->match.route->pattern, http_request_method_name(call->request), allow.ptr);
    buf_release(&allow);
}

static void fail_limit(struct call *call)
{
    bool events = call->match.route->access == ROUTE_INGEST;

    atomic_fetch_add(&call->api->refused_rate, 1);
    call_fail_later(call, 429, call->rate.reset_in_s,
                    "the company's limit of %u %s is used up; try again in %u s",
                    (unsigned)call->rate.limit, events ? "events per second" : "calls per minute",
                    (unsigned)call->rate.reset_in_s);
}

bool call_refused(struct call *call)
{
    switch ((int)call->refusal) {
    case OK:
        return false;
    case ERR_NOT_FOUND:
        fail_short(call, 404, "{\"message\":\"Not Found\"}");
        return true;
    case ERR_UNAUTHENTICATED:
        http_answer_header(call->request, "WWW-Authenticate",
                           "Basic realm=\"Hookswitch\", charset=\"UTF-8\"");
        fail_short(call, 401, "{\"message\":\"Unauthorized\"}");
        return true;
    case ERR_FORBIDDEN:
        fail_short(call, 403, "{\"message\":\"Forbidden\"}");
        return true;
    case ERR_METHOD:
        fail_method(call);
        return true;
    case ERR_LIMIT:
        fail_limit(call);
        return true;
    default:
        BUG("a head is never refused with %s", err_slug(call->refusal));
    }
}

bool call_charge_events(struct call *call, size_t n_events)
{
    if (rate_take(call->api->ingest, call->company, (uint32_t)n_events, clock_mono_ms(),
                  clock_wall_ms(), &call->rate))
        return true;
    fail_limit(call);
    return false;
}

/* --- reading --- */

/* "application/json" and everything that ends in "+json", with parameters or without. */
static bool is_json_type(const char *type)
{
    struct span name = span_from(type);

    name.len = span_find(name, ';');
    while (name.len > 0 && (name.ptr[name.len - 1] == ' ' || name.ptr[name.len - 1] == '\t'))
        name.len--;
    if (span_eq_nocase(name, "application/json") || span_eq_nocase(name, "text/json"))
        return true;
    return name.len > 5 && span_eq_nocase(span_from_at(name, name.len - 5), "+json") &&
           span_find(name, '/') < name.len;
}

bool call_body_is_json(struct call *call)
{
    const char *type = http_request_header(call->request, "Content-Type");

    if (!http_request_has_body(call->request) || type == NULL || is_json_type(type))
        return true;
    call_fail(call, 415,
              "the body is '%.100s', which is not JSON; send it as "
              "'Content-Type: application/json'",
              type);
    return false;
}

json_t *call_object(struct call *call)
{
    struct span body = http_request_body(call->request);
    json_error_t error;
    json_t *object;

    if (!call_body_is_json(call))
        return NULL;
    if (body.len == 0) {
        call_fail(call, 400,
                  "the body is empty; send a JSON object with the fields to set, such as "
                  "{\"url\":\"https://...\"}");
        return NULL;
    }
    object = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (object == NULL) {
        call_fail(call, 400, "the body is not valid JSON: line %d, column %d (byte %d): %s",
                  error.line, error.column, error.position, error.text);
        return NULL;
    }
    if (json_is_object(object))
        return object;
    call_fail(call, 400, "the body is %s; send a JSON object", value_kind(object));
    json_decref(object);
    return NULL;
}

const char *value_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    }
    return "nothing";
}

void buf_add_wall(struct buf *buf, wall_ms time)
{
    char text[WALL_TEXT_LEN + 1];

    if (time == 0 || time == WALL_NEVER) {
        buf_add_text(buf, "null");
        return;
    }
    wall_text(time, text);
    buf_printf(buf, "\"%s\"", text);
}
