# SPDX-License-Identifier: BSD-2-Clause
#
# CPython's own tests of asyncio give the same results with and without the shim.  They take a
# minute and have a file of their own, so that the runner can run them beside the others.

import unittest

from compare import CPythonCase


class EventLoop(CPythonCase):
    def test_asyncio(self):
        self.same("test_asyncio", 1500)


if __name__ == "__main__":
    unittest.main()
