#!/bin/bash
# Starts one server of the pair; PEER is the other one. It starts only if it cannot become a second
# primary, and waits until that is known:
#
#   data of a standby     starts, and follows the peer
#   data of a primary     starts if the peer answers as its standby; refuses if the peer is primary
#   no data               copies a peer that is primary, and becomes its standby
#
# FIRST=yes permits a server without data to begin a new database. ALONE=NAME permits the server of
# this name to go on as primary although its peer does not answer: give it only to the newer one.
set -euo pipefail
trap 'exit 130' INT TERM
PGPASSWORD="$(cat /run/secrets/replication-password)"
export PGPASSWORD
peer="host=$PEER user=replication dbname=postgres connect_timeout=3"

# Prints "primary" or "standby"; nothing if the peer does not answer.
peer_role() {
  psql --no-psqlrc -At -d "$peer" 2>/dev/null \
    -c "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END" || true
}

# Prints the id of the database's cluster and its timeline, as "ID TIMELINE".
peer_state() {
  psql --no-psqlrc -At -F ' ' -d "$peer replication=true" -c IDENTIFY_SYSTEM | cut -d ' ' -f 1,2
}

# The same of this server. A promotion writes its history before the first checkpoint knows of it.
own_state() {
  local control timelines file
  control="$(LC_ALL=C pg_controldata "$PGDATA")"
  timelines="$(sed -n "s/^Latest checkpoint's TimeLineID: *//p" <<< "$control")"
  for file in "$PGDATA"/pg_wal/*.history; do
    [ ! -e "$file" ] || timelines+=$'\n'"$((16#$(basename "$file" .history)))"
  done
  echo "$(sed -n 's/^Database system identifier: *//p' <<< "$control")" \
    "$(sort -n <<< "$timelines" | tail -n 1)"
}

refuse() {
  echo "$*" >&2
  exit 1
}

refuse_beside_primary() {
  local id timeline peer_id peer_timeline
  local theirs ours
  theirs="$(peer_state)"
  ours="$(own_state)"
  read -r peer_id peer_timeline <<< "$theirs"
  read -r id timeline <<< "$ours"
  if [ "$id" != "$peer_id" ]; then
    refuse "$PEER is the primary of another database: one of the two servers has begun a new one." \
      "Remove no data before you know which of them has the ledger."
  elif [ "$timeline" -lt "$peer_timeline" ]; then
    refuse "$PEER is the primary now, and this server was it before: two primaries are a split" \
      "brain. Remove the data of this server, then it becomes the standby of $PEER."
  fi
  refuse "$PEER is a primary, and this server was promoted after it (timeline $timeline, and" \
    "$peer_timeline there): $PEER lacks what was committed here. Stop $PEER, keep the data of both," \
    "and start this server with ALONE=$HOSTNAME."
}

wait_for_peer() {
  local said=
  until role="$(peer_role)" && [ -n "$role" ]; do
    [ -n "$said" ] || echo "$*" >&2
    said=yes
    sleep 2
  done
}

if [ -e "$PGDATA/standby.signal" ]; then
  :
elif [ -s "$PGDATA/PG_VERSION" ]; then
  if [ "${ALONE:-}" = "$HOSTNAME" ]; then
    role="$(peer_role)"
  else
    wait_for_peer "$PEER does not answer, so whether it was promoted is not known. This server was" \
      "primary, on timeline $(own_state | cut -d ' ' -f 2), and waits for $PEER. If $PEER is lost," \
      "or its timeline is lower, set ALONE=$HOSTNAME."
  fi
  [ "$role" != primary ] || refuse_beside_primary
elif [ "${FIRST:-}" != yes ] || [ "$(peer_role)" = primary ]; then
  until [ "$(peer_role)" = primary ]; do
    [ -n "${said:-}" ] || echo "this server has no data, and waits until $PEER is a primary that it" \
      "can copy; only FIRST=yes lets it begin a new database" >&2
    said=yes
    sleep 2
  done
  # A copy that was interrupted has another name, and counts as none.
  rm -rf "$PGDATA.new"
  install -d -o postgres -g postgres -m 0700 "$PGDATA.new"
  gosu postgres pg_basebackup --pgdata "$PGDATA.new" --write-recovery-conf --wal-method stream \
    --checkpoint fast --dbname "host=$PEER user=replication application_name=$HOSTNAME"
  rm -rf "$PGDATA"
  mv "$PGDATA.new" "$PGDATA"
fi
unset PGPASSWORD
exec docker-entrypoint.sh postgres -c wal_keep_size=256MB
