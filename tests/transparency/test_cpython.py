# SPDX-License-Identifier: BSD-2-Clause
#
# CPython's own tests of sockets, selectors, HTTP and child processes give the same results with
# and without the shim.

import unittest

from compare import CPythonCase


class CPython(CPythonCase):
    """One test per suite of Debian's libpython3.11-testsuite."""

    def test_sockets(self):
        # Without a hypervisor's answer the VSOCK tests wait for ever, bare too.
        self.same("test_socket", 500, ignored=["*VSOCK*"])

    def test_select(self):
        self.same("test_select", 5, sockets=False)

    def test_http_servers(self):
        self.same("test_httpservers", 50)

    def test_http_clients(self):
        self.same("test_httplib", 60)

    def test_polling(self):
        self.same("test_asyncore", 40)

    def test_child_processes(self):
        self.same("test_subprocess", 200, sockets=False)

    def test_posix_calls(self):
        self.same("test_posix", 80, sockets=False)


if __name__ == "__main__":
    unittest.main()
