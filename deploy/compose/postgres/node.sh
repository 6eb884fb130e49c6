#!/bin/bash
# Starts one server of the pair; PEER is the other one. A server without data copies a peer that is
# primary, and becomes its standby. FIRST=yes permits it to begin a new database instead.
set -euo pipefail
PGPASSWORD="$(cat /run/secrets/replication-password)"
export PGPASSWORD
peer="host=$PEER user=replication dbname=postgres connect_timeout=3"

peer_is_primary() {
  [ "$(psql --no-psqlrc -At -d "$peer" -c 'SELECT NOT pg_is_in_recovery()' 2>&1)" = t ]
}

if [ -s "$PGDATA/PG_VERSION" ]; then
  if [ ! -e "$PGDATA/standby.signal" ] && peer_is_primary; then
    echo "$PEER is the primary now, and this server was it before: two primaries are a split" \
      "brain. Remove the data of this server, then it becomes the standby of $PEER." >&2
    exit 1
  fi
elif peer_is_primary; then
  install -d -o postgres -g postgres -m 0700 "$PGDATA"
  gosu postgres pg_basebackup --pgdata "$PGDATA" --write-recovery-conf --wal-method stream \
    --checkpoint fast --dbname "host=$PEER user=replication application_name=$HOSTNAME"
elif [ "${FIRST:-}" != yes ]; then
  echo "this server has no data, and $PEER is no primary that it could copy" >&2
  exit 1
fi
unset PGPASSWORD
exec docker-entrypoint.sh postgres -c wal_keep_size=256MB
