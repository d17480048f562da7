#include "segue/session/versions.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "segue/base/mem.h"
#include "segue/base/option.h"

#define PORT_MAX 65535

struct version_rule {
    char *user, *application_name; /* NULL: any */
    unsigned port;                 /* 0: any */
    struct sess_version version;
};

struct sess_versions {
    size_t n;
    struct version_rule *rules;
};

/* ---- sides ---- */

static const char *const sides[] = {
    [SQL_SIDE_FOLLOW] = "follow",
    [SQL_SIDE_OLD] = "old",
    [SQL_SIDE_NEW] = "new",
};

const char *sess_side_name(enum sql_side side)
{
    return sides[side];
}

enum rc sess_side_parse(const char *name, enum sql_side *side)
{
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        if (strcmp(sides[i], name) == 0) {
            *side = (enum sql_side)i;
            return RC_OK;
        }
    }
    return RC_ERR;
}

/* ---- fields: each takes its value, or says what is allowed ---- */

static const char *take_name(const json_t *value, char **out)
{
    const char *text = json_string_value(value);
    const char *star = text ? strchr(text, '*') : NULL;

    if (!text || !*text || (star && star[1]))
        return "a name, or the beginning of one and *";
    *out = mem_strdup(text);
    return NULL;
}

static const char *take_user(const json_t *value, struct version_rule *rule)
{
    return take_name(value, &rule->user);
}

static const char *take_application(const json_t *value, struct version_rule *rule)
{
    return take_name(value, &rule->application_name);
}

static const char *take_port(const json_t *value, struct version_rule *rule)
{
    json_int_t port = json_integer_value(value);

    if (!json_is_integer(value) || port < 1 || port > PORT_MAX)
        return "an integer from 1 to 65535";
    rule->port = (unsigned)port;
    return NULL;
}

static const char *take_schema(const json_t *value, struct version_rule *rule)
{
    const char *name = json_string_value(value);

    if (!name || sess_side_parse(name, &rule->version.side) != RC_OK)
        return "one of \"old\", \"new\", \"follow\"";
    return NULL;
}

static const char *take_rewrite(const json_t *value, struct version_rule *rule)
{
    rule->version.rewrites = json_is_true(value);
    return json_is_boolean(value) ? NULL : "true or false";
}

static const struct {
    const char *name;
    const char *(*take)(const json_t *value, struct version_rule *rule); /* NULL: taken */
} fields[] = {
    {"user", take_user},       {"application_name", take_application},
    {"port", take_port},       {"schema", take_schema},
    {"rewrite", take_rewrite},
};

static enum rc unknown_field(const char *name, struct err *err)
{
    const char *names[ARRAY_LEN(fields)], *near;

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        names[i] = fields[i].name;
    near = opt_nearest(name, names, ARRAY_LEN(fields));
    err_set(err, "42704", "there is no field \"%.64s\"", name);
    if (near)
        err_hint(err, "did you mean \"%s\"?", near);
    else
        err_hint(err, "the fields are user, application_name, port, schema, rewrite");
    return RC_ERR;
}

static enum rc take_field(const char *name, const json_t *value, struct version_rule *rule,
                          struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const char *allowed;
        char *shown;

        if (strcmp(fields[i].name, name) != 0)
            continue;
        allowed = fields[i].take(value, rule);
        if (!allowed)
            return RC_OK;
        shown = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        err_set(err, "22023", "field \"%s\" must be %s, not %.80s", name, allowed,
                shown ? shown : "this");
        err_hint(err, "config/README.md, Schema versions, says what the fields mean");
        free(shown);
        return RC_ERR;
    }
    return unknown_field(name, err);
}

static enum rc take_rule(json_t *object, struct version_rule *rule, struct err *err)
{
    const char *name;
    json_t *value;

    rule->version.rewrites = true;
    if (!json_is_object(object)) {
        err_set(err, "22023", "must be an object");
        err_hint(err, "such as {\"user\": \"old_app\", \"schema\": \"old\"}");
        return RC_ERR;
    }
    json_object_foreach(object, name, value)
    {
        if (take_field(name, value, rule, err) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

/* ---- the list ---- */

static enum rc take_rules(json_t *array, struct sess_versions *versions, struct err *err)
{
    if (!json_is_array(array)) {
        err_set(err, "22023", "must be a list of rules");
        err_hint(err, "such as [{\"user\": \"old_app\", \"schema\": \"old\"}]");
        return RC_ERR;
    }
    versions->rules = mem_calloc(json_array_size(array) + 1, sizeof(*versions->rules));
    for (size_t i = 0; i < json_array_size(array); i++) {
        versions->n = i + 1;
        if (take_rule(json_array_get(array, i), &versions->rules[i], err) != RC_OK) {
            err_prefix(err, "rule %zu", i + 1);
            return RC_ERR;
        }
    }
    return RC_OK;
}

struct sess_versions *sess_versions_new(const char *json, struct err *err)
{
    struct sess_versions *versions = mem_calloc(1, sizeof(*versions));
    json_error_t bad;
    json_t *array;
    enum rc rc = RC_ERR;

    if (!*json)
        return versions;
    array = json_loads(json, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &bad);
    if (array) {
        rc = take_rules(array, versions, err);
    } else {
        err_set(err, "22032", "not valid JSON: %s (column %d)", bad.text, bad.column);
        err_hint(err, "such as [{\"user\": \"old_app\", \"schema\": \"old\"}]");
    }
    json_decref(array);
    if (rc == RC_OK)
        return versions;
    sess_versions_free(versions);
    return NULL;
}

void sess_versions_free(struct sess_versions *versions)
{
    if (!versions)
        return;
    for (size_t i = 0; i < versions->n; i++) {
        free(versions->rules[i].user);
        free(versions->rules[i].application_name);
    }
    free(versions->rules);
    free(versions);
}

enum rc sess_versions_check(const char *json, struct err *err)
{
    struct sess_versions *versions = sess_versions_new(json, err);
    bool good = versions != NULL;

    sess_versions_free(versions);
    return good ? RC_OK : RC_ERR;
}

bool sess_versions_by_port(const struct sess_versions *versions)
{
    for (size_t i = 0; i < versions->n; i++) {
        if (versions->rules[i].port)
            return true;
    }
    return false;
}

static bool matches(const char *pattern, const char *name)
{
    size_t len = pattern ? strlen(pattern) : 0;

    if (!pattern)
        return true;
    if (pattern[len - 1] == '*')
        return strncmp(pattern, name, len - 1) == 0;
    return strcmp(pattern, name) == 0;
}

struct sess_version sess_versions_find(const struct sess_versions *versions, const char *user,
                                       const char *application_name, unsigned port)
{
    for (size_t i = 0; i < versions->n; i++) {
        const struct version_rule *rule = &versions->rules[i];

        if (matches(rule->user, user) && matches(rule->application_name, application_name) &&
            (!rule->port || rule->port == port))
            return rule->version;
    }
    return (struct sess_version){SQL_SIDE_FOLLOW, true};
}
