/* The SQL of the two application revisions: the same statements with other names. */
#include "workload.h"

#include <string.h>

#define STATEMENTS(CLAIM, CONFIG, COUNTS)                                                          \
    {                                                                                              \
        [ST_READ] = "SELECT " CLAIM ", " CONFIG ", " COUNTS                                        \
                    ", prob_true_rpl FROM checks WHERE run_id = $1",                               \
        [ST_READ_STAR] = "SELECT * FROM checks WHERE run_id = $1",                                 \
        [ST_READ_SEED] = "SELECT run_id, " CLAIM ", prob_true_rpl FROM checks WHERE id = $1",      \
        [ST_LIST_USER] = "SELECT c.run_id, c." CLAIM ", c.created_at FROM checks AS c "            \
                         "WHERE c.user_id = $1 ORDER BY c.created_at DESC LIMIT 10",               \
        [ST_FIND_CLAIM] = "SELECT run_id FROM checks WHERE " CLAIM " = $1",                        \
        [ST_INSERT] = "INSERT INTO checks (run_id, user_id, " CLAIM ", claim_hash, model, "        \
                      "prob_true_rpl, " CONFIG ", " COUNTS ") "                                    \
                      "VALUES ($1, $2, $3, md5($3::text), 'gpt-5', $4, $5, $6) RETURNING id",      \
        [ST_UPDATE_ALL] = "UPDATE checks SET " CLAIM " = $2, prob_true_rpl = $3, " CONFIG          \
                          " = $4, " COUNTS " = $5 WHERE run_id = $1",                              \
        [ST_UPDATE_CLAIM] = "UPDATE checks SET " CLAIM " = $2 WHERE run_id = $1 "                  \
                            "RETURNING " CLAIM,                                                    \
        [ST_UPDATE_JSON] = "UPDATE checks SET (" CONFIG ", " COUNTS ") = ROW ($2, $3) "            \
                           "WHERE run_id = $1",                                                    \
        [ST_TOUCH] = "UPDATE checks SET stability_score = $2 WHERE run_id = $1",                   \
        [ST_UPSERT] = "INSERT INTO checks AS c (run_id, user_id, " CLAIM ", claim_hash, model, "   \
                      "prob_true_rpl, " CONFIG ", " COUNTS ") "                                    \
                      "VALUES ($1, $2, $3, md5($3::text), 'grok-4', $4, $5, $6) "                  \
                      "ON CONFLICT (run_id) DO UPDATE SET " CLAIM " = EXCLUDED." CLAIM             \
                      ", claim_hash = EXCLUDED.claim_hash, prob_true_rpl = "                       \
                      "EXCLUDED.prob_true_rpl, " CONFIG " = EXCLUDED." CONFIG ", " COUNTS          \
                      " = EXCLUDED." COUNTS " RETURNING c.id",                                     \
        [ST_DELETE] = "DELETE FROM checks WHERE run_id = $1",                                      \
        [ST_LEDGER] = "INSERT INTO usage_ledger (user_id, check_id, entry) "                       \
                      "SELECT $1, id, $2 FROM checks WHERE run_id = $2",                           \
        [ST_USER_NEW] = "INSERT INTO users (email) VALUES ($1) RETURNING id",                      \
        [ST_USER_ADD] = "UPDATE users SET checks_used = checks_used + 1, updated_at = now() "      \
                        "WHERE id = $1 RETURNING checks_used",                                     \
        [ST_CACHE_PUT] = "INSERT INTO result_cache (cache_key, payload) VALUES ($1, $2) "          \
                         "ON CONFLICT (cache_key) DO UPDATE SET payload = EXCLUDED.payload, "      \
                         "hits = result_cache.hits + 1",                                           \
        [ST_CACHE_GET] = "SELECT payload FROM result_cache WHERE cache_key = $1",                  \
        [ST_ANON] = "INSERT INTO anonymous_usage AS a (token, plan, checks_used) "                 \
                    "VALUES ($1, 'anon', 1) ON CONFLICT (token) DO UPDATE "                        \
                    "SET checks_used = a.checks_used + 1 RETURNING checks_used",                   \
        [ST_BEGIN] = "BEGIN", [ST_COMMIT] = "COMMIT", [ST_ROLLBACK] = "ROLLBACK",                  \
    }

#define COPY_IN(CLAIM, CONFIG, COUNTS)                                                             \
    "COPY checks (run_id, " CLAIM ", claim_hash, model, prob_true_rpl, " CONFIG ", " COUNTS        \
    ") FROM STDIN"

static const struct wl_revision revisions[] = {
    {
        .name = "old",
        .claim = "claim_text",
        .config = "aggregation",
        .counts = "diagnostics",
        .copy_in = COPY_IN("claim_text", "aggregation", "diagnostics"),
        .sql = STATEMENTS("claim_text", "aggregation", "diagnostics"),
    },
    {
        .name = "new",
        .claim = "claim",
        .config = "config_json",
        .counts = "counts_by_template_json",
        .copy_in = COPY_IN("claim", "config_json", "counts_by_template_json"),
        .sql = STATEMENTS("claim", "config_json", "counts_by_template_json"),
        .json = true,
        .anon = true,
    },
};

const struct wl_revision *wl_revision_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(revisions); i++)
        if (strcmp(revisions[i].name, name) == 0)
            return &revisions[i];
    return NULL;
}
