# What judges SBOMs and attestations and was not written here. Sourced by install; needs lib.sh, go-tools.sh.
# shellcheck shell=bash

SBOM_VENV="$CACHE/sbom-venv"
SPDX_TOOLS=0.8.5      # the SPDX project's validator
CYCLONEDX_LIB=11.12.0 # has CycloneDX's JSON schemas
SYFT=v1.57.0          # another maker of SBOMs: ten minutes to build, so not part of all

install_sbom_tools() {
  local stamp="spdx-tools==$SPDX_TOOLS cyclonedx-python-lib[json-validation]==$CYCLONEDX_LIB" log="$CACHE/sbom-venv.log"
  apt_install skopeo time
  [ "$(cat "$SBOM_VENV/stamp" 2>/dev/null)" != "$stamp" ] || return 0
  log "installing the validators of SPDX and CycloneDX"
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
  rm -rf "$SBOM_VENV"
  # shellcheck disable=SC2086
  { python3 -m venv "$SBOM_VENV" && "$SBOM_VENV/bin/pip" install --quiet --disable-pip-version-check $stamp; } >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; die "the validators could not be installed" "check that pip reaches its index, then run this again"; }
  rm -f "$log"
  echo "$stamp" >"$SBOM_VENV/stamp"
}

install_syft() {
  local module=github.com/anchore/syft
  go_tool syft "$module" "$module/cmd/syft" "$SYFT"
}
