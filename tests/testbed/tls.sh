# Makes certificates. Sourced; needs lib.sh.
# shellcheck shell=bash

# make_certificates DIR: a CA with a client's and a server's certificate (names: localhost,
# 127.0.0.1), two servers' certificates that must be refused, and a client's of another CA.
make_certificates() (
  mkdir -p "$1/other" "$1/kubernetes"
  cd "$1" || exit
  ca . "testbed CA"
  ca other "other CA"
  sign . cert key client "DNS:client"
  sign other cert key client "DNS:client"
  local here="DNS:localhost,IP:127.0.0.1"
  sign . server server-key server "$here"
  sign . expired-server expired-server-key server "$here" -startdate 20200101000000Z -enddate 20210101000000Z
  sign . wrongname-server wrongname-server-key server "DNS:buildkit.example"
  cp ca.pem kubernetes/ca.crt
  cp cert.pem kubernetes/tls.crt
  cp key.pem kubernetes/tls.key
)

# new_key FILE: P-256 in PKCS#8.
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

# ca DIR NAME
ca() {
  new_key "$1/ca-key.pem"
  openssl req -x509 -new -key "$1/ca-key.pem" -subj "/CN=$2" -days 30 -out "$1/ca.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

# sign DIR CERT KEY client|server NAMES [OPTION...]: a certificate of DIR's CA.
sign() (
  dir=$1 cert=$2 key=$3 use=$4 names=$5
  shift 5
  cd "$dir" || exit
  new_key "$key.pem"
  openssl req -new -key "$key.pem" -subj "/CN=$cert" -out "$cert.csr"
  cat >"$cert.cnf" <<CNF
[ca]
default_ca = this
[this]
database = $cert.db
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = ${use}Auth
subjectAltName = $names
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
CNF
  : >"$cert.db"
  [ $# -gt 0 ] || set -- -days 30
  openssl ca -batch -notext -config "$cert.cnf" -extensions extensions -cert ca.pem -keyfile ca-key.pem \
    -outdir . -in "$cert.csr" -out "$cert.pem" "$@" 2>"$cert.log" || { cat "$cert.log" >&2; exit 1; }
  rm -f "$cert".{csr,cnf,log,db*} ./[0-9A-F]*.pem
)
