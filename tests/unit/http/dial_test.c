/* dial_test.c: which of several addresses gets the connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/dial.h"

static struct loop *loop;
static int result_fd, result_cause;
static uint16_t result_port;
static unsigned n_done;

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    n_done = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void done(struct dial *dial)
{
    result_fd = dial->fd;
    result_cause = dial->cause;
    result_port = ntohs(dial->address.v4.sin_port);
    n_done++;
    dial_stop(dial);
    loop_stop(loop);
}

static bool no_room(void *owner)
{
    (void)owner;
    return false;
}

static struct dial new_dial(void)
{
    return (struct dial){.loop = loop, .done = done, .make_room = no_room};
}

/* A listener on 127.0.0.1; its address goes to *ret_address. */
static int listen_on(int backlog, union address *ret_address)
{
    socklen_t len = sizeof(ret_address->v4);
    assert_true(address_parse("127.0.0.1", ret_address));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, &ret_address->any, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, &ret_address->any, &len), 0);
    return fd;
}

/* An address that refuses. */
static union address refusing(void)
{
    union address address;
    close(listen_on(1, &address));
    return address;
}

static void test_next_after_an_error(void **state)
{
    union address good, bad = refusing();
    int listener = listen_on(8, &good);
    struct dial dial = new_dial();
    (void)state;
    dial_add(&dial, &bad);
    dial_add(&dial, &bad);
    dial_add(&dial, &good);
    assert_int_equal(dial_start(&dial), DIAL_UNDERWAY);
    loop_run(loop);
    assert_int_equal(n_done, 1);
    assert_true(result_fd >= 0);
    assert_int_equal(result_port, ntohs(good.v4.sin_port));
    close(result_fd);
    close(listener);
}

static void test_all_refuse(void **state)
{
    union address bad = refusing();
    struct dial dial = new_dial();
    (void)state;
    dial_add(&dial, &bad);
    dial_add(&dial, &bad);
    if (dial_start(&dial) == DIAL_UNDERWAY)
        loop_run(loop);
    else
        done(&dial);
    assert_true(result_fd < 0);
    assert_int_equal(result_cause, ECONNREFUSED);
}

/* A listener whose queue is full lets connects hang. */
static void test_next_while_the_first_hangs(void **state)
{
    union address hanging, good;
    int fillers[8];
    int full = listen_on(0, &hanging);
    int listener = listen_on(8, &good);
    struct dial dial = new_dial();
    (void)state;
    for (unsigned i = 0; i < 8; i++)
        fillers[i] = sock_connect(&hanging);
    dial_add(&dial, &hanging);
    dial_add(&dial, &good);
    assert_int_equal(dial_start(&dial), DIAL_UNDERWAY);
    loop_run(loop);
    assert_int_equal(n_done, 1);
    assert_true(result_fd >= 0);
    assert_int_equal(result_port, ntohs(good.v4.sin_port));
    close(result_fd);
    for (unsigned i = 0; i < 8; i++)
        close(fillers[i]);
    close(full);
    close(listener);
}

static void test_stop_in_flight(void **state)
{
    union address good;
    int listener = listen_on(8, &good);
    struct dial dial = new_dial();
    (void)state;
    dial_add(&dial, &good);
    dial_add(&dial, &good);
    assert_int_equal(dial_start(&dial), DIAL_UNDERWAY);
    dial_stop(&dial);
    dial_stop(&dial);
    assert_int_equal(n_done, 0);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_next_after_an_error),
        TEST(test_all_refuse),
        TEST(test_next_while_the_first_hangs),
        TEST(test_stop_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
