/* Blocks of PL/pgSQL that steps run. Private to plan*.c. */
#ifndef SEGUE_ENGINE_PLAN_BLOCK_H
#define SEGUE_ENGINE_PLAN_BLOCK_H

/* "DO" with the body of a block; heap (plan_build.c). */
char *build_do_take(char *body_take);

/* Around statements of such a body that say names of pg_catalog alone, whatever path it runs by. */
#define BUILD_OWN_NAMES                                                                            \
    "DECLARE segue_names pg_catalog.text := pg_catalog.current_setting('search_path'); segue_text" \
    " pg_catalog.text; BEGIN PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', " \
    "true); "
#define BUILD_NAMES_AGAIN " PERFORM set_config('search_path', segue_names, true); END"

#endif
