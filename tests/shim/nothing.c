/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nothing: a library with nothing in it, to stand beside the shim in LD_PRELOAD.
 */
extern int nothing;
