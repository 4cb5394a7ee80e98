/* view_test.c: canned answers of the API as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/view_deliveries.h"
#include "cli/view_events.h"
#include "cli/view_webhooks.h"

static void assert_view(view_fn *show, struct view view, const char *json, const char *wanted)
{
    struct buf out = BUF_INIT;
    json_error_t fault;
    json_t *answer = json_loads(json, JSON_ALLOW_NUL, &fault);

    if (answer == NULL)
        fail_msg("%s", fault.text);
    show(&out, &view, answer);
    buf_add_text(&out, "");
    assert_string_equal(out.ptr, wanted);
    json_decref(answer);
    buf_release(&out);
}

static void webhooks_make_a_table_of_the_width(void **state)
{
    assert_view(
        view_webhook_list, (struct view){.width = 60},
        "{\"webhooks\":[{\"id\":1,\"active\":true,\"custom_name\":\"CRM\",\"events\":[\"a\"],"
        "\"url\":\"https://a.example/a/very/long/path/to/the/hook\"},"
        "{\"id\":22,\"active\":false,\"custom_name\":\"a name of more than twenty\","
        "\"events\":[\"a\",\"b\"],\"url\":\"https://b\\u001b[2J\"}]}",
        "id  active  name                  events  url\n"
        "1   yes     CRM                   1       https://a.examp...\n"
        "22  no      a name of more th...  2       https://b?[2J\n");
}

static void no_webhooks_say_so(void **state)
{
    assert_view(view_webhook_list, (struct view){0}, "{\"webhooks\":[]}",
                "no webhooks yet; `hookswitch webhooks create URL` makes one\n");
}

static void a_webhook_shows_its_health_in_words(void **state)
{
    assert_view(
        view_webhook, (struct view){.width = 60},
        "{\"webhook\":{\"id\":17,\"webhook_id\":\"a5321f51\",\"custom_name\":\"CRM\","
        "\"url\":\"https://a.example/\",\"active\":false,\"token\":\"tttt\","
        "\"created_at\":\"2026-06-19T19:39:25.102Z\",\"events\":[\"call.created\",\"call.ended\"]},"
        "\"status\":{\"paused\":true,\"failures\":3,\"threshold\":10,\"owed\":5,\"held\":5,"
        "\"oldest_owed_at\":\"2026-06-20T00:00:00.000Z\",\"delivered\":7,\"failed\":1,\"expired\":2,"
        "\"ledger\":\"inactive since 2026-06-20 00:00:00 UTC, switched off by hand\"}}",
        "webhook    17\n"
        "uuid       a5321f51\n"
        "name       CRM\n"
        "url        https://a.example/\n"
        "state      inactive: paused by hand\n"
        "created    2026-06-19 19:39:25 UTC\n"
        "events     call.created call.ended\n"
        "failures   3 in a row; 10 switch it off\n"
        "owed       5, held until it is enabled\n"
        "oldest     2026-06-20 00:00:00 UTC\n"
        "finished   7 delivered, 1 failed, 2 expired\n"
        "ledger     inactive since 2026-06-20 00:00:00 UTC, switched\n"
        "           off by hand\n");
}

static void the_token_shows_with_the_secret_only(void **state)
{
    assert_view(view_webhook, (struct view){0},
                "{\"webhook\":{\"id\":1,\"active\":true,\"token\":\"tttt\",\"events\":[]},"
                "\"secret\":\"whsec_x\"}",
                "webhook    1\n"
                "uuid       -\n"
                "name       -\n"
                "url        -\n"
                "state      active\n"
                "created    -\n"
                "secret     whsec_x\n"
                "token      tttt\n"
                "events     \n");
}

static void deliveries_fit_80_columns_and_say_how_to_go_on(void **state)
{
    assert_view(view_delivery_list,
                (struct view){.width = 80, .more = "hookswitch deliveries list 17"},
                "{\"deliveries\":[{\"id\":\"dlv_01K9ZX3M5Q0V2T7R8N4B6C1D0E-17\","
                "\"event\":\"call.external_transferred\",\"status\":\"delivered\",\"attempts\":1,"
                "\"created_at\":\"2026-11-25T01:02:03.004Z\"}],\"next\":\"s2a\"}",
                "delivery                           created UTC     status     try  event\n"
                "dlv_01K9ZX3M5Q0V2T7R8N4B6C1D0E-17  11-25 01:02:03  delivered  1    "
                "call.exter...\n"
                "\nolder ones: hookswitch deliveries list 17 --before s2a\n");
    assert_view(view_delivery_list, (struct view){0}, "{\"deliveries\":[],\"next\":null}",
                "no deliveries\n");
}

static void attempts_show_a_waterfall_and_safe_bodies(void **state)
{
    assert_view(
        view_delivery, (struct view){.request = true},
        "{\"id\":\"dlv_1-17\",\"event\":\"call.created\",\"event_id\":\"evt_1\",\"webhook_id\":null,"
        "\"sequence\":42,\"created_at\":\"2026-11-25T01:02:03.004Z\",\"status\":\"retrying\","
        "\"next_attempt_at\":\"2026-11-25T01:02:08.500Z\",\"attempt_log\":["
        "{\"attempt\":1,\"started_at\":\"2026-11-25T01:02:03.010Z\",\"outcome\":\"retry\","
        "\"status\":503,\"reason\":\"HTTP 503\",\"counted\":true,"
        "\"next_attempt_at\":\"2026-11-25T01:02:08.500Z\","
        "\"timings\":{\"dns\":500,\"connect\":1000,\"tls\":3500,\"first_byte\":5000,"
        "\"total\":10000},"
        "\"connection_reused\":false,\"tls_resumed\":false,"
        "\"request\":\"POST / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n\","
        "\"response_body\":\"down\\u0000\\u001b[2J\\nbye\"},"
        "{\"attempt\":2,\"started_at\":\"2026-11-25T01:02:08.510Z\",\"outcome\":\"held\","
        "\"status\":null,\"reason\":\"time-out\",\"counted\":false,\"next_attempt_at\":null,"
        "\"timings\":{\"dns\":0,\"connect\":0,\"tls\":0,\"first_byte\":0,\"total\":0},"
        "\"connection_reused\":true,\"request\":null,\"response_body\":null}]}",
        "delivery   dlv_1-17\n"
        "event      call.created\n"
        "event id   evt_1\n"
        "webhook    deleted since\n"
        "sequence   42\n"
        "accepted   2026-11-25 01:02:03 UTC\n"
        "status     retrying\n"
        "next try   2026-11-25 01:02:08 UTC\n"
        "\n"
        "attempt 1  2026-11-25 01:02:03 UTC  HTTP 503\n"
        "  retry at 2026-11-25 01:02:08 UTC\n"
        "  dns            500 us  [##......................................]\n"
        "  connect        1.0 ms  [..####..................................]\n"
        "  tls            3.5 ms  [......##############....................]\n"
        "  first byte     5.0 ms  [....................####################]\n"
        "  total         10.0 ms  [########################################]\n"
        "  answer\n"
        "    | down??[2J\n"
        "    | bye\n"
        "  request\n"
        "    > POST / HTTP/1.1\n"
        "    > host: a\n"
        "\n"
        "attempt 2  2026-11-25 01:02:08 UTC  time-out\n"
        "  held; not counted as a failure; on a kept connection\n");
}

static void timings_of_any_size_stay_in_their_bar(void **state)
{
    struct buf out = BUF_INIT;
    struct view view = {0};
    json_t *answer = json_loads(
        "{\"attempt_log\":[{\"timings\":{\"dns\":9223372036854775807,\"connect\":-5,\"tls\":1,"
        "\"first_byte\":4000000000,\"total\":1}}]}",
        0, NULL);

    view_delivery(&out, &view, answer);
    assert_non_null(strstr(out.ptr, "total"));
    json_decref(answer);
    buf_release(&out);
}

static void an_event_shows_its_bytes(void **state)
{
    assert_view(view_event, (struct view){.data = SPAN_LIT("{\"n\":1e999}")},
                "{\"id\":\"evt_1\",\"event\":\"call.created\",\"timestamp\":1764032523,"
                "\"created_at\":\"2026-11-25T01:02:03.004Z\",\"owed_to\":1,\"deliveries\":["
                "{\"id\":\"dlv_1-17\",\"status\":\"held\",\"attempts\":3}]}",
                "event      evt_1\n"
                "name       call.created\n"
                "accepted   2026-11-25 01:02:03 UTC\n"
                "timestamp  1764032523\n"
                "owed to    1 webhook\n"
                "\n"
                "delivery  status  attempts\n"
                "dlv_1-17  held    3\n"
                "\n"
                "data\n"
                "  {\"n\":1e999}\n");
}

static void cells_are_cut_between_characters(void **state)
{
    char *cell = view_cell(SPAN_LIT("Z\xc3\xbcrich AG"), 7);

    assert_string_equal(cell, "Z\xc3\xbcri...");
    free(cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(webhooks_make_a_table_of_the_width),
        cmocka_unit_test(no_webhooks_say_so),
        cmocka_unit_test(a_webhook_shows_its_health_in_words),
        cmocka_unit_test(the_token_shows_with_the_secret_only),
        cmocka_unit_test(deliveries_fit_80_columns_and_say_how_to_go_on),
        cmocka_unit_test(attempts_show_a_waterfall_and_safe_bodies),
        cmocka_unit_test(timings_of_any_size_stay_in_their_bar),
        cmocka_unit_test(an_event_shows_its_bytes),
        cmocka_unit_test(cells_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
