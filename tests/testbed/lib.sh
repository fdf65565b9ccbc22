# Shared by the testbed's scripts: paths, pins, messages. Sourced, not run.
# shellcheck shell=bash disable=SC2034

set -euo pipefail

TESTBED_DIR="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
REPO_ROOT="$(cd "$TESTBED_DIR/../.." && pwd)"
CACHE="${PEELBOX_TESTBED_CACHE:-${HOME:-/root}/.cache/peelbox-testbed}"
BIN="$CACHE/bin"

# The pinned versions. A changed pin rebuilds what it names, nothing else.
BUILDKIT_NEW=v0.32.2  # current
BUILDKIT_OLD=v0.11.6  # oldest supported
BUILDKIT_TOO_OLD=v0.10.6 # has no Info call: must be refused
ENGINE=v2.0.0-beta.24    # Docker Engine: the module's version,
ENGINE_VERSION=29.8.1    # and the release of that day
RUNC=v1.4.3           # the engine asks for a newer one than Debian's
BUILDX=v0.35.0        # for the bench only
NIXPACKS=1.41.0       # for the bench only
RAILPACK=0.9.0        # the same
GO_MIN=1.26.3         # what buildkit's current release asks for
GO_IMAGE=1.26.8       # Go of the golang:1.26-bookworm image
BUN_IMAGE=1.2.23      # Bun of the oven/bun:1 image
NODE_IMAGE=22.20.0    # Node (and its npm) of the node:22-bookworm-slim image

mkdir -p "$CACHE" "$BIN"

log() { printf 'testbed: %s\n' "$*" >&2; }

# die WHAT [NEXT STEP]
die() {
  printf 'testbed: error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'testbed: next step: %s\n' "$2" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root CMD...: runs it as root, by sudo where the caller is not.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    die "this needs root: $*" "run it as root, or install sudo"
  fi
}

# apt_install PACKAGE...: installs what is missing; asks the package index only then.
apt_install() {
  local missing=() p
  for p in "$@"; do
    # Docker's own packages bring these, and Debian's would put them out.
    case "$p" in containerd | runc) ! have "$p" || continue ;; esac
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  have apt-get || die "missing packages: ${missing[*]} (and no apt-get here)" "install them with your package manager"
  log "installing Debian packages: ${missing[*]}"
  local out="$CACHE/apt.$$.log"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update >"$out" 2>&1 || log "apt-get update: $(tail -n 3 "$out")"
  # policy-rc.d: a package's own service must not start (docker-registry brings one).
  local policy=/usr/sbin/policy-rc.d made=
  if ! [ -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    made=1
  fi
  local rc=0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "${missing[@]}" >"$out" 2>&1 || rc=$?
  [ -z "$made" ] || as_root rm -f "$policy"
  [ "$rc" = 0 ] || { tail -n 20 "$out" >&2; die "apt-get could not install: ${missing[*]}" "see apt-get's message above"; }
  rm -f "$out"
}

# with_lock NAME CMD...: one at a time across processes; the lock ends with the process.
with_lock() {
  local name=$1 fd
  shift
  exec {fd}>"$CACHE/$name.lock"
  if ! flock -n "$fd"; then
    log "waiting for another run ($name)"
    flock "$fd"
  fi
  "$@"
  exec {fd}>&-
}

# version_ge A B: true when A >= B.
version_ge() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n1)" = "$1" ]; }

free_port() {
  python3 - <<'PY'
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])
PY
}

# end_tree PID...: ends the processes and all their children: first asks, then insists.
end_tree() {
  local pids=() p
  for p in "$@"; do
    [ -n "$p" ] && kill -0 "$p" 2>/dev/null && pids+=("$p")
  done
  [ "${#pids[@]}" -gt 0 ] || return 0
  local all
  all="$(descendants "${pids[@]}")"
  kill -TERM "${pids[@]}" 2>/dev/null || true
  for _ in $(seq 1 100); do
    local left=
    for p in "${pids[@]}"; do running "$p" && left=1; done
    [ -n "$left" ] || break
    sleep 0.1
  done
  for p in "${pids[@]}" $all; do
    running "$p" && kill -KILL "$p" 2>/dev/null
  done
  return 0
}

# running PID: alive and no zombie.
running() {
  local state
  state="$(sed -E 's/^.*\) (.).*$/\1/' "/proc/$1/stat" 2>/dev/null)" || return 1
  [ -n "$state" ] && [ "$state" != Z ]
}

# descendants PID...: all children, deep.
descendants() {
  ps -eo pid=,ppid= | awk -v roots="$*" '
    { kids[$2] = kids[$2] " " $1 }
    function walk(p,  n, a, i) { n = split(kids[p], a, " "); for (i = 1; i <= n; i++) { print a[i]; walk(a[i]) } }
    END { n = split(roots, r, " "); for (i = 1; i <= n; i++) walk(r[i]) }'
}

# remove_run_dir DIR: unmounts what a killed daemon left mounted under it, then removes it.
remove_run_dir() {
  local dir=$1 m
  [ -d "$dir" ] || return 0
  dir="$(cd "$dir" && pwd -P)"
  awk -v d="$dir/" 'index($5, d) == 1 { print length($5), $5 }' /proc/self/mountinfo | sort -rn | cut -d' ' -f2- |
    while IFS= read -r m; do umount -l "$m" 2>/dev/null || true; done
  rm -rf --one-file-system "$dir"
}
