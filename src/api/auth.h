/* auth.h: what an Authorization field says. Decides nothing about who is known. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "hook/company.h"

/* Longer credentials than these cannot be ours. */
#define AUTH_TEXT_MAX 255

struct auth {
    char text[AUTH_TEXT_MAX + 1]; /* secret: auth_wipe */
    const char *api_id;           /* into text; NULL = Bearer, the token alone */
    struct span token;            /* into text */
};

/* `field` NULL or blank: ERR_UNAUTHENTICATED. Basic and Bearer, the scheme in any case; every other
 * scheme, bad base64, no colon, an empty part, a NUL byte or over-long: ERR_FORBIDDEN.
 * Source: RFC 7617, RFC 6750. */
MUST_USE enum err auth_parse(const char *field, struct auth *ret_auth);

/* Forgets the secret. */
void auth_wipe(struct auth *auth);

/* SHA-256. `ret_hash` takes TOKEN_HASH_BYTES. Any thread. Broken cryptography is fatal. */
void auth_sha256(struct span bytes, uint8_t *ret_hash);

/* A new credential: random id and token; `ret_token` takes API_TOKEN_TEXT + 1 bytes and is the only
 * place where the token exists. No random numbers is fatal. */
void auth_make_credential(struct credential *ret_credential, char *ret_token);

#endif
