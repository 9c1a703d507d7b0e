// SPDX-License-Identifier: BSD-2-Clause

// Fiber (fasthttp) with its WebSocket middleware: /ws is healthy, in front of /spoiled/ws a middleware
// answers.
//
// usage: fiber ADDRESS
package main

import (
	"log"
	"os"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
)

func echo(conn *websocket.Conn) {
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

func requireToken(c *fiber.Ctx) error {
	if c.Get("Authorization") == "" {
		return c.Status(fiber.StatusUnauthorized).SendString("no token")
	}
	return c.Next()
}

func main() {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/ws", websocket.New(echo))
	app.Get("/spoiled/ws", requireToken, websocket.New(echo))
	log.Fatal(app.Listen(os.Args[1]))
}
