// SPDX-License-Identifier: BSD-2-Clause
//
// engine.io attached to an http.Server: its own path works, upgrades for other paths are destroyed
// without an answer after a second (destroyUpgradeTimeout).
'use strict';
const http = require('http');
const engine = require('engine.io');

const server = http.createServer((req, res) => res.end('a page'));
const io = engine.attach(server, { path: '/live' });
io.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
server.listen(Number(process.argv[2]), '127.0.0.1');
