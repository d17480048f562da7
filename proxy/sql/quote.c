/* Quoting as PostgreSQL's quote_ident and quote_literal do it. */
#include <pg_query.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "tree.h"

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

/* Keywords of any kind but the unreserved are quoted by PostgreSQL. The grammar itself tells:
 * only an unreserved word may be a column, a function and a type at once. */
static bool is_keyword(const char *name)
{
    char *sql = mem_printf("SELECT %s, %s(1), NULL::%s FROM %s", name, name, name, name);
    json_t *tree = sql_tree_parse(sql, NULL, NULL);
    bool keyword = tree == NULL;

    json_decref(tree);
    free(sql);
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
