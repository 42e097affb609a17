// Go gives up. With GOTRACEBACK=crash.
package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

type node struct {
	head  [24]byte
	value int
}

type own struct{ code int }

func (o own) Error() string { return fmt.Sprintf("own error %d", o.code) }

//go:noinline
func nothing() *node { return nil }

//go:noinline
func number(n int) int { return n }

func recurse(n int) int { return recurse(n+1) + n }

var ways = map[string]func(){
	"nil":    func() { fmt.Println(nothing().value) },
	"index":  func() { fmt.Println([]int{1, 2, 3}[number(10)]) },
	"slice":  func() { fmt.Println([]int{1, 2, 3}[number(2):number(1)]) },
	"by-zero": func() { fmt.Println(7 / number(0)) },
	"nil-map": func() {
		var m map[string]int
		m["x"] = 1
	},
	"nil-function": func() {
		var f func()
		f()
	},
	"panics":       func() { panic("the disk is on fire") },
	"error":        func() { panic(errors.New("no such key")) },
	"own-error":    func() { panic(own{7}) },
	"formatted":    func() { panic(fmt.Sprintf("code %d", 7)) },
	"conversion":   func() { fmt.Println(interface{}("text").(int)) },
	"closed":       func() { c := make(chan int); close(c); close(c) },
	"deadlock":     func() { <-make(chan int) },
	"unlocked":     func() { var m sync.Mutex; m.Unlock() },
	"overflow":     func() { fmt.Println(recurse(0)) },
	"wild":         func() { fmt.Println(*(*int)(unsafe.Pointer(uintptr(number(0x123456789000))))) },
	"again": func() {
		defer func() { panic(fmt.Sprint("then ", recover())) }()
		panic("first")
	},
	"in-goroutine": func() {
		go func() { panic("in another goroutine") }()
		select {}
	},
	"quit": func() { syscall.Kill(os.Getpid(), syscall.SIGQUIT); select {} },
	"abort": func() { syscall.Kill(os.Getpid(), syscall.SIGABRT); select {} },
	"no-memory": func() { fmt.Println(len(make([]byte, number(1<<46)))) },
}

func main() {
	if way := ways[os.Args[1]]; way != nil {
		way()
	}
	os.Exit(2)
}
