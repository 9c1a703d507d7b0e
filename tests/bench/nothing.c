/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nothing: a static program that ends at once, so that only its start is timed.
 */
int main(void)
{
	return 0;
}
