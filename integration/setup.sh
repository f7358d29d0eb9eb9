#!/usr/bin/env bash
# Sees to it that the programs which the tests run are on this machine: a real sshd, debug servers, login shells. As root on Debian or
# Ubuntu what is missing is installed; elsewhere this says what to install, and fails. With "bench" it also sees to what the benchmarks
# measure against.
set -euo pipefail

for=${1:-test}
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

# VS Code, from npm: the server of code-server, which runs in the node that is here. integration/tools looks for it in the same place.
vscode_version=4.100.3
vscode_dir=${XDG_CACHE_HOME:-$HOME/.cache}/debugbroker-tests/code-server-$vscode_version
has_vscode() { [ -f "$vscode_dir/node_modules/code-server/lib/vscode/out/server-main.js" ]; }

# No install scripts are run. What they would compile (terminals, a faster log, file watching) the tests do not use.
install_vscode() {
  local new=$vscode_dir.new.$$
  rm -rf "$new" && mkdir -p "$new" || return
  npm_quiet "$new" "code-server@$vscode_version" && npm_quiet "$new/node_modules/code-server/lib/vscode" --omit=dev || { rm -rf "$new"; return 1; }
  rm -rf "$vscode_dir" && mv "$new" "$vscode_dir" # in one step: what is there is whole
}
npm_quiet() { (cd "$1" && shift && npm install --ignore-scripts --no-audit --no-fund --loglevel=error "$@" >&2); }

has_chromium() { has chromium || has google-chrome; }
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
  [ "$for" != bench ] || need autossh autossh has autossh
  need "a python3 with debugpy" python3-debugpy has_debugpy
  need "gdb, with which debugpy gets into running programs" gdb has gdb
  need "Node.js" nodejs has node
  need "a JDK with jdb" "$jdk" has_jdk
  need fish fish has fish
  need zsh zsh has zsh
  need csh tcsh has csh
  need ps procps has ps
  need Chromium chromium has_chromium
  need Neovim neovim has nvim
  need Emacs emacs-nox has emacs
  has_vscode || need npm npm has npm
  if [ "$(uname)" = Linux ]; then
    need systemd systemd has_systemd
    need unshare util-linux has unshare
    need ip iproute2 has ip
    need sudo sudo has sudo
    need busybox busybox has busybox
    need setpriv util-linux has setpriv
    need bash-completion bash-completion has_bash_completion
  fi
  need "a C compiler, for the race detector" gcc has "${CC:-gcc}"
}

jdk=openjdk-17-jdk-headless
check

if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && has apt-get; then
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

if ! has_vscode; then
  echo "installing what the tests need: code-server $vscode_version, to $vscode_dir" >&2
  if ! install_vscode; then
    echo "error: the tests need VS Code, and npm could not install code-server@$vscode_version to $vscode_dir" >&2
    echo "hint: npm's own words stand above; it must reach its registry once" >&2
    exit 1
  fi
fi
