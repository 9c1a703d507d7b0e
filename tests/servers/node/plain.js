// SPDX-License-Identifier: BSD-2-Clause
//
// A plain Node HTTP server.  Nobody listens to 'upgrade', so every handshake is an ordinary request.
'use strict';
const http = require('http');
const crypto = require('crypto');

function switchByHand(req, res) {
	const accept = crypto
		.createHash('sha1')
		.update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
		.digest('base64');
	return res.writeHead(101, {
		Upgrade: 'websocket',
		Connection: 'Upgrade',
		'Sec-WebSocket-Accept': accept,
	});
}

const routes = {
	// Forgot the WebSocket handler altogether.
	'/page': (req, res) => res.end('a page'),
	'/moved': (req, res) => {
		res.writeHead(301, { Location: '/page' });
		res.end();
	},
	'/teapot': (req, res) => {
		res.writeHead(418);
		res.end('no');
	},
	'/throws': (req, res) => {
		console.error('Error: the session store is gone');
		res.writeHead(500);
		res.end('Internal Server Error');
	},
	// Answers 101 by hand and ends the response: Node closes the connection it belongs to.
	'/ended': (req, res) => switchByHand(req, res).end(),
	// Nobody ever answers.
	'/forgotten': () => {},
};

const server = http.createServer((req, res) => {
	const route = routes[req.url];
	if (route) {
		route(req, res);
		return;
	}
	res.writeHead(404, { 'Content-Length': 9 });
	res.end('not found');
});
server.listen(Number(process.argv[2]), '127.0.0.1');
