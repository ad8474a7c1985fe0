#!/bin/bash
# Packs what a workspace is made of, without its code:  pack_workspace.sh WORKSPACE ARCHIVE.tar.xz
#
# Left out of .downstream/: caches of parsing, tokens, locks, work folders, logs (all made again).
set -euo pipefail
cd "$1"
kept=(params.yaml dvc.lock data .dvc/cache mlflow.db mlartifacts)
for name in libraries definitions durations validate accepted.jsonl mlflow/outbox mlflow/live; do
    [ -n "$(find ".downstream/$name" -type f -print -quit 2>/dev/null)" ] && kept+=(".downstream/$name")
done
[ -e accepted.jsonl ] && kept+=(accepted.jsonl)
# Data and cache hold the same bytes, so that one of them costs nothing within xz's dictionary.
tar --create --sort=name --owner=0 --group=0 --numeric-owner --exclude='*.lock.lock' \
    "${kept[@]}" | xz -9e > "$2"
