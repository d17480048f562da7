-- A whole row as JSON
SELECT row_to_json(c) FROM checks c ORDER BY c.id;

-- A whole row as JSON by the table's name
SELECT row_to_json(archive) FROM archive;

-- to_jsonb of a whole row
SELECT to_jsonb(c) - 'created_at' FROM checks c;

-- json_agg of whole rows
SELECT json_agg(c ORDER BY c.id) FROM checks c;

-- jsonb_agg of rows of a sub-select
SELECT jsonb_agg(s ORDER BY s.id) FROM (SELECT * FROM archive) s;

-- Rows of a CTE as JSON
WITH c AS (SELECT * FROM archive) SELECT to_json(c) FROM c;

-- count of whole rows
SELECT count(c), count(DISTINCT a) FROM checks c LEFT JOIN archive a ON a.id = c.id;

-- A whole row is NULL where the join found none
-- @doubt: a whole row where its type matters
SELECT c.id, a IS NULL, a IS NOT NULL, a IS DISTINCT FROM NULL FROM checks c LEFT JOIN archive a ON a.id = c.id;

-- A field of a whole row
SELECT (c).{claim}, (c).id FROM checks c;

-- All fields of a whole row
SELECT (a).* FROM archive a;

-- A whole row as text
-- @doubt: a whole row where its type matters
SELECT a::text FROM archive a;

-- Whole rows are compared
-- @doubt: a whole row where its type matters
SELECT one.id FROM archive one JOIN archive two ON one = two;

-- ROW of a star
SELECT ROW(a.*)::text, ROW(a.*, 1) IS NULL FROM archive a;

-- ROW of a star as JSON
SELECT row_to_json(ROW(t.*)) FROM words t;

-- A whole row in a function's arguments
-- @doubt: a whole row where its type matters
SELECT json_build_object('tag', t, 'n', 1), concat(t), format('%s', t) FROM words t;

-- A star as a function's arguments
-- @doubt: a whole row where its type matters
SELECT json_build_array(t.*), concat_ws('|', t.*) FROM words t;

-- A column called like the table's alias
SELECT claim FROM notes claim, archive a WHERE claim.id = a.id;

-- Whole rows in a set operation
-- @doubt: a whole row where its type matters
SELECT t::text FROM words t UNION SELECT 'x';

-- A whole row in an array
-- @doubt: a whole row where its type matters
SELECT array_length(array_agg(t), 1) FROM words t;

-- A whole row in a sub-select's list
SELECT (SELECT row_to_json(a) FROM archive a WHERE a.id = c.id) FROM checks c;

-- A whole row of outside in a sub-select
SELECT (SELECT row_to_json(c)) FROM words c;

-- A whole row in the order
-- @doubt: a whole row where its type matters
SELECT id FROM words t ORDER BY t;

-- A whole row in RETURNING
-- @doubt: a join by names beside what forbids a sub-select
UPDATE words SET {title} = 'x' WHERE id = 1 RETURNING row_to_json(words), words IS NULL;
