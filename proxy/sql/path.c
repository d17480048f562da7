/* Which relation an unqualified name means: schema by schema, as PostgreSQL's namespace.c looks. */
#include "segue/sql/path.h"

#include <assert.h>
#include <string.h>

#include "work.h"

/* In a class each contested name has a digit: not decided, another relation's (OLD, NEW: which has
 * the columns that this side of the first table of that name sees), or the number of the table or
 * partition that it means, of those that have the name. */
#define DIGIT_BITS 4
#define DIGIT_MAX ((1u << DIGIT_BITS) - 1)
enum { DIGIT_PERHAPS, DIGIT_OTHER, DIGIT_OTHER_OLD, DIGIT_OTHER_NEW, DIGIT_RULES };

static_assert(SQL_PATH_NAMES_MAX * DIGIT_BITS <= 64, "a class has no room for so many names");

#define NAME_BYTES_MAX 63 /* PostgreSQL cuts longer ones: NAMEDATALEN - 1 */

bool sql_path_matters(const struct sql_rules *rules)
{
    return rules && rules->ncontested > 0;
}

struct sql_path_hidden sql_path_hidden(const struct sql_rules *rules)
{
    return (struct sql_path_hidden){rules->access.sets_path, rules->access.sets_role};
}

/* ---- the setting: as SplitIdentifierString reads it ---- */

struct schemas {
    char text[SQL_PATH_BYTES_MAX];
    const char *names[SQL_PATH_SCHEMAS_MAX];
    size_t n;
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* One name, from *p on, which is moved behind it; *to likewise. NULL: it is none. */
static const char *read_name(const char **p, char **to)
{
    const char *name = *to;
    bool quoted = **p == '"';

    if (quoted) {
        for (++*p; **p && (**p != '"' || (*p)[1] == '"'); ++*p) {
            *p += **p == '"';
            *(*to)++ = **p;
        }
        if (*(*p)++ != '"')
            return NULL;
    } else {
        for (; **p && **p != ',' && !is_space(**p); ++*p)
            *(*to)++ = **p >= 'A' && **p <= 'Z' ? (char)(**p | 0x20) : **p;
    }
    if ((!quoted && *to == name) || *to - name > NAME_BYTES_MAX)
        return NULL;
    *(*to)++ = '\0';
    return name;
}

static const char *skip_space(const char *p)
{
    while (is_space(*p))
        p++;
    return p;
}

/* False: it cannot be read, or the server might read it otherwise: how it folds other letters
 * than ASCII's depends on its locale. */
static bool read_schemas(const char *path, struct schemas *out)
{
    const char *p = skip_space(path);
    char *to = out->text;

    out->n = 0;
    if (strlen(path) >= sizeof(out->text))
        return false;
    for (const char *c = path; *c; c++)
        if (*c & 0x80)
            return false;
    if (!*p)
        return true;
    for (;; p = skip_space(p + 1)) {
        const char *name = out->n < SQL_PATH_SCHEMAS_MAX ? read_name(&p, &to) : NULL;

        if (!name)
            return false;
        out->names[out->n++] = name;
        p = skip_space(p);
        if (*p != ',')
            return !*p;
    }
}

static bool lists(const struct schemas *schemas, const char *name)
{
    for (size_t i = 0; i < schemas->n; i++)
        if (!strcmp(schemas->names[i], name))
            return true;
    return false;
}

/* ---- one name ---- */

static bool is_other(unsigned digit)
{
    return digit >= DIGIT_OTHER && digit < DIGIT_RULES;
}

static unsigned digit_of_other(const struct sql_rules *rules, const struct namesake *namesake)
{
    const struct rule *rule = sql_rules_named(rules, namesake->name, 0);

    if (!rule || !namesake->signature)
        return DIGIT_OTHER;
    if (namesake->signature == rule->old_signature)
        return DIGIT_OTHER_OLD;
    return namesake->signature == rule->new_signature ? DIGIT_OTHER_NEW : DIGIT_OTHER;
}

/* What is called so in this schema: a digit; PERHAPS: nothing. */
static unsigned digit_in(const struct sql_rules *rules, const char *schema, const char *name)
{
    const struct rule *rule;

    for (size_t i = 0; (rule = sql_rules_named(rules, name, i)); i++)
        if (!strcmp(rule->schema, schema))
            return DIGIT_RULES + (unsigned)i;
    SQL_BY_NAME_EACH(other, &rules->namesakes_by, name)
        if (!strcmp(rules->namesakes[other->at].schema, schema))
            return digit_of_other(rules, &rules->namesakes[other->at]);
    return DIGIT_PERHAPS;
}

enum use { USE_NO, USE_PERHAPS, USE_YES };

static enum use may_use(const struct sql_rules *rules, const char *schema, const char *role,
                        bool own)
{
    if (!strcmp(schema, "pg_catalog"))
        return USE_YES;
    for (size_t i = 0; i < rules->ndenied; i++)
        if (!strcmp(rules->denied[i].schema, schema) &&
            (!role || !strcmp(rules->denied[i].role, role)))
            return role ? USE_NO : USE_PERHAPS;
    return rules->access.usage == SQL_USAGE_ALL || (own && rules->access.usage == SQL_USAGE_OWN)
               ? USE_YES
               : USE_PERHAPS;
}

static bool is_temporary(const struct namesake *namesake)
{
    return !strncmp(namesake->schema, "pg_temp", strlen("pg_temp"));
}

bool sql_path_temporaries(const struct sql_rules *rules)
{
    for (size_t i = 0; rules && i < rules->nnamesakes; i++)
        if (is_temporary(&rules->namesakes[i]))
            return true;
    return false;
}

/* A temporary relation of that name comes before all others, where it is this session's. */
static enum use hidden_by(const struct sql_rules *rules, const char *temporary, const char *name)
{
    enum use use = USE_NO;

    for (size_t i = 0; i < rules->nnamesakes; i++) {
        const struct namesake *namesake = &rules->namesakes[i];

        if (!is_temporary(namesake) || strcmp(namesake->name, name) != 0)
            continue;
        if (!temporary)
            return USE_PERHAPS;
        if (!strcmp(namesake->schema, temporary))
            use = USE_YES;
    }
    return use;
}

/* *digit is what was found so far in schemas that the role perhaps may use. True: decided. */
static bool decided_by(const struct sql_rules *rules, const char *schema, const char *role,
                       const char *name, unsigned *digit)
{
    unsigned here = digit_in(rules, schema, name);
    enum use use =
        here == DIGIT_PERHAPS ? USE_NO : may_use(rules, schema, role, here >= DIGIT_RULES);

    if (use == USE_NO)
        return false;
    if (is_other(*digit) && is_other(here) && *digit != here)
        *digit = here = DIGIT_OTHER;
    if (*digit != DIGIT_PERHAPS && *digit != here) {
        *digit = DIGIT_PERHAPS;
        return true;
    }
    *digit = here;
    return use == USE_YES;
}

/* What the name means to those who do not know of the migration, which is to give it to a table:
 * another relation, perhaps, as long as the table does not have it. */
static bool meant_another(const struct sql_rules *rules, const struct schemas *schemas,
                          const char *role, const char *name, unsigned digit)
{
    const struct rule *rule =
        digit >= DIGIT_RULES ? sql_rules_named(rules, name, digit - DIGIT_RULES) : NULL;

    if (!rule || rule->reversed || !sql_rule_is_other(rule, name))
        return false;
    for (size_t i = 0; i < schemas->n; i++) {
        const char *schema = schemas->names[i];

        if (!strcmp(schema, "$user"))
            schema = role;
        if (!schema ||
            (strcmp(schema, rule->schema) != 0 && digit_in(rules, schema, name) != DIGIT_PERHAPS))
            return true;
    }
    return false;
}

static unsigned certain(const struct sql_rules *rules, const struct schemas *schemas,
                        const char *role, const char *name, unsigned digit)
{
    return digit > DIGIT_MAX || meant_another(rules, schemas, role, name, digit) ? DIGIT_PERHAPS
                                                                                 : digit;
}

static unsigned digit_of(const struct sql_rules *rules, const struct schemas *schemas,
                         const struct sql_path_of *of, const char *name)
{
    enum use hidden = hidden_by(rules, of->temporary, name);
    unsigned digit = DIGIT_PERHAPS;
    const char *role = of->role;

    if (hidden == USE_YES && !lists(schemas, "pg_temp") && !lists(schemas, of->temporary))
        return DIGIT_OTHER;
    if (hidden != USE_NO)
        return DIGIT_PERHAPS;
    if (!lists(schemas, "pg_catalog") && decided_by(rules, "pg_catalog", role, name, &digit))
        return digit;
    for (size_t i = 0; i < schemas->n; i++) {
        const char *schema = schemas->names[i];

        if (!strcmp(schema, "$user"))
            schema = role;
        if (!schema)
            return DIGIT_PERHAPS;
        if (decided_by(rules, schema, role, name, &digit))
            return certain(rules, schemas, role, name, digit);
    }
    if (digit == DIGIT_PERHAPS)
        return DIGIT_OTHER; /* none: the server will say so */
    return certain(rules, schemas, role, name, digit);
}

/* ---- all names ---- */

uint64_t sql_path_class_of(const struct sql_rules *rules, const struct sql_path_of *of)
{
    struct schemas schemas;
    uint64_t class = SQL_PATH_UNKNOWN;

    if (!of->path || !read_schemas(of->path, &schemas))
        return SQL_PATH_UNKNOWN;
    for (size_t i = 0; i < rules->ncontested && i < SQL_PATH_NAMES_MAX; i++)
        class |= (uint64_t)digit_of(rules, &schemas, of, rules->contested[i]) << i * DIGIT_BITS;
    return class;
}

/* The first one of the path that is there and may be used: of others than the first nobody knows
 * whether those in front of them are. */
uint64_t sql_path_makes_in(const struct sql_rules *rules, const struct sql_path_of *of)
{
    struct schemas schemas;
    uint64_t in = 0, elsewhere = 0;

    if (!of->path || !read_schemas(of->path, &schemas) || schemas.n == 0 ||
        may_use(rules, schemas.names[0], of->role, true) != USE_YES)
        return 0;
    for (size_t i = 0; i < rules->n; i++)
        if (!strcmp(rules->tables[i].schema, schemas.names[0]))
            in |= sql_work_bit(&rules->tables[i]);
    for (size_t i = 0; i < rules->npartitions; i++)
        if (strcmp(rules->partitions[i].schema, schemas.names[0]) != 0)
            elsewhere |= sql_work_bit(&rules->partitions[i]);
    return in & ~elsewhere;
}

/* False: nothing else has the name. */
static bool find_digit(const struct sql_rules *rules, uint64_t class, const char *name,
                       unsigned *digit)
{
    const struct sql_by_name_item *found = sql_by_name_first(&rules->contested_by, name);

    if (!found)
        return false;
    *digit = found->at < SQL_PATH_NAMES_MAX
                 ? (unsigned)(class >> found->at * DIGIT_BITS) & DIGIT_MAX
                 : DIGIT_PERHAPS;
    return true;
}

enum sql_meaning sql_path_meaning(const struct sql_rules *rules, uint64_t class, const char *name,
                                  const struct rule **rule)
{
    unsigned digit;

    *rule = sql_rules_named(rules, name, 0);
    if (!find_digit(rules, class, name, &digit))
        return *rule ? SQL_MEANS_RULE : SQL_MEANS_OTHER;
    if (digit == DIGIT_PERHAPS)
        return SQL_MEANS_PERHAPS;
    *rule = is_other(digit) ? NULL : sql_rules_named(rules, name, digit - DIGIT_RULES);
    return *rule ? SQL_MEANS_RULE : SQL_MEANS_OTHER;
}

uint64_t sql_path_signature(const struct sql_rules *rules, uint64_t class, const char *name)
{
    const struct rule *rule = sql_rules_named(rules, name, 0);
    unsigned digit;

    if (!rule || !find_digit(rules, class, name, &digit))
        return 0;
    if (digit == DIGIT_OTHER_OLD)
        return rule->old_signature;
    return digit == DIGIT_OTHER_NEW ? rule->new_signature : 0;
}
