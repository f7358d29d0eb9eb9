// Command testscan reads `go test -json`, prints it as `go test` alone would, and fails if a test that must run was skipped or is missing.
//
//	go test -json ./... | go run ./integration/testscan integration/mustrun.txt
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "testscan:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: testscan MUSTRUN-FILE")
	}
	f, err := os.Open(os.Args[1])
	if err != nil {
		return err
	}
	defer f.Close()
	must, err := readMust(f)
	if err != nil {
		return err
	}
	return scan(os.Stdin, os.Stdout, must)
}
