/* signature_test.c: against vectors that other implementations of Standard Webhooks agree on. */
#include "hook/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/encode.h"
#include "base/mem.h"

struct vector {
    const char *name, *secret, *id;
    int64_t timestamp_s;
    const char *body;
    const char *signature;
};

static const struct vector vectors[] = {
#define X(name, secret, id, timestamp_s, body, signature) \
    {name, secret, id, timestamp_s, body, signature},
#include "signature_vectors.def"
#undef X
};

enum { BIG = 1048576 };

static int set_up(void **state)
{
    *state = signer_new();
    return 0;
}

static int tear_down(void **state)
{
    signer_free(*state);
    signer_free(NULL);
    return 0;
}

/* The body as one part, or cut at `cut` into two with an empty one between them. */
static void
check_vector(struct signer *signer, const struct vector *vector, struct span body, size_t cut)
{
    struct buf secret = BUF_INIT;
    char text[SIGNATURE_TEXT + 1];
    struct span parts[3] = {span_make(body.ptr, cut), {0}, span_from_at(body, cut)};
    assert_true(buf_add_base64_decoded(&secret, span_from(vector->secret + strlen("whsec_"))));
    signer_sign(signer, buf_span(&secret), span_from(vector->id), vector->timestamp_s, parts, 3,
                text);
    assert_string_equal(text, vector->signature);
    buf_release(&secret);
}

static void signs_as_others_do(void **state)
{
    char *big = mem_alloc(BIG);
    memset(big, 'a', BIG);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        const struct vector *vector = &vectors[i];
        struct span body = vector->body == NULL ? span_make(big, BIG) : span_from(vector->body);
        for (size_t cut = 0; cut <= body.len; cut += body.len / 7 + 1)
            check_vector(*state, vector, body, cut);
    }
    free(big);
}

/* The longest key that is allowed; a key from before must leave nothing behind. */
static void keys_do_not_leak_into_each_other(void **state)
{
    char *key = mem_alloc(65536);
    memset(key, 'k', 65536);
    struct span body = SPAN_LIT("{}");
    char first[SIGNATURE_TEXT + 1], other[SIGNATURE_TEXT + 1], again[SIGNATURE_TEXT + 1];
    signer_sign(*state, span_make(key, 1), SPAN_LIT("msg"), -5, &body, 1, first);
    signer_sign(*state, span_make(key, 65536), SPAN_LIT("msg"), -5, &body, 1, other);
    signer_sign(*state, span_make(key, 1), SPAN_LIT("msg"), -5, &body, 1, again);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signs_as_others_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_do_not_leak_into_each_other, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
