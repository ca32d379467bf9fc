#!/usr/bin/env bash
# Packs the tests of backend-cuda for a machine with a GPU and without cargo: run.sh in the folder runs them.
set -euo pipefail
folder=${1:?usage: docs/pack-gpu-checks.sh FOLDER}
cd "$(dirname "$0")/.."
mkdir -p "$folder"
cargo test --release --package backend-cuda --no-run --message-format=json |
  python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["kind"] == ["test"]:
        print(message["target"]["name"], message["executable"])' |
  while read -r name path; do strip -o "$folder/$name" "$path"; done
cat > "$folder/run.sh" <<'RUN'
#!/usr/bin/env bash
# Every test on the GPU here, or under the tool of compute-sanitizer that is named; a missing GPU is a failure.
set -u
cd "$(dirname "$0")"
export REQUIRE_GPU=1
failed=0
for test in open borrowed ops training interface network conformance; do
  echo "== $test"
  case "${1:-}" in
    "") ./"$test" --nocapture || failed=1 ;;
    *) compute-sanitizer --tool "$1" --error-exitcode 1 ./"$test" --nocapture || failed=1 ;;
  esac
done
exit $failed
RUN
chmod +x "$folder/run.sh"
echo "packed into $folder"
