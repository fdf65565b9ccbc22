# Builds the pinned Go tools into the cache. Sourced by install; needs lib.sh.
# shellcheck shell=bash disable=SC2030,SC2031

# find_go: sets GO to a go command, installing Debian's where there is none. The version
# may be older than GO_MIN when it can fetch the right toolchain by itself.
find_go() {
  [ -z "${GO:-}" ] || return 0
  local v
  if have go; then
    GO="$(command -v go)"
  elif [ -x /usr/local/go/bin/go ]; then
    GO=/usr/local/go/bin/go
  else
    apt_install golang-go ca-certificates
    GO="$(command -v go)" || die "no go command after installing golang-go" "install Go $GO_MIN or newer"
  fi
  v="$(go_version "$GO")"
  if version_ge "$v" "$GO_MIN"; then
    return 0
  elif version_ge "$v" 1.21; then
    export GOTOOLCHAIN=auto
  else
    GO="$(go_toolchain "$GO_IMAGE")/bin/go"
  fi
}

go_version() { (cd / && GOTOOLCHAIN=local "$1" version) | sed -E 's/^go version go([0-9.]+).*/\1/'; }

# go_toolchain VERSION: prints a GOROOT of that Go, taken from the Go module proxy.
go_toolchain() {
  local version=$1 dst="$CACHE/go-$1" tmp zip
  if ! [ -x "$dst/bin/go" ]; then
    log "fetching Go $version from the Go module proxy"
    tmp="$(mktemp -d "$CACHE/tmp.XXXXXX")"
    (cd "$tmp" && GO111MODULE=on GOFLAGS=-modcacherw GOTOOLCHAIN=local GOMODCACHE="$tmp/mod" "${GO:-go}" mod download \
      "golang.org/toolchain@v0.0.1-go$version.linux-$(go_arch)") >&2 ||
      die "Go $version could not be fetched" "install Go $GO_MIN or newer and put it on PATH"
    zip="$(echo "$tmp"/mod/golang.org/toolchain@*)"
    chmod -R u+w "$zip"
    chmod 755 "$zip"/bin/* "$zip"/pkg/tool/*/* 2>/dev/null || true
    rm -rf "$dst"
    mv -T "$zip" "$dst"
    chmod -R u+w "$tmp"
    rm -rf "$tmp"
  fi
  printf '%s\n' "$dst"
}

go_arch() {
  case "$(uname -m)" in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) die "no recipe for this processor: $(uname -m)" "use x86_64 or aarch64" ;;
  esac
}

# fresh TOOL STAMP: true when the tool is there and was built from this pin.
fresh() { [ -x "$BIN/$1" ] && [ "$(cat "$BIN/$1.stamp" 2>/dev/null)" = "$2" ]; }

# put TOOL STAMP FILE: the finished file gets its name in one step, then its stamp.
put() {
  rm -f "$BIN/$1.stamp"
  mv -f "$3" "$BIN/$1"
  printf '%s\n' "$2" >"$BIN/$1.stamp.tmp"
  mv -f "$BIN/$1.stamp.tmp" "$BIN/$1.stamp"
}

# go_tool NAME MODULE PACKAGE VERSION [LDFLAGS [TAGS]]: builds one command of a module.
# With TAGS it is built with cgo.
go_tool() {
  local name=$1 module=$2 package=$3 version=$4 ldflags="-s -w ${5:-}" tags=${6:-} stamp work
  stamp="$package@$version $ldflags${tags:+ $tags}"
  fresh "$name" "$stamp" && return 0
  find_go
  log "building $name $version (minutes the first time)"
  work="$(mktemp -d "$CACHE/tmp.XXXXXX")"
  printf 'module peelbox.test/tool\n\ngo %s\n' "$GO_MIN" >"$work/go.mod"
  (
    cd "$work"
    export CGO_ENABLED="${tags:+1}" GOFLAGS="-buildvcs=false"
    : "${CGO_ENABLED:=0}"
    nice -n 5 "$GO" get -tool "$package@$version"
    nice -n 5 "$GO" build -trimpath -tags "$tags" -ldflags "$ldflags" -o "$work/out" "$package"
  ) >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; die "building $name ($module $version) failed; log: $work/log" "check that Go reaches its module proxy, then run this again"; }
  put "$name" "$stamp" "$work/out"
  rm -rf "$work"
}

# go_tool_from_source NAME MODULE PACKAGE_DIR VERSION LDFLAGS: for modules whose own
# replace lines count: builds in a copy of the module's folder.
go_tool_from_source() {
  local name=$1 module=$2 dir=$3 version=$4 ldflags="-s -w $5" stamp work src
  stamp="$module/$dir@$version $ldflags"
  fresh "$name" "$stamp" && return 0
  find_go
  log "building $name $version (minutes the first time)"
  work="$(mktemp -d "$CACHE/tmp.XXXXXX")"
  (
    cd "$work"
    src="$("$GO" mod download -json "$module@$version" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')"
    [ -d "$src" ] || { echo "no folder for $module@$version"; exit 1; }
    cp -r "$src" "$work/src"
    chmod -R u+w "$work/src"
    cd "$work/src"
    export CGO_ENABLED=0 GOFLAGS="-mod=mod -buildvcs=false"
    nice -n 5 "$GO" build -trimpath -ldflags "$ldflags" -o "$work/out" "$dir"
  ) >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; die "building $name ($module $version) failed; log: $work/log" "check that Go reaches its module proxy, then run this again"; }
  put "$name" "$stamp" "$work/out"
  rm -rf "$work"
}

BUILDKIT=github.com/moby/buildkit

buildkit_ldflags() { printf -- '-X %s/version.Version=%s' "$BUILDKIT" "$1"; }

install_buildkit_new() {
  go_tool buildkitd "$BUILDKIT" "$BUILDKIT/cmd/buildkitd" "$BUILDKIT_NEW" "$(buildkit_ldflags "$BUILDKIT_NEW")"
  go_tool buildctl "$BUILDKIT" "$BUILDKIT/cmd/buildctl" "$BUILDKIT_NEW" "$(buildkit_ldflags "$BUILDKIT_NEW")"
}

install_buildkit_old() {
  go_tool buildkitd-0.11 "$BUILDKIT" "$BUILDKIT/cmd/buildkitd" "$BUILDKIT_OLD" "$(buildkit_ldflags "$BUILDKIT_OLD")"
  go_tool_from_source buildkitd-0.10 "$BUILDKIT" ./cmd/buildkitd "$BUILDKIT_TOO_OLD" "$(buildkit_ldflags "$BUILDKIT_TOO_OLD")"
}

install_engine() {
  local moby=github.com/moby/moby/v2
  go_tool dockerd "$moby" "$moby/cmd/dockerd" "$ENGINE" "-X $moby/dockerversion.Version=$ENGINE_VERSION"
  go_tool docker-proxy "$moby" "$moby/cmd/docker-proxy" "$ENGINE"
}

# Static, as it is also put into a container that holds nothing else.
install_runc() {
  go_tool runc github.com/opencontainers/runc github.com/opencontainers/runc "$RUNC" "-extldflags -static" "seccomp netgo osusergo"
}

install_buildx() {
  local module=github.com/docker/buildx
  go_tool buildx "$module" "$module/cmd/buildx" "$BUILDX" "-X $module/version.Version=$BUILDX"
}
