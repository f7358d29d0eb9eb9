#!/usr/bin/env bash
# Sees to it that the programs which the tests run are on this machine: a real sshd, debug servers, login shells. As root on Debian or
# Ubuntu what is missing is installed; elsewhere this says what to install, and fails.
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

has_sshd() {
  local p
  for p in /usr/sbin/sshd /usr/local/sbin/sshd /usr/bin/sshd /opt/homebrew/sbin/sshd; do [ -x "$p" ] && return; done
  has sshd
}

# The first python3 in PATH is often one without debugpy (pyenv), so each is asked; integration/tools does the same.
has_debugpy() {
  local dir dirs
  IFS=: read -r -a dirs <<<"$PATH"
  for dir in "${dirs[@]}" /usr/bin; do
    if [ -x "$dir/python3" ] && "$dir/python3" -c 'import debugpy' >/dev/null 2>&1; then return; fi
  done
  return 1
}

# java alone is not enough (a JRE), nor are the stubs of macOS, which only offer to install it.
has_jdk() { has javac && has jdb && java -version >/dev/null 2>&1; }

# Tests run a user manager of their own; it need not have booted the machine.
has_systemd() { has systemctl && has systemd-analyze && { [ -x /usr/lib/systemd/systemd ] || [ -x /lib/systemd/systemd ]; }; }

has_bash_completion() { [ -r /usr/share/bash-completion/bash_completion ]; }

missing=() packages=()
need() { # what, Debian package, test…
  local what=$1 package=$2
  shift 2
  if ! "$@"; then
    missing+=("$what (Debian: $package)")
    packages+=("$package")
  fi
}

check() {
  missing=() packages=()
  need "the OpenSSH server" openssh-server has_sshd
  need "the OpenSSH client" openssh-client has ssh
  need "a python3 with debugpy" python3-debugpy has_debugpy
  need "gdb, with which debugpy gets into running programs" gdb has gdb
  need "Node.js" nodejs has node
  need "a JDK with jdb" "$jdk" has_jdk
  need fish fish has fish
  need zsh zsh has zsh
  need csh tcsh has csh
  need ps procps has ps
  if [ "$(uname)" = Linux ]; then
    need systemd systemd has_systemd
    need unshare util-linux has unshare
    need bash-completion bash-completion has_bash_completion
  fi
  need "a C compiler, for the race detector" gcc has "${CC:-gcc}"
}

jdk=openjdk-17-jdk-headless
check
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && has apt-get; then
  echo "installing what the tests need: ${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  # A fresh machine has no package lists yet.
  apt-get update -qq >&2
  if ! apt-cache show "$jdk" >/dev/null 2>&1; then
    jdk=default-jdk-headless
    check
  fi
  # RUNLEVEL=1 keeps the package from starting an sshd of the system's: the tests start their own.
  RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
  hash -r
  check
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "error: the tests need programs that are not on this machine:" >&2
  printf '  - %s\n' "${missing[@]}" >&2
  echo "hint: install them; 'make demo' needs Go only" >&2
  exit 1
fi
