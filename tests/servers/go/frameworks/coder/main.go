// SPDX-License-Identifier: BSD-2-Clause

// net/http with coder/websocket: /ws is healthy, in front of /spoiled/ws a middleware answers.
//
// usage: coder ADDRESS
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/coder/websocket"
)

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

func closedForToday(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func main() {
	http.HandleFunc("/ws", echo)
	http.HandleFunc("/spoiled/ws", closedForToday(echo))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
