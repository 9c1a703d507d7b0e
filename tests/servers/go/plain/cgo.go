// SPDX-License-Identifier: BSD-2-Clause
//
// Where cgo may be used, it is.  A program that uses it nowhere starts and stops at once when Go 1.19
// links it with the system's linker: that leaves runtime/cgo out.

//go:build cgo

package main

import "C"
