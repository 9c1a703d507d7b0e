// SPDX-License-Identifier: BSD-2-Clause

// chi with gorilla/websocket: /ws is healthy, in front of /spoiled/ws a middleware answers.
//
// usage: chi ADDRESS
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"
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

func greetEarly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("welcome\n"))
		w.(http.Flusher).Flush()
		next.ServeHTTP(w, r)
	})
}

func main() {
	r := chi.NewRouter()
	r.Get("/ws", echo)
	r.With(greetEarly).Get("/spoiled/ws", echo)
	log.Fatal(http.ListenAndServe(os.Args[1], r))
}
