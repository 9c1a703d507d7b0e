#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Run each fuzz target for some seconds on its corpus; new inputs go to build/fuzz/, never to the tree.
set -eu

seconds=$1
shift
for target in "$@"; do
	name=$(basename "$target")
	seeds=tests/fuzz/corpus/${name#fuzz_}
	mkdir -p "build/fuzz/corpus/$name"
	echo "== $name, $seconds s"
	[ -d "$seeds" ] || seeds=
	"$target" -max_total_time="$seconds" -print_final_stats=0 -verbosity=0 \
		-artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" ${seeds:+"$seeds"}
done
echo "$# fuzz targets ran clean"
