#!/bin/bash
# Executed once, in a new database: its roles, their passwords, and the rule that each commit waits
# for a standby. The rule is only written here, and is in force from the start that follows: during
# this one nothing could answer.
set -euo pipefail
psql=(psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB")
"${psql[@]}" --file /roles.sql
"${psql[@]}" <<'SQL'
\set owner `cat /run/secrets/owner-password`
\set ledger `cat /run/secrets/ledger-password`
\set read `cat /run/secrets/read-password`
\set replication `cat /run/secrets/replication-password`
ALTER ROLE dispatcher_owner PASSWORD :'owner';
ALTER ROLE dispatcher_run PASSWORD :'ledger';
ALTER ROLE dispatcher_read PASSWORD :'read';
CREATE ROLE replication LOGIN REPLICATION PASSWORD :'replication';
-- Both names: after a change of roles the new primary waits for the old one, as its standby.
ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (db1, db2)';
SQL
# Without TLS: the network is that of one machine. Between machines it is "hostssl".
echo "host replication replication all scram-sha-256" >> "$PGDATA/pg_hba.conf"
