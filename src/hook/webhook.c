/* webhook.c: see webhook.h. */
#include "hook/webhook.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/utf8.h"

void webhook_release(struct webhook *webhook)
{
    free(webhook->custom_name);
    free(webhook->url);
    webhook->custom_name = NULL;
    webhook->url = NULL;
}

void webhook_copy(const struct webhook *from, struct webhook *ret_to)
{
    *ret_to = *from;
    ret_to->custom_name = from->custom_name == NULL ? NULL : mem_strdup(from->custom_name);
    ret_to->url = from->url == NULL ? NULL : mem_strdup(from->url);
}

bool webhook_wants(const struct webhook *webhook, size_t event_type)
{
    return webhook->all_events || event_set_has(&webhook->events, event_type);
}

void webhook_uuid_text(const struct webhook *webhook, char *ret_text)
{
    uuid_text(webhook->uuid, ret_text);
}

void webhook_secret_text(const struct webhook *webhook, char *ret_text)
{
    struct buf text = BUF_INIT;
    buf_add_text(&text, "whsec_");
    buf_add_base64(&text, span_make(webhook->secret, sizeof(webhook->secret)));
    ASSERT(text.len == WEBHOOK_SECRET_TEXT);
    memcpy(ret_text, text.ptr, WEBHOOK_SECRET_TEXT + 1);
    buf_release(&text);
}

/* C0 and DEL are one byte; C1 (U+0080 to U+009F) is C2 followed by 80 to 9F. */
static bool is_control(const char *at)
{
    unsigned char c = (unsigned char)at[0];
    return c < 0x20 || c == 0x7F || (c == 0xC2 && (unsigned char)at[1] < 0xA0);
}

enum err webhook_check_name(struct span name, struct error *error)
{
    size_t characters = 0;
    for (size_t at = 0; at < name.len;) {
        size_t step = utf8_step(name.ptr + at, name.len - at);
        if (step == 0)
            return error_set_at(error, ERR_INVALID, at,
                                "custom_name is not valid UTF-8 at byte %zu", at);
        if (is_control(name.ptr + at))
            return error_set_at(error, ERR_INVALID, at,
                                "custom_name contains a control character at byte %zu: write it "
                                "on one line, without tabs",
                                at);
        at += step;
        characters++;
    }
    if (characters > WEBHOOK_NAME_MAX)
        return error_set(error, ERR_INVALID,
                         "custom_name is %zu characters long: at most %d are possible", characters,
                         WEBHOOK_NAME_MAX);
    return OK;
}
