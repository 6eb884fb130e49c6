#!/bin/sh
# Makes the secrets that are not there yet: one file each in secrets/, which only you can enter.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
for name in postgres-password replication-password owner-password ledger-password \
  read-password; do
  [ -e "secrets/$name" ] || openssl rand -hex 24 > "secrets/$name"
done
[ -e secrets/client-id ] || echo sandbox-client > secrets/client-id
[ -e secrets/client-secret ] || echo sandbox-secret > secrets/client-secret
if [ ! -e secrets/platform ]; then
  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=platform \
    -addext subjectAltName=DNS:platform -keyout secrets/key -out secrets/platform-ca 2>&1 |
    grep -i error || true
  cat secrets/platform-ca secrets/key > secrets/platform
  rm secrets/key
fi
# The users in the containers are others than you.
chmod 444 secrets/*
