// SPDX-License-Identifier: BSD-2-Clause
//
// A WebSocket echo server of tokio and tokio-tungstenite, on as many threads as there are cores.
//
//     echo PORT
//
//     /refused     the callback answers 403
//     /dropped     the handshake succeeds and the connection is dropped without a Close frame
//     else         101, echo, Close
//
// It serves loopback clients of tests: errors end the connection, nothing more.

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

fn refusal() -> ErrorResponse {
    let mut answer = ErrorResponse::new(Some("nobody is logged in".to_string()));
    *answer.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::FORBIDDEN;
    answer
}

async fn serve(stream: TcpStream) {
    let mut dropped = false;
    // What the library asks a callback to return is as large as it is.
    #[allow(clippy::result_large_err)]
    let choose = |request: &Request, response: Response| {
        dropped = request.uri().path() == "/dropped";
        if request.uri().path() == "/refused" {
            return Err(refusal());
        }
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, choose).await else {
        return;
    };
    while !dropped {
        match socket.next().await {
            Some(Ok(message)) if message.is_text() || message.is_binary() => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            // A Close frame is answered by the library while the stream is read to its end.
            Some(Ok(_)) => {}
            _ => return,
        }
    }
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0u16);
    tokio::runtime::Builder::new_multi_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream));
        }
    })
}
