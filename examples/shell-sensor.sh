#!/bin/sh
# Prints how full a file system is, in percent: a reading for sources.exec.
#
#   disk-used [FOLDER]
set -eu

used=$(df -P -- "${1:-/}" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
case $used in
'' | *[!0-9]*)
    echo "df says nothing about ${1:-/}" >&2
    exit 1
    ;;
esac
echo "$used"
