/* cmd_serve.c: `hookswitch serve`: lock, recover, listen, say that it is ready, wait for a signal,
 * and leave in the order that loses nothing: refuse new, commit, answer, finish attempts, commit.
 *
 * Two HTTP servers: the public one, and the control socket of local commands, whose handlers wait
 * for commits and so must not take threads from the public one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/data_dir.h"
#include "cli/host.h"
#include "cli/log_sink.h"
#include "cli/notify.h"
#include "cli/options.h"
#include "http/listen.h"
#include "http/server.h"
#include "sys/signal.h"

#define LOCK_WAIT_MS       10000 /* for local commands that have the data directory */
#define ATTEMPT_WAIT_MS    10000
#define CONTROL_BODY_BYTES (64 * 1024)
#define THREADS_MAX        8 /* when the setting leaves the choice to us */

struct serve {
    const struct settings *settings;
    struct data_dir dir;
    struct host host;
    char *control_listen; /* "unix:DIR/control.sock" */
    struct http_server *public_server;
    struct http_server *control_server;
};

/* ---- what the machine gives ------------------------------------------------------------- */

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        LOG_WARN("cannot raise the limit of open files: %s", strerror(errno));
}

/* Half of the open files at most: who opens connections must not be able to take the last file from
 * the store, which could not go on. */
static unsigned public_connections(const struct settings *settings)
{
    unsigned wanted = (unsigned)settings->max_connections;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || wanted <= limit.rlim_cur / 2)
        return wanted;
    LOG_WARN("--max-connections is %u, but only %lu files may be open: at most %lu connections are "
             "accepted; raise the limit (ulimit -n, LimitNOFILE=)",
             wanted, (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_cur / 2);
    return (unsigned)(limit.rlim_cur / 2);
}

static unsigned public_threads(const struct settings *settings)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (settings->server_threads > 0)
        return (unsigned)settings->server_threads;
    if (cores < 1)
        return 1;
    return cores > THREADS_MAX ? THREADS_MAX : (unsigned)cores;
}

/* ---- addresses -------------------------------------------------------------------------- */

/* "http://127.0.0.1:PORT" of what is listened on; a wildcard is reached by its loopback. */
static void add_url(struct buf *buf, const struct settings *settings, uint16_t port)
{
    const char *colon = strrchr(settings->listen, ':');
    struct span host = span_make(settings->listen, (size_t)(colon - settings->listen));

    if (listen_unix_path(settings->listen) != NULL) {
        buf_add_text(buf, settings->listen);
        return;
    }
    if (span_eq_text(host, "0.0.0.0"))
        host = SPAN_LIT("127.0.0.1");
    else if (span_eq_text(host, "[::]"))
        host = SPAN_LIT("[::1]");
    buf_printf(buf, "%s://%.*s:%u", settings->tls_cert != NULL ? "https" : "http", (int)host.len,
               host.ptr, port);
}

static void warn(const struct settings *settings)
{
    for (size_t i = 0; i < settings->unknown_variables.count; i++) {
        const char *name = settings->unknown_variables.items[i];
        /* Those are for the commands that call the API. */
        if (strcmp(name, "HOOKSWITCH_URL") == 0 || strncmp(name, "HOOKSWITCH_API_", 15) == 0)
            continue;
        LOG_WARN("the environment variable %s is no setting", name);
    }
    if (settings->tls_cert == NULL && !listen_is_local(settings->listen))
        LOG_WARN("plain HTTP on \"%s\", which others can reach: credentials and events can be "
                 "read on the way; give --tls-cert and --tls-key, or listen on 127.0.0.1 behind "
                 "a proxy that speaks TLS",
                 settings->listen);
}

/* ---- start and stop --------------------------------------------------------------------- */

static enum err start_public(struct serve *serve, struct error *error)
{
    const struct settings *settings = serve->settings;
    const struct http_server_conf conf = {
        .listen = settings->listen,
        .cert_file = settings->tls_cert,
        .key_file = settings->tls_key,
        .threads = public_threads(settings),
        .connections = public_connections(settings),
        .connections_per_address = (unsigned)settings->max_connections_per_address,
        .idle_timeout_s = (unsigned)settings->inbound_idle_s,
        .head_timeout_s = (unsigned)settings->inbound_head_s,
        .transfer_timeout_s = (unsigned)settings->inbound_transfer_s,
        .head_bytes = settings->max_head_bytes,
        .waiting_bytes = settings->max_waiting_bytes,
        .discard_bytes = settings->max_discard_bytes,
        .body_limit = api_body_limit,
        .refuse = api_refuse,
        .handle = api_handle,
        .ctx = serve->host.api,
    };

    serve->public_server = http_server_start(&conf, error);
    return serve->public_server != NULL ? OK : error->code;
}

static enum err start_control(struct serve *serve, struct error *error)
{
    struct http_server_conf conf = {
        .threads = 2,
        .connections = 64,
        .idle_timeout_s = 60,
        .head_timeout_s = 5,
        .transfer_timeout_s = 60,
        .head_bytes = 16 * 1024,
        .waiting_bytes = 64 * CONTROL_BODY_BYTES,
        .discard_bytes = 16 * CONTROL_BODY_BYTES,
        .body_limit = api_control_body_limit,
        .refuse = api_control_refuse,
        .handle = api_control_handle,
        .ctx = serve->host.api,
    };
    char *path = data_dir_socket_path(serve->settings->data);
    struct buf listen = BUF_INIT;

    buf_printf(&listen, "unix:%s", path);
    free(path);
    serve->control_listen = buf_take(&listen);
    conf.listen = serve->control_listen;
    serve->control_server = http_server_start(&conf, error);
    return serve->control_server != NULL ? OK : error->code;
}

/* Requests are answered by the committer and by handlers that are just returning: all within
 * moments of host_quiesce. */
static void await_answers(const struct http_server *server)
{
    while (http_server_pending(server) > 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000L}, NULL);
}

static void stop(struct serve *serve)
{
    struct http_server *servers[] = {serve->public_server, serve->control_server};

    for (size_t i = 0; i < 2; i++) {
        if (servers[i] != NULL)
            http_server_quiesce(servers[i]);
    }
    host_quiesce(&serve->host);
    api_set_server(serve->host.api, NULL);
    for (size_t i = 0; i < 2; i++) {
        if (servers[i] != NULL) {
            await_answers(servers[i]);
            http_server_stop(servers[i]);
        }
    }
    host_close(&serve->host, ATTEMPT_WAIT_MS);
}

static void say_ready(struct serve *serve)
{
    struct buf url = BUF_INIT, line = BUF_INIT;

    add_url(&url, serve->settings, http_server_port(serve->public_server));
    if (serve->settings->public_url == NULL)
        api_set_public_url(serve->host.api, url.ptr);
    buf_add_text(&line, "{\"ready\":true,\"url\":");
    buf_add_json_string(&line, buf_span(&url));
    buf_printf(&line, ",\"pid\":%ld}\n", (long)getpid());
    if (!command_print(&line))
        LOG_WARN("the ready line could not be written to stdout");
    notify_manager("READY=1");
    LOG_FIELDS(LOG_LEVEL_INFO, "ready", LOG_TEXT("version", HOOKSWITCH_VERSION),
               LOG_SPAN("url", buf_span(&url)), LOG_TEXT("data", serve->settings->data));
    buf_release(&url);
    buf_release(&line);
}

static enum err run_server(struct serve *serve, struct error *error)
{
    const char *url = serve->settings->public_url;
    enum err err = host_open(&serve->host, serve->settings, url == NULL ? "" : url, true, error);

    if (err != OK)
        return err;
    err = start_control(serve, error);
    if (err == OK)
        err = start_public(serve, error);
    if (err == OK) {
        api_set_server(serve->host.api, serve->public_server);
        say_ready(serve);
        int number = signal_wait();
        notify_manager("STOPPING=1");
        LOG_FIELDS(LOG_LEVEL_INFO, "shutting down", LOG_TEXT("signal", strsignal(number)));
    }
    stop(serve);
    if (err == OK)
        LOG_INFO("stopped");
    return err;
}

/* Returns the exit status: from here on complaints are lines of the log. */
static int serve_settings(const struct settings *settings)
{
    struct serve serve = {.settings = settings, .dir = {.lock_fd = -1}};
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    enum err err;

    log_sink_open(settings, false);
    warn(settings);
    raise_file_limit();
    err = data_dir_make(settings->data, &error);
    if (err == OK)
        err = data_dir_lock_for_server(&serve.dir, settings->data, LOCK_WAIT_MS, &error);
    if (err == OK)
        err = run_server(&serve, &error);
    data_dir_unlock(&serve.dir);
    free(serve.control_listen);
    if (err != OK)
        LOG_FIELDS(LOG_LEVEL_ERROR, error.message, LOG_TEXT("error", err_slug(err)));
    log_init(NULL);
    return err_exit_status(err);
}

static int run(const struct command *command, int argc, char *const *argv)
{
    static const struct option_flag flags[] = {{NULL, NULL}};
    struct error error = {OK, ERROR_NO_OFFSET, ""};
    struct options options;
    enum err err = options_read(&options, argc, argv, flags, &error);
    int status = 0;

    if (err == OK && options.help)
        status = command_print_help(command);
    else if (err == OK && options.n_words > 0)
        status = command_usage(command, "serve takes no argument \"%.60s\"", options.words[0]);
    else if (err == OK)
        status = serve_settings(&options.settings);
    else
        status = command_fail(command, &error);
    options_release(&options);
    return status;
}

const struct command command_serve = {
    .name = "serve",
    .synopsis = "serve [--SETTING VALUE ...]",
    .summary = "runs the server until SIGTERM or SIGINT",
    .help =
        "When it answers, it prints one line on stdout: {\"ready\":true,\"url\":...,\"pid\":...}.\n"
        "The log goes to stderr. A second server on the same --data directory is refused.\n",
    .shows_settings = true,
    .run = run,
};
