#include "segue/engine/exempt.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum field { F_USER, F_APPLICATION, F_QUERY, F_COUNT };

static const struct {
    const char *name;
    int flags; /* of fnmatch */
} fields[F_COUNT] = {
    [F_USER] = {"user", 0},
    [F_APPLICATION] = {"application_name", 0},
    [F_QUERY] = {"query", FNM_CASEFOLD},
};

static int field_of(const char *name)
{
    for (int i = 0; i < F_COUNT; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return i;
    }
    return -1;
}

static enum rc check_rule(json_t *rule, struct err *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(rule) || json_object_size(rule) == 0) {
        err_set(err, "22023", "must be an object with at least one field");
        err_hint(err, "such as {\"application_name\": \"pg_dump*\"}");
        return RC_ERR;
    }
    json_object_foreach(rule, name, value)
    {
        if (field_of(name) < 0) {
            err_set(err, "42704", "there is no field \"%.64s\"", name);
            err_hint(err, "the fields are user, application_name, query");
            return RC_ERR;
        }
        if (!json_is_string(value) || !*json_string_value(value)) {
            err_set(err, "22023", "field \"%s\" must be a pattern (* for any text)", name);
            return RC_ERR;
        }
    }
    return RC_OK;
}

enum rc eng_exempt_check(const char *json, struct err *err)
{
    json_t *rules = *json ? json_loads(json, JSON_REJECT_DUPLICATES, NULL) : json_array();

    if (!json_is_array(rules)) {
        err_set(err, "22023", "must be a list of rules");
        err_hint(err, "such as [{\"application_name\": \"pg_dump*\"}, {\"user\": \"etl\"}]");
    }
    for (size_t i = 0; i < json_array_size(rules) && !err_is_set(err); i++) {
        if (check_rule(json_array_get(rules, i), err) != RC_OK)
            err_prefix(err, "rule %zu", i + 1);
    }
    json_decref(rules);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static bool matches(json_t *rule, const char *const *values)
{
    const char *name;
    json_t *pattern;

    json_object_foreach(rule, name, pattern)
    {
        int i = field_of(name);

        if (i < 0 ||
            (values[i] && fnmatch(json_string_value(pattern), values[i], fields[i].flags) != 0))
            return false;
    }
    return true;
}

bool eng_exempt(const char *json, const char *user, const char *application_name, const char *query)
{
    const char *const values[F_COUNT] = {user, application_name, query};
    json_t *rules = *json ? json_loads(json, 0, NULL) : NULL;
    bool exempt = false;

    for (size_t i = 0; i < json_array_size(rules) && !exempt; i++)
        exempt = matches(json_array_get(rules, i), values);
    json_decref(rules);
    return exempt;
}
