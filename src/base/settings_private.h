/* settings_private.h: what the three files of settings share; nobody else includes it. */
#ifndef BASE_SETTINGS_PRIVATE_H
#define BASE_SETTINGS_PRIVATE_H

#include "base/settings.h"

static inline bool settings_is_list(const struct setting *setting)
{
    return setting->type == SETTING_TEXTS || setting->type == SETTING_CIDRS ||
           setting->type == SETTING_INTS;
}

/* NULL when there is none of that name. */
const struct setting *settings_find(struct span name);
/* NULL when none is near enough to have been meant. */
const struct setting *settings_nearest(struct span name);
/* Without blanks and tabs at both ends. */
struct span settings_trim(struct span text);
/* Appends a copy. */
void settings_texts_add(struct settings_texts *texts, struct span text);
/* The setting as its origin spells it: "--name", "HOOKSWITCH_NAME", "file:3: name". */
void settings_add_where(struct buf *buf,
                        const struct settings *settings,
                        const struct setting *setting,
                        struct setting_origin origin);

#endif
