#!/usr/bin/env bash
# Installs each built distribution into an environment of its own and tries what a user does first.
#
#     packaging/try_distribution.sh dist/otel_genai-*.whl dist/otel_genai-*.tar.gz
#
# PYTHON (an interpreter) and PIP (a version of pip) choose what it is installed with. Exits with 1 at the first thing that fails.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mapfile -t distributions < <(realpath "$@")
for distribution in "${distributions[@]}"; do
  environment="$scratch/$(basename "$distribution")"
  echo "$(basename "$distribution"):"
  "${PYTHON:-python3}" -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --upgrade "pip==${PIP:?}"
  "$environment/bin/pip" install --quiet "$distribution[openai,run,simulator,report]"
  # Away from the repository, so that nothing of it is imported by chance.
  cd "$scratch"
  "$environment/bin/python" "$repository/packaging/look_into_installation.py"
  "$environment/bin/otel-genai" --help >/dev/null
  "$environment/bin/otel-genai" simulate --port 0 -- \
    "$environment/bin/otel-genai" run --record run.jsonl --report run.html "$repository/examples/chat.py" >output.txt 2>&1
  grep -q "GenAI calls" output.txt
  test -s run.jsonl
  grep -q "</html>" run.html
  "$environment/bin/otel-genai" report run.jsonl
  rm -f run.jsonl run.html
done
