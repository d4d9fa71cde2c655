#!/usr/bin/env bash
# What cluster-generic asks of a job: running, success or failed.
set -euo pipefail
case "$(squeue --noheader --states=all --jobs="$1" --format=%T)" in
  COMPLETED) echo success ;;
  BOOT_FAIL | CANCELLED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | TIMEOUT) echo failed ;;
  *) echo running ;;
esac
