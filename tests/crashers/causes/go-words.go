// Ends of Go programs: the argument says which.
package main

import (
	"errors"
	"os"
)

type order struct {
	pad   [3]int
	price int
}

//go:noinline
func price(o *order) int { return o.price }

//go:noinline
func invoice(m map[string]int) { m["jam"] = 1 }

//go:noinline
func index(all []int, i int) int { return all[i] }

//go:noinline
func refuse(words string) { panic(errors.New(words)) }

func main() {
	switch os.Args[1] {
	case "nil":
		println(price(nil))
	case "map":
		invoice(nil)
	case "index":
		println(index([]int{1}, len(os.Args)+1))
	case "error":
		refuse("no more " + os.Args[2])
	case "deadlock":
		select {}
	}
}
