# Runs a server for as long as standard input stays open.
#   sh guard.sh SIGNAL FOLDER AFTER COMMAND…
# Then sends SIGNAL to the server's process group, waits, runs AFTER, and removes FOLDER, unless a line
# `keep` came first. A line `kill` makes the signal KILL.
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
kill -"$signal" -- -"$server" 2>/dev/null || kill -"$signal" "$server" 2>/dev/null
wait "$server" 2>/dev/null
sh -c "$after"
[ "$keep" = yes ] || rm -rf "$folder"
