#!/usr/bin/env bash
# ThreadSanitizer must find the race that planted_race plants behind the server's RPCs, and must find none when the
# counter is guarded. A race is only seen when the threads meet, so there is more than one try.
# usage: planted_race_test.sh <planted_race>
set -euo pipefail
program=$1 tries=10
export TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1

if ! report=$("$program" --guarded 2>&1); then
  printf 'without a race the program fails:\n%s\n' "$report"
  exit 1
fi
for ((try = 1; try <= tries; ++try)); do
  if report=$("$program" 2>&1); then continue; fi
  if [[ $report == *"ThreadSanitizer: data race"*planted_race.cc* ]]; then
    printf 'the planted race was found in run %d\n' "$try"
    exit 0
  fi
  printf 'the program fails for another reason:\n%s\n' "$report"
  exit 1
done
printf 'the planted race was not found in %d runs\n' "$tries"
exit 1
