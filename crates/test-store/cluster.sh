# A PostgreSQL server for the tests of one run, over a unix socket, in a directory of its own that is gone with it.
# usage: cluster.sh DIR RUNNER: returns when it answers; it is stopped when the process RUNNER has ended.
set -eu
dir=$1 runner=$2
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
mkdir -p -m 0755 "$dir"
# PostgreSQL refuses to run as root.
as=
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
    as="setpriv --reuid=postgres --regid=postgres --clear-groups --"
fi
cd "$dir"
$as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$dir/log" 2>&1
$as "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 60 start -o "-c listen_addresses= -k '$dir' -c fsync=off \
    -c max_connections=400 -c shared_buffers=64MB" </dev/null >>"$dir/log" 2>&1
(
    tail --pid="$runner" -f /dev/null
    cd /
    $as "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop
    rm -rf "$dir"
) </dev/null >/dev/null 2>&1 &
