// Command looper runs in a loop of cheap lines: see the README beside it.
package main

var last int

func turns(low, high int, word string) {
	for {
		low = high - 1 // BREAK
		high = low + len(word) - 3
		last = low
	}
}

func main() { turns(1, 2, "loop") }
