/* share.c: one lock, one small entry per owner who holds something. */
#include "sys/share.h"

#include <stdlib.h>

#include "base/mem.h"

struct owner {
    size_t amount;
    size_t claims;
};

void share_init(struct share *share, size_t limit)
{
    pthread_mutex_init(&share->lock, NULL);
    share->limit = limit;
    atomic_init(&share->used, 0);
    map_init(&share->owners);
}

void share_release(struct share *share)
{
    ASSERT(share_used(share) == 0 && map_len(&share->owners) == 0);
    map_release(&share->owners);
    pthread_mutex_destroy(&share->lock);
}

static bool fits(const struct share *share, const struct owner *owner, size_t amount, bool grows)
{
    size_t used = atomic_load(&share->used);
    size_t room = used < share->limit ? share->limit - used : 0;

    if (used == 0 && !grows)
        return true;
    if (amount > room)
        return false;
    return owner == NULL || owner->claims + !grows <= 1 ||
           (owner->amount + amount) / SHARE_OF_FREE <= room - amount;
}

static struct owner *find_owner(struct share *share, uint64_t id)
{
    struct owner *owner = map_get(&share->owners, id);

    if (owner == NULL) {
        owner = mem_zero(1, sizeof(*owner));
        map_put(&share->owners, id, owner);
    }
    return owner;
}

static void forget_if_empty(struct share *share, uint64_t id, struct owner *owner)
{
    if (owner->claims > 0)
        return;
    map_remove(&share->owners, id);
    free(owner);
}

bool share_take(struct share *share, uint64_t id, size_t amount, bool grows)
{
    struct owner *owner = NULL;
    bool taken;

    pthread_mutex_lock(&share->lock);
    if (id != 0)
        owner = find_owner(share, id);
    taken = fits(share, owner, amount, grows);
    if (taken)
        atomic_fetch_add(&share->used, amount);
    if (taken && owner != NULL) {
        owner->amount += amount;
        owner->claims += !grows;
    }
    if (owner != NULL)
        forget_if_empty(share, id, owner);
    pthread_mutex_unlock(&share->lock);
    return taken;
}

void share_give(struct share *share, uint64_t id, size_t amount)
{
    pthread_mutex_lock(&share->lock);
    ASSERT(amount <= atomic_load(&share->used));
    atomic_fetch_sub(&share->used, amount);
    if (id != 0) {
        struct owner *owner = map_get(&share->owners, id);
        ASSERT(owner != NULL && amount <= owner->amount && owner->claims > 0);
        owner->amount -= amount;
        owner->claims--;
        forget_if_empty(share, id, owner);
    }
    pthread_mutex_unlock(&share->lock);
}

size_t share_used(const struct share *share)
{
    return atomic_load(&share->used);
}
