/* A setting that a start-up packet asks for, in the ways in which PostgreSQL takes it. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "segue/wire/startup.h"

struct wanted {
    const char *name;
    char *value;
    size_t size;
    bool found, by_name;
};

static void found(struct wanted *w, const char *value)
{
    snprintf(w->value, w->size, "%s", value);
    w->found = true;
}

/* Names of settings have no case; in `options`, - stands for _, too. */
static bool is_name(const char *name, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i] == '-' ? '_' : (char)tolower((unsigned char)text[i]);

        if (c != name[i])
            return false;
    }
    return !name[len];
}

/* The next word of `options`, its backslashes undone; moves *at. False: there is none. */
static bool next_word(const char **at, struct buf *word)
{
    const char *p = *at;

    buf_reset(word);
    while (isspace((unsigned char)*p))
        p++;
    if (!*p)
        return false;
    for (; *p && !isspace((unsigned char)*p); p++) {
        if (*p == '\\' && !*++p)
            break; /* as the server, which forgets a last one */
        buf_append_u8(word, (uint8_t)*p);
    }
    *at = p;
    return true;
}

/* -c name=value, -cname=value, --name=value: the last of them counts. */
static void read_options(struct wanted *w, const char *options)
{
    struct buf word = {0};

    while (next_word(&options, &word)) {
        const char *setting = NULL, *sign;

        if (strcmp(word.data, "-c") == 0)
            setting = next_word(&options, &word) ? word.data : NULL;
        else if (strncmp(word.data, "-c", 2) == 0 || strncmp(word.data, "--", 2) == 0)
            setting = word.data + 2;
        sign = setting ? strchr(setting, '=') : NULL;
        if (sign && is_name(w->name, setting, (size_t)(sign - setting)))
            found(w, sign + 1);
    }
    buf_fini(&word);
}

/* A parameter of the setting's own name comes after `options`, wherever it stands. */
static void look(void *arg, const struct wire_param *param)
{
    struct wanted *w = arg;

    if (strcmp(param->name, "options") == 0 && !w->by_name) {
        read_options(w, param->value);
    } else if (is_name(w->name, param->name, strlen(param->name))) {
        w->by_name = true;
        found(w, param->value);
    }
}

bool wire_startup_setting(const void *packet, size_t total, const char *name, char *value,
                          size_t size)
{
    struct wanted w = {.name = name, .value = value, .size = size};

    wire_startup_params(packet, total, look, &w);
    return w.found;
}
