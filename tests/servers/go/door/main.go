// SPDX-License-Identifier: BSD-2-Clause

// What the Go door must keep apart: answers decided in named functions, words printed by the goroutine
// that serves an attempt and by one that does not, writes behind the handler's own Hijack, and
// connections that stay open while other programs are started.
//
// usage: door ADDRESS
package main

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

//go:noinline
func deny(w http.ResponseWriter) {
	w.WriteHeader(http.StatusUnauthorized)
	io.WriteString(w, "no token")
}

func denied(w http.ResponseWriter, r *http.Request) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	log.Print("the serving goroutine says ", r.URL.Path, " on thread ", syscall.Gettid())
	deny(w)
}

// overheard answers only after another goroutine has printed something.
func overheard(w http.ResponseWriter, r *http.Request) {
	said := make(chan bool)
	go func() {
		log.Print("another goroutine says ", r.URL.Path)
		said <- true
	}()
	<-said
	deny(w)
}

func taken(w http.ResponseWriter, r *http.Request) net.Conn {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + guid))
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	return conn
}

// held keeps the connection until its peer closes.
func held(w http.ResponseWriter, r *http.Request) {
	conn := taken(w, r)
	defer conn.Close()
	io.Copy(io.Discard, conn)
}

// late goes on writing an HTTP answer after it took the connection over.
func late(w http.ResponseWriter, r *http.Request) {
	conn := taken(w, r)
	defer conn.Close()
	for i := 0; i < 100; i++ {
		w.Write([]byte("too late"))
	}
	io.Copy(io.Discard, conn)
}

func page(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	garbage := make([][]byte, 0, 64)
	for i := 0; i < 64; i++ {
		garbage = append(garbage, make([]byte, 512))
	}
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d %d %d", n, len(body), len(garbage))
}

// start runs a program with as many descriptors of its own as are asked for.
func start(w http.ResponseWriter, r *http.Request) {
	times, _ := strconv.Atoi(r.URL.Query().Get("times"))
	null, _ := os.Open("/dev/null")
	defer null.Close()
	for i := 0; i < times; i++ {
		command := exec.Command("/bin/true")
		for k := 0; k < 12; k++ {
			command.ExtraFiles = append(command.ExtraFiles, null)
		}
		if err := command.Run(); err != nil {
			fmt.Fprint(w, err)
		}
	}
	if err := exec.Command("/no/such/program").Run(); err == nil {
		fmt.Fprint(w, "a program that is missing was started")
	}
	fmt.Fprint(w, "started")
}

func main() {
	http.HandleFunc("/denied", denied)
	http.HandleFunc("/overheard", overheard)
	http.HandleFunc("/held", held)
	http.HandleFunc("/late", late)
	http.HandleFunc("/page", page)
	http.HandleFunc("/start", start)
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
