/* Finds the line of a field of JSON. The scan only skips; text that is no JSON ends it early. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_read.h"

static const char *skip_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* `p` at the opening quote; returns what is behind the closing one. */
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
    int depth = 0;

    for (p = skip_space(p); *p;) {
        if (*p == '"') {
            p = skip_string(p);
            if (depth == 0)
                return p;
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (depth > 0 && (*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        else if (depth == 0 && strchr(",}] \t\r\n", *p))
            return p;
        p++;
    }
    return p;
}

/* From behind a member's name to behind its colon. */
static const char *skip_colon(const char *p)
{
    p = skip_space(p);
    return *p ? p + 1 : p;
}

/* Value of the member `key` of the object at `p`; NULL when there is none. */
static const char *member(const char *p, const char *key, size_t len)
{
    p = skip_space(p);
    if (*p != '{')
        return NULL;
    p = skip_space(p + 1);
    while (*p == '"') {
        const char *end = skip_string(p);
        bool is = (size_t)(end - p) == len + 2 && !memcmp(p + 1, key, len);

        if (is)
            return p;
        p = skip_space(skip_value(skip_colon(end)));
        if (*p == ',')
            p = skip_space(p + 1);
    }
    return NULL;
}

static const char *element(const char *p, long index)
{
    p = skip_space(p);
    if (*p != '[')
        return NULL;
    p = skip_space(p + 1);
    for (long i = 0; i < index && *p && *p != ']'; i++) {
        p = skip_space(skip_value(p));
        if (*p == ',')
            p = skip_space(p + 1);
    }
    return *p && *p != ']' ? p : NULL;
}

static int line_of(const char *text, const char *at)
{
    int line = 1;

    for (const char *p = text; p < at; p++)
        line += *p == '\n';
    return line;
}

int file_json_line(const char *text, const char *path)
{
    const char *value = text, *at = skip_space(text);

    while (*path && value) {
        if (*path == '[') {
            char *end;
            long index = strtol(path + 1, &end, 10);

            value = element(value, index);
            at = value ? value : at;
            path = *end == ']' ? end + 1 : end;
        } else {
            size_t len = strcspn(path, ".[");
            const char *key = member(value, path, len);

            at = key ? key : at;
            value = key ? skip_colon(skip_string(key)) : NULL;
            path += len;
        }
        path += *path == '.';
    }
    return line_of(text, at);
}
