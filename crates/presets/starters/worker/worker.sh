#!/usr/bin/env bash
# The work of this app. It runs until it is asked to stop; whatever it prints is in its log.
set -u

trap 'echo "stopping"; exit 0' TERM INT

every=5
echo "worker started, one heartbeat each ${every} s"
while true; do
  # Your work goes here.
  echo "heartbeat $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  # Sleeping in the background and waiting lets a request to stop through at once.
  sleep "$every" &
  wait $!
done
