-- Queries of the kinds that the generator does not make.
CREATE TABLE s (dept text, name text, pay int, hired date);
INSERT INTO s VALUES ('a', 'ann', 100, '2020-01-01'), ('a', 'bob', 200, '2021-02-03'), ('b', 'cid', 150, '2019-05-05'), ('b', 'dee', NULL, NULL), (NULL, 'eve', 50, '2022-12-31');
SELECT dept, name, pay, rank() OVER w, dense_rank() OVER w, percent_rank() OVER w, lag(pay) OVER w, sum(pay) OVER (ORDER BY name ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), ntile(2) OVER w FROM s WINDOW w AS (PARTITION BY dept ORDER BY pay DESC NULLS LAST) ORDER BY dept, name;
SELECT dept, count(*), count(pay), sum(pay), avg(pay), stddev(pay), min(name), max(hired), array_agg(name ORDER BY name DESC), string_agg(name, ',' ORDER BY name) FILTER (WHERE pay > 100), bool_or(pay > 100), json_agg(pay ORDER BY name), jsonb_object_agg(name, pay), percentile_cont(0.5) WITHIN GROUP (ORDER BY pay), mode() WITHIN GROUP (ORDER BY dept) FROM s GROUP BY GROUPING SETS ((dept), ()) ORDER BY 1;
SELECT dept, name, count(*) FROM s GROUP BY CUBE (dept, name) ORDER BY 1, 2;
WITH RECURSIVE t(n, path) AS (SELECT 1, ARRAY[1] UNION ALL SELECT n * 2, path || n * 2 FROM t WHERE n < 50) SELECT * FROM t;
WITH RECURSIVE g(f, t) AS (VALUES (1, 2), (2, 3), (3, 1)), w AS (SELECT f, t FROM g WHERE f = 1 UNION ALL SELECT g.f, g.t FROM w JOIN g ON g.f = w.t) CYCLE f SET is_cycle USING path SELECT * FROM w;
WITH moved AS (DELETE FROM s WHERE dept IS NULL RETURNING *) SELECT * FROM moved;
WITH ins AS (INSERT INTO s VALUES ('c', 'fay', 1, '2024-01-01') RETURNING name) SELECT * FROM ins, (SELECT count(*) FROM s) x;
MERGE INTO s USING (VALUES ('ann', 500), ('zoe', 5)) n(name, pay) ON s.name = n.name WHEN MATCHED AND n.pay > 400 THEN UPDATE SET pay = n.pay WHEN NOT MATCHED THEN INSERT (name, pay) VALUES (n.name, n.pay);
MERGE INTO s USING (VALUES ('ann'), ('ann')) n(name) ON s.name = n.name WHEN MATCHED THEN DELETE;
SELECT * FROM s ORDER BY name;
SELECT * FROM json_each('{"a": 1, "b": [2]}'); SELECT * FROM jsonb_array_elements_text('["x", null, {"y": 1}]') WITH ORDINALITY; SELECT * FROM json_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS r(a int, b text); SELECT * FROM jsonb_populate_record(NULL::s, '{"name": "json", "pay": 7}');
SELECT jsonb_pretty('{"a": {"b": [1, 2, {"c": null}]}}'), jsonb_path_query_array('{"a": [1, 2, 3]}', '$.a[*] ? (@ > $min)', '{"min": 1}'), '{"a": 1}'::jsonb || '{"b": 2}', '{"a": 1, "b": 2}'::jsonb - 'a', '[1, 2]'::jsonb @> '2', jsonb_set('{"a": [1]}', '{a,0}', '9'), row_to_json(ROW(1, 'x'));
SELECT xmlelement(name root, xmlattributes(1 AS id), xmlforest('x' AS a, NULL AS b)), xpath('/a/b/text()', '<a><b>1</b><b>2</b></a>'), xmlconcat('<a/>', '<b/>'), xmlpi(name php, 'echo'), xmlexists('//b' PASSING '<a><b/></a>');
SELECT * FROM xmltable('/r/i' PASSING '<r><i k="1">x</i><i k="2">y</i></r>' COLUMNS k int PATH '@k', v text PATH '.');
SELECT query_to_xml('SELECT 1 AS a, NULL AS b', true, false, '');
SELECT to_tsvector('english', 'The quick brown foxes jumped') @@ to_tsquery('english', 'fox & jump'), ts_headline('english', 'The quick brown foxes', to_tsquery('fox')), ts_rank(to_tsvector('a b a'), to_tsquery('a')), websearch_to_tsquery('"two words" or -not'), * FROM ts_debug('english', 'foxes run') LIMIT 2;
SELECT array_agg(x ORDER BY x) FROM unnest(ARRAY[3, 1, 2]) x; SELECT ARRAY[1, 2] || 3, array_position(ARRAY['a', 'b'], 'b'), array_remove(ARRAY[1, 2, 1], 1), ARRAY[[1, 2], [3, 4]][2:2][1:1], array_dims(ARRAY[[1], [2]]), unnest(ARRAY['p', 'q']), string_to_array('a,,b', ',', ''), array_to_string(ARRAY[1, NULL], '-', '*');
SELECT int4range(1, 10) * int4range(5, 15), int4range(1, 5) + int4range(5, 9), daterange('2024-01-01', NULL) @> '2024-06-01'::date, range_agg(int4range(i, i + 2)), isempty('empty'::int4range) FROM generate_series(1, 9, 4) i; SELECT int4range(1, 3) + int4range(7, 9);
SELECT date_trunc('quarter', timestamp '2024-05-17 12:34'), extract(epoch FROM interval '1 day'), age('2024-03-01', '2023-01-31'), '2024-01-31'::date + interval '1 month', date_bin('15 min', timestamp '2024-01-01 00:37', '2024-01-01'), to_char(timestamp '2024-02-03 04:05:06', 'Day DD Month YYYY HH12:MI AM "Q"Q'), justify_interval('35 days 25 hours'), timestamptz '2024-03-10 02:30 America/New_York' AT TIME ZONE 'UTC', make_interval(years => 1, hours => 2), (date '2024-01-01', date '2024-02-01') OVERLAPS (date '2024-01-15', interval '1 week');
SELECT format('%1$s %2$I %1$L %%', 'it''s', 'odd name'), regexp_matches('foo bar', '(\w)(\w)', 'g'), overlay('abcdef' PLACING 'XX' FROM 2), trim(BOTH 'x' FROM 'xxaxx'), encode('\x00ff', 'base64'), sha256('a'), md5('a'), translate('abc', 'ab', 'x'), substring('foobar' FROM 'o(.)b'), 'abc' SIMILAR TO '%(b|d)%', U&'\0061\+000062', E'\x41\u00e9', normalize(U&'e\0301') = 'é', ascii('é'), left('abc', -1), starts_with('abc', 'ab'), unistr('\0041'), split_part('a-b-c', '-', -1);
SELECT 5 / 2, 5 % -3, -5 / 2, 5.0 / 2, 2 ^ 10, |/ 16, ||/ 27, 5 # 3, ~5, 1 << 4, round(2.5), round(-2.5), round(2.5::float8), trunc(-1.7), ceil(1.1), mod(-7, 3), gcd(12, 18), lcm(4, 6), width_bucket(5, 0, 10, 4), 1e400::numeric, 0.1 + 0.2, 1::float4 / 3, div(7, 2), factorial(20), log(2, 8), numeric '1' / 3, 10 ^ -5, to_hex(255), scale(1.500), min_scale(1.500);
SELECT point(1, 2) <-> point(4, 6), box '((0,0),(2,2))' && box '((1,1),(3,3))', area(circle '<(0,0),2>'), path '[(0,0),(1,1)]' + path '[(2,2),(3,3)]', polygon '((0,0),(1,1),(1,0))' @> point(0.9, 0.5), lseg '[(0,0),(2,2)]' # lseg '[(0,2),(2,0)]', slope(point(0, 0), point(1, 2)), center(box '((0,0),(2,2))'), @-@ path '[(0,0),(3,4)]', line '{1,-1,0}' ?|| line '{2,-2,5}';
SELECT inet '10.1.2.3/24' << inet '10.1.0.0/16', network('10.1.2.3/24'), broadcast('10.1.2.3/24'), host('10.1.2.3/24'), inet '10.0.0.1' + 300, inet '10.0.1.0' - inet '10.0.0.0', abbrev(cidr '10.1.0.0/16'), macaddr '08:00:2b:01:02:03' & macaddr 'ff:ff:ff:00:00:00', inet_same_family('::1', '10.0.0.1'), set_masklen('10.1.2.3/24'::inet, 8);
SELECT B'101' & B'110', B'101' | B'010', B'101' # B'111', ~B'101', B'101' << 1, B'1' || B'0', B'101'::int, 5::bit(8), get_bit(B'101', 1), set_bit('\x00'::bytea, 3, 1), bit_count('\xff'::bytea), position(B'01' IN B'101');
SELECT CASE 5 WHEN 1 THEN 'a' ELSE 'b' END, coalesce(NULL, NULL, 3), nullif(1, 1), greatest(1, NULL, 3), NULL = NULL, NULL IS NOT DISTINCT FROM NULL, (1, NULL) = (1, NULL), ROW(1, 2) < ROW(1, 3), 1 = ANY (ARRAY[1, 2]), 1 > ALL (ARRAY[0, NULL]), 'x' IN ('x', NULL), NOT NULL::bool, true IS UNKNOWN, ROW(NULL, NULL) IS NULL, ROW(1, NULL) IS NOT NULL;
SELECT 1 AS "ünï ""quoted""", 2 AS "select", 3 AS "?column?", 4, 5 AS repeat, 6 AS repeat;
SELECT; SELECT FROM s; TABLE s ORDER BY name LIMIT 1; SELECT s FROM s ORDER BY name LIMIT 1; SELECT (s).* FROM s ORDER BY 2 LIMIT 1; SELECT s.name, x.* FROM s, LATERAL (VALUES (s.pay, s.pay * 2)) x(a, b) ORDER BY 1;
SELECT * FROM s a NATURAL JOIN s b ORDER BY a.name LIMIT 2; SELECT count(*) FROM s a CROSS JOIN s b; SELECT * FROM s a FULL JOIN s b USING (name) WHERE a.pay IS NULL ORDER BY 1; SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['a', 'b', 'c'])) r(a, b);
SELECT repeat('wide', 30000) AS wide; SELECT string_agg(i::text, ',') FROM generate_series(1, 5000) i; SELECT i, repeat('*', i % 50) FROM generate_series(1, 1000) i; SELECT array_agg(i) FROM generate_series(1, 2000) i;
SELECT setseed(0.5); SELECT count(random()) > 0, hashtext('a'), hashint4(5);
\pset null '<null>'
SELECT NULL, '', ' ';
\x
SELECT * FROM s ORDER BY name LIMIT 2;
\x auto
SELECT 1;
\x off
\t
SELECT 'tuples only';
\t
\a
SELECT 1, 2, 3;
\a
\pset border 2
SELECT 'border' AS b, E'several\nlines' AS c;
\pset linestyle unicode
SELECT 'ünï' AS "größe", E'tab\there' AS t;
\pset border 0
SELECT 1, 2;
\pset format wrapped
\pset columns 40
SELECT repeat('word ', 20) AS words, 'x' AS y;
\pset format latex
SELECT 1, '$&%';
\pset format asciidoc
SELECT 1, '|';
\pset format troff-ms
SELECT 1, 'x';
\pset format aligned
\pset numericlocale on
SELECT 1234567.891, 1e6;
\pset footer off
SELECT 1;
\pset title 'A title'
SELECT 1;
