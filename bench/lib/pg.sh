# shellcheck shell=bash
# Throwaway PostgreSQL for the scripts beside this folder; sourced, not run.
#
#   . bench/lib/pg.sh
#   pg_up            a cluster in a new folder, unprivileged, loopback only, free port
#   pg_psql ARGS     psql on it
#   pg_down          stopped and removed; call it from a trap
#
# Sets PG_DIR (folder), PG_PORT, PG_URL, PG_PID. PGBIN chooses the version (default: Debian's 15).

PGBIN=${PGBIN:-/usr/lib/postgresql/15/bin}
PG_DIR='' PG_PORT='' PG_URL='' PG_PID=''

# PostgreSQL refuses root.
pg_as() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid="$PG_USER" --regid="$PG_USER" --clear-groups "$@")
    else
        "$@"
    fi
}

# A port nobody listens on.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# pg_up [setting=value ...]
pg_up() {
    local s
    PG_USER=nobody
    getent passwd postgres >/dev/null && PG_USER=postgres
    PG_DIR=$(mktemp -d "${TMPDIR:-/tmp}/segue-pg.XXXXXX") || return 1
    chmod 755 "$PG_DIR"
    mkdir "$PG_DIR/data" || return 1
    [ "$(id -u)" = 0 ] && chown "$PG_USER" "$PG_DIR" "$PG_DIR/data"
    pg_as "$PGBIN/initdb" -D "$PG_DIR/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N \
        >"$PG_DIR/initdb.log" 2>&1 || { cat "$PG_DIR/initdb.log" >&2; return 1; }
    PG_PORT=$(free_port)
    {
        echo "port = $PG_PORT"
        echo "listen_addresses = '127.0.0.1'"
        echo "unix_socket_directories = '$PG_DIR'"
        echo "shared_buffers = 512MB"
        echo "max_wal_size = 4GB"
        echo "checkpoint_timeout = 30min"
        echo "synchronous_commit = on"
        echo "fsync = off" # a throwaway: nothing of it outlives this machine's power
        echo "max_connections = 200"
        echo "log_line_prefix = '%m [%p] %a '"
        for s in "$@"; do echo "$s"; done
    } >>"$PG_DIR/data/postgresql.conf"
    pg_as "$PGBIN/postgres" -D "$PG_DIR/data" >"$PG_DIR/postgres.log" 2>&1 &
    PG_PID=$!
    PG_URL="postgresql://postgres@127.0.0.1:$PG_PORT/postgres"
    for _ in $(seq 100); do
        psql "$PG_URL" -Xqc 'SELECT 1' >/dev/null 2>&1 && return 0
        kill -0 "$PG_PID" 2>/dev/null || break
        sleep 0.1
    done
    cat "$PG_DIR/postgres.log" >&2
    return 1
}

pg_psql() {
    psql "$PG_URL" -X -q -v ON_ERROR_STOP=1 "$@"
}

# One value.
pg_get() {
    pg_psql -At -c "$1"
}

pg_down() {
    if [ -n "$PG_PID" ] && kill -0 "$PG_PID" 2>/dev/null; then
        # the postmaster itself: the child of setpriv is setpriv's own process after exec
        local master
        master=$(head -1 "$PG_DIR/data/postmaster.pid" 2>/dev/null || echo "$PG_PID")
        kill -INT "$master" 2>/dev/null
        wait "$PG_PID" 2>/dev/null
    fi
    PG_PID=''
    [ -n "$PG_DIR" ] && rm -rf "$PG_DIR"
    PG_DIR=''
}
