// SPDX-License-Identifier: BSD-2-Clause

// net/http with gobwas/ws: /ws is healthy, in front of /spoiled/ws a middleware answers.
//
// usage: gobwas ADDRESS
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func echo(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	go func() {
		defer conn.Close()
		for {
			message, op, err := wsutil.ReadClientData(conn)
			if err != nil {
				return
			}
			if wsutil.WriteServerMessage(conn, op, message) != nil {
				return
			}
		}
	}()
}

func forbidStrangers(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "who are you?", http.StatusForbidden)
	}
}

func main() {
	http.HandleFunc("/ws", echo)
	http.HandleFunc("/spoiled/ws", forbidStrangers(echo))
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
