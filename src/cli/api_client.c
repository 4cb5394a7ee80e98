/* api_client.c: sets a curl handle up, and puts its failures into words. */
#include "cli/api_client.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the user gave ------------------------------------------------------------------ */

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

static bool scheme_is_known(CURLU *url)
{
    char *scheme = NULL;
    bool known = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

    curl_free(scheme);
    return known;
}

static void cut_end(struct span *text, const char *end)
{
    size_t len = strlen(end);

    if (text->len >= len && memcmp(text->ptr + text->len - len, end, len) == 0)
        text->len -= len;
}

enum err api_base_url(const char *text, struct buf *ret_url, struct error *error)
{
    CURLU *url = curl_url();
    struct span base = span_from(text);
    enum err err = OK;

    if (url == NULL)
        return error_set(error, ERR_IO, "libcurl could not be set up");
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        !scheme_is_known(url))
        err = error_set(error, ERR_USAGE,
                        "\"%.200s\" is no URL of a server; write it like " API_DEFAULT_URL
                        " or https://hooks.example.com",
                        text);
    else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        err = error_set(error, ERR_USAGE,
                        "the server's URL must not hold credentials; they belong into "
                        "HOOKSWITCH_API_ID and HOOKSWITCH_API_TOKEN");
    else if (has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT))
        err = error_set(error, ERR_USAGE, "the server's URL must end before '?' and '#'");
    curl_url_cleanup(url);
    if (err != OK)
        return err;
    cut_end(&base, "/");
    cut_end(&base, "/v1");
    buf_add_span(ret_url, base);
    return OK;
}

static bool is_visible(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~')
            return false;
    }
    return true;
}

enum err api_check_credentials(const struct api_target *target, struct error *error)
{
    if (target->token == NULL || target->token[0] == '\0')
        return error_set(error, ERR_USAGE,
                         "HOOKSWITCH_API_TOKEN is not set; `hookswitch credential add COMPANY` on "
                         "the server gives an api_id and an api_token");
    if (!is_visible(target->token))
        return error_set(error, ERR_USAGE,
                         "HOOKSWITCH_API_TOKEN holds a space, a line end or another character that "
                         "no token has");
    if (target->api_id != NULL &&
        (!is_visible(target->api_id) || strchr(target->api_id, ':') != NULL))
        return error_set(error, ERR_USAGE, "\"%.60s\" is no api_id", target->api_id);
    return OK;
}

/* ---- the answer -------------------------------------------------------------------------- */

static enum err code_of_status(long status)
{
    switch (status) {
    case 400:
        return ERR_INVALID;
    case 401:
        return ERR_UNAUTHENTICATED;
    case 403:
        return ERR_FORBIDDEN;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 413:
        return ERR_TOO_LARGE;
    case 429:
        return ERR_LIMIT;
    case 503:
        return ERR_SHUTDOWN;
    case 507:
        return ERR_FULL;
    default:
        return ERR_IO;
    }
}

enum err api_refusal(long status, struct span body, const char *url, struct error *error)
{
    json_t *answer = body.len == 0 ? NULL : json_loadb(body.ptr, body.len, JSON_ALLOW_NUL, NULL);
    const char *sentence = json_string_value(json_object_get(answer, "troubleshoot"));
    enum err code = code_of_status(status);

    if (sentence != NULL)
        error_set(error, code, "%s", sentence);
    else if (status == 401 || status == 403)
        error_set(error, code,
                  "%.150s does not know these credentials; check HOOKSWITCH_API_ID and "
                  "HOOKSWITCH_API_TOKEN, and that they are of this server",
                  url);
    else if (status >= 300 && status <= 399)
        error_set(error, code,
                  "%.150s answers with a redirect (HTTP %ld), which is not followed; give the URL "
                  "that it leads to",
                  url, status);
    else if (status == 404)
        error_set(error, code,
                  "%.150s knows no such path; is it a Hookswitch server, of this version or later?",
                  url);
    else
        error_set(error, code,
                  "%.150s answered HTTP %ld without saying why; is it a Hookswitch "
                  "server, or a proxy whose server is away?",
                  url, status);
    json_decref(answer);
    return code;
}

/* ---- the call ---------------------------------------------------------------------------- */

static size_t take_bytes(char *bytes, size_t size, size_t count, void *user)
{
    struct buf *body = user;

    if (body->len + count > API_ANSWER_MAX) /* size is 1 by libcurl's contract */
        return 0;
    buf_add(body, bytes, count);
    return count;
}

static enum err fail_transfer(const struct api_target *target,
                              CURLcode code,
                              const char *detail,
                              struct error *error)
{
    const char *why = detail[0] != '\0' ? detail : curl_easy_strerror(code);

    switch ((int)code) {
    case CURLE_COULDNT_CONNECT:
        return error_set(error, ERR_IO,
                         "no connection to %.150s (%.120s); check that the server runs and that "
                         "HOOKSWITCH_URL or --url is where it listens",
                         target->url, why);
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_set(error, ERR_IO, "the host of %.150s has no address; check HOOKSWITCH_URL",
                         target->url);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(error, ERR_IO,
                         "%.150s did not answer within %d s; whether the call took effect is not "
                         "known",
                         target->url, API_TIMEOUT_S);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(error, ERR_IO,
                         "the certificate of %.150s is not trusted (%.120s); --ca-file FILE names "
                         "a private authority",
                         target->url, why);
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(error, ERR_USAGE, "\"%.200s\" cannot be read as certificates in PEM",
                         target->ca_file != NULL ? target->ca_file : "the system's CA file");
    case CURLE_WRITE_ERROR:
        return error_set(error, ERR_IO, "the answer is larger than %d MiB",
                         API_ANSWER_MAX / 1024 / 1024);
    default:
        return error_set(error, ERR_IO, "no answer from %.150s: %.150s", target->url, why);
    }
}

/* A proxy of the environment is for other machines: this one's own server is never behind it, and
 * the credentials would lie open on the way. */
static bool is_this_machine(const char *url)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    CURLU *parts = curl_url();
    char *host = NULL;
    bool found = false;

    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            found = found || strcmp(host, names[i]) == 0;
    }
    curl_free(host);
    curl_url_cleanup(parts);
    return found;
}

static bool set_safety(CURL *curl, const struct api_target *target)
{
    bool good = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)API_TIMEOUT_S) == CURLE_OK;

    if (good && target->ca_file != NULL)
        good = curl_easy_setopt(curl, CURLOPT_CAINFO, target->ca_file) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK;
    if (good && is_this_machine(target->url))
        good = curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK;
    if (good && target->api_id != NULL)
        good = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_USERNAME, target->api_id) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_PASSWORD, target->token) == CURLE_OK;
    else if (good)
        good = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, target->token) == CURLE_OK;
    return good;
}

static bool set_request(CURL *curl,
                        const struct api_request *request,
                        const char *url,
                        const struct curl_slist *fields,
                        struct buf *ret_body)
{
    bool good =
        curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "hookswitch/" HOOKSWITCH_VERSION) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret_body) == CURLE_OK;

    if (good && request->body.len > 0)
        good = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len) ==
                   CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.ptr) == CURLE_OK;
    return good;
}

/* "Expect:" without a value: no waiting for a 100 before a body. */
static struct curl_slist *request_fields(const struct api_request *request)
{
    struct curl_slist *fields = curl_slist_append(NULL, "Accept: application/json");
    struct buf key = BUF_INIT;

    if (request->body.len > 0) {
        fields = curl_slist_append(fields, "Content-Type: application/json");
        fields = curl_slist_append(fields, "Expect:");
    }
    if (request->idempotency_key != NULL) {
        buf_printf(&key, "Idempotency-Key: %s", request->idempotency_key);
        fields = curl_slist_append(fields, key.ptr);
    }
    buf_release(&key);
    return fields;
}

static enum err perform(CURL *curl,
                        const struct api_target *target,
                        const struct api_request *request,
                        struct buf *ret_body,
                        struct error *error)
{
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *fields = request_fields(request);
    struct buf url = BUF_INIT;
    CURLcode code = CURLE_FAILED_INIT;
    long status = 0;
    enum err err = OK;

    buf_printf(&url, "%s%s", target->url, request->path);
    if (set_safety(curl, target) && set_request(curl, request, url.ptr, fields, ret_body) &&
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail) == CURLE_OK)
        code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK)
        err = fail_transfer(target, code, detail, error);
    else if (status < 200 || status > 299)
        err = api_refusal(status, buf_span(ret_body), target->url, error);
    /* The handle knows `detail` until here. */
    curl_easy_cleanup(curl);
    curl_slist_free_all(fields);
    buf_release(&url);
    return err;
}

enum err api_call(const struct api_target *target,
                  const struct api_request *request,
                  struct buf *ret_body,
                  struct error *error)
{
    struct buf body = BUF_INIT;
    CURL *curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
    enum err err;

    if (curl == NULL)
        return error_set(error, ERR_IO, "libcurl could not be set up");
    err = perform(curl, target, request, &body, error);
    if (err == OK)
        buf_add_span(ret_body, buf_span(&body));
    buf_release(&body);
    return err;
}
