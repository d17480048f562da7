// pgx: prints one line a check, "ok NAME: SEEN" or "FAILED NAME: WHY". A check has a connection of its own.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/ioutil"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var ctx = context.Background()

type check struct {
	name string
	run  func(c *pgx.Conn) (interface{}, error)
}

func connect() (*pgx.Conn, error) { return pgx.Connect(ctx, "") }

func rows(c *pgx.Conn, sql string, args ...interface{}) ([]interface{}, error) {
	r, err := c.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out := []interface{}{}
	for r.Next() {
		values, err := r.Values()
		if err != nil {
			return nil, err
		}
		out = append(out, values)
	}
	return out, r.Err()
}

func text(r []interface{}, err error) (interface{}, error) { return fmt.Sprintf("%v", r), err }

func fields(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return fmt.Sprintf("not of the server: %v", err)
	}
	return fmt.Sprint([]interface{}{e.Code, e.Message, e.Detail, e.Position, e.TableName, e.ColumnName, e.ConstraintName, e.Routine})
}

func types(c *pgx.Conn) (interface{}, error) {
	sql, err := ioutil.ReadFile("types.sql")
	if err != nil {
		return nil, err
	}
	// every value as the server writes it; the binary form is checked below
	r := c.PgConn().ExecParams(ctx, string(sql), nil, nil, nil, nil).Read()
	if r.Err != nil || len(r.Rows) != 1 || len(r.Rows[0]) != 30 {
		return nil, fmt.Errorf("%d rows, %v", len(r.Rows), r.Err)
	}
	b := c.PgConn().ExecParams(ctx, string(sql), nil, nil, nil, []int16{1}).Read()
	return fmt.Sprintf("%q %x", r.Rows, b.Rows), b.Err
}

func typesDecoded(c *pgx.Conn) (interface{}, error) {
	return text(rows(c, `SELECT true, 1::int2, -2::int8, 1.5::float8, 'tëxt', '\x00ff'::bytea, NULL::text, '{1,2}'::int4[],
		'2024-02-29 12:00'::timestamp, '{"a": [1, null]}'::jsonb, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid`))
}

func parametersOfAllKinds(c *pgx.Conn) (interface{}, error) {
	return text(rows(c, "SELECT $1::int8, $2::float8, $3::text, $4::text, $5::bool, $6::bytea, $7::int4[], $8::jsonb", 1, -2.5,
		"té'xt", nil, true, []byte{0, 255}, []int32{1, 2}, map[string]int{"k": 1}))
}

func errorsWithTheirFields(c *pgx.Conn) (interface{}, error) {
	if _, err := c.Exec(ctx, "CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))"); err != nil {
		return nil, err
	}
	seen := []string{}
	for _, sql := range []string{"SELEC 1", "SELECT nosuch", "INSERT INTO e VALUES (2, NULL)", "INSERT INTO e VALUES (3, 'no')",
		"SELECT 1/0", "SELECT 'x'::int"} {
		_, err := rows(c, sql)
		seen = append(seen, fields(err))
	}
	if !strings.HasPrefix(seen[1], "[42703") {
		return nil, fmt.Errorf("%v", seen)
	}
	return seen, nil
}

func cancelOfARunningStatement(c *pgx.Conn) (interface{}, error) {
	pc := c.PgConn()
	go func() {
		time.Sleep(200 * time.Millisecond)
		pc.CancelRequest(ctx)
	}()
	_, err := pc.Exec(ctx, "SELECT pg_sleep(20)").ReadAll()
	if !strings.Contains(fields(err), "57014") {
		return nil, fmt.Errorf("not canceled: %v", err)
	}
	after, err := rows(c, "SELECT 'goes on'")
	return fmt.Sprint(after), err
}

func timeoutOfTheContext(c *pgx.Conn) (interface{}, error) {
	short, end := context.WithTimeout(ctx, 200*time.Millisecond)
	defer end()
	_, err := c.Exec(short, "SELECT pg_sleep(20)")
	if err == nil || !c.IsClosed() { // pgx 4 gives the connection up
		return nil, fmt.Errorf("no timeout: %v", err)
	}
	return "closed", nil
}

func noticesAndNotifications(_ *pgx.Conn) (interface{}, error) {
	seen := []string{}
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { seen = append(seen, n.Severity+n.Code+n.Message) }
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer c.Close(ctx)
	if _, err = c.Exec(ctx, "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$; LISTEN driver_news"); err != nil {
		return nil, err
	}
	other, err := connect()
	if err != nil {
		return nil, err
	}
	defer other.Close(ctx)
	if _, err = other.Exec(ctx, "NOTIFY driver_news, 'payload'"); err != nil {
		return nil, err
	}
	wait, end := context.WithTimeout(ctx, 10*time.Second)
	defer end()
	note, err := c.WaitForNotification(wait)
	if err != nil {
		return nil, err
	}
	return append(seen, note.Channel+" "+note.Payload), nil
}

func copyInAndOut(c *pgx.Conn) (interface{}, error) {
	if _, err := c.Exec(ctx, "CREATE TEMP TABLE c (id int, v text)"); err != nil {
		return nil, err
	}
	n, err := c.CopyFrom(ctx, pgx.Identifier{"c"}, []string{"id", "v"}, pgx.CopyFromSlice(20000, func(i int) ([]interface{}, error) {
		return []interface{}{i, fmt.Sprint("v", i)}, nil
	}))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	tag, err := c.PgConn().CopyTo(ctx, &out, "COPY c TO STDOUT")
	if err != nil {
		return nil, err
	}
	_, bad := c.PgConn().CopyFrom(ctx, strings.NewReader(strings.Repeat("x\ty\n", 5000)), "COPY c FROM STDIN")
	count, err := rows(c, "SELECT count(*) FROM c")
	return fmt.Sprint(n, tag, out.Len(), fields(bad), count), err
}

func batches(c *pgx.Conn) (interface{}, error) {
	b := &pgx.Batch{}
	for i := 0; i < 300; i++ {
		b.Queue("SELECT 1000 / ($1::int - 250)", i)
	}
	results := c.SendBatch(ctx, b)
	sum, seen := 0, ""
	for i := 0; i < 300; i++ {
		var v int
		if err := results.QueryRow().Scan(&v); err != nil {
			seen = fmt.Sprint(i, fields(err))
			break
		}
		sum += v
	}
	results.Close()
	after, err := rows(c, "SELECT 1")
	return fmt.Sprint(sum, seen, after), err
}

func preparedStatements(c *pgx.Conn) (interface{}, error) {
	d, err := c.Prepare(ctx, "plus", "SELECT $1::int + 1")
	if err != nil {
		return nil, err
	}
	seen := fmt.Sprint(d.ParamOIDs, len(d.Fields))
	for i := 0; i < 10; i++ {
		r, err := rows(c, "plus", i)
		if err != nil {
			return nil, err
		}
		seen += fmt.Sprint(r)
	}
	if err = c.Deallocate(ctx, "plus"); err != nil {
		return nil, err
	}
	_, err = c.PgConn().Prepare(ctx, "plus", "SELECT 'again'", nil)
	if err == nil {
		_, err = c.PgConn().Prepare(ctx, "plus", "SELECT 'twice'", nil)
		seen += fields(err)
		err = nil
	}
	return seen, err
}

func simpleProtocol(c *pgx.Conn) (interface{}, error) {
	a, err := rows(c, "SELECT $1::text, $2::int", pgx.QuerySimpleProtocol(true), "a'b", 5)
	if err != nil {
		return nil, err
	}
	all, err := c.PgConn().Exec(ctx, "SELECT 1; SELECT 'two', NULL; CREATE TEMP TABLE s (i int)").ReadAll()
	seen := fmt.Sprint(a)
	for _, r := range all {
		seen += fmt.Sprintf("%s%q", r.CommandTag, r.Rows)
	}
	return seen, err
}

func transactionsAndSavepoints(c *pgx.Conn) (interface{}, error) {
	if _, err := c.Exec(ctx, "CREATE TEMP TABLE t (id int PRIMARY KEY)"); err != nil {
		return nil, err
	}
	tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	if err != nil {
		return nil, err
	}
	tx.Exec(ctx, "INSERT INTO t VALUES (1)")
	inner, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	_, bad := inner.Exec(ctx, "INSERT INTO t VALUES (1)")
	inner.Rollback(ctx)
	tx.Exec(ctx, "INSERT INTO t VALUES (2)")
	if err = tx.Commit(ctx); err != nil {
		return nil, err
	}
	r, err := rows(c, "SELECT array_agg(id ORDER BY id)::text FROM t")
	return fields(bad) + fmt.Sprint(r), err
}

func largeObjects(c *pgx.Conn) (interface{}, error) {
	tx, err := c.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx)
	large := tx.LargeObjects()
	oid, err := large.Create(ctx, 818181)
	if err != nil {
		return nil, err
	}
	o, err := large.Open(ctx, oid, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
	if err != nil {
		return nil, err
	}
	n, err := o.Write(bytes.Repeat([]byte("L"), 100000))
	if err != nil {
		return nil, err
	}
	o.Seek(99990, 0)
	block := make([]byte, 10)
	m, err := o.Read(block)
	return fmt.Sprint(oid, n, m, string(block)), err
}

func bigValuesAndManyParameters(c *pgx.Conn) (interface{}, error) {
	value := strings.Repeat("z", 3000000)
	var back string
	if err := c.QueryRow(ctx, "SELECT $1::text || 'e'", value).Scan(&back); err != nil {
		return nil, err
	}
	marks, args := make([]string, 30000), make([]interface{}, 30000)
	for i := range marks {
		marks[i], args[i] = fmt.Sprintf("$%d::int", i+1), i
	}
	r, err := rows(c, "SELECT cardinality(ARRAY["+strings.Join(marks, ",")+"])", args...)
	return fmt.Sprint(len(back), r), err
}

func aPool(_ *pgx.Conn) (interface{}, error) {
	pool, err := pgxpool.Connect(ctx, "pool_max_conns=6")
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	out, errs := make([]int, 40), make(chan error, 40)
	for i := range out {
		go func(i int) {
			errs <- pool.QueryRow(ctx, "SELECT $1::int * 2 FROM pg_sleep(0.005)", i).Scan(&out[i])
		}(i)
	}
	for range out {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return out, err
}

func migratingTable(c *pgx.Conn) (interface{}, error) {
	seen := ""
	for i := 1; i <= 40; i++ {
		r, err := rows(c, "SELECT label, amount FROM kept WHERE id = $1", i)
		if err != nil {
			return nil, err
		}
		seen += fmt.Sprint(r)
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		return nil, err
	}
	var amount int
	err = tx.QueryRow(ctx, "UPDATE kept SET amount = amount + 1 WHERE id = $1 RETURNING amount", 3).Scan(&amount)
	tx.Rollback(ctx)
	return fmt.Sprint(seen, amount), err
}

var checks = []check{
	{"types", types}, {"types_decoded", typesDecoded}, {"parameters_of_all_kinds", parametersOfAllKinds},
	{"errors_with_their_fields", errorsWithTheirFields}, {"cancel_of_a_running_statement", cancelOfARunningStatement},
	{"timeout_of_the_context", timeoutOfTheContext}, {"notices_and_notifications", noticesAndNotifications},
	{"copy_in_and_out", copyInAndOut}, {"batches", batches}, {"prepared_statements", preparedStatements},
	{"simple_protocol", simpleProtocol}, {"transactions_and_savepoints", transactionsAndSavepoints},
	{"large_objects", largeObjects}, {"big_values_and_many_parameters", bigValuesAndManyParameters}, {"a_pool", aPool},
	{"migrating_table", migratingTable},
}

func main() {
	code := 0
	for _, k := range checks {
		c, err := connect()
		var seen interface{}
		if err == nil {
			seen, err = k.run(c)
			c.Close(ctx)
		}
		if err != nil {
			fmt.Println("FAILED", k.name+":", strings.ReplaceAll(err.Error(), "\n", " / "))
			code = 1
		} else {
			fmt.Println("ok", k.name+":", strings.ReplaceAll(fmt.Sprint(seen), "\n", " / "))
		}
	}
	os.Exit(code)
}
