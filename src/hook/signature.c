/* signature.c: see signature.h. The digest is fetched and the context allocated once; every use
 * only sets the key. A libcrypto that cannot compute an HMAC is a broken world: fatal. */
#include "hook/signature.h"

#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/mem.h"

enum { MAC_BYTES = 32, SECRET_MAX = 64 * 1024 };

static const char version[] = "v1,";

struct signer {
    EVP_MAC_CTX *ctx;
    struct buf text; /* kept for its memory */
};

struct signer *signer_new(void)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    struct signer *signer = mem_zero(1, sizeof(*signer));
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    signer->ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac); /* the context holds its own reference */
    if (signer->ctx == NULL || EVP_MAC_CTX_set_params(signer->ctx, params) != 1)
        fatal("libcrypto has no HMAC-SHA256: check the OpenSSL installation");
    return signer;
}

void signer_free(struct signer *signer)
{
    if (signer == NULL)
        return;
    EVP_MAC_CTX_free(signer->ctx);
    buf_release(&signer->text);
    free(signer);
}

static void update(struct signer *signer, struct span bytes)
{
    if (bytes.len > 0 &&
        EVP_MAC_update(signer->ctx, (const unsigned char *)bytes.ptr, bytes.len) != 1)
        fatal("libcrypto failed to compute an HMAC");
}

void signer_sign(struct signer *signer,
                 struct span secret,
                 struct span id,
                 int64_t timestamp_s,
                 const struct span *parts,
                 unsigned n_parts,
                 char *ret_text)
{
    ASSERT(secret.len > 0 && secret.len <= SECRET_MAX);
    char middle[32]; /* ".timestamp." */
    int len = snprintf(middle, sizeof(middle), ".%" PRId64 ".", timestamp_s);
    unsigned char mac[MAC_BYTES];
    size_t mac_len = 0;
    if (EVP_MAC_init(signer->ctx, (const unsigned char *)secret.ptr, secret.len, NULL) != 1)
        fatal("libcrypto refused the key of an HMAC");
    update(signer, id);
    update(signer, span_make(middle, (size_t)len));
    for (unsigned i = 0; i < n_parts; i++)
        update(signer, parts[i]);
    if (EVP_MAC_final(signer->ctx, mac, &mac_len, sizeof(mac)) != 1 || mac_len != sizeof(mac))
        fatal("libcrypto failed to compute an HMAC");
    buf_clear(&signer->text);
    buf_add_text(&signer->text, version);
    buf_add_base64(&signer->text, span_make(mac, sizeof(mac)));
    ASSERT(signer->text.len == SIGNATURE_TEXT);
    memcpy(ret_text, signer->text.ptr, SIGNATURE_TEXT + 1);
}
