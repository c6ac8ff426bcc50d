# Functions of the scripts beside this file; bash.

# Asks 127.0.0.1-style address $1 for path $2 and prints the status code. No curl is needed for that.
http_status() {
    local line
    exec 3<>"/dev/tcp/${1%:*}/${1##*:}" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$2" "$1" >&3
    IFS= read -r -t 5 line <&3
    exec 3<&- 3>&-
    set -- $line
    printf '%s\n' "${2:-}"
}

# Waits until node $1 (host:port) is ready, at most $2 seconds, and no longer than process $3 lives.
wait_ready() {
    local until=$((SECONDS + $2))
    while ((SECONDS < until)); do
        [[ $(http_status "$1" /readyz 2>/dev/null) == 200 ]] && return 0
        kill -0 "$3" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}
