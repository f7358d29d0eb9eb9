// Command pacer watches for pauses: see the README beside it.
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	asked := make(chan string)
	go func() {
		defer os.Exit(0)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			asked <- in.Text()
		}
	}()
	last, longest := time.Now(), time.Duration(0)
	fmt.Println("pacing")
	for {
		word := ""
		select {
		case word = <-asked:
		case <-time.After(time.Millisecond):
		}
		now := time.Now()
		longest = max(longest, now.Sub(last))
		last = now
		if longest < 0 {
			fmt.Println("time runs backwards") // BREAK
		}
		if word != "" {
			fmt.Println(word, longest.Nanoseconds())
			longest = 0
		}
	}
}
