# shellcheck shell=sh
# Runs a server for as long as standard input stays open.
#   sh guard.sh SIGNAL FOLDER AFTER COMMAND…
# Then sends SIGNAL to the server's process group, waits for the whole of it, runs AFTER, and removes FOLDER,
# unless a line `keep` came first. A line `kill` makes the signal KILL, which follows after a minute anyway.
# A signal to the whole group of the tests must not end it before its work is done; the server does not
# inherit this.
trap : HUP INT TERM
signal=$1 folder=$2 after=$3
shift 3
setsid "$@" </dev/null &
server=$!
keep=no
while read -r word; do
    case $word in
        keep) keep=yes ;;
        kill) signal=KILL ;;
        stop) break ;;
    esac
done
# No `--` before the group: dash takes it for a process.
kill -"$signal" "-$server" 2>/dev/null || kill -"$signal" "$server" 2>/dev/null
wait "$server" 2>/dev/null
looks=0
while kill -0 "-$server" 2>/dev/null; do
    looks=$((looks + 1))
    [ "$looks" -le 1200 ] || kill -KILL "-$server" 2>/dev/null
    sleep 0.05
done
sh -c "$after"
[ "$keep" = yes ] || rm -rf "$folder"
