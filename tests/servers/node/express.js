// SPDX-License-Identifier: BSD-2-Clause
//
// express-ws: WebSocket routes go through the middleware chain of Express, after the socket has been
// accepted.  What the chain answers therefore becomes a Close frame.
'use strict';
const express = require('express');
const app = express();
require('express-ws')(app);

app.use('/private', (req, res) => res.status(401).send('who are you?'));
app.ws('/echo', (ws) => ws.on('message', (data) => ws.send(data)));
app.ws('/private', (ws) => ws.on('message', (data) => ws.send(data)));
app.get('/page', (req, res) => res.send('a page'));
app.listen(Number(process.argv[2]), '127.0.0.1');
