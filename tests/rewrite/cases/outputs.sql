-- ORDER BY an output column that has its name from what is cast
-- @side: old
-- @ordered
SELECT n.amount::bit(4)::int FROM readings r JOIN notes n ON n.id = r.id ORDER BY amount DESC;

-- ORDER BY an output column that has its name from what is cast, for the new
-- @side: new
-- @ordered
SELECT n.value::bit(2)::int, n.id FROM readings r JOIN notes n ON n.id = r.id ORDER BY value DESC, n.id;

-- DISTINCT and ORDER BY an output column that has its name from what is collated
-- @side: old
-- @ordered
SELECT DISTINCT n.claim COLLATE "C" FROM checks c JOIN notes n ON n.id = c.id ORDER BY claim;

-- ORDER BY an output column behind a star
-- @side: old
-- @ordered
SELECT c.*, 9 - n.id AS claim FROM archive c JOIN notes n ON n.id = c.id - 4 ORDER BY claim;

-- ORDER BY an output column behind a star, for the new
-- @side: new
-- @ordered
SELECT c.*, 9 - n.id AS claim_text FROM archive c JOIN notes n ON n.id = c.id - 4 ORDER BY claim_text;

-- ORDER BY a star's column
-- @side: old
-- @ordered
SELECT a.id, n.* FROM archive a JOIN notes n ON n.id = a.id - 4 ORDER BY claim, a.id;

-- DISTINCT ON an output column, where another table has a column of that name
-- @side: old
-- @ordered
SELECT DISTINCT ON (claim) right(n.claim, 1) AS claim, n.id FROM archive a JOIN notes n ON n.id = a.id - 4 ORDER BY claim, n.id;

-- ROLLUP over an output column
-- @side: old
SELECT left(run_id, 3) AS claim, env, count(*) FROM checks GROUP BY ROLLUP (claim, env);

-- ROLLUP over an output column, for the new
-- @side: new
SELECT left(run_id, 3) AS claim_text, env, count(*) FROM checks GROUP BY ROLLUP (claim_text, env);

-- GROUPING SETS over lists with an output column in them
-- @side: old
SELECT left(run_id, 3) AS claim, env, count(*) FROM checks GROUP BY GROUPING SETS ((claim, env), (env), ());

-- GROUP BY a list in brackets with an output column in it
-- @side: old
SELECT left(run_id, 3) AS claim, env, count(*) FROM checks GROUP BY (claim, env);

-- GROUP BY an output column that is called like the table, which must stay one
SELECT lower(c.env) AS c, max(c.ctid) IS NULL AS n, count(*) FROM checks c GROUP BY c;

-- GROUP BY an output column that is called like the table, under aliases of columns
SELECT lower(c.r2) AS c, count(*) FROM checks c (r0, r1, r2) GROUP BY c;

-- GROUP BY an output column behind a star
-- @side: old
SELECT w.*, left(c.run_id, 3) AS claim, count(*) FROM checks c JOIN words w ON w.id = c.id GROUP BY w.id, claim;

-- GROUP BY an output column that a sub-select has named
-- @side: old
SELECT (SELECT n.claim FROM notes n WHERE n.id = 1), count(*) FROM checks GROUP BY claim;

-- GROUPING SETS over a whole row
SELECT c IS NULL AS n, count(*), row_to_json(c)::text FROM checks c GROUP BY GROUPING SETS ((c), ());

-- ROLLUP over a whole row and a column
SELECT row_to_json(a)::text, a.run_id, count(*) FROM archive a GROUP BY ROLLUP (a, a.run_id);

-- GROUPING SETS over the key beside a whole row
SELECT a.id, count(*), max(row_to_json(a)::text) FROM archive a GROUP BY GROUPING SETS ((a.id), ());

-- GROUP BY the key in all sets, with a whole row
-- @doubt: a whole row where its type matters
SELECT row_to_json(a)::text, count(*) FROM archive a GROUP BY a.id, ROLLUP (a.run_id);

-- GROUP BY a whole row under aliases of columns
SELECT row_to_json(a)::text, count(*) FROM archive a (r0, r1) GROUP BY a;

-- A row by itself beside count(*), under aliases of columns
-- @untouched: a whole row where its type matters
SELECT count(*), (r) FROM readings r (r0, r1, r2);

-- A row by itself, and HAVING, under aliases of columns
-- @untouched: a whole row where its type matters
SELECT (r) FROM readings r (r0, r1, r2) HAVING true;
