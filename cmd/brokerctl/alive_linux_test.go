package main

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !alive(os.Getpid()) || !alive(cmd.Process.Pid) {
		t.Error("what runs is not alive")
	}
	cmd.Process.Kill()
	// It is a zombie now, until Wait.
	for end := time.Now().Add(10 * time.Second); alive(cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a zombie is alive")
		}
	}
	cmd.Wait()
	if alive(cmd.Process.Pid) {
		t.Error("what has ended is alive")
	}
}
