# Shared by the scripts of this folder: sourced, not run.
# shellcheck shell=bash disable=SC2034

set -euo pipefail
shopt -s inherit_errexit
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# How many seconds a test waits for anything: see tests/engine/tools.py.
patience=${CETUSGUARD_TEST_PATIENCE:-60}

say() { echo "packaging: $*"; }

fail() {
    say "FAILED: $*" >&2
    exit 1
}

# What a developer's machine may lack, CI must have.
lacks() {
    [ "${CI:-}" != true ] || fail "CI must have $*"
    say "skipped: no $*"
}

skip() {
    lacks "$@"
    exit 0
}

has() { command -v "$1" >/dev/null; }

# same WHAT EXPECTED ACTUAL
same() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }

# Either generation of Compose, the older first because it is the stricter one.
compose() {
    if has docker-compose; then
        docker-compose "$@"
    else
        docker compose "$@"
    fi
}

# compose_snippets PAGE FOLDER: writes each block of a page that is a whole compose file, with images, into the folder
compose_snippets() {
    awk -v prefix="$2/$(basename "$1" .md)-" '
        /^```yaml$/ { inside = 1; text = ""; next }
        /^```$/ && inside {
            inside = 0
            if (text ~ /^services:/ && text ~ /\n    image:/) printf "%s", text > (prefix (++count) ".yaml")
            next
        }
        inside { text = text $0 "\n" }' "$1"
}
