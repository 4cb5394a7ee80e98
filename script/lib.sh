# lib.sh: what the scripts share; sourced, never run. Sets $root and stands in it.
# Installing is the only thing here that needs rights: apt as root or through sudo, and only for
# packages that are missing.
# shellcheck shell=bash

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

build_packages=(gcc meson ninja-build pkg-config libc6-dev libssl-dev libmicrohttpd-dev
    libc-ares-dev libjansson-dev libsqlite3-dev libcmocka-dev libcurl4-openssl-dev)
test_packages=(python3 python3-pytest python3-requests python3-cryptography ca-certificates)
check_packages=(clang-14 clang-tidy-14 clang-format-14)

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

# need PACKAGE... : installs those that are missing, once, quietly.
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' \
            || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "missing: ${missing[*]}; install them as root"
        sudo=(sudo)
    fi
    say "installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { "${sudo[@]}" apt-get update -qq &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "apt could not install ${missing[*]}"
    fi
    rm -f "$log"
}

# Node from wherever it comes: only its absence brings in Debian's.
need_node() {
    command -v node >/dev/null && command -v npm >/dev/null || need nodejs npm
}

# configure FOLDER OPTION... : sets a build folder up, unless it is there already.
configure() {
    local folder=$1
    shift
    [ -f "$folder/build.ninja" ] && return 0
    meson setup "$folder" "$@" >"$folder.setup" 2>&1 || {
        cat "$folder.setup" >&2
        rm -f "$folder.setup"
        return 1
    }
    rm -f "$folder.setup"
}

# make_all FOLDER [TARGET...] : builds; says much only when something is wrong. The binary is then at
# FOLDER/hookswitch, wherever the room that makes it stands.
make_all() {
    local folder=$1 log
    shift
    log=$(mktemp)
    if ! ninja -C "$folder" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    grep -A4 'warning:' "$log" >&2 || true
    rm -f "$log"
    if [ -x "$folder/src/cli/hookswitch" ]; then
        ln -f "$folder/src/cli/hookswitch" "$folder/hookswitch"
    fi
}
