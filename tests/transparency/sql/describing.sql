-- psql's commands that read catalogs, on objects of every kind.
CREATE TABLE parent (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name varchar(20) NOT NULL DEFAULT 'x', n numeric(8,2) CHECK (n > 0),
    "Odd Name" text COLLATE "C", g int GENERATED ALWAYS AS (2 * 3) STORED, a int[], UNIQUE (name, n));
CREATE TABLE child (id serial, p int REFERENCES parent ON DELETE CASCADE, d date) ;
CREATE TABLE inheriting (extra int) INHERITS (child);
CREATE TABLE parted (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
CREATE UNLOGGED TABLE unlogged_t (i int) WITH (fillfactor = 70);
CREATE INDEX by_name ON parent USING btree (lower(name) DESC NULLS LAST) INCLUDE (n) WHERE n > 5;
CREATE INDEX by_a ON parent USING gin (a);
CREATE VIEW v AS SELECT p.id, p.name, c.d FROM parent p LEFT JOIN child c ON c.p = p.id WHERE p.n > 1;
CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM parent WITH NO DATA;
CREATE SEQUENCE seq AS smallint START 5 INCREMENT -2 MINVALUE -100 MAXVALUE 10 CYCLE CACHE 3 OWNED BY child.d;
CREATE TYPE pair AS (x int, y text);
CREATE TYPE color AS ENUM ('red', 'green');
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN short AS varchar(5) DEFAULT 'a' NOT NULL CHECK (VALUE ~ '^[a-z]+$');
CREATE FUNCTION f(a int, OUT b int, INOUT c text DEFAULT 'z') LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 7 AS 'SELECT $1, $2';
CREATE FUNCTION f(VARIADIC t text[]) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN QUERY SELECT unnest(t); END';
CREATE PROCEDURE pr(INOUT x int) LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE UPDATE OF name ON parent FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION tf();
CREATE AGGREGATE agg (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
CREATE CAST (pair AS text) WITH INOUT;
CREATE COLLATION coll FROM "C";
CREATE TEXT SEARCH CONFIGURATION tsc (COPY = simple);
CREATE TEXT SEARCH DICTIONARY tsd (TEMPLATE = simple);
CREATE STATISTICS st (ndistinct) ON name, n FROM parent;
CREATE RULE ru AS ON INSERT TO unlogged_t DO ALSO NOTIFY nobody;
CREATE POLICY po ON parent FOR SELECT TO app USING (n > 0);
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
CREATE PUBLICATION corpus_pub FOR TABLE parent WHERE (n > 1);
CREATE FOREIGN DATA WRAPPER corpus_fdw;
CREATE SERVER corpus_server FOREIGN DATA WRAPPER corpus_fdw OPTIONS (host 'h');
CREATE FOREIGN TABLE ft (i int OPTIONS (a 'b')) SERVER corpus_server;
GRANT SELECT (id), INSERT ON parent TO app;
GRANT USAGE ON SCHEMA corpus TO reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA corpus GRANT SELECT ON TABLES TO app;
COMMENT ON TABLE parent IS 'the parent';
COMMENT ON COLUMN parent.n IS 'a number';
COMMENT ON FUNCTION tf() IS 'does nothing';
\d
\dt
\dt+ corpus.child
\d parent
\d child
\d inheriting
\d parted
\d+ parted
\d parted_1
\d unlogged_t
\d+ v
\d mv
\d seq
\d ft
\d by_name
\d by_a
\d pair
\d parent_pkey
\d nosuch
\d corpus.*
\d "Odd Name"
\d par*
\d "par*"
\di
\ds
\dv
\dm
\dT
\dT+ color
\dT+ span
\dD
\df
\df f
\df+ tf
\dfa
\dfp
\dft
\df f int
\da agg
\do ###
\do+ ### int
\dC pair
\dO coll
\dF tsc
\dF+ tsc
\dFd tsd
\dX
\dp parent
\dp
\ddp
\dn
\dn+ corpus
\dg app
\du reader
\dRp corpus*
\dRp+ corpus_pub
\dew corpus*
\des corpus_server
\det
\det+ ft
\dd
\dy
\dA
\dA+ btree
\dAc btree int4
\dAf btree int4
\dAo btree integer_ops
\dAp btree integer_ops
\dL
\dL+ plpgsql
\dP
\dPt+
\drds
\dconfig work_mem
\dconfig *page_cost
\dconfig+ work_mem
\db
\dx
\dx+ plpgsql
\dl
\z child
\sf f(int, text)
\sf+ tf
\sf nosuch
\sv v
\sv+ v
\sv parent
\h SELEC
\h CREATE SEQUENCE
\l nosuch*
\d kept_nosuch
SELECT id, label FROM kept ORDER BY id LIMIT 1 \gx
\dt nosuch.*
\df nosuch.nosuch
\d a.b.c.d
\dq
\set ECHO_HIDDEN on
\dt
\dn
\df agg
\set ECHO_HIDDEN noexec
\d parent
\set ECHO_HIDDEN off
\x
\d child
\x
\pset format csv
\d child
\pset format html
\dt
\pset format aligned
DROP PUBLICATION corpus_pub;
DROP FOREIGN DATA WRAPPER corpus_fdw CASCADE;
ALTER DEFAULT PRIVILEGES IN SCHEMA corpus REVOKE SELECT ON TABLES FROM app;
