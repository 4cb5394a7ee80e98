/* cmd_company.c: `hookswitch company add|list`. */
#include <stdio.h>

#include "cli/local.h"
#include "cli/table.h"

static enum err company_add(struct local *local, struct error *error)
{
    const char *const parts[] = {"/control/companies", NULL};
    json_t *answer = NULL, *body = json_pack("{s:s}", "name", local->words[0]);
    enum err err;

    if (body == NULL) /* jansson takes UTF-8 only */
        return error_set(error, ERR_USAGE, "the name is not UTF-8");
    err = local_call(local, "POST", parts, body, &answer, error);
    json_decref(body);
    if (err != OK)
        return err;
    if (local->json) {
        local_add_json(local, answer);
    } else {
        buf_printf(&local->out, "company     %s\n", local->words[0]);
        local_add_credential(local, answer);
    }
    json_decref(answer);
    return OK;
}

static void add_companies(struct buf *buf, const json_t *companies)
{
    static const char *const heads[] = {"id", "name", "webhooks", "created"};
    struct table table;
    const json_t *company;
    size_t i;

    table_init(&table, heads, 4);
    json_array_foreach(companies, i, company)
    {
        char id[24], webhooks[24];
        const char *name = json_string_value(json_object_get(company, "name"));
        const char *created = json_string_value(json_object_get(company, "created_at"));
        snprintf(id, sizeof id, "%lld",
                 (long long)json_integer_value(json_object_get(company, "company_id")));
        snprintf(webhooks, sizeof webhooks, "%lld",
                 (long long)json_integer_value(json_object_get(company, "webhooks")));
        const char *cells[] = {id, name == NULL ? "" : name, webhooks,
                               created == NULL ? "" : created};
        table_add(&table, cells);
    }
    table_print(&table, buf);
    table_release(&table);
}

static enum err company_list(struct local *local, struct error *error)
{
    const char *const parts[] = {"/control/companies", NULL};
    json_t *answer = NULL;
    enum err err = local_call(local, "GET", parts, NULL, &answer, error);

    if (err != OK)
        return err;
    const json_t *companies = json_object_get(answer, "companies");
    if (local->json)
        local_add_json(local, answer);
    else if (json_array_size(companies) == 0)
        buf_add_text(&local->out, "no companies yet; `hookswitch company add NAME` makes one\n");
    else
        add_companies(&local->out, companies);
    json_decref(answer);
    return OK;
}

static int run(const struct command *command, int argc, char *const *argv)
{
    static const struct local_action actions[] = {
        {"add", 1, "one NAME", company_add},
        {"list", 0, "", company_list},
        {NULL, 0, NULL, NULL},
    };

    return local_run(command, actions, argc, argv);
}

const struct command command_company = {
    .name = "company",
    .synopsis = "company add NAME [--json]\ncompany list [--json]",
    .summary = "adds and lists companies (the tenants)",
    .help = "`add` makes the company and its first API credential; the token is shown once.\n"
            "Works while the server runs and while it does not; what was changed is in force\n"
            "when the command returns. --json prints JSON instead of text for people.\n",
    .run = run,
};
