/* control.c: companies and credentials, for the local commands.
 *
 * The same code serves the control socket of a running server and a command that opened the data
 * directory itself. Changes go through the engine like all others; here the caller waits for them,
 * because a command may only return when its change is in force. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/call.h"
#include "api/router.h"
#include "base/encode.h"
#include "base/utf8.h"
#include "sys/clock.h"

/* One request and what it led to. */
struct control {
    struct engine *engine;
    const json_t *body;
    struct span params[ROUTE_PARAMS_MAX]; /* as in the path, encoded */
    int status;
    json_t *answer;
    enum err code;
};

static const char *error_name(enum err code)
{
    switch ((int)code) {
    case ERR_INVALID:
        return "Bad Request";
    case ERR_NOT_FOUND:
        return "Not Found";
    case ERR_METHOD:
        return "Method Not Allowed";
    case ERR_EXISTS:
        return "Conflict";
    default:
        return err_http_status(code) == 503 ? "Service Unavailable" : "Internal Server Error";
    }
}

static void control_fail(struct control *control, enum err code, const char *message)
{
    if (message == NULL || message[0] == '\0')
        message = err_sentence(code);
    control->code = code;
    control->status = err_http_status(code);
    control->answer = json_pack("{s:s, s:s, s:b}", "error", error_name(code), "troubleshoot",
                                message, "success", 0);
    if (control->answer == NULL) /* the message holds bytes that are not UTF-8 */
        control->answer = json_pack("{s:s, s:s, s:b}", "error", error_name(code), "troubleshoot",
                                    err_sentence(code), "success", 0);
}

static void control_answer(struct control *control, int status, json_t *answer)
{
    control->code = OK;
    control->status = status;
    control->answer = answer;
}

/* --- waiting for a change --- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
};

static void change_done(struct change *change)
{
    struct waiter *waiter = change->arg;

    pthread_mutex_lock(&waiter->lock);
    waiter->done = true;
    pthread_cond_signal(&waiter->wake);
    pthread_mutex_unlock(&waiter->lock);
}

/* The engine does not touch a change once `done` was called: it may live on this stack. */
static enum err change_and_wait(struct engine *engine, struct change *change)
{
    struct waiter waiter = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};

    change->done = change_done;
    change->arg = &waiter;
    engine_change(engine, change);
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.done)
        pthread_cond_wait(&waiter.wake, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    pthread_mutex_destroy(&waiter.lock);
    pthread_cond_destroy(&waiter.wake);
    return change->result.code;
}

/* --- reading --- */

/* The company that the first parameter names; false when it failed. */
static bool find_company(struct control *control, struct company *ret_company)
{
    struct buf name = BUF_INIT;
    bool found = buf_add_percent_decoded(&name, control->params[0]) && name.len > 0 &&
                 memchr(name.ptr, '\0', name.len) == NULL &&
                 registry_company_find(engine_registry(control->engine), name.ptr, ret_company);

    if (!found) {
        struct error error;
        error_set(&error, ERR_NOT_FOUND,
                  "there is no company '%.200s'; 'hookswitch company list' shows all",
                  name.len > 0 ? name.ptr : "");
        control_fail(control, ERR_NOT_FOUND, error.message);
    }
    buf_release(&name);
    return found;
}

static enum err check_name(struct span name, struct error *error)
{
    size_t characters = 0;
    bool digits = true;

    for (size_t at = 0; at < name.len; characters++) {
        size_t step = utf8_step(name.ptr + at, name.len - at);
        unsigned char c = (unsigned char)name.ptr[at];
        /* C1, U+0080 to U+009F, is obeyed by some terminals. */
        bool c1 = c == 0xC2 && step == 2 && (unsigned char)name.ptr[at + 1] < 0xA0;
        if (step == 0 || c < 0x20 || c == 0x7F || c1)
            return error_set(error, ERR_INVALID,
                             "the name has a control character or is not UTF-8 at byte %zu; leave "
                             "it out",
                             at);
        digits = digits && c >= '0' && c <= '9';
        at += step;
    }
    if (characters == 0 || characters > COMPANY_NAME_MAX)
        return error_set(error, ERR_INVALID, "the name has %zu characters; it must have 1 to %d",
                         characters, COMPANY_NAME_MAX);
    if (digits)
        return error_set(error, ERR_INVALID,
                         "the name '%.*s' has only digits, so it would be taken for an id; add a "
                         "letter",
                         (int)name.len, name.ptr);
    if (name.ptr[0] == ' ' || name.ptr[name.len - 1] == ' ')
        return error_set(error, ERR_INVALID, "the name begins or ends with a space; leave it out");
    return OK;
}

static json_t *wall_json(wall_ms time)
{
    char text[WALL_TEXT_LEN + 1];

    wall_text(time, text);
    return json_string(text);
}

/* --- handlers --- */

/* Makes a credential, sends the change, and shows the token: here and never again. */
static void add_credential(struct control *control, struct change *change)
{
    char token[API_TOKEN_TEXT + 1];
    wall_ms now = clock_wall_ms();

    auth_make_credential(&change->credential, token);
    change->credential.company = change->company_id;
    change->credential.created_at = now;
    if (change->kind == CHANGE_COMPANY_ADD)
        change->company.created_at = now;
    enum err code = change_and_wait(control->engine, change);
    if (code != OK)
        control_fail(control, code, change->result.message);
    else
        control_answer(control, 201,
                       json_pack("{s:I, s:s, s:s}", "company_id",
                                 (json_int_t)change->credential.company, "api_id",
                                 change->credential.api_id, "api_token", token));
    explicit_bzero(token, sizeof(token));
}

static void companies_add(struct control *control)
{
    const json_t *name = json_object_get(control->body, "name");
    struct change change = {.kind = CHANGE_COMPANY_ADD};
    struct error error = {OK, ERROR_NO_OFFSET, ""};

    if (!json_is_string(name)) {
        control_fail(control, ERR_INVALID, "'name' is missing; send {\"name\":\"...\"}");
        return;
    }
    if (check_name(span_make(json_string_value(name), json_string_length(name)), &error) != OK) {
        control_fail(control, ERR_INVALID, error.message);
        return;
    }
    memcpy(change.company.name, json_string_value(name), json_string_length(name) + 1);
    add_credential(control, &change);
}

static void companies_list(struct control *control)
{
    struct registry *registry = engine_registry(control->engine);
    struct company *companies;
    size_t n = registry_companies(registry, &companies);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            list,
            json_pack("{s:I, s:s, s:o, s:I}", "company_id", (json_int_t)companies[i].id, "name",
                      companies[i].name, "created_at", wall_json(companies[i].created_at),
                      "webhooks", (json_int_t)registry_webhook_count(registry, companies[i].id)));
    free(companies);
    control_answer(control, 200, json_pack("{s:o}", "companies", list));
}

static void credentials_add(struct control *control)
{
    struct company company;
    struct change change = {.kind = CHANGE_CREDENTIAL_ADD};

    if (!find_company(control, &company))
        return;
    change.company_id = company.id;
    add_credential(control, &change);
}

static void credentials_list(struct control *control)
{
    struct company company;
    struct credential *credentials;
    json_t *list;

    if (!find_company(control, &company))
        return;
    size_t n = registry_credentials(engine_registry(control->engine), company.id, &credentials);
    list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "api_id", credentials[i].api_id,
                                              "created_at", wall_json(credentials[i].created_at)));
    free(credentials);
    control_answer(control, 200, json_pack("{s:o}", "credentials", list));
}

static void fail_credential(struct control *control, struct span api_id)
{
    struct error error;

    error_set(&error, ERR_NOT_FOUND,
              "the company has no credential '%.*s'; 'hookswitch credential list' shows all",
              api_id.len > 100 ? 100 : (int)api_id.len, api_id.ptr);
    control_fail(control, ERR_NOT_FOUND, error.message);
}

static void credentials_revoke(struct control *control)
{
    struct company company;
    struct change change = {.kind = CHANGE_CREDENTIAL_REVOKE};
    struct span api_id = control->params[1];
    enum err code = ERR_NOT_FOUND;

    if (!find_company(control, &company))
        return;
    change.company_id = company.id;
    change.credential.company = company.id;
    /* Ids are hex digits, so there is nothing to decode; what is longer cannot be one. */
    if (api_id.len <= API_ID_TEXT) {
        memcpy(change.credential.api_id, api_id.ptr, api_id.len);
        code = change_and_wait(control->engine, &change);
    }
    if (code == OK)
        control_answer(control, 204, NULL);
    else if (code == ERR_NOT_FOUND)
        fail_credential(control, api_id);
    else
        control_fail(control, code, change.result.message);
}

/* --- the two doors --- */

#define ROUTE(method, pattern)                              \
    {                                                       \
        method, pattern, NULL, ROUTE_OPEN, ROUTE_NONE, NULL \
    }
static const struct route control_routes[] = {
    ROUTE(HTTP_POST, "/control/companies"),
    ROUTE(HTTP_GET, "/control/companies"),
    ROUTE(HTTP_POST, "/control/companies/:company/credentials"),
    ROUTE(HTTP_GET, "/control/companies/:company/credentials"),
    ROUTE(HTTP_DELETE, "/control/companies/:company/credentials/:api_id"),
};
/* In the order of the routes. */
static void (*const control_handlers[])(struct control *) = {
    companies_add, companies_list, credentials_add, credentials_list, credentials_revoke};

static void dispatch(struct control *control, enum http_method method, struct span path)
{
    struct route_match match;
    size_t n = sizeof(control_routes) / sizeof(control_routes[0]);
    enum err code = router_match(control_routes, n, method, path, &match);

    if (code != OK) {
        control_fail(control, code, NULL);
        return;
    }
    memcpy(control->params, match.params, sizeof(match.params));
    control_handlers[match.route - control_routes](control);
}

enum err api_control_call(struct engine *engine,
                          const char *method,
                          const char *path,
                          const json_t *body,
                          int *ret_status,
                          json_t **ret_answer)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {{"GET", HTTP_GET}, {"POST", HTTP_POST}, {"DELETE", HTTP_DELETE}};
    struct control control = {.engine = engine, .body = body};
    enum http_method found = HTTP_OTHER;

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(method, methods[i].name) == 0)
            found = methods[i].method;
    dispatch(&control, found, span_from(path));
    *ret_status = control.status;
    *ret_answer = control.answer;
    return control.code;
}

void api_control_handle(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct call *call = call_of_control(api, request);
    struct control control = {.engine = api->engine};
    struct buf answer = BUF_INIT;
    json_t *body = NULL;

    if (http_request_has_body(request)) {
        body = call_object(call);
        if (body == NULL)
            return;
    }
    control.body = body;
    dispatch(&control, http_request_method(request), span_from(http_request_path(request)));
    json_decref(body);
    if (control.answer != NULL) {
        char *text = json_dumps(control.answer, JSON_COMPACT);
        buf_add_text(&answer, text);
        free(text);
        json_decref(control.answer);
    }
    call_answer(call, (unsigned)control.status, &answer);
}
