// SPDX-License-Identifier: BSD-2-Clause

// net/http alone with gorilla/websocket: /ws is healthy, in front of /spoiled/ws a middleware answers.
//
// usage: plain ADDRESS
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func requireToken(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func main() {
	http.HandleFunc("/ws", echo)
	http.HandleFunc("/spoiled/ws", requireToken(echo))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
