// Command args prints its arguments, directory and environment as JSON.
package main

import (
	"encoding/json"
	"os"
	"strings"
)

func main() {
	cwd, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	env := map[string]string{}
	for _, kv := range os.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"argv": os.Args[1:], "cwd": cwd, "env": env}); err != nil {
		panic(err)
	}
}
