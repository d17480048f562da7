-- Columns, a star and the row by the table's name
-- @ordered
SELECT "{bigcrates}".label, public."{bigcrates}".weight, "{bigcrates}".*, "{bigcrates}" FROM public."{bigcrates}" ORDER BY "{bigcrates}".id;

-- A star of the one that has a column of one side
SELECT {shelves}.*, public.{shelves}.id FROM public.{shelves};

-- The row of the one that has a column of one side
SELECT {shelves}, to_json({shelves}), ({shelves}).{caption}, ({shelves}).* FROM {shelves};

-- TABLE of both
TABLE "{bigcrates}" UNION ALL SELECT id, {caption}, amount, id FROM {shelves} ORDER BY 1, 2;

-- Without the schema, and with it, under another name
SELECT {shelves}.id, s.* FROM {shelves} JOIN public.{shelves} s ON s.id = {shelves}.id + 1 WHERE {shelves}.env = 'prod';

-- Twice without an alias
SELECT * FROM {shelves}, {shelves};

-- Joins by names
SELECT * FROM {shelves} NATURAL JOIN notes JOIN "{bigcrates}" USING (id);

-- ONLY, a star behind the name, TABLESAMPLE
SELECT count(*) FROM ONLY {shelves}, "{bigcrates}" *, {shelves} s TABLESAMPLE bernoulli (100);

-- Rows of outside
SELECT (SELECT max(b.weight) FROM "{bigcrates}" b WHERE b.id <= {shelves}.id), EXISTS (SELECT * FROM "{bigcrates}" WHERE "{bigcrates}".id = {shelves}.id) FROM {shelves};

-- A CTE that is called as the table is
WITH {shelves} AS (SELECT id, {caption} FROM {shelves}) SELECT {shelves}.* FROM {shelves};

-- A CTE that is called as the table is on the other side
-- @side: old
WITH shelves AS (SELECT 1 AS one), "Big Crates" AS (SELECT id FROM shelves, crates) SELECT * FROM racks, shelves, "Big Crates", crates WHERE racks.id = crates.id;

-- A CTE that is called as the table was
-- @side: new
WITH racks AS (SELECT 1 AS one), crates AS (SELECT id FROM racks, "Big Crates") SELECT * FROM shelves, racks, crates, "Big Crates" WHERE shelves.id = "Big Crates".id;

-- A CTE that writes
WITH gone AS (DELETE FROM {shelves} WHERE {shelves}.id > 4 RETURNING {shelves}.*), more AS (INSERT INTO "{bigcrates}" (id) SELECT id + 100 FROM gone RETURNING *) SELECT * FROM gone, more WHERE gone.id = more.id - 100;

-- Groups by the key
SELECT {shelves}.*, to_json({shelves}), count(*) FROM {shelves} GROUP BY {shelves}.id;

-- Locks
SELECT {shelves}.*, s.id FROM {shelves} JOIN "{bigcrates}" s USING (id) FOR UPDATE OF {shelves} FOR SHARE OF s;

-- A lock of what an alias hides
SELECT * FROM {shelves} s FOR UPDATE OF {shelves};

-- INSERT without a list
INSERT INTO {shelves} VALUES (100, 'e', 't'), (101) RETURNING *, {shelves}.id;

-- INSERT of many rows
INSERT INTO "{bigcrates}" (id, label) VALUES (100, 'a'), (101, 'b'), (102, 'c'), (103, NULL), (104, 'e'), (105, 'f'), (106, 'g'), (107, 'h'), (108, 'i') RETURNING "{bigcrates}".*;

-- INSERT of itself
INSERT INTO {shelves} SELECT {shelves}.id + 100, env, {shelves}.{caption}, amount FROM {shelves} RETURNING {shelves}.*;

-- INSERT with DEFAULT VALUES
INSERT INTO {shelves} DEFAULT VALUES;

-- ON CONFLICT
INSERT INTO "{bigcrates}" VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET label = "{bigcrates}".label || excluded.label, weight = DEFAULT WHERE "{bigcrates}".id = excluded.id RETURNING *, "{bigcrates}";

-- ON CONFLICT ON CONSTRAINT, under an alias
INSERT INTO {shelves} AS s (id, env) VALUES (2, 'x') ON CONFLICT ON CONSTRAINT racks_pkey DO UPDATE SET env = s.env || excluded.env RETURNING s.*;

-- UPDATE with FROM of itself
UPDATE {shelves} SET {caption} = o.{caption} || {shelves}.id FROM {shelves} o WHERE o.id = {shelves}.id + 1 RETURNING {shelves}.*, o.id;

-- UPDATE of a list by a sub-select
UPDATE ONLY "{bigcrates}" SET (label, weight) = (SELECT s.{caption}, s.amount FROM {shelves} s WHERE s.id = "{bigcrates}".id), "Unit Price" = DEFAULT RETURNING *;

-- RETURNING of the old and the new row
-- @since: 18
UPDATE {shelves} SET {caption} = 'r' WHERE id = 2 RETURNING old.{caption}, new.*, {shelves}.{caption};

-- DELETE with USING
DELETE FROM public.{shelves} USING "{bigcrates}" WHERE "{bigcrates}".id = {shelves}.id RETURNING *;

-- MERGE
MERGE INTO {shelves} USING "{bigcrates}" ON "{bigcrates}".id = {shelves}.id WHEN MATCHED AND {shelves}.id = 2 THEN DELETE WHEN MATCHED THEN UPDATE SET {caption} = "{bigcrates}".label || {shelves}.{caption} WHEN NOT MATCHED THEN INSERT (id, {caption}) VALUES ("{bigcrates}".id + 100, "{bigcrates}".label);

-- COPY there and back
COPY {shelves} TO STDOUT;
COPY public."{bigcrates}" (id, label) TO STDOUT (FORMAT csv, HEADER);
COPY (TABLE {shelves}) TO STDOUT;

-- COPY in with a condition
COPY {shelves} FROM STDIN WHERE id > 100;
100	a	b	1
101	a	b	1
\.

-- TRUNCATE and LOCK
LOCK TABLE {shelves}, ONLY "{bigcrates}" IN SHARE MODE;
TRUNCATE {shelves}, public."{bigcrates}";
SELECT count(*) FROM {shelves}, "{bigcrates}";

-- A cursor, and what it is at
-- @how: simple
DECLARE cur CURSOR FOR SELECT * FROM {shelves} WHERE id = 3 FOR UPDATE;
FETCH cur;
UPDATE {shelves} SET {caption} = 'here' WHERE CURRENT OF cur;
DELETE FROM {shelves} WHERE CURRENT OF cur;

-- PREPARE and EXECUTE
PREPARE q AS SELECT {shelves}.*, "{bigcrates}".id FROM {shelves} JOIN "{bigcrates}" USING (id);
EXECUTE q;
DEALLOCATE q;

-- A view and a table of them
CREATE VIEW made AS SELECT {shelves}.id, "{bigcrates}".label FROM {shelves}, "{bigcrates}";
CREATE TEMP TABLE also AS TABLE {shelves};
SELECT * FROM made, also;

-- A column that is not there
SELECT {shelves}.absent FROM {shelves};

-- A column that is not there, bare
SELECT absent FROM notes, {shelves};

-- A column that is not there, written
INSERT INTO {shelves} (id, absent) VALUES (100, 1);

-- A column that is not there, set
UPDATE "{bigcrates}" SET absent = 1;

-- A NULL that may not be
UPDATE {shelves} SET env = NULL;

-- A value that a constraint refuses
UPDATE "{bigcrates}" SET weight = 13 WHERE id = 1;

-- A key that is there
INSERT INTO "{bigcrates}" (id) VALUES (1);

-- Too many values
INSERT INTO "{bigcrates}" VALUES (1, 'a', 1, 1, 1);

-- A wrong type
INSERT INTO {shelves} (id, amount) VALUES (100, 'many');

-- INSERT of a renamed column, by the name of the table
INSERT INTO {shelves} (id, {caption}) VALUES (100, 'a'), (101, DEFAULT), (102, NULL) RETURNING {shelves}.{caption}, {shelves}.*;

-- INSERT of a renamed column, selected
INSERT INTO public.{shelves} (id, {caption}, env) SELECT {shelves}.id + 200, upper({shelves}.{caption}), env FROM {shelves} ON CONFLICT (id) DO UPDATE SET {caption} = excluded.{caption} || {shelves}.{caption} RETURNING *;

-- UPDATE of a renamed column and of others
UPDATE {shelves} SET ({caption}, amount) = ('x' || {shelves}.amount, {shelves}.amount + 1) WHERE {shelves}.{caption} LIKE 'rack%' RETURNING {shelves}, {shelves}.{caption};

-- UPDATE of a renamed column to its default
UPDATE ONLY {shelves} SET {caption} = DEFAULT WHERE id < 4 RETURNING *;

-- Joins by a renamed column
SELECT s.{caption}, count(*) FROM {shelves} s JOIN {shelves} USING (id, {caption}) GROUP BY s.{caption} ORDER BY 1;

-- COPY of a renamed column
COPY {shelves} (id, {caption}) FROM STDIN;
300	copied
\.
COPY (SELECT {shelves}.{caption} FROM {shelves} WHERE id = 300) TO STDOUT;
