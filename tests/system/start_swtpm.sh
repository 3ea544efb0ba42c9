#!/usr/bin/env bash
# Makes (once) and starts a software TPM 2.0 with endorsement certificates of a local CA, as a
# vendor's TPM has them. Prints the pid of swtpm; its TCTI is "swtpm:host=127.0.0.1,port=PORT".
#
#   start_swtpm.sh DIR PORT [CA_DIR]
#
# DIR keeps the state of this TPM: starting it again from the same DIR is a reboot of the machine
# (PCRs reset, keys stay). CA_DIR (default DIR/ca) may be shared by many TPMs; the anchor is
# CA_DIR/swtpm-localca-rootca-cert.pem, the issuer CA_DIR/issuercert.pem. PORT + 1 is the control
# port. Stop it with: kill PID
set -euo pipefail

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
  echo "usage: ${0##*/} DIR PORT [CA_DIR]" >&2
  exit 64
fi
mkdir -p "$1" "${3:-$1/ca}"
dir=$(cd "$1" && pwd)
port=$2
ca=$(cd "${3:-$1/ca}" && pwd)

make_tpm() {
  cat >"$dir/localca.conf" <<CONF
statedir = $ca
signingkey = $ca/signkey.pem
issuercert = $ca/issuercert.pem
certserial = $ca/certserial
CONF
  cat >"$dir/setup.conf" <<CONF
create_certs_tool = /usr/bin/swtpm_localca
create_certs_tool_config = $dir/localca.conf
create_certs_tool_options = /etc/swtpm-localca.options
CONF
  mkdir -p "$dir/state.new"
  # The CA's files are made by the first TPM: one at a time.
  if ! flock "$ca" swtpm_setup --tpm2 --tpmstate "$dir/state.new" --create-ek-cert \
    --create-platform-cert --config "$dir/setup.conf" --pcr-banks sha256,sha384 --overwrite \
    >"$dir/setup.log" 2>&1; then
    cat "$dir/setup.log" >&2
    exit 73
  fi
  mv "$dir/state.new" "$dir/state"
}

# Both ports answer; asked without taking the one connection a TPM client needs.
listening() {
  local p hex
  for p in "$port" "$((port + 1))"; do
    hex=$(printf '0100007F:%04X 00000000:0000 0A' "$p")
    grep -q "$hex" /proc/net/tcp || return 1
  done
}

[ -d "$dir/state" ] || make_tpm
if listening; then
  echo "${0##*/}: port $port is taken" >&2
  exit 69
fi
swtpm socket --tpm2 --tpmstate "dir=$dir/state" --flags not-need-init,startup-clear \
  --server "type=tcp,port=$port,bindaddr=127.0.0.1" \
  --ctrl "type=tcp,port=$((port + 1)),bindaddr=127.0.0.1" \
  --log "file=$dir/swtpm.log,level=1" </dev/null >"$dir/swtpm.out" 2>&1 &
pid=$!
for _ in $(seq 200); do
  if listening; then
    echo "$pid"
    exit 0
  fi
  if ! kill -0 "$pid" 2>/dev/null; then
    cat "$dir/swtpm.out" "$dir/swtpm.log" >&2 || true
    exit 69
  fi
  read -rt 0.05 <> <(:) || true
done
echo "${0##*/}: swtpm does not listen on port $port" >&2
kill "$pid"
exit 69
