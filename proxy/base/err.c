#include "segue/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "segue/base/utf8.h"

bool err_is_set(const struct err *err)
{
    return err && err->sqlstate[0] != '\0';
}

void err_clear(struct err *err)
{
    memset(err, 0, sizeof(*err));
}

void err_set(struct err *err, const char *sqlstate, const char *fmt, ...)
{
    va_list ap;

    if (!err || err_is_set(err))
        return;
    snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    utf8_mend(err->text);
}

void err_set_quoting(struct err *err, const char *sqlstate, size_t plain, const char *text)
{
    size_t len;

    if (!err || err_is_set(err))
        return;
    err_set(err, sqlstate, "%s", text);
    len = strlen(err->text);
    err->quoted = (unsigned)(len > plain ? len - plain : 0);
}

int err_plain(const struct err *err)
{
    size_t len = strlen(err->text) - err->quoted;

    while (err->quoted && len && strchr(" :", err->text[len - 1]))
        len--;
    return (int)len;
}

void err_hint(struct err *err, const char *fmt, ...)
{
    va_list ap;

    if (!err || err->hint[0] != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
    va_end(ap);
    utf8_mend(err->hint);
}

void err_detail(struct err *err, const char *fmt, ...)
{
    va_list ap;

    if (!err || err->detail[0] != '\0')
        return;
    va_start(ap, fmt);
    vsnprintf(err->detail, sizeof(err->detail), fmt, ap);
    va_end(ap);
    utf8_mend(err->detail);
}

void err_prefix(struct err *err, const char *fmt, ...)
{
    char was[sizeof(err->text)];
    va_list ap;
    size_t plain, len;
    int n;

    if (!err)
        return;
    memcpy(was, err->text, sizeof(was));
    plain = strlen(was) - err->quoted;
    va_start(ap, fmt);
    n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", was);
    utf8_mend(err->text);
    len = strlen(err->text); /* less, perhaps, than the prefix, ": " and what was plain */
    plain += (size_t)(n > 0 ? n : 0) + 2;
    err->quoted = (unsigned)(err->quoted && len > plain ? len - plain : 0);
}
