-- Several statements in one message
-- @message
SELECT * FROM words;
UPDATE words SET {title} = 'm' WHERE id = 1;
SELECT t.* FROM words t WHERE id = 1;

-- An error in the second of three
-- @message
SELECT * FROM words;
SELECT *, absent FROM words;
SELECT 1;

-- PREPARE and EXECUTE
PREPARE q AS SELECT * FROM archive WHERE id > 6;
EXECUTE q;
DEALLOCATE q;

-- PREPARE with parameters
-- @how: simple
PREPARE q (bigint, text) AS INSERT INTO archive (id, run_id, {claim}) VALUES ($1, 'r', $2) RETURNING *;
EXECUTE q (100, 'x');
EXECUTE q (101, NULL);
DEALLOCATE q;

-- A cursor
DECLARE cur SCROLL CURSOR FOR SELECT * FROM archive ORDER BY id;
FETCH 2 FROM cur;
FETCH LAST FROM cur;
CLOSE cur;

-- WHERE CURRENT OF
-- @how: simple
DECLARE cur CURSOR FOR SELECT * FROM words WHERE id = 2 FOR UPDATE;
FETCH cur;
UPDATE words SET {title} = 'current' WHERE CURRENT OF cur;
CLOSE cur;

-- EXPLAIN
-- @shown: no
EXPLAIN (COSTS OFF) SELECT * FROM checks NATURAL JOIN archive;

-- EXPLAIN ANALYZE of a write
-- @shown: no
EXPLAIN ANALYZE INSERT INTO words VALUES (100, 'explained');

-- CREATE TABLE AS
CREATE TABLE made AS SELECT * FROM checks;
SELECT * FROM made;

-- CREATE TABLE AS with a list of columns
CREATE TEMP TABLE made (one, two) AS SELECT id, {claim} FROM checks WITH NO DATA;
SELECT * FROM made;

-- CREATE TABLE AS TABLE
CREATE TABLE made AS TABLE "Order Lines";
SELECT * FROM made;

-- A view over a star
CREATE VIEW made AS SELECT * FROM checks;
SELECT * FROM made;

-- A view over a join
CREATE TEMP VIEW made AS SELECT c.*, n.claim AS noted FROM archive c JOIN notes n ON n.id = c.id - 4;
SELECT * FROM made;

-- A materialized view
CREATE MATERIALIZED VIEW made AS SELECT * FROM readings;
SELECT * FROM made;

-- Parameters
-- @params: ["5", "claim 1"]
SELECT *, $2 AS asked FROM archive WHERE id = $1 OR {claim} = $2;

-- Parameters of an INSERT
-- @params: ["100", "r", "a 'claim'", null]
INSERT INTO archive (id, run_id, {claim}, {config_json}) VALUES ($1, $2, $3, $4) RETURNING *;

-- Parameters of an INSERT without a list
-- @params: ["100", "r", "a 'claim'", null, "2026-02-03"]
INSERT INTO archive VALUES ($1, $2, $3, $4, $5) RETURNING *;

-- A parameter used twice
-- @params: ["5", "x"]
UPDATE archive SET {claim} = $2, run_id = $2 WHERE id = $1 RETURNING *;

-- A parameter in an expression
-- @params: ["5", "x"]
UPDATE archive SET {claim} = upper($2) || $2 WHERE id = $1 RETURNING *;

-- A parameter for a numeric column with a scale
-- @params: ["1.239", "1"]
UPDATE "Order Lines" SET "{priceunit}" = $1 WHERE "Id" = $2 RETURNING *;

-- A parameter whose type cannot be known
-- @params: ["1"]
SELECT $1, * FROM words;

-- More parameters than the statement has
-- @params: ["1", "2"]
SELECT * FROM words WHERE id = $1;

-- A switch in a comment
-- @doubt: rewriting is turned off
SELECT /* segue:off */ * FROM checks;

-- DO is opaque
-- @untouched: a kind of statement that is never rewritten
DO $$ BEGIN PERFORM * FROM words; END $$;

-- LOCK
LOCK TABLE checks IN SHARE MODE;

-- A savepoint
SAVEPOINT s;
UPDATE words SET {title} = 'x';
ROLLBACK TO SAVEPOINT s;
SELECT * FROM words;

-- A comment on a column
COMMENT ON COLUMN words.{title} IS 'the title';
