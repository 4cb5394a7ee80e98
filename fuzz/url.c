/* url.c: no input crashes the URL parser, and what it accepts means one thing only. */
#include <ctype.h>

#include "base/buf.h"
#include "fuzz.h"
#include "http/url.h"

static void check_parts(struct span text, const struct url *url)
{
    size_t host_len = strlen(url->host);
    ASSERT(host_len > 0 && host_len <= URL_HOST_MAX);
    ASSERT(url->port > 0);
    ASSERT(span_inside(url->authority, text));
    ASSERT(span_inside(url->target, text));
    ASSERT(span_find(url->authority, '@') == url->authority.len);
    ASSERT(span_find(url->target, '#') == url->target.len);
    for (size_t i = 0; i < host_len; i++) {
        unsigned char c = (unsigned char)url->host[i];
        ASSERT(islower(c) || isdigit(c) || strchr("-_.:", c) != NULL);
    }
    for (size_t i = 0; i < text.len; i++)
        ASSERT(text.ptr[i] > ' ' && text.ptr[i] < 0x7F && text.ptr[i] != '\\');
}

/* The canonical form leads to the same place: nothing is lost or read twice. */
static void check_canonical(const struct url *url)
{
    struct buf text = BUF_INIT;
    struct url again;
    bool brackets = strchr(url->host, ':') != NULL;
    ASSERT(!brackets || (url->is_literal && url->literal.ss_family == AF_INET6));
    buf_printf(&text, brackets ? "https://[%s]:%u" : "https://%s:%u", url->host, url->port);
    buf_add_span(&text, url->target);
    if (text.len <= URL_MAX_BYTES) {
        enum err code = url_parse(buf_span(&text), &again, NULL);
        ASSERT(code == OK);
        ASSERT(strcmp(again.host, url->host) == 0);
        ASSERT(again.port == url->port && again.is_literal == url->is_literal);
        ASSERT(memcmp(&again.literal, &url->literal, sizeof(again.literal)) == 0);
        ASSERT(span_eq(again.target, url->target));
    }
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    struct url url;
    struct error error = {.code = OK};
    if (url_parse(text, &url, &error) == OK) {
        check_parts(text, &url);
        check_canonical(&url);
    } else {
        ASSERT(error.code == ERR_INVALID && error.message[0] != '\0');
        ASSERT(error.offset <= size);
    }
    return 0;
}
