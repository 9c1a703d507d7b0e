// SPDX-License-Identifier: BSD-2-Clause
//
// One 'upgrade' listener, as applications write it: ws with noServer for the good routes, the classic
// mistakes on the others.
'use strict';
const http = require('http');
const crypto = require('crypto');
const { WebSocketServer } = require('ws');

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const wss = new WebSocketServer({ noServer: true });
const deaf = []; // sockets somebody keeps and nobody closes

function sha1(text, encoding) {
	return crypto.createHash('sha1').update(text).digest(encoding);
}

function echo(ws) {
	ws.on('message', (data, binary) => ws.send(data, { binary }));
	ws.on('error', () => {});
}

// A 101 written by hand with the given fields.
function answer(socket, fields) {
	socket.write('HTTP/1.1 101 Switching Protocols\r\n' + fields.map((f) => f + '\r\n').join('') + '\r\n');
}

function handshake(req, extra) {
	return [
		'Upgrade: websocket',
		'Connection: Upgrade',
		'Sec-WebSocket-Accept: ' + sha1(req.headers['sec-websocket-key'] + GUID, 'base64'),
		...(extra || []),
	];
}

// An accepted WebSocket whose 101 carries additional fields, through the event ws has for that.
function withFields(...fields) {
	const server = new WebSocketServer({ noServer: true });
	server.on('headers', (headers) => headers.push(...fields));
	return (req, socket, head) => server.handleUpgrade(req, socket, head, echo);
}

const unoffered = new WebSocketServer({ noServer: true, handleProtocols: () => 'soap' });
const chosen = new WebSocketServer({ noServer: true });
const declined = new WebSocketServer({ noServer: true, handleProtocols: () => false });

const routes = {
	'/echo': (req, socket, head) => wss.handleUpgrade(req, socket, head, echo),
	'/chosen': (req, socket, head) => chosen.handleUpgrade(req, socket, head, echo),
	'/quiet': (req, socket, head) => wss.handleUpgrade(req, socket, head, () => {}),
	'/slow': (req, socket, head) =>
		setTimeout(() => wss.handleUpgrade(req, socket, head, (ws) => ws.send('at last')), 200),
	'/goodbye': (req, socket, head) => wss.handleUpgrade(req, socket, head, (ws) => ws.close(4401)),
	'/hangup': (req, socket, head) => wss.handleUpgrade(req, socket, head, (ws) => ws.terminate()),
	'/cut': (req, socket, head) =>
		wss.handleUpgrade(req, socket, head, (ws) => ws.on('message', () => ws.terminate())),

	// Refusals: the right one, and those that leave the client hanging.
	'/refuse': (req, socket) =>
		socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
	'/silent': () => {},
	'/destroy': (req, socket) => socket.destroy(),
	'/late-destroy': (req, socket) => setTimeout(() => socket.destroy(), 1000),
	'/kept-open': (req, socket) => {
		deaf.push(socket);
		socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
	},
	'/unframed': (req, socket) => {
		deaf.push(socket);
		socket.write('HTTP/1.1 403 Forbidden\r\n\r\nnot here');
	},
	'/half-head': (req, socket) => {
		socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n', () => socket.destroy());
	},

	// A filter in front takes the field away that the upgrade needs.
	'/filtered': (req, socket, head) => {
		delete req.headers.upgrade;
		wss.handleUpgrade(req, socket, head, echo);
	},
	// A byte behind the handshake was never expected, and nobody catches what is thrown.
	'/strict': (req, socket, head) => {
		if (head.length > 0) throw new Error('data behind the handshake');
		wss.handleUpgrade(req, socket, head, echo);
	},

	// Handshakes that are wrong.
	'/accept-of-decoded-key': (req, socket) => {
		const key = Buffer.from(req.headers['sec-websocket-key'], 'base64');
		const accept = sha1(Buffer.concat([key, Buffer.from(GUID)]), 'base64');
		answer(socket, ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Accept: ' + accept]);
	},
	'/accept-in-hex': (req, socket) => {
		const accept = sha1(req.headers['sec-websocket-key'] + GUID, 'hex');
		answer(socket, ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Accept: ' + accept]);
	},
	'/no-connection': (req, socket) =>
		answer(socket, handshake(req).filter((field) => !field.startsWith('Connection'))),
	'/twice': withFields('Upgrade: websocket'),
	'/empty-protocol': withFields('Sec-WebSocket-Protocol: '),
	'/soap': (req, socket, head) => unoffered.handleUpgrade(req, socket, head, echo),
	'/no-protocol': (req, socket, head) => declined.handleUpgrade(req, socket, head, echo),
	'/deflate': withFields('Sec-WebSocket-Extensions: permessage-deflate'),
	'/length': withFields('Content-Length: 0'),
	'/h9': (req, socket) => answer(socket, ['Upgrade: h9', ...handshake(req).slice(1)]),

	// Something more after the upgrade.
	'/response-after-close': (req, socket, head) =>
		wss.handleUpgrade(req, socket, head, (ws) => {
			// The route's own answer, written by whoever finishes responses.
			ws.on('message', () => {
				ws.close(1000);
				socket.write('HTTP/1.1 204 No Content\r\n\r\n');
			});
		}),
	'/json-after-upgrade': (req, socket, head) =>
		wss.handleUpgrade(req, socket, head, () => socket.write('{"status":"ok"}')),
	'/twice-101': (req, socket) => {
		answer(socket, handshake(req));
		answer(socket, handshake(req));
	},
	'/masked': (req, socket) => {
		answer(socket, handshake(req));
		socket.write(Buffer.from([0x81, 0x82, 1, 2, 3, 4, 0x69, 0x6b]));
	},
	'/early-frame': (req, socket) => {
		socket.write(Buffer.from([0x81, 2, 0x68, 0x69]));
		answer(socket, handshake(req));
	},
	'/ok-then-101': (req, socket) => {
		socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
		answer(socket, handshake(req));
	},

	// The raw stream of a protocol that needs no handshake fields; ends when its peer ends, or not.
	'/raw': (req, socket) => {
		answer(socket, ['Upgrade: tcp', 'Connection: Upgrade']);
		socket.on('data', (data) => socket.write(data));
		socket.on('end', () => socket.end());
	},
	'/raw-200': (req, socket) => {
		socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n');
		socket.on('data', (data) => socket.write(data));
		socket.on('end', () => socket.end());
	},
	'/half-open': (req, socket) => {
		deaf.push(socket);
		answer(socket, handshake(req));
		socket.on('end', () => {});
		socket.resume();
	},

	// Two pieces of code upgrade the same request.
	'/upgraded-twice': (req, socket, head) => {
		wss.handleUpgrade(req, socket, head, echo);
		wss.handleUpgrade(req, socket, head, echo);
	},
};

// allowHalfOpen is what http.Server sets for its sockets: only end() or destroy() closes them.
const server = http.createServer((req, res) => res.end('a page'));
server.on('upgrade', (req, socket, head) => {
	socket.on('error', () => {});
	const route = routes[req.url];
	if (route) return route(req, socket, head);
	socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
});
server.listen(Number(process.argv[2]), '127.0.0.1');
