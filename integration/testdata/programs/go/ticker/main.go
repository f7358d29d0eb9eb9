// Command ticker prints a counter: see the README beside it.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func tick(count int) int {
	square := count * count
	label := fmt.Sprintf("tick %d", count) // BREAK
	fmt.Println(label)
	return square
}

func main() {
	ticks, code := number(1), number(2)
	for count := 1; ticks == 0 || count <= ticks; count++ {
		tick(count)
		time.Sleep(50 * time.Millisecond)
	}
	os.Exit(code)
}

func number(i int) int {
	if i >= len(os.Args) {
		return 0
	}
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		panic(err)
	}
	return n
}
