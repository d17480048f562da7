// JDBC: statements prepared on the server from the first use, binary transfer, batches, autosave. ../python/bed.py is the
// same in Python, and says why.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.TreeMap;

public final class Races {
    private static final Map<String, String[]> SIDES = Map.of("a", new String[] {"label", "cents"}, "b", new String[] {"title", "price"});
    private static final String[] ROLES = {"follow", "follow", "old", "new"};
    private static final int WORKERS = 4, PAUSE_MS = 4, SHOWN_MAX = 20;

    private static final int[] at = new int[WORKERS];
    private static final Map<String, Integer> counts = new LinkedHashMap<>();
    private static volatile Stage stage;
    private static volatile boolean over;
    private static int told;

    static {
        for (String what : new String[] {"statements", "error", "wrong", "changed"}) {
            counts.put(what, 0);
        }
    }

    // One line of standard input.
    private static final class Stage {
        final int gen;
        final Map<String, String> said = new HashMap<>();

        Stage(String line) {
            String[] words = line.split(" ");
            gen = Integer.parseInt(words[0]);
            for (int i = 1; i < words.length; i++) {
                String[] pair = words[i].split("=", -1);
                said.put(pair[0], pair[1]);
            }
        }

        String[] speak() {
            return said.get("speak").split(",");
        }

        boolean holds(String role) {
            return Arrays.asList(said.get("hold").split(",")).contains(role);
        }
    }

    private static final class Wrong extends RuntimeException {
        Wrong(String what) {
            super(what);
        }
    }

    private static final class Rows {
        final List<String> names = new ArrayList<>();
        final List<List<Object>> rows = new ArrayList<>();
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static synchronized void count(String what, int n) {
        counts.merge(what, n, Integer::sum);
    }

    private static synchronized void tell(String what, String text) {
        if (counts.merge(what, 1, Integer::sum) <= SHOWN_MAX) {
            say(what + " " + text.replaceAll("\\s+", " "));
        }
    }

    private static synchronized Stage enter(int no) {
        Stage now = stage;
        if (over) {
            return null;
        }
        at[no] = now.gen;
        int gen = Arrays.stream(at).min().getAsInt();
        if (gen > told) {
            told = gen;
            say("at " + gen);
        }
        return now;
    }

    private static Object amount(String side, int n) {
        return side.equals("a") ? (Object) n : BigDecimal.valueOf(n, 2);
    }

    private interface Act {
        void run() throws Exception;
    }

    private static final class Worker extends Thread {
        final int no;
        final String role;
        final long base;
        final Random random;
        final Map<Long, Integer> plain = new TreeMap<>();
        final Map<String, PreparedStatement> prepared = new HashMap<>();
        final Map<String, Act> acts = new LinkedHashMap<>();
        Map<Long, Integer> items = new TreeMap<>();
        Connection conn;
        Stage now;
        long last;

        Worker(int no) {
            this.no = no;
            role = ROLES[no % ROLES.length];
            base = (Long.parseLong(System.getenv("RACES_PROGRAM")) + 1) * 10_000_000 + no * 1_000_000L;
            random = new Random((System.getenv("RACES_SEED") + " jdbc " + no).hashCode());
            acts.put("star", this::star);
            acts.put("freshStar", this::freshStar);
            acts.put("stars", this::stars);
            acts.put("named", this::named);
            acts.put("insert", this::insert);
            acts.put("update", () -> update(true));
            acts.put("upsert", this::upsert);
            acts.put("delete", this::delete);
            acts.put("several", this::several);
            acts.put("batch", this::batch);
            acts.put("putPlain", this::putPlain);
            acts.put("starPlain", this::starPlain);
        }

        @Override
        public void run() {
            List<String> names = new ArrayList<>(acts.keySet());
            while ((now = enter(no)) != null) {
                if (!now.holds(role)) {
                    once(names.get(random.nextInt(names.size())));
                }
                try {
                    Thread.sleep(random.nextInt(2 * PAUSE_MS));
                } catch (InterruptedException e) {
                    return;
                }
            }
            close();
        }

        void once(String act) {
            try {
                if (conn == null) {
                    open();
                }
                acts.get(act).run();
            } catch (Wrong e) {
                tell("wrong", role + " " + act + " gen " + now.gen + ": " + e.getMessage());
            } catch (Exception e) {
                String code = e instanceof SQLException ? ((SQLException) e).getSQLState() : "";
                tell("error", role + " " + act + " gen " + now.gen + ": " + code + " " + e);
                close();
            }
        }

        void open() throws SQLException {
            Properties p = new Properties();
            p.setProperty("user", System.getenv("PGUSER"));
            p.setProperty("sslmode", "disable");
            p.setProperty("prepareThreshold", no % 2 == 0 ? "1" : "-1"); // -1: and binary from the first use
            p.setProperty("binaryTransferEnable", "1700,1184"); // numeric, timestamptz beside the driver's own
            p.setProperty("autosave", no == 0 ? "always" : "conservative");
            p.setProperty("reWriteBatchedInserts", no == 1 ? "true" : "false");
            if (!role.equals("follow")) {
                p.setProperty("options", "-c segue.schema=" + role);
            }
            conn = DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
                    + "/" + System.getenv("PGDATABASE"), p);
        }

        void close() {
            try {
                prepared.clear();
                if (conn != null) {
                    conn.close();
                }
            } catch (SQLException e) {
                // it is gone
            }
            conn = null;
        }

        // ---- statements ----

        PreparedStatement statement(String sql) throws SQLException {
            PreparedStatement one = prepared.get(sql);
            if (one == null) {
                one = conn.prepareStatement(sql);
                if (!sql.contains("/*")) {
                    prepared.put(sql, one);
                }
            }
            return one;
        }

        void bind(PreparedStatement one, Object... values) throws SQLException {
            for (int i = 0; i < values.length; i++) {
                one.setObject(i + 1, values[i]);
            }
        }

        Rows run(String sql, Object... values) throws SQLException {
            count("statements", 1);
            PreparedStatement one = statement(sql);
            bind(one, values);
            Rows out = new Rows();
            if (!one.execute()) {
                return out;
            }
            try (ResultSet set = one.getResultSet()) {
                ResultSetMetaData meta = set.getMetaData();
                for (int i = 1; i <= meta.getColumnCount(); i++) {
                    out.names.add(meta.getColumnLabel(i));
                }
                while (set.next()) {
                    List<Object> row = new ArrayList<>();
                    for (int i = 1; i <= out.names.size(); i++) {
                        row.add(set.getObject(i));
                    }
                    out.rows.add(row);
                }
            }
            if (!prepared.containsKey(sql)) {
                one.close();
            }
            return out;
        }

        // ---- what it knows ----

        long newId() {
            return base + ++last;
        }

        int value() {
            return 1 + random.nextInt(999_999);
        }

        String side() {
            String[] speak = now.speak();
            return speak[random.nextInt(speak.length)];
        }

        Long row() {
            return items.isEmpty() ? null : new ArrayList<>(items.keySet()).get(random.nextInt(items.size()));
        }

        List<Object> arguments(String side, long id, int n) {
            return Arrays.asList(id, "note " + id, "v" + n, amount(side, n));
        }

        void must(boolean condition, String what) {
            if (!condition) {
                throw new Wrong(what);
            }
        }

        void check(Rows got, Map<Long, Integer> wanted, int tail, boolean fresh) {
            String side = null;
            for (Map.Entry<String, String[]> one : SIDES.entrySet()) {
                List<String> names = new ArrayList<>(tail == 2 ? List.of("id", "note", "stamp") : List.of("id", "note"));
                names.addAll(Arrays.asList(one.getValue()).subList(0, tail));
                side = names.equals(got.names) ? one.getKey() : side;
            }
            must(side != null, "columns " + got.names);
            String sees = now.said.get(role);
            must(!fresh || sees.equals("-") || sees.equals(side), "columns " + got.names + " in a session that sees side " + sees);
            Map<Long, List<Object>> rows = new TreeMap<>();
            for (List<Object> row : got.rows) {
                rows.put((Long) row.get(0), row);
            }
            must(rows.size() == got.rows.size() && rows.keySet().equals(wanted.keySet()), "rows " + rows.keySet() + ", not " + wanted.keySet());
            for (Map.Entry<Long, Integer> one : wanted.entrySet()) {
                List<Object> row = new ArrayList<>(rows.get(one.getKey()));
                if (tail == 2) {
                    must(row.remove(2) instanceof Timestamp, "no stamp in " + rows.get(one.getKey()));
                }
                List<Object> expected = arguments(side, one.getKey(), one.getValue()).subList(0, 2 + tail);
                must(row.equals(expected), "row " + row + ", not " + expected);
            }
        }

        // ---- what it does ----

        void star() throws SQLException {
            Long id = row();
            if (id != null) {
                check(run("SELECT * FROM items WHERE id = ?", id), Map.of(id, items.get(id)), 2, false);
            }
        }

        void freshStar() throws SQLException {
            Long id = row();
            if (id != null) {
                String text = "SELECT i.* FROM items i WHERE id = ? /* " + last + " " + random.nextLong() + " */";
                check(run(text, id), Map.of(id, items.get(id)), 2, true);
            }
        }

        void stars() throws SQLException {
            long low = base + random.nextInt((int) last + 1);
            Map<Long, Integer> wanted = new TreeMap<>(((TreeMap<Long, Integer>) items).subMap(low, low + 20));
            check(run("SELECT * FROM items WHERE id >= ? AND id < ? ORDER BY id", low, low + 20), wanted, 2, false);
        }

        void named() throws SQLException {
            Long id = row();
            String side = side();
            if (id != null) {
                String[] names = SIDES.get(side);
                Rows got = run("SELECT id, note, " + names[0] + ", " + names[1] + " FROM items WHERE id = ?", id);
                List<Object> expected = arguments(side, id, items.get(id));
                must(got.names.equals(List.of("id", "note", names[0], names[1])) && got.rows.equals(List.of(expected)),
                        got.names + " " + got.rows + ", not " + expected);
            }
        }

        String insertText(String side) {
            return "INSERT INTO items (id, note, " + SIDES.get(side)[0] + ", " + SIDES.get(side)[1] + ") VALUES (?, ?, ?, ?)";
        }

        void insert() throws SQLException {
            long id = newId();
            int n = value();
            String side = side();
            Rows got = run(insertText(side) + " RETURNING *", arguments(side, id, n).toArray());
            items.put(id, n);
            check(got, Map.of(id, n), 2, false);
        }

        void update(boolean star) throws SQLException {
            Long id = row();
            int n = value();
            String side = side();
            if (id != null) {
                String[] names = SIDES.get(side);
                Rows got = run("UPDATE items SET " + names[0] + " = ?, " + names[1] + " = ? WHERE id = ? RETURNING " + (star ? "*" : "id"),
                        "v" + n, amount(side, n), id);
                items.put(id, n);
                if (star) {
                    check(got, Map.of(id, n), 2, false);
                } else {
                    must(got.rows.equals(List.of(List.of((Object) id))), "rows " + got.rows);
                }
            }
        }

        void upsert() throws SQLException {
            Long known = row();
            long id = known != null && random.nextBoolean() ? known : newId();
            int n = value();
            String side = side();
            String[] names = SIDES.get(side);
            run(insertText(side) + " ON CONFLICT (id) DO UPDATE SET " + names[0] + " = EXCLUDED." + names[0] + ", " + names[1]
                    + " = EXCLUDED." + names[1], arguments(side, id, n).toArray());
            items.put(id, n);
        }

        void delete() throws SQLException {
            Long id = row();
            if (id != null && items.size() > 10) {
                Rows got = run("DELETE FROM items WHERE id = ? RETURNING id", id);
                items.remove(id);
                must(got.rows.equals(List.of(List.of((Object) id))), "rows " + got.rows);
            }
        }

        void several() throws SQLException {
            Map<Long, Integer> kept = new TreeMap<>(items);
            conn.setAutoCommit(false);
            try {
                update(false);
                named();
                freshStar();
                upsert();
                freshStar();
                conn.commit();
            } catch (SQLException | RuntimeException e) {
                items = kept;
                conn.rollback();
                throw e;
            } finally {
                conn.setAutoCommit(true);
            }
        }

        void batch() throws SQLException {
            String side = side();
            Map<Long, Integer> more = new TreeMap<>();
            PreparedStatement one = statement(insertText(side));
            for (int i = 0; i < 5; i++) {
                long id = newId();
                more.put(id, value());
                bind(one, arguments(side, id, more.get(id)).toArray());
                one.addBatch();
            }
            count("statements", more.size());
            one.executeBatch();
            items.putAll(more);
        }

        void putPlain() throws SQLException {
            long id = newId();
            int n = value();
            Rows got = run("INSERT INTO plain VALUES (?, ?, ?) RETURNING *", id, "note " + id, "v" + n);
            plain.put(id, n);
            check(got, Map.of(id, n), 1, false);
        }

        void starPlain() throws SQLException {
            if (!plain.isEmpty()) {
                long id = new ArrayList<>(plain.keySet()).get(random.nextInt(plain.size()));
                check(run("SELECT * FROM plain WHERE id = ?", id), Map.of(id, plain.get(id)), 1, false);
            }
        }
    }

    private static void listen() {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in))) {
            for (String line = in.readLine(); line != null && !line.equals("stop"); line = in.readLine()) {
                stage = new Stage(line);
            }
        } catch (java.io.IOException e) {
            // as at the end
        }
        over = true;
    }

    public static void main(String[] arguments) throws Exception {
        Thread listener = new Thread(Races::listen);
        listener.setDaemon(true);
        listener.start();
        while (stage == null && !over) {
            Thread.sleep(10);
        }
        List<Worker> workers = new ArrayList<>();
        for (int no = 0; no < WORKERS; no++) {
            workers.add(new Worker(no));
        }
        for (Worker one : workers) {
            one.start();
        }
        for (Worker one : workers) {
            one.join();
            one.items.forEach((id, n) -> say("row items " + id + " " + n));
            one.plain.forEach((id, n) -> say("row plain " + id + " " + n));
        }
        StringBuilder done = new StringBuilder("done");
        counts.forEach((what, n) -> done.append(" ").append(what).append("=").append(n));
        say(done.toString());
    }
}
