#!/usr/bin/env bash
# make_client_cert.sh DIR NAME [CSR]: a client certificate of the authority that
# start_kmip_server.sh made in DIR. PyKMIP knows clients by their CN, which is NAME, and demands
# the extended key usage clientAuth.
#   without CSR  writes DIR/NAME.key (EC P-256) and DIR/NAME.crt
#   with CSR     signs that request (its own key and subject) to DIR/NAME.crt
set -euo pipefail

dir=$1
name=$2
csr=${3:-}

if [ -z "$csr" ]; then
  csr=$dir/$name.csr
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
    -keyout "$dir/$name.key" -out "$csr" 2>"$dir/$name.log"
  chmod 600 "$dir/$name.key"
fi
printf '%s\n' 'basicConstraints=CA:FALSE' 'keyUsage=critical,digitalSignature' \
  'extendedKeyUsage=clientAuth' >"$dir/$name.ext"
openssl x509 -req -in "$csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" \
  -set_serial "0x$(openssl rand -hex 16)" -days 30 -sha256 -extfile "$dir/$name.ext" \
  -out "$dir/$name.crt" 2>>"$dir/$name.log"
