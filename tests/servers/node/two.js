// SPDX-License-Identifier: BSD-2-Clause
//
// Two ws servers with different paths on one http.Server: each listens to every 'upgrade', and the one
// whose path differs refuses the socket the other has accepted.  The sound variant has one dispatcher.
'use strict';
const http = require('http');
const { WebSocketServer } = require('ws');

const echo = (ws) => {
	ws.on('message', (data, binary) => ws.send(data, { binary }));
	ws.on('error', () => {});
};

const [, , port, variant] = process.argv;
const server = http.createServer((req, res) => res.end('a page'));
if (variant === 'spoiled') {
	for (const path of ['/chat', '/news']) {
		new WebSocketServer({ server, path }).on('connection', (ws) => {
			echo(ws);
			ws.send('welcome');
		});
	}
} else {
	const byPath = {
		'/chat': new WebSocketServer({ noServer: true }),
		'/news': new WebSocketServer({ noServer: true }),
	};
	server.on('upgrade', (req, socket, head) => {
		const wss = byPath[req.url];
		if (!wss) {
			socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
			return;
		}
		wss.handleUpgrade(req, socket, head, (ws) => {
			echo(ws);
			ws.send('welcome');
		});
	});
}
server.listen(Number(port), '127.0.0.1');
