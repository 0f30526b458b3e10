#!/usr/bin/env bash
# Measures every suite and keeps the results in bench/results, as SUITE-MACHINE-DATE.jsonl.
#
# usage: bench/all.sh PYTHON [SUITE...]
#
# PYTHON has other frameworks (make peers). What is measured is a binary of the
# last commit that changed anything but results, so the tree must hold no other
# changes. Run it again after it was interrupted: suites that have results of
# that commit and of this day are left alone. Nothing else should run meanwhile.
# The suite accuracy (each recipe from ten seeds) is run if it is named.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:?want a Python that has other frameworks: make bench-all}
shift
suites=("$@")
[ $# -gt 0 ] || suites=(step repeat to-accuracy eval population wide peers)

measured=(. ':(exclude)bench/results' ':(exclude)README.md')
changes=$(git status --porcelain -- "${measured[@]}")
if [ -n "$changes" ]; then
	echo "commit these changes first, or results would be of no commit:" >&2
	echo "$changes" >&2
	exit 1
fi
commit=$(git log -1 --format=%H -- "${measured[@]}")
cache=$PWD/.cache/bench/$commit
if [ ! -x "$cache/vanilla" ]; then
	# A clone: without changes, and Go finds no revision in a linked work tree.
	rm -rf "$cache/source"
	git clone --quiet --shared --no-checkout . "$cache/source"
	git -C "$cache/source" checkout --quiet --detach "$commit"
	(cd "$cache/source" && CGO_ENABLED=0 go build -buildvcs=true -trimpath -o ../vanilla ./cmd/vanilla)
	rm -rf "$cache/source"
fi

for suite in "${suites[@]}"; do
	echo "$(date +%T) $suite"
	options=(--suite "$suite")
	[ "$suite" != peers ] || options=(--peers "$python")
	if ! "$cache/vanilla" bench "${options[@]}" --results bench/results 2>"$cache/$suite.log"; then
		tail -3 "$cache/$suite.log" >&2
		exit 1
	fi
done
echo "$(date +%T) done: make results, then commit bench/results and README.md"
