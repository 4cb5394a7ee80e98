/* company.h: the tenant and its credentials, as stored. Pure data. */
#ifndef HOOK_COMPANY_H
#define HOOK_COMPANY_H

#include <stdint.h>

#include "base/clock.h"

#define COMPANY_NAME_MAX 120
#define API_ID_TEXT      32 /* hex digits of 128 random bits */
#define API_TOKEN_TEXT   64 /* hex digits of 256 random bits */
#define TOKEN_HASH_BYTES 32

struct company {
    uint32_t id;
    char name[COMPANY_NAME_MAX * 4 + 1]; /* UTF-8, 1..120 characters, unique per server */
    wall_ms created_at;
};

struct credential {
    char api_id[API_ID_TEXT + 1];
    uint32_t company;
    uint8_t token_hash[TOKEN_HASH_BYTES]; /* SHA-256 of the token's text */
    wall_ms created_at;
};

#endif
