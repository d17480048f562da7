/* Quoting as PostgreSQL's quote_ident and quote_literal do it. */
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

/* Lower-case ASCII letters, digits and _, not beginning with a digit. */
static bool is_plain(const char *name)
{
    if (*name >= '0' && *name <= '9')
        return false;
    for (const char *p = name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_'))
            return false;
    return *name != '\0';
}

/* Keywords of any kind but the unreserved are quoted by PostgreSQL. */
static bool is_keyword(const char *name)
{
    PgQueryScanResult scan = pg_query_scan(name);
    PgQuery__ScanResult *list = NULL;
    bool keyword = true;

    if (!scan.error)
        list = pg_query__scan_result__unpack(NULL, scan.pbuf.len, (const uint8_t *)scan.pbuf.data);
    if (list && list->n_tokens == 1)
        keyword = list->tokens[0]->keyword_kind != PG_QUERY__KEYWORD_KIND__NO_KEYWORD &&
                  list->tokens[0]->keyword_kind != PG_QUERY__KEYWORD_KIND__UNRESERVED_KEYWORD;
    if (list)
        pg_query__scan_result__free_unpacked(list, NULL);
    pg_query_free_scan_result(scan);
    return keyword;
}

char *sql_quote_ident(const char *name)
{
    struct buf out = {0};

    if (is_plain(name) && !is_keyword(name))
        return mem_strdup(name);
    buf_append_u8(&out, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            buf_append_u8(&out, '"');
        buf_append_u8(&out, (unsigned char)*p);
    }
    buf_append_u8(&out, '"');
    return buf_take(&out);
}

char *sql_quote_literal(const char *text)
{
    struct buf out = {0};

    if (strchr(text, '\\'))
        buf_append_str(&out, "E");
    buf_append_u8(&out, '\'');
    for (const char *p = text; *p; p++) {
        if (*p == '\'' || *p == '\\')
            buf_append_u8(&out, (unsigned char)*p);
        buf_append_u8(&out, (unsigned char)*p);
    }
    buf_append_u8(&out, '\'');
    return buf_take(&out);
}

char *sql_quote_qualified(const char *schema, const char *name)
{
    char *s = sql_quote_ident(schema);
    char *n = sql_quote_ident(name);
    char *both = mem_printf("%s.%s", s, n);

    free(s);
    free(n);
    return both;
}
