# Installs and starts Docker Engines, and containers in them and in Podman. Sourced; needs
# lib.sh, daemons.sh.
# Nothing of them is outside of RUN_DIR but a bridge with its rules, cgroups and sockets of
# containerd's shims, all found again from RUN_DIR. They leave iptables alone, so any number
# of them works beside each other and beside an engine of the machine.
# shellcheck shell=bash

DOCKER_OLD="$CACHE/docker-20.10" # Debian's package, unpacked and not installed

# install_docker: the engine, and what it and its containers need.
install_docker() {
  apt_install containerd iptables iproute2 busybox-static podman gcc libc6-dev libseccomp-dev pkg-config
  install_runc
  install_engine
}

# install_docker_old: the engine, and a docker client for machines without one.
install_docker_old() {
  apt_install containerd libdevmapper1.02.1 debian-archive-keyring
  [ -x "$DOCKER_OLD/usr/sbin/dockerd" ] && return 0
  local work
  log "fetching Debian's docker.io"
  work="$(mktemp -d "$CACHE/tmp.XXXXXX")"
  mkdir -p "$work/lists/partial" "$work/root"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main" >"$work/bookworm.list"
  (
    cd "$work"
    # Lists of its own: this distribution may be another one, with a newer docker.io.
    own=(-qq -o "Dir::Etc::sourcelist=$work/bookworm.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists" -o APT::Sandbox::User=root)
    apt-get "${own[@]}" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=" update
    apt-get "${own[@]}" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=" download "docker.io=20.10.*"
    dpkg-deb -x docker.io_*.deb root
  ) >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; die "Debian's docker.io 20.10 could not be fetched; log: $work/log" "check that apt-get update works on this machine"; }
  rm -rf "$DOCKER_OLD"
  mv "$work/root" "$DOCKER_OLD"
  rm -rf "$work"
}

# docker_cli: prints the path of a docker client.
docker_cli() { command -v docker || printf '%s\n' "$DOCKER_OLD/usr/bin/docker"; }

# ping_engine SOCKET: true when the engine answers.
ping_engine() {
  python3 - "$1" 2>/dev/null <<'PY'
import http.client, socket, sys
c = http.client.HTTPConnection("localhost", timeout=5)
c.sock = socket.socket(socket.AF_UNIX)
c.sock.settimeout(5)
c.sock.connect(sys.argv[1])
c.request("GET", "/_ping")
sys.exit(c.getresponse().status != 200)
PY
}

# start_engine RUN_DIR NAME BINARY [LINE...]: listens on RUN_DIR/NAME.sock. A LINE is a setting
# of its configuration file (JSON). The registry is docker.io's mirror.
start_engine() {
  local run=$1 name=$2 binary=$3 pid dir="$1/$2" sock="$1/$2.sock" line hosts
  hosts="\"unix://$sock\"${ENGINE_TCP:+, \"$ENGINE_TCP\"}"
  [ "${#sock}" -lt 108 ] || die "path too long for a socket: $sock" "give a shorter run directory"
  mkdir -p "$dir"
  {
    echo '{'
    for line in "${@:4}"; do echo "  $line,"; done
    cat <<JSON
  "hosts": [$hosts],
  "data-root": "$dir/data",
  "exec-root": "$dir/exec",
  "pidfile": "$dir/pid",
  "cgroup-parent": "$(cgroup_of "$run")",
  "exec-opts": ["native.cgroupdriver=cgroupfs"],
  "builder": {"gc": {"enabled": false}},
  "iptables": false,
  "ip6tables": false,
  "registry-mirrors": ["http://$REGISTRY"],
  "insecure-registries": ["$REGISTRY"]
}
JSON
  } >"$run/$name.json"
  # It and its containerd look for runc on PATH.
  launch env PATH="$BIN:$PATH" "$binary" --config-file "$run/$name.json" >"$run/$name.log" 2>&1 </dev/null &
  pid=$!
  record "$run" "$pid"
  wait_for 60 "the Docker Engine ($name)" "$run/$name.log" "$pid" ping_engine "$sock"
}

# new_bridge RUN_DIR: a bridge of the run's own whose containers reach what the machine
# reaches. Sets BRIDGE.
new_bridge() { with_lock bridges make_bridge "$1"; }

make_bridge() {
  local run=$1 net
  net="$(ip -o route show table all | python3 -c '
import ipaddress, re, sys
used = [ipaddress.ip_network(n, strict=False) for n in re.findall(r"\b\d+\.\d+\.\d+\.\d+(?:/\d+)?\b", sys.stdin.read())]
used = [n for n in used if n.prefixlen]
print(next(n for n in ipaddress.ip_network("10.213.0.0/16").subnets(new_prefix=24) if not any(n.overlaps(u) for u in used))[1])
')" || die "no free network for a bridge in 10.213.0.0/16" "tests/testbed/down --all"
  BRIDGE="pbx$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')"
  # Written first: what is made from here on can be removed.
  echo "$BRIDGE $net/24" >>"$run/bridges"
  ip link add "$BRIDGE" type bridge
  ip address add "$net/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  bridge_rules -A "$BRIDGE" "$net/24"
}

# bridge_rules -A|-D BRIDGE NET: the way out, also where the machine forwards nothing.
bridge_rules() {
  local at=$1 first=$1
  [ "$1" = -D ] || first=-I
  iptables -w 20 -t nat "$at" POSTROUTING -s "$3" ! -o "$2" -m comment --comment "$2" -j MASQUERADE
  iptables -w 20 "$first" FORWARD -i "$2" -m comment --comment "$2" -j ACCEPT
  iptables -w 20 "$first" FORWARD -o "$2" -m comment --comment "$2" -j ACCEPT
}

cgroup_of() { printf '/peelbox-%s' "$(cd "$1" && pwd -P | cksum | cut -d' ' -f1)"; }

# end_containers RUN_DIR: kills the containers of the run's engines, which then have nothing
# to wait for when they end. The processes above them are nobody's children.
end_containers() {
  local shims podmans all
  shims="$(processes_of "$1" containerd-shim-runc-v2)"
  podmans="$(processes_of "$1" conmon)"
  # shellcheck disable=SC2086
  all="$podmans $(descendants $shims $podmans)"
  # shellcheck disable=SC2086
  kill -KILL $all 2>/dev/null || true
}

# remove_engines RUN_DIR: what is left of the engines, which have ended.
remove_engines() {
  local run=$1 bridge net shims dir address cgroup
  shims="$(processes_of "$run" containerd-shim-runc-v2)"
  # shellcheck disable=SC2046,SC2086
  [ -z "$shims" ] || kill -KILL $(descendants $shims) $shims 2>/dev/null || true
  for address in "$run"/*/exec/containerd/daemon/io.containerd.runtime.v2.task/moby/*/address; do
    [ ! -f "$address" ] || rm -f "$(sed 's,^unix://,,' "$address")"
  done
  # The bridges of networks that were made in the engine.
  # shellcheck disable=SC2013
  for bridge in $(grep -ahoE 'br-[0-9a-f]{12}' "$run"/*/data/network/files/local-kv.db 2>/dev/null | sort -u); do
    ip link del "$bridge" 2>/dev/null || true
  done
  if [ -e "$run/bridges" ]; then
    while read -r bridge net; do
      bridge_rules -D "$bridge" "$net" 2>/dev/null || true
      ip link del "$bridge" 2>/dev/null || true
    done <"$run/bridges"
  fi
  cgroup="$(cgroup_of "$run")"
  for dir in /sys/fs/cgroup"$cgroup" /sys/fs/cgroup/*"$cgroup"; do
    [ ! -d "$dir" ] || find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}

# prepare_containers RUN_DIR: what start_containers and start_podman need.
prepare_containers() {
  local run=$1 root="$1/busybox" tool
  mkdir -p "$root"/{bin,etc,tmp,run,var}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for tool in sh sleep true; do ln -s busybox "$root/bin/$tool"; done
  tar -C "$root" -cf "$run/busybox.tar" .
  buildkitd_toml /var/lib/buildkit >"$run/container.toml"
}

# The containers, by name: one with buildkitd and buildctl, one without, a stopped one.
BUILDKIT_CONTAINER=peelbox-buildkitd
PLAIN_CONTAINER=peelbox-plain
STOPPED_CONTAINER=peelbox-stopped
CONTAINER_IMAGE=peelbox-test/busybox
CONTAINER_OPTIONS=()

# start_containers RUN_DIR CLIENT...: all three, by docker's or podman's CLIENT.
start_containers() {
  local run=$1
  shift
  client() { local out; out="$("$@" 2>&1)" || { printf '%s\n' "$out" >&2; die "failed: $*"; }; }
  client "$@" import --change 'CMD ["sleep", "1000000"]' "$run/busybox.tar" "$CONTAINER_IMAGE"
  # The programs are mounted, which is faster than an image of 130 MB; as a folder, as runc
  # does not find itself where it is one mounted file. The volume: no overlay on overlay.
  client "$@" run -d --name "$BUILDKIT_CONTAINER" --privileged --network host "${CONTAINER_OPTIONS[@]}" \
    -v "$BIN:/usr/local/bin:ro" -v "$run/container.toml:/etc/buildkit/buildkitd.toml:ro" \
    -v peelbox-buildkitd:/var/lib/buildkit \
    "$CONTAINER_IMAGE" buildkitd --addr unix:///run/buildkit/buildkitd.sock
  client "$@" run -d --name "$PLAIN_CONTAINER" --network none "${CONTAINER_OPTIONS[@]}" "$CONTAINER_IMAGE"
  client "$@" create --name "$STOPPED_CONTAINER" --network none "${CONTAINER_OPTIONS[@]}" "$CONTAINER_IMAGE"
  for _ in $(seq 1 100); do
    if "$@" exec "$BUILDKIT_CONTAINER" buildctl debug workers >/dev/null 2>&1; then return 0; fi
    sleep 0.2
  done
  "$@" logs --tail 30 "$BUILDKIT_CONTAINER" >&2 || true
  die "buildkitd in the container $BUILDKIT_CONTAINER did not answer" "its log is above"
}

# start_podman RUN_DIR: the same containers in Podman. RUN_DIR/podman/bin/podman is a client
# whose data are in RUN_DIR.
start_podman() {
  local run=$1 dir="$1/podman" files
  mkdir -p "$dir/bin"
  cat >"$dir/containers.conf" <<CONF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "$BIN/runc"
CONF
  cat >"$dir/bin/podman" <<CLIENT
#!/bin/sh
export CONTAINERS_CONF='$dir/containers.conf'
exec '$(command -v podman)' --storage-driver overlay --root '$dir/root' --runroot '$dir/run' --tmpdir '$dir/tmp' "\$@"
CLIENT
  chmod 755 "$dir/bin/podman"
  # Podman's own limits may be above those of this machine.
  files="$(ulimit -Hn)"
  CONTAINER_OPTIONS=(--cgroup-parent "$(cgroup_of "$run")" --ulimit "nofile=$files:$files" --ulimit nproc=4096:4096)
  start_containers "$run" "$dir/bin/podman"
}
