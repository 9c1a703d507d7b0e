// SPDX-License-Identifier: BSD-2-Clause
//
// tests/servers/node/upgrade.js in two workers: the first process accepts and hands the connections on.
'use strict';
const cluster = require('cluster');

if (cluster.isPrimary) {
	for (let i = 0; i < 2; i++) cluster.fork();
	process.on('SIGTERM', () => {
		for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM');
		process.exit(0);
	});
} else {
	require('./upgrade.js');
}
