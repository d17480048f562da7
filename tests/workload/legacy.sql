-- The legacy schema of a claim-checking service, and rows for it.
--
--   psql "$URL" -v rows=300000 -f tests/workload/legacy.sql
--
-- rows (default 0): how many checks. Row i has run_id 'seed-' || lpad(i, 7, '0') and, in a fresh
-- database, id i. About one row in 400 is broken the way real legacy rows are: JSON columns that
-- hold something else, empty text, no value at all.

\set ON_ERROR_STOP on
\if :{?rows}
\else
    \set rows 0
\endif
SET client_min_messages = warning;
SET synchronous_commit = off;

BEGIN;

CREATE TABLE users (
    id bigserial PRIMARY KEY,
    email text NOT NULL UNIQUE,
    plan text NOT NULL DEFAULT 'trial',
    status text NOT NULL DEFAULT 'active',
    checks_used integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash text NOT NULL UNIQUE,
    user_agent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE TABLE email_tokens (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    selector text NOT NULL UNIQUE,
    verifier_hash text NOT NULL,
    expires_at timestamptz NOT NULL,
    consumed_at timestamptz
);

CREATE TABLE checks (
    id bigserial PRIMARY KEY,
    run_id text UNIQUE,
    env text NOT NULL DEFAULT 'production',
    user_id bigint REFERENCES users (id),
    anon_token text,
    claim_text text NOT NULL,
    claim_hash text NOT NULL,
    model text NOT NULL,
    prompt_version text,
    k integer,
    r integer,
    t integer,
    prob_true_rpl double precision,
    ci_lo double precision,
    ci_hi double precision,
    stability_score double precision,
    aggregation text,
    diagnostics text,
    was_cached boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN checks.claim_text IS 'the claim as the user typed it';
COMMENT ON COLUMN checks.aggregation IS 'JSON, kept as text by the first release';

CREATE TABLE usage_ledger (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id),
    check_id bigint REFERENCES checks (id) ON DELETE SET NULL,
    entry text NOT NULL UNIQUE,
    delta integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE result_cache (
    cache_key text PRIMARY KEY,
    payload jsonb NOT NULL,
    hits integer NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('9e15719c5c3c');

INSERT INTO users (email, plan, checks_used)
SELECT 'user' || i || '@example.org', (ARRAY['trial', 'core', 'pro', 'research'])[1 + i % 4], i % 50
FROM generate_series(1, 2000) AS i;

INSERT INTO sessions (user_id, token_hash, user_agent, expires_at)
SELECT i, md5('session' || i), 'Mozilla/5.0', now() + interval '30 days'
FROM generate_series(1, 2000) AS i;

INSERT INTO checks (run_id, env, user_id, anon_token, claim_text, claim_hash, model, prompt_version,
                    k, r, t, prob_true_rpl, ci_lo, ci_hi, stability_score, aggregation, diagnostics,
                    was_cached, created_at)
SELECT 'seed-' || lpad(i::text, 7, '0'),
       CASE WHEN i % 11 = 0 THEN 'staging' ELSE 'production' END,
       CASE WHEN i % 3 = 0 THEN NULL ELSE 1 + i % 2000 END,
       CASE WHEN i % 3 = 0 THEN 'anon-' || (i % 5000) END,
       s.subject[1 + i % 8] || ' ' || s.verb[1 + i / 8 % 6] || ' ' || s.object[1 + i / 48 % 8]
           || ' by ' || (1950 + i % 90) || CASE WHEN i % 17 = 0 THEN ' — „so it’s said“ 🙂' ELSE '' END
           || ' (case ' || i || ')',
       h.hash,
       (ARRAY['gpt-5', 'gpt-5-mini', 'grok-4', 'gemini-2.5'])[1 + i % 4],
       'rpl_g5_v' || (1 + i % 4),
       8, 2, 8,
       i % 997 / 997.0, greatest(0, i % 997 / 997.0 - 0.08), least(1, i % 997 / 997.0 + 0.08),
       i % 89 / 89.0,
       CASE WHEN i % 1201 = 0 THEN NULL
            WHEN i % 1213 = 0 THEN '{"method": "trimmed'
            WHEN i % 1217 = 0 THEN ''
            WHEN i % 1223 = 0 THEN 'Traceback (most recent call last): KeyError: ''aggregation'''
            ELSE '{"method":"equal_by_template_trimmed","B":5000,"center":"trimmed","trim":0.2,'
                 || '"min_samples":3,"seed":' || i || ',"n_templates":' || (8 + i % 9)
                 || ',"imbalance_ratio":' || round(1 + i % 100 / 100.0, 2) || '}'
       END,
       CASE WHEN i % 1229 = 0 THEN NULL
            WHEN i % 1231 = 0 THEN '{''' || h.hash || ''': 2}'
            WHEN i % 1237 = 0 THEN 'NaN'
            ELSE '{ "' || left(h.hash, 12) || '": ' || (1 + i % 4) || ', "' || right(h.hash, 12)
                 || '": ' || (2 + i % 3) || ', "iqr_logit": ' || round(i % 313 / 313.0, 4)
                 || ', "flags": ["' || (ARRAY['ok', 'wide', 'drift'])[1 + i % 3] || '"] }'
       END,
       i % 5 = 0,
       timestamptz '2025-06-01 00:00+00' + i * interval '37 seconds'
FROM generate_series(1, :rows) AS i,
     LATERAL (SELECT md5(i::text) AS hash) AS h,
     (SELECT ARRAY['Tariffs on imported steel', 'A four-day week', 'Nuclear power', 'Remote work',
                   'The "gold standard"', 'Sea ice', 'Gene therapy', 'Open-source software'] AS subject,
             ARRAY['will not cause', 'raises', 'has halved', 'doesn''t explain', 'outlasts',
                   'is cheaper than'] AS verb,
             ARRAY['inflation', 'productivity in manufacturing', 'coal in most markets',
                   'the rents of large cities', 'trust in institutions', 'summer temperatures',
                   'the cost of care', 'what experts had predicted'] AS object) AS s;

CREATE INDEX ix_checks_claim_text ON checks (claim_text);
CREATE INDEX ix_checks_user_created ON checks (user_id, created_at);
CREATE INDEX ix_usage_ledger_user ON usage_ledger (user_id);

COMMIT;

VACUUM (ANALYZE) checks;
ANALYZE users;
