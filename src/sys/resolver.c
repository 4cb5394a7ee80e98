/* resolver.c: see resolver.h.
 *
 * An entry per name is the cache line and, while the question is out, the meeting point of all who
 * asked. c-ares hides SERVFAIL and REFUSED behind the same code as an unreachable server, and a
 * recursive resolver is silent about a name whose own servers are silent. Whose fault it is decides
 * whether a receiver is counted against, so a doubtful failure is settled by asking for the root:
 * a resolver that answers that is reachable, and the name is to blame. */
#include "sys/resolver.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "base/map.h"
#include "base/mem.h"

enum {
    TTL_MIN_MS = 1000,
    TTL_MAX_MS = 60000,
    FAILURE_TTL_MS = 1000,
    PATIENCE_MS = 500, /* a longer wait makes us doubt our resolver */
    GIVE_UP_MS = 4000, /* all tries at all servers together: inside the deadline of an attempt */
    TRIES = 3,         /* each waits twice as long as the one before: 1 + 2 + 4 parts */
    TRY_PARTS = 7,
    CONF_CHECK_MS = 1000 /* how often the age of resolv.conf is looked at */
};

static const char conf_file[] = "/etc/resolv.conf";

struct entry {
    struct list recent; /* resolver.recent */
    struct list asked;  /* resolver.asking: a question is out, or its answer is handed round */
    struct list waiting;
    struct resolver *resolver;
    mono_ms asked_at;
    mono_ms expires;
    bool doubtful; /* failed; waits for the root to say whose fault that is */
    enum resolver_status status;
    const char *detail;
    unsigned n_addresses;
    union address *addresses;
    char name[];
};

/* A descriptor of c-ares. */
struct watch {
    struct list node;
    struct loop_io io;
    struct resolver *resolver;
};

struct resolver {
    struct loop *loop;
    ares_channel channel;
    char *servers;
    struct timespec conf_time; /* modification time of resolv.conf when the channel was made */
    mono_ms conf_checked;
    struct list watches;
    struct loop_timer timer;
    struct strmap names;
    struct list recent; /* least recently asked first */
    struct list asking; /* entries that must not be dropped, oldest question first */
    unsigned n_doubtful;
    bool probing;
    bool closing;
    mono_ms probed_at;
    mono_ms answered_at;
    uint64_t asked;
};

static void process(struct resolver *resolver, int read_fd, int write_fd);

/* ---- the channel ---- */

static void watch_ready(struct loop_io *io, uint32_t events)
{
    struct watch *watch = CONTAINER_OF(io, struct watch, io);
    int fd = io->fd; /* processing may free the watch */
    bool readable = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
    bool writable = (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0;
    process(watch->resolver, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
}

static void socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = data;
    struct list *node;
    struct watch *watch = NULL;
    uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    LIST_FOREACH (node, &resolver->watches) {
        if (CONTAINER_OF(node, struct watch, node)->io.fd == fd)
            watch = CONTAINER_OF(node, struct watch, node);
    }
    if (watch != NULL && events != 0) {
        loop_io_change(resolver->loop, &watch->io, events);
    } else if (watch != NULL) {
        loop_io_remove(resolver->loop, &watch->io);
        list_remove(&watch->node);
        free(watch);
    } else if (events != 0) {
        watch = mem_zero(1, sizeof(*watch));
        watch->resolver = resolver;
        watch->io = (struct loop_io){.fd = fd, .events = events, .ready = watch_ready};
        list_init(&watch->node);
        /* Without room in the kernel the question goes unanswered, which c-ares notices. */
        if (loop_io_add(resolver->loop, &watch->io))
            list_push_back(&resolver->watches, &watch->node);
        else
            free(watch);
    }
}

static struct timespec conf_mtime(void)
{
    struct stat st;
    return stat(conf_file, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

static int open_channel(struct resolver *resolver, int timeout_ms)
{
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH,
        .timeout = timeout_ms,
        .tries = TRIES,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = resolver,
        .lookups = (char[]){"fb"},
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_LOOKUPS;
    resolver->conf_time = conf_mtime();
    int code = ares_init_options(&resolver->channel, &options, mask);
    if (code != ARES_SUCCESS)
        return code;
    if (resolver->servers != NULL)
        code = ares_set_servers_ports_csv(resolver->channel, resolver->servers);
    if (code != ARES_SUCCESS)
        ares_destroy(resolver->channel);
    return code;
}

/* Opened twice: how long one try may take follows from the number of servers. */
static int make_channel(struct resolver *resolver)
{
    struct ares_addr_port_node *servers = NULL;
    int n = 0;
    int code = open_channel(resolver, GIVE_UP_MS / TRY_PARTS);
    if (code != ARES_SUCCESS)
        return code;
    ares_get_servers_ports(resolver->channel, &servers);
    for (const struct ares_addr_port_node *at = servers; at != NULL; at = at->next)
        n++;
    ares_free_data(servers);
    if (n <= 1)
        return ARES_SUCCESS;
    ares_destroy(resolver->channel);
    int part_ms = GIVE_UP_MS / (TRY_PARTS * n);
    return open_channel(resolver, part_ms < 100 ? 100 : part_ms);
}

/* Follows a changed resolv.conf once no question is out. Keeps the old channel's answers. */
static void follow_conf(struct resolver *resolver)
{
    mono_ms now = loop_now(resolver->loop);
    if (resolver->servers != NULL || !list_empty(&resolver->asking) || resolver->probing ||
        now - resolver->conf_checked < CONF_CHECK_MS)
        return;
    resolver->conf_checked = now;
    struct timespec mtime = conf_mtime();
    if (mtime.tv_sec == resolver->conf_time.tv_sec && mtime.tv_nsec == resolver->conf_time.tv_nsec)
        return;
    ares_destroy(resolver->channel);
    if (make_channel(resolver) != ARES_SUCCESS)
        fatal("cannot set up the resolver again after a change of %s", conf_file);
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_code;

static void library_init(void)
{
    library_code = ares_library_init(ARES_LIB_INIT_ALL);
}

static void timer_fire(struct loop_timer *timer)
{
    struct resolver *resolver = CONTAINER_OF(timer, struct resolver, timer);
    process(resolver, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

struct resolver *resolver_new(struct loop *loop, const char *servers, struct error *error)
{
    pthread_once(&library_once, library_init);
    struct resolver *resolver = mem_zero(1, sizeof(*resolver));
    resolver->loop = loop;
    resolver->servers = servers == NULL ? NULL : mem_strdup(servers);
    resolver->answered_at = -1;
    resolver->probed_at = -PATIENCE_MS;
    list_init(&resolver->watches);
    list_init(&resolver->recent);
    list_init(&resolver->asking);
    strmap_init(&resolver->names);
    loop_timer_init(&resolver->timer, timer_fire);
    int code = library_code == ARES_SUCCESS ? make_channel(resolver) : library_code;
    if (code == ARES_SUCCESS)
        return resolver;
    error_set(error, ERR_IO, "cannot set up the resolver: %s; check %s", ares_strerror(code),
              conf_file);
    strmap_release(&resolver->names);
    free(resolver->servers);
    free(resolver);
    return NULL;
}

static void entry_drop(struct entry *entry)
{
    strmap_remove(&entry->resolver->names, span_from(entry->name));
    list_remove(&entry->recent);
    free(entry->addresses);
    free(entry);
}

void resolver_free(struct resolver *resolver)
{
    struct list *node, *next;
    if (resolver == NULL)
        return;
    resolver->closing = true;
    ares_destroy(resolver->channel);
    LIST_FOREACH_SAFE (node, next, &resolver->recent) {
        struct entry *entry = CONTAINER_OF(node, struct entry, recent);
        ASSERT(list_empty(&entry->waiting));
        entry_drop(entry);
    }
    ASSERT(list_empty(&resolver->watches));
    loop_timer_clear(resolver->loop, &resolver->timer);
    strmap_release(&resolver->names);
    free(resolver->servers);
    free(resolver);
}

/* ---- answers ---- */

static bool entry_fill_query(const struct entry *entry, struct resolver_query *query)
{
    query->status = entry->status;
    query->addresses = entry->addresses;
    query->n_addresses = entry->n_addresses;
    query->detail = entry->detail;
    return true;
}

static void entry_settle(struct entry *entry, enum resolver_status status, int ttl_ms)
{
    struct list *node;
    entry->status = status;
    entry->resolver->n_doubtful -= entry->doubtful ? 1 : 0;
    entry->doubtful = false;
    entry->expires = loop_now(entry->resolver->loop) + ttl_ms;
    if (status != RESOLVER_FOUND)
        entry->n_addresses = 0;
    while ((node = list_pop_front(&entry->waiting)) != NULL) {
        struct resolver_query *query = CONTAINER_OF(node, struct resolver_query, node);
        entry_fill_query(entry, query);
        query->done(query);
    }
    list_remove(&entry->asked);
}

/* Copies at most half of the room from each family, IPv6 first, alternating; returns the lowest
 * TTL in ms. */
static int entry_take(struct entry *entry, const struct ares_addrinfo_node *nodes)
{
    union address all[2][RESOLVER_ADDRESSES_MAX / 2] = {0};
    unsigned n[2] = {0, 0};
    int ttl_s = TTL_MAX_MS / 1000;
    for (; nodes != NULL; nodes = nodes->ai_next) {
        unsigned family = nodes->ai_family == AF_INET6 ? 0 : 1;
        if (n[family] == RESOLVER_ADDRESSES_MAX / 2 ||
            (nodes->ai_family != AF_INET6 && nodes->ai_family != AF_INET))
            continue;
        memcpy(&all[family][n[family]++], nodes->ai_addr,
               family == 0 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
        ttl_s = nodes->ai_ttl < ttl_s ? nodes->ai_ttl : ttl_s;
    }
    entry->addresses =
        mem_realloc(entry->addresses, (n[0] + n[1] + 1) * sizeof(entry->addresses[0]));
    entry->n_addresses = 0;
    for (unsigned i = 0; i < n[0] || i < n[1]; i++) {
        for (unsigned family = 0; family < 2; family++) {
            if (i < n[family])
                entry->addresses[entry->n_addresses++] = all[family][i];
        }
    }
    return ttl_s * 1000 < TTL_MIN_MS ? TTL_MIN_MS : ttl_s * 1000;
}

bool resolver_answered_since(const struct resolver *resolver, mono_ms since)
{
    return resolver->answered_at >= since;
}

/* What the code says for certain; RESOLVER_FOUND stands for "doubtful". */
static enum resolver_status judge(int code)
{
    switch (code) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EFORMERR:
    case ARES_ENOTIMP:
    case ARES_EBADQUERY:
    case ARES_EBADNAME:
    case ARES_EBADRESP:
    case ARES_ENONAME:
    case ARES_ESERVICE:
        return RESOLVER_NOT_FOUND;
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ECONNREFUSED:
    case ARES_ETIMEOUT:
        return RESOLVER_FOUND;
    default:
        return RESOLVER_UNREACHABLE;
    }
}

static struct entry *first_doubtful(struct resolver *resolver)
{
    struct list *node;
    LIST_FOREACH (node, &resolver->asking) {
        struct entry *entry = CONTAINER_OF(node, struct entry, asked);
        if (entry->doubtful)
            return entry;
    }
    BUG("%u doubtful names, but none is asked for", resolver->n_doubtful);
}

/* The answer to the question for the root: settles every doubtful entry. */
static void probe_answer(void *arg, int code, int timeouts, unsigned char *bytes, int len)
{
    struct resolver *resolver = arg;
    (void)timeouts, (void)bytes, (void)len;
    if (resolver->closing)
        return;
    resolver->probing = false;
    if (judge(code) == RESOLVER_NOT_FOUND || code == ARES_SUCCESS)
        resolver->answered_at = loop_now(resolver->loop);
    /* Settling hands answers round, which may put more on the list: only those that are on it. */
    for (unsigned left = resolver->n_doubtful; left > 0; left--) {
        struct entry *entry = first_doubtful(resolver);
        bool theirs = resolver_answered_since(resolver, entry->asked_at);
        entry_settle(entry, theirs ? RESOLVER_NOT_FOUND : RESOLVER_UNREACHABLE, FAILURE_TTL_MS);
    }
}

static void probe(struct resolver *resolver)
{
    if (resolver->probing)
        return;
    resolver->probing = true;
    resolver->probed_at = loop_now(resolver->loop);
    ares_query(resolver->channel, ".", 1 /* IN */, 2 /* NS */, probe_answer, resolver);
}

static const char *sentence(int code)
{
    switch (code) {
    case ARES_ENOTFOUND:
        return "the host name does not exist";
    case ARES_ENODATA:
        return "the host name has no address";
    case ARES_ETIMEOUT:
        return "the name servers of the host do not answer";
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ECONNREFUSED:
        return "the name servers of the host fail";
    default:
        return ares_strerror(code);
    }
}

static void answer(void *arg, int code, int timeouts, struct ares_addrinfo *result)
{
    struct entry *entry = arg;
    struct resolver *resolver = entry->resolver;
    (void)timeouts;
    if (resolver->closing) {
        ares_freeaddrinfo(result);
        return;
    }
    int ttl_ms = code == ARES_SUCCESS ? entry_take(entry, result->nodes) : 0;
    ares_freeaddrinfo(result);
    if (code == ARES_SUCCESS && entry->n_addresses == 0)
        code = ARES_ENODATA;
    enum resolver_status status = judge(code);
    entry->detail = code == ARES_SUCCESS ? NULL : sentence(code);
    if (code == ARES_SUCCESS || status == RESOLVER_NOT_FOUND)
        resolver->answered_at = loop_now(resolver->loop);
    if (code == ARES_SUCCESS)
        entry_settle(entry, RESOLVER_FOUND, ttl_ms);
    else if (status != RESOLVER_FOUND)
        entry_settle(entry, status, FAILURE_TTL_MS);
    else if (resolver_answered_since(resolver, entry->asked_at))
        entry_settle(entry, RESOLVER_NOT_FOUND, FAILURE_TTL_MS);
    else {
        entry->doubtful = true; /* look_after() asks for the root */
        resolver->n_doubtful++;
    }
}

/* ---- questions ---- */

static bool waits_long(const struct resolver *resolver, mono_ms now)
{
    struct list *oldest = resolver->asking.next;
    return oldest != &resolver->asking &&
           now - CONTAINER_OF(oldest, struct entry, asked)->asked_at >= PATIENCE_MS;
}

/* After every call into c-ares: doubts are asked about (not from inside its callbacks), and the
 * timer follows its next time-out. */
static void look_after(struct resolver *resolver)
{
    struct timeval room = {PATIENCE_MS / 1000, PATIENCE_MS % 1000 * 1000};
    struct timeval left;
    mono_ms now = loop_now(resolver->loop);
    if (!resolver->probing && now - resolver->probed_at >= PATIENCE_MS &&
        (resolver->n_doubtful > 0 || waits_long(resolver, now)))
        probe(resolver);
    if (list_empty(&resolver->asking) && !resolver->probing) {
        loop_timer_clear(resolver->loop, &resolver->timer);
        return;
    }
    const struct timeval *due = ares_timeout(resolver->channel, &room, &left);
    loop_timer_set(resolver->loop, &resolver->timer,
                   now + due->tv_sec * 1000 + due->tv_usec / 1000 + 1);
}

static void process(struct resolver *resolver, int read_fd, int write_fd)
{
    ares_process_fd(resolver->channel, read_fd, write_fd);
    look_after(resolver);
}

static struct entry *entry_new(struct resolver *resolver, struct span name)
{
    if (strmap_len(&resolver->names) >= RESOLVER_NAMES_MAX) {
        struct list *node;
        LIST_FOREACH (node, &resolver->recent) {
            struct entry *old = CONTAINER_OF(node, struct entry, recent);
            if (list_empty(&old->asked)) {
                entry_drop(old);
                break;
            }
        }
    }
    struct entry *entry = mem_zero(1, sizeof(*entry) + name.len + 1);
    memcpy(entry->name, name.ptr, name.len);
    entry->resolver = resolver;
    list_init(&entry->waiting);
    list_init(&entry->recent);
    list_init(&entry->asked);
    strmap_put(&resolver->names, span_make(entry->name, name.len), entry);
    return entry;
}

/* Names that nobody has to be asked for. */
static bool answer_literal(struct span name, struct resolver_query *query)
{
    static _Thread_local union address addresses[2];
    bool local = span_eq_text(name, "localhost") ||
                 (name.len > 10 && memcmp(name.ptr + name.len - 10, ".localhost", 10) == 0);
    query->n_addresses = 1;
    if (local) {
        query->n_addresses = 2;
        address_parse("::1", &addresses[0]);
        address_parse("127.0.0.1", &addresses[1]);
    } else if (!address_parse(name.ptr, &addresses[0])) {
        return false;
    }
    query->status = RESOLVER_FOUND;
    query->addresses = addresses;
    query->detail = NULL;
    return true;
}

static void entry_ask(struct entry *entry)
{
    const struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC};
    struct resolver *resolver = entry->resolver;
    list_push_back(&resolver->asking, &entry->asked);
    entry->asked_at = loop_now(resolver->loop);
    resolver->asked++;
    ares_getaddrinfo(resolver->channel, entry->name, NULL, &hints, answer, entry);
}

bool resolver_ask(struct resolver *resolver, const char *text, struct resolver_query *query)
{
    struct span name = span_from(text);
    list_init(&query->node);
    query->asked_at = loop_now(resolver->loop);
    if (answer_literal(name, query))
        return true;
    struct entry *entry = strmap_get(&resolver->names, name);
    if (entry == NULL)
        entry = entry_new(resolver, name);
    list_remove(&entry->recent);
    list_push_back(&resolver->recent, &entry->recent);
    if (list_empty(&entry->asked) && entry->expires <= loop_now(resolver->loop)) {
        follow_conf(resolver);
        entry_ask(entry); /* the hosts file answers inside this call */
        look_after(resolver);
    }
    if (list_empty(&entry->asked))
        return entry_fill_query(entry, query);
    list_push_back(&entry->waiting, &query->node);
    return false;
}

void resolver_cancel(struct resolver_query *query)
{
    list_remove(&query->node);
}

uint64_t resolver_asked(const struct resolver *resolver)
{
    return resolver->asked;
}
