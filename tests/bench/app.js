// SPDX-License-Identifier: BSD-2-Clause
// The Node victim of the benchmarks: one short answer.
require('http').createServer((req, res) => {
	res.setHeader('Content-Length', 4);
	res.end('pong');
}).listen(Number(process.argv[2]), '127.0.0.1');
