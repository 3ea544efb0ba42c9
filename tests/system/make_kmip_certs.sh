#!/usr/bin/env bash
# make_kmip_certs.sh DIR: an authority (ca.crt, ca.key) and the certificate of a key server for
# "localhost" and 127.0.0.1 (server.crt, server.key) in DIR, as far as they are not there.
# EC certificates, because PyKMIP's cipher list has ECDHE with GCM for ECDSA only.
set -euo pipefail

mkdir -p "$1"
dir=$(cd "$1" && pwd)

make_authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 30 \
    -subj '/CN=KMIP test authority' -keyout "$dir/ca.key" -out "$dir/ca.crt" \
    -addext 'basicConstraints=critical,CA:TRUE' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>"$dir/ca.log"
}

make_server_cert() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' \
    -keyout "$dir/server.key" -out "$dir/server.csr" 2>"$dir/openssl.log"
  printf '%s\n' 'basicConstraints=CA:FALSE' 'keyUsage=critical,digitalSignature' \
    'extendedKeyUsage=serverAuth' 'subjectAltName=DNS:localhost,IP:127.0.0.1' >"$dir/server.ext"
  openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" \
    -set_serial "0x$(openssl rand -hex 16)" -days 30 -sha256 -extfile "$dir/server.ext" \
    -out "$dir/server.crt" 2>>"$dir/openssl.log"
}

[ -f "$dir/ca.crt" ] || make_authority
[ -f "$dir/server.crt" ] || make_server_cert
chmod 600 "$dir"/*.key
