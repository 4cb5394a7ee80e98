/* verdict.c: see verdict.h. */
#include "hook/verdict.h"

enum {
    STATUS_GONE = 410,
    STATUS_TOO_MANY_REQUESTS = 429,
    STATUS_BAD_GATEWAY = 502,
    STATUS_UNAVAILABLE = 503,
    STATUS_GATEWAY_TIMEOUT = 504
};

enum verdict verdict_of(enum http_error error, unsigned status)
{
    if (error != HTTP_OK)
        return http_error_is_local(error) ? VERDICT_LOCAL : VERDICT_FAILED;
    if (status >= 200 && status <= 299)
        return VERDICT_DELIVERED;
    return status == STATUS_GONE ? VERDICT_GONE : VERDICT_FAILED;
}

static enum signal_kind signal_of_status(unsigned status)
{
    switch (status) {
    case STATUS_GONE:
        return SIGNAL_NONE;
    case STATUS_TOO_MANY_REQUESTS:
    case STATUS_UNAVAILABLE:
        return SIGNAL_SUSPEND;
    case STATUS_BAD_GATEWAY:
    case STATUS_GATEWAY_TIMEOUT:
        return SIGNAL_BAD;
    default:
        return status >= 200 && status <= 499 ? SIGNAL_GOOD : SIGNAL_NEUTRAL;
    }
}

enum signal_kind signal_of(enum http_error error, unsigned status)
{
    if (error == HTTP_OK)
        return signal_of_status(status);
    if (http_error_is_local(error) || error == HTTP_ERR_ADDRESS_REFUSED)
        return SIGNAL_NONE;
    if (error == HTTP_ERR_MALFORMED || error == HTTP_ERR_HEAD_TOO_LARGE)
        return SIGNAL_BAD;
    return SIGNAL_COHORT;
}

static bool is_tls(enum http_error error)
{
    return error == HTTP_ERR_TLS_HANDSHAKE || error == HTTP_ERR_TLS_CERTIFICATE ||
           error == HTTP_ERR_TLS_NAME || error == HTTP_ERR_TLS_EXPIRED;
}

void verdict_text(struct buf *buf, enum http_error error, unsigned status, struct span detail)
{
    if (error == HTTP_OK) {
        buf_printf(buf, "HTTP %u", status);
        if (status >= 300 && status <= 399)
            buf_add_text(buf, ": redirects are not followed");
        return;
    }
    /* What OpenSSL says ("wrong version number") is told as what it is about. */
    if (detail.len == 0 || is_tls(error))
        buf_add_text(buf, http_error_sentence(error));
    if (detail.len > 0 && is_tls(error))
        buf_add_text(buf, ": ");
    if (detail.len > 0)
        buf_add_span(buf, detail);
}
