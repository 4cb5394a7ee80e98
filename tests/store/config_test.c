/* config_test.c: companies, credentials and webhooks of either engine. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fixture.h"

struct seen {
    struct company companies[8];
    struct credential credentials[8];
    struct webhook webhooks[8];
    size_t n_companies, n_credentials, n_webhooks;
};

static void see_company(void *ctx, const struct company *company)
{
    struct seen *seen = ctx;
    seen->companies[seen->n_companies++] = *company;
}

static void see_credential(void *ctx, const struct credential *credential)
{
    struct seen *seen = ctx;
    seen->credentials[seen->n_credentials++] = *credential;
}

static void see_webhook(void *ctx, const struct webhook *webhook)
{
    struct seen *seen = ctx;
    webhook_copy(webhook, &seen->webhooks[seen->n_webhooks++]);
}

static void load(struct fixture *f, struct seen *ret_seen)
{
    struct error error = {0};
    *ret_seen = (struct seen){0};
    const struct store_conf_visitor visitor = {see_company, see_credential, see_webhook, ret_seen};
    assert_int_equal(store_load_conf(f->store, &visitor, &error), OK);
}

static void forget(struct seen *seen)
{
    for (size_t i = 0; i < seen->n_webhooks; i++)
        webhook_release(&seen->webhooks[i]);
}

static void companies_have_unique_names(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    struct company one = {.name = "Żółw & Söhne", .created_at = 5};
    struct company two = {.name = "two"};
    struct company again = {.name = "two"};
    assert_int_equal(store_put_company(f->store, &one, NULL, &error), OK);
    assert_int_equal(store_put_company(f->store, &two, NULL, &error), OK);
    assert_true(one.id > 0 && two.id > one.id);
    assert_int_equal(store_put_company(f->store, &again, NULL, &error), ERR_EXISTS);
    assert_non_null(strstr(error.message, "\"two\""));
    assert_int_equal(again.id, 0);
    strcpy(two.name, "renamed");
    assert_int_equal(store_put_company(f->store, &two, NULL, &error), OK);
    strcpy(two.name, one.name);
    assert_int_equal(store_put_company(f->store, &two, NULL, &error), ERR_EXISTS);
    fixture_reopen(f);
    struct seen seen;
    load(f, &seen);
    assert_int_equal(seen.n_companies, 2);
    assert_string_equal(seen.companies[0].name, one.name);
    assert_int_equal(seen.companies[0].created_at, 5);
    assert_string_equal(seen.companies[1].name, "renamed");
    assert_int_equal(seen.companies[1].id, two.id);
}

static void credentials_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    struct credential credential = {.api_id = "0123", .company = 3, .created_at = 9};
    memset(credential.token_hash, 0xab, TOKEN_HASH_BYTES);
    assert_int_equal(store_put_credential(f->store, &credential, &error), OK);
    assert_int_equal(store_put_credential(f->store, &credential, &error), ERR_EXISTS);
    fixture_reopen(f);
    struct seen seen;
    load(f, &seen);
    assert_int_equal(seen.n_credentials, 1);
    assert_string_equal(seen.credentials[0].api_id, "0123");
    assert_int_equal(seen.credentials[0].company, 3);
    assert_int_equal(seen.credentials[0].created_at, 9);
    assert_memory_equal(seen.credentials[0].token_hash, credential.token_hash, TOKEN_HASH_BYTES);
    assert_int_equal(store_delete_credential(f->store, "0123", &error), OK);
    assert_int_equal(store_delete_credential(f->store, "0123", &error), ERR_NOT_FOUND);
    fixture_reopen(f);
    load(f, &seen);
    assert_int_equal(seen.n_credentials, 0);
}

static struct webhook make_webhook(char mark)
{
    struct webhook webhook = {.company = 1,
                              .url = mem_strdup("https://example.com/a?b=%20"),
                              .url_revision = 1,
                              .all_events = true,
                              .epoch = 1,
                              .created_at = 77};
    memset(webhook.uuid, mark, sizeof webhook.uuid);
    memset(webhook.token, mark, WEBHOOK_TOKEN_TEXT);
    memset(webhook.secret, mark, sizeof webhook.secret);
    return webhook;
}

static void assert_same_webhook(const struct webhook *a, const struct webhook *b)
{
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->company, b->company);
    assert_memory_equal(a->uuid, b->uuid, sizeof a->uuid);
    assert_string_equal(a->token, b->token);
    assert_memory_equal(a->secret, b->secret, sizeof a->secret);
    assert_int_equal(a->custom_name == NULL, b->custom_name == NULL);
    if (a->custom_name != NULL)
        assert_string_equal(a->custom_name, b->custom_name);
    assert_string_equal(a->url, b->url);
    assert_int_equal(a->url_revision, b->url_revision);
    assert_int_equal(a->all_events, b->all_events);
    if (!a->all_events)
        assert_memory_equal(&a->events, &b->events, sizeof a->events);
    assert_int_equal(a->paused, b->paused);
    assert_int_equal(a->paused_at, b->paused_at);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->created_at, b->created_at);
}

static void webhooks_keep_every_field(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    struct webhook one = make_webhook('1');
    struct webhook two = make_webhook('2');
    two.custom_name = mem_strdup("Näme");
    two.all_events = false;
    event_set_add(&two.events, 0);
    event_set_add(&two.events, catalogue_size() - 1);
    two.paused = true;
    two.paused_at = 123;
    two.epoch = 8;
    assert_int_equal(store_put_webhook(f->store, &one, &error), OK);
    assert_int_equal(store_put_webhook(f->store, &two, &error), OK);
    assert_true(one.number > 0 && two.number > one.number);
    fixture_reopen(f);
    struct seen seen;
    load(f, &seen);
    assert_int_equal(seen.n_webhooks, 2);
    assert_same_webhook(&seen.webhooks[0], &one);
    assert_same_webhook(&seen.webhooks[1], &two);
    forget(&seen);
    one.all_events = false;
    one.paused = true;
    one.epoch++;
    assert_int_equal(store_put_webhook(f->store, &one, &error), OK);
    fixture_reopen(f);
    load(f, &seen);
    assert_int_equal(seen.n_webhooks, 2);
    assert_same_webhook(&seen.webhooks[0], &one);
    forget(&seen);
    webhook_release(&one);
    webhook_release(&two);
}

static void tokens_and_uuids_are_unique(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    struct webhook one = make_webhook('1');
    struct webhook same_token = make_webhook('2');
    struct webhook same_uuid = make_webhook('3');
    strcpy(same_token.token, one.token);
    memcpy(same_uuid.uuid, one.uuid, sizeof one.uuid);
    assert_int_equal(store_put_webhook(f->store, &one, &error), OK);
    assert_int_equal(store_put_webhook(f->store, &same_token, &error), ERR_EXISTS);
    assert_int_equal(store_put_webhook(f->store, &same_uuid, &error), ERR_EXISTS);
    assert_int_equal(same_token.number, 0);
    char *url = NULL;
    assert_int_equal(store_webhook_url(f->store, one.number + 1, 1, &url, &error), OK);
    assert_null(url);
    webhook_release(&one);
    webhook_release(&same_token);
    webhook_release(&same_uuid);
}

static void assert_url(struct fixture *f, uint32_t number, uint32_t revision, const char *expected)
{
    struct error error = {0};
    char *url = NULL;
    assert_int_equal(store_webhook_url(f->store, number, revision, &url, &error), OK);
    if (expected == NULL)
        assert_null(url);
    else
        assert_string_equal(url, expected);
    free(url);
}

static void numbers_are_never_reused_and_urls_stay(void **state)
{
    struct fixture *f = *state;
    struct error error = {0};
    struct webhook webhook = make_webhook('1');
    assert_int_equal(store_put_webhook(f->store, &webhook, &error), OK);
    uint32_t number = webhook.number;
    free(webhook.url);
    webhook.url = mem_strdup("https://example.org/new");
    webhook.url_revision = 2;
    assert_int_equal(store_put_webhook(f->store, &webhook, &error), OK);
    assert_url(f, number, 1, "https://example.com/a?b=%20");
    assert_url(f, number, 2, "https://example.org/new");
    assert_url(f, number, 3, NULL);
    assert_int_equal(store_delete_webhook(f->store, number, &error), OK);
    assert_int_equal(store_delete_webhook(f->store, number, &error), ERR_NOT_FOUND);
    fixture_reopen(f);
    assert_url(f, number, 1, "https://example.com/a?b=%20");
    assert_url(f, number, 2, "https://example.org/new");
    webhook.number = 0;
    assert_int_equal(store_put_webhook(f->store, &webhook, &error), OK);
    assert_true(webhook.number > number);
    webhook_release(&webhook);
}

int main(int argc, char **argv)
{
    fixture_engine(argc > 1 ? argv[1] : "sqlite");
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(companies_have_unique_names),
        TEST(credentials_come_and_go),
        TEST(webhooks_keep_every_field),
        TEST(tokens_and_uuids_are_unique),
        TEST(numbers_are_never_reused_and_urls_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
