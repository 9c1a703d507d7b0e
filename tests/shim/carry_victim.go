// SPDX-License-Identifier: BSD-2-Clause

// A server that executes itself, or many children at once:
//
//	self PATH         PATH is a name of itself
//	many FLAGS PATH   by clone's FLAGS, children that print the variable X; "N wrong" at the end
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	threads = 16
	rounds  = 12
)

func one(flags uint64, path, want string) bool {
	c := exec.Command(path, "print")
	c.Env = []string{"X=" + want}
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(flags)}
	out, err := c.Output()
	return err == nil && strings.HasSuffix(strings.TrimSpace(string(out)), want)
}

func many(flags uint64, path string) {
	var wrong int64
	var all sync.WaitGroup

	for i := 0; i < threads; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			for j := 0; j < rounds; j++ {
				want := fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("x", i*37%300))
				if !one(flags, path, want) {
					atomic.AddInt64(&wrong, 1)
				}
			}
		}(i)
	}
	all.Wait()
	fmt.Println(wrong, "wrong")
}

func main() {
	switch os.Args[1] {
	case "library":
		maps, _ := os.ReadFile("/proc/self/maps")
		name, _ := os.Readlink("/proc/self/exe")
		fmt.Println(name, strings.Contains(string(maps), "libshakedown.so"))
		return
	case "print":
		fmt.Println(os.Getenv("X"))
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	if os.Args[1] == "self" {
		path := strings.Replace(os.Args[2], "PID", strconv.Itoa(os.Getpid()), 1)
		out, err := exec.Command(path, "library").CombinedOutput()
		fmt.Print(string(out), err, "\n")
		return
	}
	flags, _ := strconv.ParseUint(os.Args[2], 0, 64)
	many(flags, os.Args[3])
}
