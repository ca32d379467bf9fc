#!/usr/bin/env bash
# Packs what docs/gpu-checks.md runs, for a machine with a GPU and without cargo: the tests of backend-cuda, the programs,
# lists of problems, and run.sh, which runs the tests.
set -euo pipefail
folder=${1:?usage: docs/pack-gpu-checks.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."

# Builds with cargo and packs every executable that comes of it.
pack() {
  cargo "$@" --release --message-format=json | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"):
        print(message["target"]["name"], message["executable"])' |
    while read -r name path; do strip -o "$folder/$name" "$path"; done
}

tests="open borrowed ops training interface network conformance"
pack test --package backend-cuda --no-run ${tests// / --test } --test ${tests%% *}
pack build --package examples --example train --example convolve --example explain
pack build --package xtask
cp -r shapes "$folder"
cat > "$folder/run.sh" <<RUN
#!/usr/bin/env bash
# The tests on the GPU here, under a tool of compute-sanitizer where one is named. Without a GPU they are skipped, with
# REQUIRE_GPU=1 that is a failure. racecheck leaves out the 500 problems of the suite, which take it too long.
set -u
cd "\$(dirname "\$0")"
tests="$tests" tool=\${1:-}
RUN
cat >> "$folder/run.sh" <<'RUN'
if ! why=$(./explain --backend cuda "n1 c1 o1 i4 k3" 2>&1 >/dev/null); then
  [ "${REQUIRE_GPU:-}" = 1 ] || { echo "SKIPPED: ${why#error: }"; exit 0; }
  echo "REQUIRE_GPU=1, but ${why#error: }" >&2
  exit 1
fi
under=""
if [ -n "$tool" ]; then
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not on the PATH" >&2; exit 1; }
  under="compute-sanitizer --tool $tool --error-exitcode 1"
fi
[ "$tool" != racecheck ] || tests=${tests% conformance}
failed=0
for test in $tests; do
  echo "== $test"
  REQUIRE_GPU=1 $under "./$test" --nocapture || failed=1
done
exit $failed
RUN
chmod +x "$folder/run.sh"
echo "packed into $folder"
