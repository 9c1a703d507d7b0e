// SPDX-License-Identifier: BSD-2-Clause

// pointers: execs whose path, arguments or variables are not there: all must say EFAULT.
package main

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"unsafe"
)

func main() {
	// So that there is a trace to say the exec in.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	defer l.Close()
	path := append([]byte("/bin/true"), 0)
	word := [2]*byte{&path[0], nil}
	there, list := uintptr(unsafe.Pointer(&path[0])), uintptr(unsafe.Pointer(&word[0]))
	for _, arg := range [][3]uintptr{{1, list, list}, {there, 8, list}, {there, list, 8}, {1, 8, 8}} {
		_, _, errno := syscall.RawSyscall(syscall.SYS_EXECVE, arg[0], arg[1], arg[2])
		if errno != syscall.EFAULT {
			fmt.Println(arg, errno)
			os.Exit(1)
		}
	}
	fmt.Println("EFAULT")
}
