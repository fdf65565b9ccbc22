# Starts and ends the registry and BuildKit daemons. Sourced; needs lib.sh.
# Every daemon leaves its process id in RUN_DIR/pids.
# shellcheck shell=bash

. "$TESTBED_DIR/docker.sh"

# wait_for SECONDS WHAT LOG PID CMD...: until CMD succeeds; the log's end on failure.
wait_for() {
  local seconds=$1 what=$2 log=$3 pid=$4
  shift 4
  for _ in $(seq 1 $((seconds * 5))); do
    "$@" >/dev/null 2>&1 && return 0
    running "$pid" || break
    sleep 0.2
  done
  tail -n 30 "$log" >&2 || true
  die "$what did not answer" "its log is above, and whole in $log"
}

# launch CMD...: in a session of its own and in the background (&), without the open files
# of the caller: a lock must not outlive the script that holds it.
launch() {
  local fd
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    [ "$fd" -le 2 ] || eval "exec $fd>&-"
  done
  exec setsid "$@"
}

# record RUN_DIR PID: with its start time, as process ids come round again.
record() { echo "$2 $(start_time "$2")" >>"$1/pids"; }

start_time() { sed -E 's/^.*\) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

unix_open() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$1" 2>/dev/null; }

# together CMD...: each CMD (a function's name) at the same time; fails if one does.
together() {
  local cmd pids=() pid rc=0
  for cmd in "$@"; do
    "$cmd" &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid" || rc=1; done
  return "$rc"
}

# start_registry RUN_DIR STORAGE: sets REGISTRY (host:port).
start_registry() {
  local run=$1 storage=$2 port pid
  port="$(free_port)"
  cat >"$run/registry.yml" <<YML
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: "$storage"}
  delete: {enabled: true}
http: {addr: "127.0.0.1:$port"}
YML
  launch docker-registry serve "$run/registry.yml" >"$run/registry.log" 2>&1 </dev/null &
  pid=$!
  record "$run" "$pid"
  wait_for 30 "the registry" "$run/registry.log" "$pid" port_open "$port"
  REGISTRY="127.0.0.1:$port"
}

# buildkitd_toml ROOT: prints a daemon's config. Addresses come from the command line.
# Without collection of old cache (BUILDKIT_GC=true changes that), as runs are short.
buildkitd_toml() {
  cat <<TOML
root = "$1"

[worker.containerd]
  enabled = false

[worker.oci]
  enabled = true
  networkMode = "host"
  gc = ${BUILDKIT_GC:-false}
TOML
  if [ -n "${REGISTRY:-}" ]; then
    cat <<TOML

[registry."docker.io"]
  mirrors = ["$REGISTRY"]

[registry."gcr.io"]
  mirrors = ["$REGISTRY"]

[registry."$REGISTRY"]
  http = true
TOML
  fi
}

# start_buildkitd RUN_DIR NAME BINARY [ADDR|--OPTION...]: listens on RUN_DIR/NAME.sock and on ADDRs.
# Its data is in RUN_DIR/NAME, or in BUILDKIT_ROOT where that is set.
start_buildkitd() {
  local run=$1 name=$2 binary=$3 pid a
  local sock="$run/$name.sock" addr=(--addr "unix://$run/$2.sock")
  [ "${#sock}" -lt 108 ] || die "path too long for a socket: $sock" "give a shorter run directory"
  for a in "${@:4}"; do
    case "$a" in --*) addr+=("$a") ;; *) addr+=(--addr "$a") ;; esac
  done
  local root="${BUILDKIT_ROOT:-$run/$name}"
  mkdir -p "$root"
  buildkitd_toml "$root" >"$run/$name.toml"
  launch "$binary" --config "$run/$name.toml" "${addr[@]}" >"$run/$name.log" 2>&1 </dev/null &
  pid=$!
  record "$run" "$pid"
  wait_for 60 "buildkitd ($name)" "$run/$name.log" "$pid" unix_open "$sock"
  # The socket is there before the daemon serves; a real call settles it.
  [ ! -x "$BIN/buildctl" ] ||
    wait_for 60 "buildkitd ($name)" "$run/$name.log" "$pid" "$BIN/buildctl" --addr "unix://$sock" debug workers
}

# own RUN_DIR NAME: keeps the run's place, and this process as its owner, in the cache.
own() {
  mkdir -p "$CACHE/runs"
  echo "$$ $(start_time $$)" >"$1/owner"
  ln -sfn "$1" "$CACHE/runs/$2"
}

# stop_orphans: ends the runs whose owner was killed before it could do so.
stop_orphans() {
  local link run pid started
  for link in "$CACHE"/runs/*; do
    [ -L "$link" ] || continue
    run="$(readlink "$link")"
    if [ -f "$run/owner" ]; then
      read -r pid started <"$run/owner" || continue
      [ "$(start_time "$pid")" != "$started" ] || continue
      log "ending what a killed run left: $run"
      stop_daemons "$run"
    fi
    [ -d "$run" ] || rm -f "$link"
  done
}

# processes_of RUN_DIR PROGRAM: those with a path under RUN_DIR among their arguments. PROGRAM
# is a regular expression.
processes_of() {
  ps -eo pid=,args= | awk -v run="$(cd "$1" && pwd -P)/" -v program="(^|/)($2)\$" '
    $2 ~ program { for (i = 3; i <= NF; i++) if (index($i, run) == 1 || index($i, "=" run)) { print $1; next } }'
}

# stop_daemons RUN_DIR: ends all of them, children too, and removes their data.
stop_daemons() {
  local run=$1 pids=() pid started
  [ -d "$run" ] || return 0
  end_containers "$run"
  if [ -f "$run/pids" ]; then
    while read -r pid started; do
      [ "$(start_time "$pid")" != "$started" ] || pids+=("$pid")
    done <"$run/pids"
  fi
  # Also one that was started by a script killed before it could record it.
  # shellcheck disable=SC2046
  end_tree "${pids[@]}" $(processes_of "$run" 'dockerd|containerd|buildkitd[-.0-9]*|docker-registry|sshd:')
  remove_engines "$run"
  remove_run_dir "$run"
}
