#!/usr/bin/env bash
# start_kmip_server.sh DIR PORT: a real KMIP server (PyKMIP, TLS 1.2, KMIP 1.0-2.0) on 127.0.0.1.
# PORT 0 takes any free one. What DIR does not have yet is made: an authority (ca.crt, ca.key), the
# server's certificate for "localhost" and 127.0.0.1 (server.crt, server.key), the database of keys.
# Prints the process id when the server takes connections; DIR/port has the port, DIR/server.pid
# the id, DIR/server.log the server's log. End it with `kill PID`, or at once, helper processes
# included, with `kill -KILL -- -PID`; keys survive in DIR.
set -euo pipefail

mkdir -p "$1"
dir=$(cd "$1" && pwd)
port=$2
# Debian's modules are seen by Debian's interpreter only.
python=${CUSTOS_SYSTEM_PYTHON:-/usr/bin/python3}
server=${CUSTOS_PYKMIP_SERVER:-/usr/bin/pykmip-server}
ready_seconds_max=60

"$(dirname "${BASH_SOURCE[0]}")/make_kmip_certs.sh" "$dir"
mkdir -p "$dir/policy"
if [ "$port" = 0 ]; then
  port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
fi
echo "$port" >"$dir/port"

cat >"$dir/server.conf" <<EOF
[server]
hostname=127.0.0.1
port=$port
certificate_path=$dir/server.crt
key_path=$dir/server.key
ca_path=$dir/ca.crt
auth_suite=TLS1.2
policy_path=$dir/policy
enable_tls_client_auth=True
logging_level=INFO
database_path=$dir/keys.db
EOF

: >"$dir/server.log"
setsid "$python" "$server" -f "$dir/server.conf" -l "$dir/server.log" \
  </dev/null >"$dir/server.out" 2>&1 &
pid=$!
echo "$pid" >"$dir/server.pid"

deadline=$((SECONDS + ready_seconds_max))
until grep -q 'Starting connection service' "$dir/server.log"; do
  if ! kill -0 "$pid" 2>/dev/null; then
    echo "start_kmip_server: the server ended:" >&2
    cat "$dir/server.out" "$dir/server.log" >&2
    exit 1
  fi
  if [ "$SECONDS" -ge "$deadline" ]; then
    echo "start_kmip_server: not ready after $ready_seconds_max s, see $dir" >&2
    kill "$pid"
    exit 1
  fi
  sleep 0.1
done
echo "$pid"
