// SPDX-License-Identifier: BSD-2-Clause

// A server made of the standard library alone, for every toolchain and every way to link: it echoes
// WebSocket frames, refuses, starts programs, panics, and ends in order at SIGTERM.  With PROFILE and
// TRACE set it profiles itself and writes an execution trace all the while.
//
// usage: plain ADDRESS
package main

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"syscall"
	"time"
)

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// readFrame returns opcode and payload of one small masked frame.
func readFrame(r *bufio.Reader) (byte, []byte, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	payload := make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= head[2+i%4]
	}
	return head[0] & 0x0f, payload, nil
}

func echo(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + guid))
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		log.Print(err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	for {
		opcode, payload, err := readFrame(buffered.Reader)
		if err != nil {
			return
		}
		conn.Write(append([]byte{0x80 | opcode, byte(len(payload))}, payload...))
		if opcode == 8 {
			return
		}
	}
}

func refuse(w http.ResponseWriter, r *http.Request) {
	http.Error(w, "no token", http.StatusUnauthorized)
}

// start runs a program as often as it is asked to, and answers with what the runs printed.
func start(w http.ResponseWriter, r *http.Request) {
	times, _ := strconv.Atoi(r.URL.Query().Get("times"))
	for i := 0; i < times; i++ {
		out, err := exec.Command("/bin/echo", "-n", ".").Output()
		if err != nil {
			fmt.Fprint(w, err)
		}
		w.Write(out)
	}
}

func crash(w http.ResponseWriter, r *http.Request) {
	go func() { panic("a goroutine that panics") }()
}

// record turns one of the runtime's own observers on.
func record(variable string, begin func(io.Writer) error, end func()) func() {
	path := os.Getenv(variable)
	if path == "" {
		return func() {}
	}
	file, err := os.Create(path)
	if err == nil {
		err = begin(file)
	}
	if err != nil {
		log.Fatal(err)
	}
	return func() {
		end()
		file.Close()
	}
}

func main() {
	defer record("PROFILE", pprof.StartCPUProfile, pprof.StopCPUProfile)()
	defer record("TRACE", trace.Start, trace.Stop)()
	http.HandleFunc("/ping", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "pong") })
	http.HandleFunc("/ws/", echo)
	http.HandleFunc("/refused/ws", refuse)
	http.HandleFunc("/start", start)
	http.HandleFunc("/crash", crash)
	server := &http.Server{Addr: os.Args[1], ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	select {
	case err := <-ended:
		log.Fatal(err)
	case <-stop:
	}
	within, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	server.Shutdown(within)
	log.Print("ended in order")
}
