-- COPY TO with options of all kinds
COPY words TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY words TO STDOUT (FORMAT csv, FORCE_QUOTE ({title}), QUOTE '''', ESCAPE '"');
COPY words TO STDOUT (DELIMITER '|', NULL 'none', ENCODING 'UTF8');
COPY BINARY words TO STDOUT;
COPY public.words TO STDOUT WITH CSV HEADER FORCE QUOTE {title};
COPY words ({title}, id) TO STDOUT DELIMITERS ';';

-- COPY TO of a column that nothing has
COPY words (id, absent) TO STDOUT;

-- COPY FROM with all columns at once in an option
-- @since: 17
COPY words FROM STDIN (FORMAT csv, FORCE_NULL *, ON_ERROR ignore);
100,""
many,x
\.

-- COPY FROM with a word for the default
-- @since: 16
COPY "Order Lines" ("Id", "{from}", qty) FROM STDIN (FORMAT csv, DEFAULT 'D');
100,x,D
\.

-- A cursor that outlives its transaction
DECLARE cur BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT * FROM words;
FETCH ALL FROM cur;
MOVE ABSOLUTE 0 FROM cur;
CLOSE ALL;

-- Tables made of stars, in all ways
CREATE TEMP TABLE made ON COMMIT DROP AS TABLE words WITH DATA;
CREATE UNLOGGED TABLE others (a) AS SELECT * FROM words NATURAL JOIN notes WITH NO DATA;
SELECT * FROM made, others;
SELECT * INTO UNLOGGED third FROM archive UNION SELECT * FROM archive;
TABLE third;

-- Elements of arrays, in all lists
INSERT INTO kinds (id, {n_ints}[1], {n_ints}[2]) VALUES (10, 5, 6) RETURNING {n_ints};
INSERT INTO kinds (id, {n_texts}[1:2]) VALUES (11, '{a,b}') RETURNING {n_texts};
INSERT INTO kinds (id, {n_ints}) VALUES (1, '{7,8}') ON CONFLICT (id) DO UPDATE SET {n_ints}[1] = excluded.{n_ints}[2] RETURNING {n_ints};
MERGE INTO kinds k USING words w ON w.id = k.id WHEN MATCHED THEN UPDATE SET {n_ints}[2] = w.id, {n_text} = w.{title};
UPDATE kinds SET ({n_ints}[1], {n_ints}[2]) = (1, 2) WHERE id = 2 RETURNING {n_ints};
UPDATE kinds SET {n_jsonb}['a'] = '1', {n_json} = '[]' WHERE id = 1 RETURNING {n_jsonb};
UPDATE kinds SET {n_ints}[1] = {n_ints}[2], {n_int4} = {n_ints}[1] WHERE id = 1 RETURNING {n_ints}, {n_int4};

-- One column in a list of columns
UPDATE words SET ({title}) = ROW ('x') WHERE id = 1;
UPDATE words SET ({title}) = (SELECT 'y') WHERE id = 2;
UPDATE words SET {title} = (VALUES ('z')) WHERE id = 3;
UPDATE words SET ({title}, id) = (SELECT v.* FROM (VALUES ('s', words.id)) v) RETURNING *;

-- What is assigned to is qualified
UPDATE words SET words.{title} = 'x';

-- What is assigned to is qualified by an alias
UPDATE words AS w SET w.{title} = 'x';

-- The alias of a USING
SELECT j.*, w.*, a.{claim} FROM words w JOIN archive a USING (id) AS j;
SELECT * FROM words w LEFT JOIN archive a USING (id) AS j WHERE j.id < 9;
SELECT to_json(j), w.{title} FROM words w JOIN notes n USING (id) AS j;

-- Set operations in brackets
-- @ordered
(TABLE words ORDER BY 1 LIMIT 1) UNION ALL (SELECT * FROM words ORDER BY {title} DESC LIMIT 2) EXCEPT ALL TABLE words ORDER BY 2;

-- A set operation ordered by what is no column of it
SELECT * FROM words UNION SELECT * FROM words ORDER BY {title} || 'x';

-- A set operation of different widths
SELECT * FROM words UNION SELECT id FROM words;

-- A position behind the star
SELECT * FROM words ORDER BY 3;

-- A column read as a function of its row
-- @untouched: a whole row where its type matters
SELECT {title}(w), id(w) FROM words w;

-- A column read as a function of its row, beside a star
-- @doubt: a whole row where its type matters
SELECT *, {title}(words) FROM words;

-- GROUP BY DISTINCT, a named window with a frame
SELECT {title}, count(*) FROM words GROUP BY DISTINCT ROLLUP ({title}, id), ROLLUP ({title});
SELECT id, sum(id) OVER w, first_value({title}) OVER (w ROWS 1 PRECEDING) FROM words WINDOW w AS (PARTITION BY {title} IS NULL ORDER BY id);

-- ROWS FROM over a row of outside
SELECT w.*, r.* FROM words w, ROWS FROM (unnest(ARRAY[w.{title}]), generate_series(1, w.id)) WITH ORDINALITY r (a, b, c);

-- INSERT of what is locked
INSERT INTO words SELECT id + 10, {title} FROM words WHERE id < 3 FOR UPDATE;
INSERT INTO words (SELECT DISTINCT ON ({title}) id + 20, {title} FROM words ORDER BY {title}, id) RETURNING *;
INSERT INTO words (TABLE words ORDER BY id LIMIT 1) ON CONFLICT (id) DO UPDATE SET {title} = excluded.{title} || '!' RETURNING *;

-- INSERT without a list that overrides
INSERT INTO readings OVERRIDING USER VALUE VALUES (1, 's', 2, 3) RETURNING sensor, {amount}, low;
INSERT INTO readings OVERRIDING SYSTEM VALUE VALUES (77, 's', 2, 3) RETURNING *;

-- A generated column is set
UPDATE readings SET doubled = 1, {amount} = 2;

-- A generated column is set to its default
UPDATE readings SET doubled = DEFAULT, {amount} = 2 WHERE id = 1 RETURNING *;

-- An aggregate in RETURNING
UPDATE words SET {title} = 'é' RETURNING *, count(*);

-- Brackets and commas in comments and strings of lists
INSERT INTO words (id /* ( */, {title} -- ) ,
) VALUES (100 /* , */, 'a),(' -- )
), (101, $q$), ('$q$) RETURNING words.* /* , */;
UPDATE words /* SET */ SET {title} /* = */ = /* , */ 'x, y = z' /* , */ WHERE /* WHERE */ id = 1;

-- A lock of what is not there
SELECT * FROM words w FOR UPDATE OF absent;

-- Locks of several kinds
SELECT w.*, n.id FROM words w JOIN notes n USING (id) FOR UPDATE OF w FOR SHARE OF n;
WITH l AS (SELECT * FROM words FOR KEY SHARE) SELECT * FROM l;
TABLE words ORDER BY {title} LIMIT 1 FOR UPDATE SKIP LOCKED;

-- A star beside the server's own catalog
SELECT w.*, c.relname FROM words w, pg_catalog.pg_class c WHERE c.oid = 'words'::regclass;

-- ORDER BY USING
-- @ordered
SELECT * FROM words ORDER BY {title} USING >, id;

-- XML of columns
SELECT xmlelement(name w, xmlattributes({title} AS t), xmlforest(id, {title})) ::text FROM words;

-- A row's columns in VALUES, in ROW, in IN
SELECT * FROM words WHERE ROW(words.*) = ROW(1, 'word 1') OR (id, {title}) IN (VALUES (2, 'word 2'));

-- A star with a schema that is not the table's
SELECT other.words.* FROM words;

-- A star with a schema, of an alias
SELECT 1, public.w.* FROM words w;

-- A star with a schema as a value
SELECT count(other.words.*) FROM words;

-- A star with the schema, as a value
SELECT to_json(public.words.*)::text, public.words.* IS NULL FROM words WHERE public.words.* IS NOT NULL ORDER BY count(public.words.*) OVER (ORDER BY id);
SELECT count(public.words.*) FROM public.words;
UPDATE words SET {title} = 'x' WHERE id = 1 RETURNING to_json(public.words.*);

-- A star with the schema, in GROUP BY
SELECT count(public.words.*) FROM public.words GROUP BY public.words.*;

-- A star with a schema as a value, of an alias
SELECT to_json(public.w.*) FROM words w;

-- A star with a database
SELECT absent.public.words.* FROM words;

-- A star with schemas, of two tables of one name
-- @doubt: a star whose columns cannot be listed
SELECT public.tags.*, other.tags.*, count(public.tags.*) OVER () FROM public.tags, other.tags;

-- ANALYZE of columns
ANALYZE words (id, {title});

-- Tabs, and an error in the second line
-- @message
SELECT *,	'é'
FROM words,	absent;

-- A MERGE of the table with itself
MERGE INTO words w USING words v ON v.id = w.id + 1 WHEN MATCHED THEN UPDATE SET {title} = v.{title} WHEN NOT MATCHED THEN DO NOTHING;

-- A MERGE from a join by names
MERGE INTO words w USING (SELECT * FROM archive NATURAL JOIN notes) v ON v.id = w.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.claim);

-- A write in a recursive WITH
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3), u AS (UPDATE words SET {title} = 'n' || i FROM n WHERE i = id RETURNING words.*) SELECT * FROM u;

-- Names that a column's list of aliases takes away
SELECT * FROM words w ({title}, id);

-- A sub-select that selects nothing
SELECT w.* FROM words w WHERE EXISTS (SELECT FROM archive a WHERE a.{claim} = w.{title}) OR EXISTS (SELECT);

-- A string over two lines in a value that is written twice
UPDATE words SET {title} = 'one'
  'two' WHERE id = 1 RETURNING *;

-- Escapes in values that are written twice
INSERT INTO words (id, {title}) VALUES (100, E'a\'b\\'), (101, U&'\00e9' ), (102, U&'!00e9' UESCAPE '!'), (103, B'101'::text), (104, N'n'), (105, $x$y$x$) RETURNING *;

-- Numbers of all kinds in values that are written twice
UPDATE kinds SET {n_int8} = -9223372036854775808, {n_numeric} = .5e-3, {n_float8} = 1e308, {n_int2} = 0007, {n_money2} = - 1.005 WHERE id = 1 RETURNING {n_int8}, {n_numeric}, {n_float8}, {n_int2}, {n_money2};
