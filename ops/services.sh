#!/bin/sh
# Private services for a trial of `lobar run`, on the loopback address, in one folder: PostgreSQL, Redis and
# RabbitMQ from the distribution's packages, S3 and SQS from the tests' Python environment (`make test` makes
# both). What the distribution starts by itself is left alone.
#   sh ops/services.sh start [DIR]     DIR: /tmp/lobar-services; writes DIR/settings, to be read by a shell
#   sh ops/services.sh stop [DIR]      ends them; removes DIR and all that is in it
# Ports: POSTGRES_PORT, REDIS_PORT, RABBITMQ_PORT, AWS_PORT.
set -eu

checkout=$(cd "$(dirname "$0")/.." && pwd)
what=${1:-}
dir=${2:-/tmp/lobar-services}
postgres_port=${POSTGRES_PORT:-15432}
redis_port=${REDIS_PORT:-16379}
rabbitmq_port=${RABBITMQ_PORT:-15673}
aws_port=${AWS_PORT:-14566}

say() { printf 'services: %s\n' "$*" >&2; }
stop() { say "$*"; exit 2; }

# until_it NAME COMMAND…: waits until the command succeeds, a minute at most.
until_it() {
    name=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || stop "$name does not answer; its log is $dir/$name/log."
        sleep 0.2
    done
}

# in_background NAME COMMAND…: in a session of its own, so that it outlives this shell's terminal.
in_background() {
    name=$1
    shift
    setsid "$@" </dev/null >"$dir/$name/log" 2>&1 &
    echo $! >"$dir/$name/pid"
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=postgres --regid=postgres --init-groups --reset-env "$@"
    else
        "$@"
    fi
}

postgres() {
    bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    [ -n "$bin" ] || stop "Please install the package postgresql."
    mkdir "$dir/postgres"
    [ "$(id -u)" -ne 0 ] || chown postgres "$dir/postgres"
    as_postgres "$bin/initdb" -D "$dir/postgres/data" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 >"$dir/initdb.log"
    as_postgres "$bin/pg_ctl" -D "$dir/postgres/data" -w -l "$dir/postgres/log" \
        -o "-h 127.0.0.1 -p $postgres_port -k $dir/postgres" start >/dev/null
    "$bin/createdb" -h 127.0.0.1 -p "$postgres_port" -U postgres lobar
}

redis() {
    mkdir "$dir/redis"
    in_background redis redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir/redis"
    until_it redis redis-cli -p "$redis_port" ping
}

rabbitmq() {
    bin=/usr/lib/rabbitmq/bin
    [ -x "$bin/rabbitmq-server" ] || stop "Please install the package rabbitmq-server."
    home=$dir/rabbitmq
    mkdir "$home"
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$home/.erlang.cookie"
    chmod 400 "$home/.erlang.cookie"
    echo '[].' >"$home/plugins"
    printf 'listeners.tcp.1 = 127.0.0.1:%s\ndisk_free_limit.absolute = 50MB\n' "$rabbitmq_port" >"$home/rabbitmq.conf"
    # Erlang's own two ports lie above.
    cat >"$home/environment" <<END
export HOME=$home RABBITMQ_NODENAME=lobar$rabbitmq_port@localhost RABBITMQ_CONF_ENV_FILE=/dev/null
export RABBITMQ_DIST_PORT=$((rabbitmq_port + 1)) ERL_EPMD_PORT=$((rabbitmq_port + 2)) ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
export RABBITMQ_MNESIA_BASE=$home/data RABBITMQ_LOG_BASE=$home/logs RABBITMQ_CONFIG_FILE=$home/rabbitmq
export RABBITMQ_ENABLED_PLUGINS_FILE=$home/plugins ERL_CRASH_DUMP=$home/erl_crash.dump
END
    # shellcheck source=/dev/null
    . "$home/environment"
    in_background rabbitmq "$bin/rabbitmq-server"
    until_it rabbitmq "$bin/rabbitmqctl" await_startup
}

aws_emulator() {
    python=$checkout/.venv/bin
    [ -x "$python/ministack" ] || stop "Please run 'make test' once: it installs the emulator of S3 and SQS."
    mkdir "$dir/aws"
    # It checks the signatures of presigned URLs with the key pair of its own environment.
    # shellcheck source=/dev/null
    . "$dir/settings"
    SERVICES=s3,sqs BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 GATEWAY_PORT=$aws_port HOME=$dir/aws \
        in_background aws "$python/ministack"
    until_it aws "$python/aws" --endpoint-url "http://127.0.0.1:$aws_port" sqs list-queues
    AWS_ENDPOINT_URL=http://127.0.0.1:$aws_port UPLOADS_QUEUE=lobar-uploads PATH=$python:$PATH \
        sh "$checkout/ops/compose/setup.sh" >/dev/null
}

settings() {
    cat >"$dir/settings" <<END
export LOBAR_STORE=postgres://postgres@127.0.0.1:$postgres_port/lobar
export LOBAR_UPLOADS=sqs://lobar-uploads?endpoint=http://127.0.0.1:$aws_port
export LOBAR_JOBS=amqp://guest:guest@127.0.0.1:$rabbitmq_port/%2f
export LOBAR_SIGNAL=redis://127.0.0.1:$redis_port
export LOBAR_S3_ENDPOINT=http://127.0.0.1:$aws_port LOBAR_BUCKET=xrays
export AWS_ACCESS_KEY_ID=trial AWS_SECRET_ACCESS_KEY=trialtrial AWS_DEFAULT_REGION=us-east-1
END
}

# ended NAME: asks the process and waits.
ended() {
    [ -f "$dir/$1/pid" ] || return 0
    pid=$(cat "$dir/$1/pid")
    kill -TERM "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
}

stop_all() {
    ended aws
    if [ -f "$dir/rabbitmq/environment" ]; then
        # In a shell of its own, for its HOME.
        sh -c ". '$dir/rabbitmq/environment'; /usr/lib/rabbitmq/bin/rabbitmqctl -q shutdown || true; epmd -kill" >/dev/null 2>&1 || true
        ended rabbitmq
    fi
    ended redis
    if [ -d "$dir/postgres/data" ]; then
        bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin | sort -V | tail -n 1)
        as_postgres "$bin/pg_ctl" -D "$dir/postgres/data" -w -m fast stop >/dev/null || true
    fi
    rm -rf "$dir"
}

case $what in
    start)
        mkdir "$dir" 2>/dev/null || stop "$dir is there already: 'sh ops/services.sh stop $dir' ends what runs in it."
        dir=$(cd "$dir" && pwd)
        chmod 755 "$dir"
        settings
        postgres
        redis
        rabbitmq
        aws_emulator
        say "They run. Now: . $dir/settings"
        ;;
    stop)
        [ -f "$dir/settings" ] || stop "$dir holds no services of this script."
        dir=$(cd "$dir" && pwd)
        stop_all
        say "They are gone."
        ;;
    *) stop "usage: services.sh start|stop [DIR]" ;;
esac
