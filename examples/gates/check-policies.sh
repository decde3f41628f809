#!/usr/bin/env bash
# Says whether a change of policies may be merged: run it by hand, before a commit, or in CI.
#
#   check-policies.sh FOLDER REVISION [REPORTS]
#
# FOLDER has the policies and their tests, REVISION is what the change is compared with (HEAD, origin/main). With REPORTS,
# a folder, it also writes junit.xml, diff.md, diff.sarif and validate.sarif there. Exit code 0: it may. 1: a warning, a test or
# the comparison stops it. 2: a policy is invalid, or something could not be run. BAILIWICK names the program.
set -uo pipefail

folder=${1:?"usage: check-policies.sh FOLDER REVISION [REPORTS]"}
revision=${2:?"usage: check-policies.sh FOLDER REVISION [REPORTS]"}
reports=${3:-}
bailiwick=${BAILIWICK:-bailiwick}
worst=0

run() {
  echo "=== ${bailiwick} $*"
  "${bailiwick}" "$@"
  local code=$?
  # Whatever is neither 0 nor 1, a signal too, could not be run.
  [ "${code}" -le 1 ] || code=2
  [ "${code}" -le "${worst}" ] || worst=${code}
}

run validate "${folder}"
run test "${folder}"
# Also what is neither wider nor narrower, such as another group that approves.
run diff "${folder}" --base "${revision}" --fail-on changed

if [ -n "${reports}" ]; then
  mkdir -p "${reports}" || exit 2
  "${bailiwick}" validate "${folder}" -o sarif > "${reports}/validate.sarif"
  "${bailiwick}" test "${folder}" -o junit > "${reports}/junit.xml"
  "${bailiwick}" diff "${folder}" --base "${revision}" -o markdown > "${reports}/diff.md"
  "${bailiwick}" diff "${folder}" --base "${revision}" -o sarif > "${reports}/diff.sarif"
fi
exit "${worst}"
