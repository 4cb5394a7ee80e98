/* auth.c: Basic api_id:api_token, and the API token alone as Bearer.
 *
 * The token has 256 random bits, so a plain SHA-256 is what the server needs to keep: there is no
 * dictionary to slow down, and a slow hash would cost every request of the hot path. */
#include "api/auth.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/encode.h"
#include "sys/random.h"

static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

/* Fetched once: an implicit fetch by EVP_sha256() at every use costs more than the hash. Lives as
 * long as the process. */
static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha256 == NULL)
        fatal("OpenSSL has no SHA-256");
}

void auth_sha256(struct span bytes, uint8_t *ret_hash)
{
    pthread_once(&sha256_once, fetch_sha256);
    if (EVP_Digest(bytes.ptr, bytes.len, ret_hash, NULL, sha256, NULL) != 1)
        fatal("OpenSSL cannot compute SHA-256");
}

static struct span trim(struct span text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = span_from_at(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static enum err parse_basic(struct span value, struct auth *auth)
{
    struct buf plain = BUF_INIT;
    enum err code = ERR_FORBIDDEN;

    /* The bound comes first: a head may be longer than what deserves decoding. */
    if (value.len <= BASE64_LEN(AUTH_TEXT_MAX) && buf_add_base64_decoded(&plain, value) &&
        plain.len <= AUTH_TEXT_MAX) {
        size_t colon = span_find(buf_span(&plain), ':');
        if (colon > 0 && colon + 1 < plain.len && memchr(plain.ptr, '\0', plain.len) == NULL) {
            memcpy(auth->text, plain.ptr, plain.len);
            auth->text[colon] = '\0';
            auth->api_id = auth->text;
            auth->token = span_make(auth->text + colon + 1, plain.len - colon - 1);
            code = OK;
        }
    }
    if (plain.len > 0)
        explicit_bzero(plain.ptr, plain.len);
    buf_release(&plain);
    return code;
}

enum err auth_parse(const char *field, struct auth *ret_auth)
{
    struct span value = trim(span_from(field));
    struct span scheme;

    if (value.len == 0)
        return ERR_UNAUTHENTICATED;
    scheme = span_make(value.ptr, span_find(value, ' '));
    value = trim(span_from_at(value, scheme.len));
    if (span_eq_nocase(scheme, "Basic"))
        return parse_basic(value, ret_auth);
    if (!span_eq_nocase(scheme, "Bearer") || value.len == 0 || value.len > AUTH_TEXT_MAX)
        return ERR_FORBIDDEN;
    memcpy(ret_auth->text, value.ptr, value.len);
    ret_auth->api_id = NULL;
    ret_auth->token = span_make(ret_auth->text, value.len);
    return OK;
}

void auth_wipe(struct auth *auth)
{
    explicit_bzero(auth->text, sizeof(auth->text));
}

void auth_make_credential(struct credential *ret_credential, char *ret_token)
{
    uint8_t random[API_TOKEN_TEXT / 2];

    memset(ret_credential, 0, sizeof(*ret_credential));
    random_bytes(random, API_ID_TEXT / 2);
    hex_encode(random, API_ID_TEXT / 2, ret_credential->api_id);
    random_bytes(random, sizeof(random));
    hex_encode(random, sizeof(random), ret_token);
    explicit_bzero(random, sizeof(random));
    auth_sha256(span_make(ret_token, API_TOKEN_TEXT), ret_credential->token_hash);
}
