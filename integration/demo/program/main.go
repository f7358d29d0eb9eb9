// Command program is what the demo debugs: it counts orders and adds up what they cost.
package main

import (
	"fmt"
	"time"
)

type order struct {
	Number int
	Item   string
	Price  float64
}

func book(total float64, o order) float64 {
	sum := total + o.Price
	line := fmt.Sprintf("order %d: %s", o.Number, o.Item) // BREAK
	fmt.Println(line)
	return sum
}

func main() {
	items := []string{"tea", "bread", "apples"}
	total := 0.0
	for n := 1; ; n++ {
		total = book(total, order{Number: n, Item: items[n%len(items)], Price: float64(n) * 1.5})
		time.Sleep(200 * time.Millisecond)
	}
}
