/* loop_test.c: descriptors, timers, messages and the order of a turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sys/clock.h"
#include "sys/loop.h"
#include "sys/random.h"
#include "sys/thread.h"

static struct loop *loop;
static unsigned order[64];
static unsigned n_order;

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    n_order = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

struct numbered {
    struct loop_timer timer;
    unsigned number;
};

static void note(unsigned number)
{
    assert_true(n_order < 64);
    order[n_order++] = number;
}

static void fire(struct loop_timer *timer)
{
    note(CONTAINER_OF(timer, struct numbered, timer)->number);
    assert_true(timer->due <= loop_now(loop));
    assert_false(loop_timer_armed(timer));
}

static void fire_and_stop(struct loop_timer *timer)
{
    fire(timer);
    loop_stop(loop);
}

static void test_timers_in_order(void **state)
{
    struct numbered timers[5];
    mono_ms now = clock_mono_ms();
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        timers[i].number = i;
        loop_timer_init(&timers[i].timer, i == 4 ? fire_and_stop : fire);
        assert_false(loop_timer_armed(&timers[i].timer));
    }
    loop_timer_set(loop, &timers[4].timer, now + 9);
    loop_timer_set(loop, &timers[2].timer, now + 6);
    loop_timer_set(loop, &timers[0].timer, now - 5);
    loop_timer_set(loop, &timers[3].timer, now + 1);
    loop_timer_set(loop, &timers[1].timer, now + 1000000);
    loop_timer_set(loop, &timers[1].timer, now + 3); /* moved */
    loop_timer_clear(loop, &timers[3].timer);
    loop_timer_clear(loop, &timers[3].timer);
    loop_run(loop);
    assert_int_equal(n_order, 4);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 1);
    assert_int_equal(order[2], 2);
    assert_int_equal(order[3], 4);
}

static void fire_again(struct loop_timer *timer)
{
    note(0);
    if (n_order < 10)
        loop_timer_set(loop, timer, 0);
    else
        loop_stop(loop);
}

static void count_turn(void *arg)
{
    ++*(unsigned *)arg;
}

static void test_a_timer_cannot_starve_the_turn(void **state)
{
    struct loop_timer timer;
    unsigned turns = 0;
    (void)state;
    loop_on_turn(loop, count_turn, &turns);
    loop_timer_init(&timer, fire_again);
    loop_timer_set(loop, &timer, 0);
    loop_run(loop);
    assert_int_equal(turns, 10);
    loop_on_turn(loop, NULL, NULL);
}

struct end {
    struct loop_io io;
    struct end *other;
};

static void ready_removes_other(struct loop_io *io, uint32_t events)
{
    struct end *end = CONTAINER_OF(io, struct end, io);
    assert_true((events & EPOLLIN) != 0);
    note(1);
    loop_io_remove(loop, &end->other->io);
    free(end->other); /* ASan would see a late event */
    loop_io_remove(loop, &end->io);
    free(end);
    loop_stop(loop);
}

static void test_no_event_after_remove(void **state)
{
    int pipes[2][2];
    struct end *ends[2];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        assert_int_equal(write(pipes[i][1], "x", 1), 1);
        ends[i] = mem_zero(1, sizeof(*ends[i]));
        ends[i]->io =
            (struct loop_io){.fd = pipes[i][0], .events = EPOLLIN, .ready = ready_removes_other};
        assert_true(loop_io_add(loop, &ends[i]->io));
    }
    ends[0]->other = ends[1];
    ends[1]->other = ends[0];
    loop_run(loop);
    assert_int_equal(n_order, 1);
    for (unsigned i = 0; i < 2; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static void ready_changes(struct loop_io *io, uint32_t events)
{
    note(events & EPOLLOUT ? 2 : 1);
    loop_io_change(loop, io, 0);
    loop_stop(loop);
}

static void test_change(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    struct loop_io io = {.fd = fds[1], .events = 0, .ready = ready_changes};
    assert_true(loop_io_add(loop, &io));
    loop_io_change(loop, &io, EPOLLOUT);
    loop_run(loop);
    assert_int_equal(order[0], 2);
    loop_io_remove(loop, &io);
    close(fds[0]);
    close(fds[1]);
}

enum { N_MESSAGES = 20000, N_SENDERS = 3 };

struct message {
    struct loop_msg msg;
    unsigned sender, number;
};

static struct message messages[N_SENDERS][N_MESSAGES];
static unsigned next_number[N_SENDERS];
static unsigned handled;

static void handle(struct loop_msg *msg)
{
    struct message *message = CONTAINER_OF(msg, struct message, msg);
    assert_int_equal(message->number, next_number[message->sender]++);
    if (++handled == N_SENDERS * N_MESSAGES)
        loop_stop(loop);
}

static void send_all(void *arg)
{
    unsigned sender = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < N_MESSAGES; i++) {
        messages[sender][i] = (struct message){.msg.handle = handle, .sender = sender, .number = i};
        loop_post(loop, &messages[sender][i].msg);
    }
}

static void test_messages_from_threads(void **state)
{
    struct thread threads[N_SENDERS];
    (void)state;
    handled = 0;
    for (unsigned i = 0; i < N_SENDERS; i++)
        thread_start(&threads[i], "a sender with a long name", send_all, (void *)(uintptr_t)i);
    loop_run(loop);
    for (unsigned i = 0; i < N_SENDERS; i++) {
        thread_join(&threads[i]);
        assert_int_equal(next_number[i], N_MESSAGES);
    }
}

static void test_stop_before_run(void **state)
{
    (void)state;
    loop_stop(loop);
    loop_run(loop);
}

static void test_random_bytes(void **state)
{
    unsigned char a[32] = {0}, b[32] = {0};
    (void)state;
    random_bytes(a, sizeof(a));
    random_bytes(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_timers_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_timer_cannot_starve_the_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_event_after_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_messages_from_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_before_run, set_up, tear_down),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
