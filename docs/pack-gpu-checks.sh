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
  while read -r name path; do cp "$path" "$folder/$name"; done
cat > "$folder/run.sh" <<'RUN'
#!/usr/bin/env bash
# Every test on the GPU here; a missing GPU is a failure.
set -u
cd "$(dirname "$0")"
export REQUIRE_GPU=1
failed=0
for test in conformance ops network open; do
  echo "== $test"
  ./"$test" --nocapture || failed=1
done
exit $failed
RUN
chmod +x "$folder/run.sh" "$folder"/*
echo "packed into $folder"
