#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Install what is missing of mk/packages for the uses named on the command line.  Prints the names
# first.  Without root it prints the one command to run and stops.
set -eu

list=$(dirname "$0")/packages
missing=
for use in "$@"; do
	while read -r row package proof; do
		[ "$row" = "$use" ] || continue
		case " $missing " in *" $package "*) continue ;; esac
		# npm comes with some packages of nodejs and is a package of its own in others.
		if [ "$package" = npm ] && command -v npm >/dev/null 2>&1; then continue; fi
		[ -n "$proof" ] && [ -e "$proof" ] && continue
		missing="$missing $package"
	done < "$list"
done
[ -z "$missing" ] && exit 0

echo "missing Debian packages:$missing" >&2
if [ "$(id -u)" -ne 0 ]; then
	echo "run this once, then try again:" >&2
	echo "    sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "this is no Debian: install the equivalents of these packages, then try again" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of package names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
