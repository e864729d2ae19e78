#!/bin/sh
# Gets this machine ready to build (`prepare.sh build`), to build and lint (`prepare.sh check`), or to
# build and test (`prepare.sh test`).
# What is there already is left alone, so that a second call takes well under a second.
# With CUDA=1 in the environment it also fetches libtorch's CUDA libraries.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../.." && pwd)
rust_wanted=1.95
python_wanted=3.9
# Some of the packages that the tests use want a newer one; Debian 12 has it.
[ "${1:-}" != test ] || python_wanted=3.11

say() { printf 'set-up: %s\n' "$*" >&2; }
stop() { say "$*"; exit 2; }

# need COMMAND PACKAGE: notes the Debian package when the command is not there.
missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }

# needs_file PATTERN PACKAGE: the same for a file that is not on the PATH.
# shellcheck disable=SC2086  # the pattern is to be expanded
needs_file() { ls $1 >/dev/null 2>&1 || missing="$missing $2"; }

# Debian starts the service of what it installs, and these two listen on all addresses: Orthanc's takes images from anybody on
# port 4242, Alertmanager's gossips on 9094. The tests start their own or none; the services are neither started now
# (policy-rc.d) nor with the machine (update-rc.d, which tells systemd too).
keep_down() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        # shellcheck disable=SC2016  # the script is to expand it
        printf '#!/bin/sh\ncase $1 in orthanc | prometheus-alertmanager) exit 101 ;; esac\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
}

install_missing() {
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        stop "Please install these packages (named as in Debian), then run this again:$missing."
    elif [ "$(id -u)" -ne 0 ]; then
        stop "Please run 'apt-get install --no-install-recommends$missing' as root, then run this again."
    fi
    say "Installing from the distribution:$missing. This takes a minute or less."
    export DEBIAN_FRONTEND=noninteractive
    case "$missing " in *" orthanc "* | *" prometheus-alertmanager "*) keep_down ;; esac
    log=$(mktemp)
    # shellcheck disable=SC2086  # one word a package
    if ! { apt-get update && apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 $missing; } \
        </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        stop "apt-get could not install$missing; its own last words stand above."
    fi
    rm -f "$log"
    for service in orthanc prometheus-alertmanager; do
        case "$missing " in *" $service "*)
            rc=0; update-rc.d "$service" disable >/dev/null 2>&1 || rc=$?
            [ "$rc" -eq 0 ] || say "The service $service could not be disabled; the tests do not use it." ;;
        esac
    done
}

# at_least FOUND WANTED: both as MAJOR.MINOR, whatever follows.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

check_rust() {
    for tool in cargo rustc; do
        command -v "$tool" >/dev/null 2>&1 ||
            stop "Please install Rust $rust_wanted or newer with rustup: there is no $tool on the PATH."
    done
    found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2)
    at_least "${found:-0}" "$rust_wanted" ||
        stop "Please update Rust to $rust_wanted or newer ('rustup update stable'): rustc is ${found:-not working} here."
}

check_python() {
    found=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo 0)
    at_least "$found" "$python_wanted" ||
        stop "Please make python3 version $python_wanted or newer the first on the PATH: it is $found here."
    # Debian keeps these two out of its python3 package.
    python3 -c 'import venv, ensurepip' 2>/dev/null || {
        missing=" python3-venv"
        install_missing
        python3 -c 'import venv, ensurepip' 2>/dev/null ||
            stop "Please install Python's venv module for the python3 on the PATH ($(command -v python3))."
    }
}

what=${1:-}
case $what in build | check | test) ;; *) stop "usage: prepare.sh build|check|test" ;; esac

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
    stop "Lobar is built for Linux on x86-64 only: this machine is $(uname -s) on $(uname -m)."

need cc gcc
need c++ g++
need cmake cmake
need python3 python3
if [ "$what" = test ]; then
    need chromium chromium
    need chromedriver chromium-driver
    need redis-server redis-server
    need prometheus prometheus
    # Its service is not started: see install_missing.
    need amtool prometheus-alertmanager
    need openssl openssl
    need systemd-analyze systemd
    need djpeg libjpeg-turbo-progs
    need storescu dcmtk
    # Its service is not started: see install_missing.
    needs_file /usr/sbin/Orthanc orthanc
    needs_file /usr/share/orthanc/plugins/libOrthancDicomWeb.so orthanc-dicomweb
    # These keep their programs off the PATH.
    needs_file '/usr/lib/postgresql/*/bin/initdb' postgresql
    needs_file /usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server
    needs_file /usr/sbin/nginx nginx
    command -v terraform >/dev/null 2>&1 ||
        say "There is no terraform here, and Debian has none: ops/terraform will not be applied to the emulator."
fi
install_missing
check_rust
check_python

python3 "$here/libtorch.py" cpu "$checkout/.libtorch"
if [ "${CUDA:-}" = 1 ]; then
    python3 "$here/libtorch.py" cuda "$checkout/.libtorch-cuda"
fi
if [ "$what" = check ]; then
    python3 "$here/node_packages.py" "$checkout/ops/lint" "$checkout/.lint"
elif [ "$what" = test ]; then
    python3 "$here/test_venv.py" "$checkout/tests/requirements.txt" "$checkout/tests/requirements-alone.txt" \
        "$checkout/.venv"
    python3 "$here/imagenet.py" "$checkout/.imagenet"
    python3 "$here/node_packages.py" "$checkout/tests/provider" "$checkout/.provider"
    python3 "$here/node_packages.py" "$checkout/tests/clients" "$checkout/.clients"
    python3 "$here/ohif.py" "$checkout/.provider" "$checkout/.ohif"
fi
