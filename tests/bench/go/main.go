// SPDX-License-Identifier: BSD-2-Clause

// What the Go door adds to one call, measured from inside: processor time of one thread around a loop of
// the same call.  The kernel's share is in it, so only the difference to a bare run means something.
//
// usage: bench WHAT ROUNDS
//
// Prints "port N" and serves HTTP there; one request starts the measurement, and "ns X", the time of one
// call, is the last line.  See tests/bench/go_door.py for the other end.
//
//	untracked  write of a byte to /dev/null
//	tracked    read on an upgraded connection that has nothing to read
//	upgraded   read of one whole frame; before each `batch` of them it asks for their bytes with "more"
//	witness    ResponseWriter.Write of nothing, whose inner function is a witness site
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

const (
	batch     = 4096
	frameSize = 10 // a masked text frame of four bytes

	threadTime = 3  // CLOCK_THREAD_CPUTIME_ID
	lowWater   = 18 // SO_RCVLOWAT

	switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// spent is the processor time of this thread in nanoseconds.
func spent() int64 {
	var t syscall.Timespec
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadTime,
		uintptr(unsafe.Pointer(&t)), 0)
	if e != 0 {
		log.Fatal(e)
	}
	return t.Nano()
}

// perCall is what one call took.  The call goes past the scheduler, which has no part in the question.
func perCall(number, fd uintptr, size, rounds int, want syscall.Errno) float64 {
	var buf [64]byte
	start := spent()
	for i := 0; i < rounds; i++ {
		_, _, e := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(size))
		if e != want {
			log.Fatal(e)
		}
	}
	return float64(spent()-start) / float64(rounds)
}

func untracked(rounds int) float64 {
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	must(err)
	defer null.Close()
	return perCall(syscall.SYS_WRITE, null.Fd(), 1, rounds, 0)
}

// await returns when fd has a batch of frames to read.
func await(fd uintptr) {
	wanted := struct {
		fd              int32
		events, revents int16
	}{int32(fd), 1, 0}
	must(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, lowWater, batch*frameSize))
	fmt.Println("more")
	for {
		n, _, e := syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&wanted)), 1, 20000)
		if e != 0 && e != syscall.EINTR || e == 0 && n == 0 {
			log.Fatal("no frames: ", e)
		}
		if n == 1 {
			return
		}
	}
}

func upgraded(fd uintptr, rounds int) float64 {
	var sum float64
	batches := (rounds + batch - 1) / batch
	for i := 0; i < batches; i++ {
		await(fd)
		sum += perCall(syscall.SYS_READ, fd, frameSize, batch, 0)
	}
	return sum / float64(batches)
}

// onSocket takes the connection over and measures on its descriptor.
func onSocket(w http.ResponseWriter, measure func(fd uintptr)) {
	conn, _, err := w.(http.Hijacker).Hijack()
	must(err)
	_, err = conn.Write([]byte(switching))
	must(err)
	raw, err := conn.(*net.TCPConn).SyscallConn()
	must(err)
	must(raw.Control(measure))
}

func witness(w http.ResponseWriter, rounds int) float64 {
	w.Write(nil)
	start := spent()
	for i := 0; i < rounds; i++ {
		w.Write(nil)
	}
	return float64(spent()-start) / float64(rounds)
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: bench untracked|tracked|upgraded|witness ROUNDS")
	}
	what := os.Args[1]
	rounds, err := strconv.Atoi(os.Args[2])
	must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	result := make(chan float64)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		runtime.LockOSThread()
		switch what {
		case "untracked":
			result <- untracked(rounds)
		case "tracked":
			onSocket(w, func(fd uintptr) {
				result <- perCall(syscall.SYS_READ, fd, frameSize, rounds, syscall.EAGAIN)
			})
		case "upgraded":
			onSocket(w, func(fd uintptr) { result <- upgraded(fd, rounds) })
		case "witness":
			result <- witness(w, rounds)
		default:
			log.Fatal("no such call: ", what)
		}
	})
	// An attempt that is never answered stays open while something else is measured.
	http.HandleFunc("/waits", func(http.ResponseWriter, *http.Request) {
		fmt.Println("open")
		select {}
	})
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	fmt.Printf("ns %.2f\n", <-result)
}
