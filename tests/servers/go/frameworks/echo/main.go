// SPDX-License-Identifier: BSD-2-Clause

// Echo with gorilla/websocket: /ws is healthy, in front of /spoiled/ws a middleware answers.
//
// usage: echo ADDRESS
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"
)

var upgrader = websocket.Upgrader{}

func serve(c echo.Context) error {
	conn, err := upgrader.Upgrade(c.Response(), c.Request(), nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return nil
		}
		if conn.WriteMessage(kind, message) != nil {
			return nil
		}
	}
}

func requireToken(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Header.Get("Authorization") == "" {
			return c.String(http.StatusUnauthorized, "no token")
		}
		return next(c)
	}
}

func main() {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.GET("/ws", serve)
	e.GET("/spoiled/ws", serve, requireToken)
	log.Fatal(e.Start(os.Args[1]))
}
