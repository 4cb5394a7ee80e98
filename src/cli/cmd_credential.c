/* cmd_credential.c: `hookswitch credential add|list|revoke`. */
#include "cli/local.h"
#include "cli/table.h"

static enum err credential_add(struct local *local, struct error *error)
{
    const char *const parts[] = {"/control/companies/", local->words[0], "/credentials", NULL};
    json_t *answer = NULL;
    enum err err = local_call(local, "POST", parts, NULL, &answer, error);

    if (err != OK)
        return err;
    if (local->json)
        local_add_json(local, answer);
    else
        local_add_credential(local, answer);
    json_decref(answer);
    return OK;
}

static void add_credentials(struct buf *buf, const json_t *credentials)
{
    static const char *const heads[] = {"api_id", "created"};
    struct table table;
    const json_t *credential;
    size_t i;

    table_init(&table, heads, 2);
    json_array_foreach(credentials, i, credential)
    {
        const char *api_id = json_string_value(json_object_get(credential, "api_id"));
        const char *created = json_string_value(json_object_get(credential, "created_at"));
        const char *cells[] = {api_id == NULL ? "" : api_id, created == NULL ? "" : created};
        table_add(&table, cells);
    }
    table_print(&table, buf);
    table_release(&table);
}

static enum err credential_list(struct local *local, struct error *error)
{
    const char *const parts[] = {"/control/companies/", local->words[0], "/credentials", NULL};
    json_t *answer = NULL;
    enum err err = local_call(local, "GET", parts, NULL, &answer, error);

    if (err != OK)
        return err;
    const json_t *credentials = json_object_get(answer, "credentials");
    if (local->json)
        local_add_json(local, answer);
    else if (json_array_size(credentials) == 0)
        buf_add_text(&local->out,
                     "no credentials; `hookswitch credential add COMPANY` makes one\n");
    else
        add_credentials(&local->out, credentials);
    json_decref(answer);
    return OK;
}

static enum err credential_revoke(struct local *local, struct error *error)
{
    const char *const parts[] = {"/control/companies/", local->words[0], "/credentials/",
                                 local->words[1], NULL};
    json_t *answer = NULL;
    enum err err = local_call(local, "DELETE", parts, NULL, &answer, error);

    if (err != OK)
        return err;
    json_decref(answer);
    if (local->json) {
        json_t *done = json_pack("{s:s, s:b}", "api_id", local->words[1], "revoked", 1);
        local_add_json(local, done);
        json_decref(done);
    } else {
        buf_printf(&local->out, "revoked %s\n", local->words[1]);
    }
    return OK;
}

static int run(const struct command *command, int argc, char *const *argv)
{
    static const struct local_action actions[] = {
        {"add", 1, "one COMPANY (name or id)", credential_add},
        {"list", 1, "one COMPANY (name or id)", credential_list},
        {"revoke", 2, "a COMPANY (name or id) and an API_ID", credential_revoke},
        {NULL, 0, NULL, NULL},
    };

    return local_run(command, actions, argc, argv);
}

const struct command command_credential = {
    .name = "credential",
    .synopsis = "credential add COMPANY [--json]\n"
                "credential list COMPANY [--json]\n"
                "credential revoke COMPANY API_ID [--json]",
    .summary = "adds, lists and revokes the API credentials of a company",
    .help = "COMPANY is a name or an id. A token is shown once, by `add`, and stored hashed.\n"
            "A revoked credential is refused from the moment the command returns.\n",
    .run = run,
};
