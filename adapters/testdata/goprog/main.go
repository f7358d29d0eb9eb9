// Command goprog is debugged by tests: it ticks, one line a turn, and ends as it is told to.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	turns, _ := strconv.Atoi(os.Args[1])
	how := os.Args[2]
	fmt.Println("args", len(os.Args), os.Args[3:])
	for i := 0; i < turns; i++ {
		tick(i)
	}
	switch how {
	case "panic":
		panic("as told")
	default:
		code, _ := strconv.Atoi(how)
		os.Exit(code)
	}
}

func tick(i int) {
	double := i * 2
	fmt.Println("tick", i, double)
	time.Sleep(20 * time.Millisecond)
}
