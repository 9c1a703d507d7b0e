#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Everything that can be said about the tree without running it: format, static analysis, and the rules
# of the house (core takes nothing from outside, every file names its licence).
set -eu

built=$1
fail=0
say() { printf '== %s\n' "$*"; }
sources() { git ls-files -- '*.c' '*.h' | grep -v '^tests/fuzz/corpus/'; }

say clang-format
# shellcheck disable=SC2046 # file names without blanks
clang-format --dry-run -Werror $(sources) || fail=1

say "licence lines"
for f in $(git ls-files -- '*.c' '*.h' '*.S' '*.sh' '*.py' '*.def' Makefile .ci/run tests/run); do
	head -n 3 "$f" | grep -q 'SPDX-License-Identifier:' || { echo "no SPDX line: $f"; fail=1; }
done

say "core takes only the four mem functions from outside"
for o in $(find "$built/guest/core" -name '*.o' | sort); do
	nm -u "$o" | awk '{print $2}' | while read -r name; do
		case $name in memcpy | memmove | memset | memcmp | _GLOBAL_OFFSET_TABLE_) continue ;; esac
		# Names of other core objects are fine.
		nm -A "$built"/guest/core/*.o "$built"/guest/core/*/*.o 2>/dev/null |
			grep -q " [TRDBG] $name\$" || echo "$o needs $name"
	done
done > "$built/lint-core.txt"
if [ -s "$built/lint-core.txt" ]; then cat "$built/lint-core.txt"; fail=1; fi

say shellcheck
# shellcheck disable=SC2046
shellcheck $(git ls-files -- '*.sh' .ci/run) || fail=1

say cppcheck
# shellcheck disable=SC2046
cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr \
	--error-exitcode=1 --suppressions-list=mk/cppcheck.txt -I. -D_GNU_SOURCE -D__x86_64__ \
	-j "$(nproc)" $(sources | grep -v '^tests/' | grep '\.c$') || fail=1

say clang-tidy
sources | grep -v '^tests/' | grep '\.c$' | xargs -P "$(nproc)" -n 4 \
	clang-tidy --quiet -p . --extra-arg=-Iinclude 2>"$built/clang-tidy.err" || fail=1

if [ $fail -ne 0 ]; then
	echo "lint: the lines above want mending"
	exit 1
fi
echo "lint: clean"
