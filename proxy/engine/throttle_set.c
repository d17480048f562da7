/* Limits and settings of signals: the table's, the configuration's over it, what is set live. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "segue/base/mem.h"
#include "segue/engine/engine.h"
#include "throttle.h"

#define SETTING_BYTES_MAX 4096

void throttle_choose(struct throttle_choice *choice, double limit, bool enabled,
                     const char *setting)
{
    char *copy = mem_strdup(setting); /* may be the choice's own */

    free(choice->setting);
    *choice = (struct throttle_choice){limit, enabled, copy};
}

static void copy_choice(struct throttle_choice *to, const struct throttle_choice *from)
{
    throttle_choose(to, from->limit, from->enabled, from->setting);
}

/* ---- one value ---- */

static enum rc refuse(const struct throttle_signal *signal, const char *value, struct err *err)
{
    char number[128] = "";

    if (signal->limit_max > 0 && signal->limit_max < 1e18)
        snprintf(number, sizeof(number), "a number (%s) from %.0f to %.0f", signal->unit,
                 signal->limit_min, signal->limit_max);
    else if (signal->limit_max > 0)
        snprintf(number, sizeof(number), "a number (%s), or off, on", signal->unit);
    else
        snprintf(number, sizeof(number), "off, on");
    err_set(err, "22023", "\"%.80s\" is no limit for signal \"%s\"", value, signal->name);
    err_hint(err, "%s, default%s%s", number, signal->setting ? ", or " : "",
             signal->setting ? signal->setting : "");
    return RC_ERR;
}

static bool a_number(const char *value, double *out)
{
    char *end;

    *out = strtod(value, &end);
    return end != value && !*end;
}

static enum rc check_setting(const struct throttle_signal *signal, const char *text,
                             struct err *err)
{
    if (strlen(text) > SETTING_BYTES_MAX) {
        err_set(err, "22023", "signal \"%s\": longer than %d bytes", signal->name,
                SETTING_BYTES_MAX);
        return RC_ERR;
    }
    if (signal->check && signal->check(text, err) != RC_OK) {
        err_prefix(err, "signal \"%s\"", signal->name);
        return RC_ERR;
    }
    return RC_OK;
}

/* on, off, a limit or a setting over what the choice was. */
static enum rc change(const struct throttle_signal *signal, struct throttle_choice *choice,
                      const char *value, struct err *err)
{
    bool on = strcasecmp(value, "on") == 0, off = strcasecmp(value, "off") == 0;
    double number;

    if ((on || off) && signal == throttle_signal(THROTTLE_WORKERS))
        return refuse(signal, value, err);
    if (on || off) {
        choice->enabled = on;
    } else if (a_number(value, &number)) {
        if (signal->limit_max == 0 || !(number >= signal->limit_min) || number > signal->limit_max)
            return refuse(signal, value, err);
        choice->limit = signal == throttle_signal(THROTTLE_WORKERS) ? floor(number) : number;
        /* a limit alone says nothing of what is to be read */
        choice->enabled = !signal->setting_needed || choice->setting;
    } else if (signal->setting && value[0]) {
        if (check_setting(signal, value, err) != RC_OK)
            return RC_ERR;
        throttle_choose(choice, choice->limit, true, value);
    } else {
        return refuse(signal, value, err);
    }
    if (choice->enabled && signal->setting_needed && !choice->setting) {
        err_set(err, "22023", "signal \"%s\" has nothing to look at yet", signal->name);
        err_hint(err, "THROTTLE %s '...': %s", signal->name, signal->setting);
        return RC_ERR;
    }
    return RC_OK;
}

enum rc throttle_set(struct throttle *t, size_t i, const char *value, struct err *err)
{
    struct throttle_state *state = &t->signals[i];
    struct throttle_choice choice = {0};
    enum rc rc = RC_OK;

    if (i == THROTTLE_PAUSE) {
        err_set(err, "22023", "signal \"pause\" has no limit");
        err_hint(err, "use PAUSE and RESUME");
        return RC_ERR;
    }
    if (strcasecmp(value, "default") == 0) {
        copy_choice(&state->now, &state->configured);
        state->live = false;
    } else {
        copy_choice(&choice, &state->now);
        rc = change(throttle_signal(i), &choice, value, err);
        if (rc == RC_OK) {
            copy_choice(&state->now, &choice);
            state->live = true;
        }
        free(choice.setting);
    }
    if (rc == RC_OK)
        t->read_us = t->pace_us = 0; /* look again at once */
    return rc;
}

/* ---- the configuration ---- */

/* {"signal": "query", "setting": "SELECT ...", "limit": 10, "enabled": true} into choice. */
static enum rc read_rule(const json_t *rule, int *signal, struct throttle_choice *choice,
                         struct err *err)
{
    const char *name = NULL, *setting = NULL;
    json_t *limit = NULL;
    json_error_t why;
    char number[40];
    int enabled = true;

    if (json_unpack_ex((json_t *)(uintptr_t)rule, &why, JSON_STRICT, "{s:s, s?o, s?s, s?b}",
                       "signal", &name, "limit", &limit, "setting", &setting, "enabled",
                       &enabled) != 0) {
        err_set(err, "22023", "%s", why.text);
        err_hint(err, "an object of \"signal\" and \"limit\", \"setting\" or \"enabled\"");
        return RC_ERR;
    }
    *signal = throttle_find(name);
    if (*signal < 0 || *signal == THROTTLE_PAUSE) {
        err_set(err, "22023", "there is no signal \"%.60s\" to be configured", name);
        return RC_ERR;
    }
    if (limit && !json_is_number(limit)) {
        err_set(err, "22023", "the limit of \"%s\" is no number", name);
        return RC_ERR;
    }
    if (setting &&
        (!throttle_signal((size_t)*signal)->setting || a_number(setting, &choice->limit)))
        return refuse(throttle_signal((size_t)*signal), setting, err);
    if (setting && change(throttle_signal((size_t)*signal), choice, setting, err) != RC_OK)
        return RC_ERR;
    snprintf(number, sizeof(number), "%.17g", json_number_value(limit));
    if (limit && change(throttle_signal((size_t)*signal), choice, number, err) != RC_OK)
        return RC_ERR;
    if (enabled && throttle_signal((size_t)*signal)->setting_needed && !choice->setting)
        return change(throttle_signal((size_t)*signal), choice, "on", err); /* says so */
    if (!enabled || (!limit && !setting))
        return change(throttle_signal((size_t)*signal), choice, enabled ? "on" : "off", err);
    return RC_OK;
}

static void table_choice(size_t i, struct throttle_choice *choice)
{
    throttle_choose(choice, throttle_signal(i)->limit_default, throttle_signal(i)->enabled_default,
                    NULL);
}

enum rc eng_throttle_check(const char *text, struct err *err)
{
    json_t *rules = json_loads(text[0] ? text : "[]", 0, NULL), *rule;
    size_t n;

    if (!json_is_array(rules))
        err_set(err, "22023", "no list of objects");
    json_array_foreach(rules, n, rule)
    {
        struct throttle_choice choice = {0};
        int signal = -1;
        const char *name = json_string_value(json_object_get(rule, "signal"));

        if (name && throttle_find(name) >= 0)
            table_choice((size_t)throttle_find(name), &choice);
        if (!err_is_set(err) && read_rule(rule, &signal, &choice, err) != RC_OK)
            err_prefix(err, "item %zu", n + 1);
        free(choice.setting);
    }
    json_decref(rules);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

void throttle_configure(struct throttle *t, const char *text)
{
    json_t *rules = json_loads(text && text[0] ? text : "[]", 0, NULL), *rule;
    size_t n;

    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        table_choice(i, &t->signals[i].configured);
        t->signals[i].is_configured = false;
    }
    json_array_foreach(rules, n, rule)
    {
        const char *name = json_string_value(json_object_get(rule, "signal"));
        int signal = name ? throttle_find(name) : -1;
        struct err checked = {0}; /* before */

        if (signal >= 0 &&
            read_rule(rule, &signal, &t->signals[signal].configured, &checked) == RC_OK)
            t->signals[signal].is_configured = true;
    }
    json_decref(rules);
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        if (!t->signals[i].live)
            copy_choice(&t->signals[i].now, &t->signals[i].configured);
    }
    t->read_us = t->pace_us = 0;
}
