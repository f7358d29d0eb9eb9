// Command throws panics at once.
package main

func main() { panic("thrown at start") }
