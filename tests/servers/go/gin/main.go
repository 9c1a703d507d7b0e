// SPDX-License-Identifier: BSD-2-Clause

// A Gin service with one route per way to spoil an upgrade, and the healthy one beside it.  Built with
// Debian's gin 1.8 and with the current one: nothing here is newer than both.
//
// usage: app ADDRESS
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// echo is the innocent one: it upgrades and answers each message.
func echo(c *gin.Context) {
	conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
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

// ---- middleware that spoils what follows ----

func logBody(c *gin.Context) {
	body, _ := io.ReadAll(c.Request.Body)
	c.Set("body", body)
	c.Next()
}

func greetEarly(c *gin.Context) {
	c.JSON(200, gin.H{"hello": "there"})
	c.Next()
}

func sayEarly(c *gin.Context) {
	c.String(200, "welcome\n")
	c.Next()
}

func flushEarly(c *gin.Context) {
	c.Writer.WriteHeader(200)
	c.Writer.Flush()
	c.Next()
}

func requireToken(c *gin.Context) {
	if c.GetHeader("Authorization") == "" {
		c.AbortWithStatus(401)
		return
	}
	c.Next()
}

func requireMember(c *gin.Context) {
	if c.GetHeader("Authorization") == "" {
		c.AbortWithStatusJSON(403, gin.H{"error": "members only"})
		return
	}
	c.Next()
}

// hidden is a ResponseWriter of net/http and nothing else.
type hidden struct {
	w http.ResponseWriter
}

func (h hidden) Header() http.Header         { return h.w.Header() }
func (h hidden) Write(p []byte) (int, error) { return h.w.Write(p) }
func (h hidden) WriteHeader(status int)      { h.w.WriteHeader(status) }

func upgradeHidden(c *gin.Context) {
	conn, err := upgrader.Upgrade(hidden{c.Writer}, c.Request, nil)
	if err == nil {
		conn.Close()
	}
}

func loseField(c *gin.Context) {
	c.Request.Header.Del("Upgrade")
	c.Next()
}

// ---- hijack conflicts ----

func answerAfterwards(c *gin.Context) {
	c.Next()
	conn := c.MustGet("conn").(*websocket.Conn)
	fmt.Fprintf(conn.UnderlyingConn(), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
	conn.Close()
}

func upgradeAndReturn(c *gin.Context) {
	conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
	if err == nil {
		c.Set("conn", conn)
	}
}

var kept []*websocket.Conn

// upgradeAndForget returns without closing, and keeps the collector from doing it.
func upgradeAndForget(c *gin.Context) {
	conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
	if err == nil {
		kept = append(kept, conn)
	}
}

// upgradeAndHandOver returns while another goroutine reads on.
func upgradeAndHandOver(c *gin.Context) {
	conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		return
	}
	go func() {
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(kind, message) != nil {
				return
			}
		}
	}()
}

// upgradeAndPoll returns with no goroutine for the connection: one for all waits until the kernel says
// that there is something to read, and then ends it.
func upgradeAndPoll(c *gin.Context) {
	conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		return
	}
	set, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		log.Fatal(err)
	}
	raw, err := conn.UnderlyingConn().(syscall.Conn).SyscallConn()
	if err != nil {
		log.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		err = syscall.EpollCtl(set, syscall.EPOLL_CTL_ADD, int(fd),
			&syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		defer syscall.Close(set)
		defer conn.Close()
		for n, err := 0, error(syscall.EINTR); err == syscall.EINTR && n < 1; {
			n, err = syscall.EpollWait(set, make([]syscall.EpollEvent, 1), -1)
		}
		conn.ReadMessage()
	}()
}

// writeThroughGin goes on using the ResponseWriter whose connection was taken over.
func writeThroughGin(c *gin.Context) {
	conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	c.JSON(200, gin.H{"done": true})
	conn.ReadMessage()
}

func crash(c *gin.Context) {
	panic("a handler that panics")
}

// ---- the program ----

func routes() *gin.Engine {
	r := gin.New()
	r.Use(gin.Recovery())
	r.GET("/ping", func(c *gin.Context) { c.String(200, "pong") })
	r.GET("/ws", echo)
	r.GET("/ws/:case", echo)
	r.Any("/body/:case/ws", logBody, echo)
	r.GET("/json/ws", greetEarly, echo)
	r.GET("/string/ws", sayEarly, echo)
	r.GET("/flush/ws", flushEarly, echo)
	r.GET("/token/ws", requireToken, echo)
	r.GET("/member/ws", requireMember, echo)
	r.GET("/hidden/ws", upgradeHidden)
	r.GET("/lost/ws", loseField, echo)
	r.GET("/after/ws", answerAfterwards, upgradeAndReturn)
	r.GET("/through/ws", writeThroughGin)
	r.GET("/forget/ws/:case", upgradeAndForget)
	r.GET("/handed/ws", upgradeAndHandOver)
	r.GET("/polled/ws", upgradeAndPoll)
	r.GET("/crash/ws", crash)
	return r
}

func profile(path string) func() {
	f, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		log.Fatal(err)
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	server := &http.Server{Addr: os.Args[1], Handler: routes(), ReadHeaderTimeout: time.Second}
	if path := os.Getenv("PROFILE"); path != "" {
		defer profile(path)()
	}
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	server.Close()
}
