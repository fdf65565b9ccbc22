# Makes the base images and keeps them as a registry's storage in the cache. Sourced by
# install; needs lib.sh, go-tools.sh, daemons.sh.
# shellcheck shell=bash

IMAGES_DIR="$CACHE/images"      # registry storage, stamps, parts
MACHINE_CA=/etc/ssl/certs/ca-certificates.crt

# Names in the registry. Bases first: the others are built on them. Of those, each language
# has a Dockerfile of its own, so that a change of one makes no other anew.
BASE_IMAGES=(debian python node golang)
# shellcheck disable=SC2034 # install reads it
LANGUAGE_IMAGES=(rust php temurin maven gradle ruby ruby-full python-full bun caddy distroless perl)
# What only `make smoke` asks for.
# shellcheck disable=SC2034 # the same
SMOKE_IMAGES=(temurin-21 maven-21 python-13)
declare -A IMAGE_NAME=(
  [debian]=library/debian:bookworm-slim
  [python]=library/python:3.11-slim-bookworm
  [node]=library/node:22-bookworm-slim
  [golang]=library/golang:1.26-bookworm
  [rust]=library/rust:1.95-slim-bookworm
  [php]=library/php:8.2-apache-bookworm
  [temurin]=library/eclipse-temurin:17-jre
  [maven]=library/maven:3.9-eclipse-temurin-17
  [gradle]=library/gradle:8-jdk17
  [ruby]=library/ruby:3.1-slim-bookworm
  [ruby-full]=library/ruby:3.1-bookworm
  [python-full]=library/python:3.11-bookworm
  [bun]='oven/bun:1 oven/bun:1-slim'
  [caddy]=library/caddy:2-alpine
  [perl]='library/perl:5.36-bookworm library/perl:5.36-slim-bookworm'
  [distroless]=distroless/static-debian12:nonroot
  [temurin-21]=library/eclipse-temurin:21-jre
  [maven-21]=library/maven:3.9-eclipse-temurin-21
  [python-13]='library/python:3.13-slim-trixie library/python:3.13-trixie'
)
declare -A IMAGE_FILE=(
  [temurin]=Dockerfile.java [maven]=Dockerfile.java [ruby-full]=Dockerfile.ruby [python-full]=Dockerfile.python
  [temurin-21]=Dockerfile.trixie [maven-21]=Dockerfile.trixie [python-13]=Dockerfile.trixie
)
for image in "${BASE_IMAGES[@]}"; do IMAGE_FILE[$image]=Dockerfile; done

image_file() { echo "${IMAGE_FILE[$1]:-Dockerfile.$1}"; }

# install_images NAME...: of the images above; makes only what is missing.
install_images() {
  local machine base name bases=() languages=() jobs=() job rc=0
  mkdir -p "$IMAGES_DIR"
  machine="$IMAGES_DIR/machine"
  rm -rf "$machine"
  machine_settings "$machine"
  base="$( (cd "$machine" && find . -type f | sort | xargs cat; cat "$TESTBED_DIR/images/Dockerfile"
    declare -f base_tar go_tar machine_settings machine_into_rootfs
    [ ! -f "$MACHINE_CA" ] || cat "$MACHINE_CA"; echo "$NODE_IMAGE $GO_IMAGE") | sha256sum | cut -d' ' -f1)"
  if [ "$(cat "$IMAGES_DIR/stamp" 2>/dev/null)" != "$base" ]; then
    rm -rf "$IMAGES_DIR/registry" "$IMAGES_DIR"/*.stamp
    echo "$base" >"$IMAGES_DIR/stamp"
  fi
  for name in "$@"; do
    [ "$(cat "$IMAGES_DIR/$name.stamp" 2>/dev/null)" != "$(image_stamp "$name" "$base")" ] || continue
    case " ${BASE_IMAGES[*]} " in
      *" $name "*) bases+=("$name") ;;
      *) languages+=("$name") ;;
    esac
  done
  [ "$((${#bases[@]} + ${#languages[@]}))" -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "making base images needs root" "run this as root or with sudo"
  apt_install docker-registry runc debootstrap debian-archive-keyring ca-certificates

  stop_orphans
  RUN="$(mktemp -d /var/tmp/peelbox-images.XXXXXX)"
  own "$RUN" images
  trap 'stop_daemons "$RUN"' EXIT
  mkdir -p "$IMAGES_DIR/registry"
  start_registry "$RUN" "$IMAGES_DIR/registry"
  start_buildkitd "$RUN" bk "$BIN/buildkitd"
  mkdir "$RUN/context"
  cp -r "$machine" "$RUN/context/machine"
  if [ "${#bases[@]}" -gt 0 ]; then
    base_tar "$base" "$machine" "$RUN/context/base.tar"
    case " ${bases[*]} " in *' golang '*) go_tar "$RUN/context/go.tar" ;; esac
    for name in "${bases[@]}"; do make_image "$name" "$base"; done
  fi
  case " ${languages[*]} " in *' rust '*) rust_tar "$RUN/context/rust.tar" ;; esac
  # At once: most of their time is spent waiting for packages.
  for name in "${languages[@]}"; do
    make_image "$name" "$base" &
    jobs+=("$!")
  done
  for job in "${jobs[@]}"; do wait "$job" || rc=1; done
  [ "$rc" = 0 ] || die "not all images could be made" "see the messages above"
  stop_daemons "$RUN"
  rm -f "$CACHE/runs/images"
  trap - EXIT
}

# image_stamp NAME BASE: changes with everything that is in the image.
image_stamp() {
  { echo "$2"; [ "$(image_file "$1")" = Dockerfile ] || cat "$TESTBED_DIR/images/$(image_file "$1")"
    case "$1" in rust) rust_version; declare -f rust_tar ;; bun) echo "$BUN_IMAGE" ;; esac
  } | sha256sum | cut -d' ' -f1
}

# make_image NAME BASE: into the registry. The stamp is written after the push, so that a
# half-made image never counts.
make_image() {
  local name=$1 names
  log "making ${IMAGE_NAME[$name]}"
  rm -f "$IMAGES_DIR/$name.stamp"
  # shellcheck disable=SC2086
  names="$(printf "$REGISTRY/%s," ${IMAGE_NAME[$name]})"
  "$BIN/buildctl" --addr "unix://$RUN/bk.sock" build --progress plain --frontend dockerfile.v0 \
    --local context="$RUN/context" --local dockerfile="$TESTBED_DIR/images" --opt filename="$(image_file "$name")" \
    --opt target="$name" --opt build-arg:NODE_IMAGE="$NODE_IMAGE" --opt build-arg:GO_IMAGE="$GO_IMAGE" \
    --opt build-arg:BUN_IMAGE="$BUN_IMAGE" \
    --output "type=image,\"name=${names%,}\",push=true,oci-mediatypes=true,compression-level=1" \
    >"$RUN/$name.log" 2>&1 || { tail -n 40 "$RUN/$name.log" >&2; die "the image $name could not be made" "see the step's output above"; }
  image_stamp "$name" "$2" >"$IMAGES_DIR/$name.stamp"
}

# base_tar STAMP MACHINE_DIR FILE: a small Debian with this machine's settings, cached.
base_tar() {
  local machine=$2 out=$3 cached="$IMAGES_DIR/base-$1.tar" root
  if ! [ -f "$cached" ]; then
    log "bootstrapping Debian bookworm"
    root="$RUN/rootfs"
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" >"$RUN/debootstrap.log" 2>&1 ||
      { tail -n 30 "$RUN/debootstrap.log" >&2; die "debootstrap failed" "check that apt-get update works on this machine"; }
    machine_into_rootfs "$machine" "$root"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,info,lintian} \
      "$root"/var/log/* "$root"/var/cache/debconf/*-old
    find "$root/usr/share/locale" -mindepth 1 -maxdepth 1 ! -name 'en*' -exec rm -rf {} +
    rm -f "$root"/dev/* "$root/etc/resolv.conf" "$root/etc/hostname" 2>/dev/null || true
    rm -f "$IMAGES_DIR"/base-*.tar
    tar -C "$root" --numeric-owner --one-file-system -cf "$cached.tmp" .
    mv "$cached.tmp" "$cached"
    rm -rf --one-file-system "$root"
  fi
  ln "$cached" "$out" 2>/dev/null || cp "$cached" "$out"
}

# go_tar FILE: the Go toolchain as /go in a tar.
go_tar() {
  local root
  find_go
  root="$("$GO" env GOROOT)"
  [ "$(go_version "$root/bin/go" 2>/dev/null || true)" = "$GO_IMAGE" ] || root="$(go_toolchain "$GO_IMAGE")"
  tar -C "$root" --numeric-owner --owner=0 --group=0 --transform 's,^\.,go,' \
    --exclude=./test --exclude=./api --exclude=./doc --exclude='*_test.go' --exclude=testdata -cf "$1" .
}

rust_version() {
  have rustc || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  (cd / && rustc --version)
}

# rust_tar FILE: what of the machine's Rust toolchain a build needs, in a tar.
rust_tar() {
  rust_version >/dev/null
  tar -C "$(cd / && rustc --print sysroot)" --numeric-owner --owner=0 --group=0 --exclude='./lib/rustlib/src' \
    --exclude='./lib/rustlib/*musl*' --exclude='./lib/rustlib/wasm*' --exclude='./bin/*clippy*' --exclude='./bin/*fmt' \
    --exclude='./bin/rust-*' --exclude='./bin/rustdoc' -cf "$1" ./bin ./lib
}

# machine_settings DIR: what a RUN step needs on this machine to reach the package
# registries. Empty on a plain machine. Values are read here and never kept in the project.
machine_settings() {
  local dir=$1 v k plain
  mkdir -p "$dir"
  apt-config dump 2>/dev/null | grep -E '^Acquire::((http|https)::Proxy|Check-Date|Check-Valid-Until)' >"$dir/apt.conf" || true
  if grep -qs bookworm /etc/apt/sources.list.d/debian.sources; then cp /etc/apt/sources.list.d/debian.sources "$dir/"; fi
  # pip: only settings about where and how to reach the index.
  : >"$dir/pip.conf"
  if have pip; then
    pip config list 2>/dev/null | sed -nE "s/^(global|install|:env:)\.(index-url|extra-index-url|cert|trusted-host|proxy)='(.*)'$/\2 = \3/p" |
      sort -u -t= -k1,1 >"$dir/pip.list"
    if [ -s "$dir/pip.list" ]; then { echo '[global]'; cat "$dir/pip.list"; } >"$dir/pip.conf"; fi
    rm -f "$dir/pip.list"
  elif [ -f /etc/pip.conf ]; then
    cp /etc/pip.conf "$dir/pip.conf"
  fi
  : >"$dir/npmrc"
  if have npm; then
    for k in registry cafile proxy https-proxy; do
      v="$(cd / && npm config get "$k" 2>/dev/null)" || continue
      plain="$(cd / && env -i PATH="$PATH" HOME=/nonexistent npm config get "$k" --globalconfig=/nonexistent 2>/dev/null)" || plain=
      case "$v" in null | undefined | false | '' | "$plain") ;; *) echo "$k=$v" >>"$dir/npmrc" ;; esac
    done
  fi
  : >"$dir/go.env"
  if have go; then
    (cd / && go env -changed GOPROXY GOSUMDB GONOSUMDB GOPRIVATE GONOPROXY GOINSECURE 2>/dev/null) |
      sed -E "s/^([A-Z]+)='(.*)'$/\1=\2/" >"$dir/go.env" || true
  fi
}

# machine_into_rootfs MACHINE_DIR ROOTFS: the settings, and the CAs that this machine
# trusts on top of Debian's, at the paths the machine's own settings name.
machine_into_rootfs() {
  local machine=$1 root=$2
  [ ! -s "$machine/pip.conf" ] || cp "$machine/pip.conf" "$root/etc/pip.conf"
  [ ! -s "$machine/apt.conf" ] || cp "$machine/apt.conf" "$root/etc/apt/apt.conf.d/99machine"
  if [ -s "$machine/debian.sources" ]; then
    cp "$machine/debian.sources" "$root/etc/apt/sources.list.d/"
    rm -f "$root/etc/apt/sources.list"
  fi
  [ -f "$MACHINE_CA" ] || return 0
  python3 - "$MACHINE_CA" "$root" <<'PY'
import re, sys
pem = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)
def certs(path):
    return {re.sub(r"\s", "", c): c for c in pem.findall(open(path, errors="replace").read())}
machine, root = sys.argv[1:]
known = certs(root + "/etc/ssl/certs/ca-certificates.crt")
for i, (k, c) in enumerate(sorted(certs(machine).items())):
    if k not in known:
        open(f"{root}/usr/local/share/ca-certificates/machine-{i}.crt", "w").write(c + "\n")
PY
  chroot "$root" update-ca-certificates >/dev/null 2>&1 || die "the CAs of this machine could not be put into the base image" "run update-ca-certificates in a bookworm chroot by hand to see why"
}
