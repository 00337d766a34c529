#!/bin/sh
# What tests need from Debian: installed when root, named otherwise.
set -eu

missing=""
[ -x /usr/bin/chromium-headless-shell ] || missing="$missing chromium-headless-shell"
command -v redis-server >/dev/null || missing="$missing redis-server"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
command -v nginx >/dev/null || missing="$missing nginx-light"
command -v kubectl >/dev/null || missing="$missing kubernetes-client"
# promtool tries the alert rules; without it their metrics are compared by name alone.
if ! command -v promtool >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "Installing prometheus ..."
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus; } \
        >/dev/null 2>&1 || echo "It cannot be installed from here: alert rules are compared by name."
fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    echo "Installing$missing ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "Tests need programs that are not here. Type: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
