#!/bin/bash
# healthcheck.sh PORT PATH: exits 0 when http://127.0.0.1:PORT/PATH answers with 200. For images without curl.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "${2#/}" >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]
