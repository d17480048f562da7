#include "shown.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/sql/renames.h"

static const char own[] = "~segue_";

struct list {
    struct eng_shown *v;
    size_t n, cap;
};

static bool is_own(const char *name)
{
    return strncmp(name, own, sizeof(own) - 1) == 0;
}

static void add_take(struct list *list, char *now, char *shown)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->v[i].now, now) == 0) {
            free(now);
            free(shown);
            return;
        }
    }
    mem_grow((void **)&list->v, &list->cap, list->n + 1, sizeof(*list->v));
    list->v[list->n++] = (struct eng_shown){now, shown};
}

/* Which of the two has such a name: the one that gets it is parked, the one that has it waited. */
static void read_statement(struct list *list, const char *sql)
{
    char *from, *to;

    if (!strstr(sql, own) || !sql_renames(sql, &from, &to))
        return;
    if (is_own(from) == is_own(to)) {
        free(from);
        free(to);
    } else if (is_own(from)) {
        add_take(list, from, to);
    } else {
        add_take(list, to, from);
    }
}

static bool renames(enum eng_stage stage)
{
    return stage == ENG_STAGE_CUTOVER || stage == ENG_STAGE_REVERT || stage == ENG_STAGE_CONTRACT;
}

struct eng_shown *eng_shown_read(const struct eng_plan *plan, size_t *n)
{
    struct list list = {0};

    for (size_t i = 0; i < plan->nsteps; i++)
        for (size_t j = 0; renames(plan->steps[i].stage) && j < plan->steps[i].nsql; j++)
            read_statement(&list, plan->steps[i].sql[j]);
    *n = list.n;
    return list.v;
}

void eng_shown_free(struct eng_shown *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].now);
        free(list[i].shown);
    }
    free(list);
}
