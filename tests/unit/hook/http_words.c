/* http_words.c: the words of http/client_error.def, without the client. Weak: when the library has
 * them too, those win. */
#include "http/client.h"

static const char *const words[][2] = {
#define X(name, slug, sentence, local) {slug, sentence},
#include "http/client_error.def"
#undef X
};

static const bool is_local[] = {
#define X(name, slug, sentence, local) local,
#include "http/client_error.def"
#undef X
};

__attribute__((weak)) const char *http_error_slug(enum http_error error)
{
    return words[error][0];
}

__attribute__((weak)) const char *http_error_sentence(enum http_error error)
{
    return words[error][1];
}

__attribute__((weak)) bool http_error_is_local(enum http_error error)
{
    return is_local[error];
}
