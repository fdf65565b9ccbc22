# Starts an SSH server on loopback. Sourced; needs lib.sh, daemons.sh.
# shellcheck shell=bash

# start_sshd RUN_DIR BUILDKIT_HOST DOCKER_HOST: sets SSH_TARGET. RUN_DIR/ssh/bin/ssh is a
# client that knows its key and reads no file of the user's. A session finds buildctl and
# docker on PATH, and the daemons given here.
start_sshd() {
  local run=$1 dir="$1/ssh" port pid client pam=no
  port="$(free_port)"
  client="$(command -v ssh)" || die "no ssh" "tests/testbed/install"
  mkdir -p "$dir/bin" "$dir/path" /run/sshd
  chmod 700 "$dir"
  ssh-keygen -q -t ed25519 -N '' -C testbed -f "$dir/host_key"
  ssh-keygen -q -t ed25519 -N '' -C testbed -f "$dir/key"
  cp "$dir/key.pub" "$dir/authorized_keys"
  echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$dir/host_key.pub")" >"$dir/known_hosts"
  ln -s "$BIN/buildctl" "$dir/path/buildctl"
  ln -s "$(docker_cli)" "$dir/path/docker"
  cat >"$dir/session" <<SESSION
#!/bin/sh
export PATH='$dir/path':"\$PATH" BUILDKIT_HOST='$2' DOCKER_HOST='$3'
exec /bin/sh -c "\${SSH_ORIGINAL_COMMAND:-true}"
SESSION
  cat >"$dir/bin/ssh" <<CLIENT
#!/bin/sh
exec '$client' -F '$dir/config' "\$@"
CLIENT
  chmod 755 "$dir/session" "$dir/bin/ssh"
  cat >"$dir/config" <<CONFIG
IdentityFile $dir/key
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile $dir/known_hosts
GlobalKnownHostsFile none
StrictHostKeyChecking yes
BatchMode yes
LogLevel ERROR
CONFIG
  # Without PAM, sshd refuses an account whose password is locked.
  case "$(getent shadow root | cut -d: -f2)" in '!'*) pam=yes ;; esac
  cat >"$dir/sshd_config" <<CONFIG
ListenAddress 127.0.0.1
Port $port
HostKey $dir/host_key
PidFile none
AuthorizedKeysFile $dir/authorized_keys
AuthenticationMethods publickey
StrictModes no
PermitRootLogin yes
UsePAM $pam
UseDNS no
MaxStartups 100
PrintMotd no
ForceCommand $dir/session
CONFIG
  # Newer ones refuse an address for a while that has failed before: tests do so.
  if /usr/sbin/sshd -t -f "$dir/sshd_config" -o PerSourcePenalties=no 2>/dev/null; then
    echo "PerSourcePenalties no" >>"$dir/sshd_config"
  fi
  launch /usr/sbin/sshd -D -e -f "$dir/sshd_config" >"$run/sshd.log" 2>&1 </dev/null &
  pid=$!
  record "$run" "$pid"
  wait_for 20 "sshd" "$run/sshd.log" "$pid" port_open "$port"
  # shellcheck disable=SC2034
  SSH_TARGET="ssh://127.0.0.1:$port"
}
