// SPDX-License-Identifier: BSD-2-Clause
//
// A reverse proxy in front of tests/servers/node/upgrade.js.  http-proxy for the sound route; relays
// written by hand, each with one known mistake, for the others.  The first path segment picks the relay,
// the rest goes upstream.
'use strict';
const crypto = require('crypto');
const http = require('http');
const net = require('net');
const httpProxy = require('http-proxy');

const [, , port, upstreamPort] = process.argv;
const target = { host: '127.0.0.1', port: Number(upstreamPort) };
const proxy = httpProxy.createProxyServer({ target });
proxy.on('error', () => {});

function outgoing(req) {
	return http.request({ ...target, path: req.url, headers: req.headers });
}

function head(res, without) {
	const lines = ['HTTP/1.1 101 Switching Protocols'];
	for (let i = 0; i < res.rawHeaders.length; i += 2)
		if (!without.includes(res.rawHeaders[i].toLowerCase()))
			lines.push(res.rawHeaders[i] + ': ' + res.rawHeaders[i + 1]);
	return lines.join('\r\n') + '\r\n\r\n';
}

// Join the two sockets; first is what arrived from b together with its 101.
function join(a, b, first) {
	if (first && first.length > 0) a.write(first);
	for (const [from, to] of [[a, b], [b, a]]) {
		from.on('error', () => {});
		from.on('close', () => to.destroy());
	}
	a.pipe(b).pipe(a);
}

const relays = {
	sound: (req, socket, first) => proxy.ws(req, socket, first),
	// Listens for 'upgrade' only: a refusal from upstream reaches nobody.
	deaf: (req, socket) => {
		const up = outgoing(req);
		up.on('upgrade', (res, upSocket, first) => {
			socket.write(head(res, []));
			join(socket, upSocket, first);
		});
		up.on('response', () => {});
		up.end();
	},
	// Takes the 101 for a response with a body and waits for its end.
	patient: (req, socket) => {
		const up = outgoing(req);
		up.on('upgrade', (res, upSocket) => {
			upSocket.on('data', () => {});
			upSocket.on('end', () => socket.end(head(res, [])));
		});
		up.end();
	},
	// Buffers the request until its end, which an upgrade does not have.
	buffering: (req, socket) => {
		const parts = [];
		socket.on('data', (data) => parts.push(data));
		socket.on('end', () => outgoing(req).end(Buffer.concat(parts)));
	},
	// Makes a handshake of its own and forgets what was negotiated.
	forgetful: (req, socket) => {
		const up = outgoing(req);
		up.on('upgrade', (res, upSocket, first) => {
			socket.write(head(res, ['sec-websocket-protocol', 'sec-websocket-extensions']));
			join(socket, upSocket, first);
		});
		up.end();
	},
	// Answers for the backend before the backend has answered.
	eager: (req, socket) => {
		const accept = crypto
			.createHash('sha1')
			.update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
			.digest('base64');
		socket.write(
			'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
				'Sec-WebSocket-Accept: ' + accept + '\r\n\r\n'
		);
		const up = outgoing(req);
		up.on('upgrade', (res, upSocket, first) => join(socket, upSocket, first));
		up.end();
	},
	// Opens the tunnel whatever the answer was.
	careless: (req, socket) => {
		const up = net.connect(target, () => {
			let text = 'GET ' + req.url + ' HTTP/1.1\r\n';
			for (let i = 0; i < req.rawHeaders.length; i += 2)
				text += req.rawHeaders[i] + ': ' + req.rawHeaders[i + 1] + '\r\n';
			up.write(text + '\r\n');
			join(socket, up);
		});
	},
	// Closes one side and forgets the other.
	orphan: (req, socket) => {
		const up = outgoing(req);
		up.on('upgrade', (res, upSocket) => {
			socket.write(head(res, []));
			socket.pipe(upSocket, { end: false });
			upSocket.pipe(socket);
			socket.on('end', () => socket.end());
		});
		up.end();
	},
};

const server = http.createServer((req, res) => res.end('a page'));
server.on('upgrade', (req, socket, first) => {
	socket.on('error', () => {});
	const [, relay, ...rest] = req.url.split('/');
	if (!relays[relay]) return socket.destroy();
	req.url = '/' + rest.join('/');
	relays[relay](req, socket, first);
});
server.listen(Number(port), '127.0.0.1');
