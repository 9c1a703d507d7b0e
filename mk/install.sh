#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# install | uninstall DESTDIR BINDIR LIBDIR MANDIR PKGDIR PREFIX VERSION
# The list of files is written once, so uninstall removes exactly what install put there.
set -eu

what=$1 dest=$2 bin=$3 lib=$4 man=$5 pkg=$6 prefix=$7 version=$8

put() { # mode source target
	if [ "$what" = uninstall ]; then
		rm -f "$dest$3"
	else
		install -D -m "$1" "$2" "$dest$3"
	fi
}

made=build/install
mkdir -p "$made/man"
if [ "$what" = install ]; then
	cat > "$made/shakedown.pc" <<PC
prefix=$prefix
libdir=$lib
includedir=$prefix/include
preload=$lib/libshakedown.so

Name: shakedown
Description: Watches HTTP upgrades inside server processes
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lshakedown-test
PC
	build/shakedown man > "$made/man/shakedown.1"
	for verb in run test rules report explain doctor; do
		build/shakedown man "$verb" > "$made/man/shakedown-$verb.1"
	done
fi

put 755 build/shakedown "$bin/shakedown"
put 755 build/libshakedown.so "$lib/libshakedown.so"
put 644 build/libshakedown-test.a "$lib/libshakedown-test.a"
put 644 include/shakedown.h "$prefix/include/shakedown.h"
put 644 share/examples/slow_answer.c "$prefix/share/shakedown/examples/slow_answer.c"
put 644 docs/scenario.schema.json "$prefix/share/shakedown/scenario.schema.json"
put 644 "$made/shakedown.pc" "$pkg/shakedown.pc"
put 644 share/completions/shakedown.bash "$prefix/share/bash-completion/completions/shakedown"
put 644 docs/report.schema.json "$prefix/share/shakedown/report.schema.json"
for scenario in share/scenarios/*.yaml; do
	put 644 "$scenario" "$prefix/share/shakedown/scenarios/$(basename "$scenario")"
done
for page in shakedown shakedown-run shakedown-test shakedown-rules shakedown-report shakedown-explain shakedown-doctor; do
	put 644 "$made/man/$page.1" "$man/man1/$page.1"
done

# Folders that only held what was removed; one that others use stays.
if [ "$what" = uninstall ]; then
	for folder in "$prefix/share/shakedown/scenarios" "$prefix/share/shakedown/examples" "$prefix/share/shakedown" "$prefix/share/bash-completion/completions" \
		"$prefix/share/bash-completion" "$man/man1" "$pkg"; do
		[ ! -d "$dest$folder" ] || rmdir --ignore-fail-on-non-empty "$dest$folder"
	done
fi
