#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Ten seconds of shakedown: a real server under the shim, a healthy and a spoiled upgrade, the report.
set -eu
cd "$(dirname "$0")/.."
exec "${PYTHON:-/usr/bin/python3}" mk/demo.py
