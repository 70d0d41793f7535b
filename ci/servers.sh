#!/usr/bin/env bash
# Installs the servers of the tests in tests/it/real, where that may be done: by root, with apt-get.
# The tests of a server that is missing skip themselves, so nothing here is an error.
#
#   ci/servers.sh [nginx|apache2|lighttpd|haproxy|node]...      all of them, if none is named
set -euo pipefail

if [ $# = 0 ]; then
    set -- nginx apache2 lighttpd haproxy node
fi
missing=() packages=()
for server; do
    # A service of the system is of no use here: where there is a package of the program alone, it
    # is that one.
    case $server in
        apache2) package=apache2-bin ;;
        node) package=nodejs ;;
        *) package=$server ;;
    esac
    # Where root has them, others may not look by themselves.
    if ! PATH=$PATH:/usr/sbin command -v "$server" >/dev/null; then
        missing+=("$server")
        packages+=("$package")
    fi
done
if [ ${#missing[@]} = 0 ]; then
    exit 0
fi
install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${packages[*]}"
    if log=$(install "${packages[@]}" 2>&1); then
        exit 0
    fi
    tail -n 5 <<<"$log"
fi
echo "not installed, and their tests will be skipped: ${missing[*]}"
