package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/debugbroker/debugbroker/broker/api"
)

// fakeBrokerd is the program brokerd of the tests. FAKE_BROKERD tells what becomes of it.
func fakeBrokerd() {
	mode := os.Getenv("FAKE_BROKERD")
	if os.Args[1] == "ssh-hosts" {
		fakeHosts()
		return
	}
	flags := map[string]string{}
	for i := 1; i+1 < len(os.Args); i += 2 {
		flags[strings.TrimPrefix(os.Args[i], "--")] = os.Args[i+1]
	}
	starts, err := os.OpenFile(flags["state-dir"]+"/starts", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	cwd, _ := os.Getwd()
	fmt.Fprintf(starts, "start %d in %s: %s; JOURNAL_STREAM=%q\n", os.Getpid(), cwd, strings.Join(os.Args[1:], " "), os.Getenv("JOURNAL_STREAM"))
	starts.Close()
	info := api.DaemonInfo{API: api.Version, Version: "v9", PID: os.Getpid(), Config: flags["config"], SSHConfig: flags["ssh-config"], StateDir: flags["state-dir"], Service: flags["service"]}
	switch mode {
	case "config":
		fmt.Fprint(os.Stderr, "error: config.toml:3: ttl: no such key\nerror: config.toml:7: policy: \x1b[31mred\nhint: mend both\n")
		os.Exit(2)
	case "store":
		fmt.Fprint(os.Stderr, "code: store\nerror: the database is damaged\nhint: put it aside\n")
		os.Exit(1)
	case "crash":
		panic("boom")
	case "mute":
		os.Exit(1)
	case "deaf": // listens, and answers nobody
		l, err := net.Listen("unix", flags["socket"])
		if err != nil {
			os.Exit(1)
		}
		<-terminated()
		l.Close()
		os.Exit(0)
	case "other-version":
		info.API++
	}
	f := newFake(info)
	stop, err := f.listen(flags["socket"])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	select {
	case <-f.quit:
	case <-terminated():
	case <-time.After(2 * time.Minute): // a test that died must not leave it
	}
	stop()
	os.Remove(flags["socket"])
}

// fakeHosts is what completion asks for where no daemon answers.
func fakeHosts() {
	switch os.Getenv("FAKE_BROKERD") {
	case "deaf":
		time.Sleep(time.Minute) // completion must not wait for it
	case "flood":
		for {
			if _, err := fmt.Println(strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	default:
		fmt.Println(strings.Join(os.Args[2:], "\n")) // paths: none can be a host
		fmt.Print("file1\nfe80::1\n\x1b[2Jevil\nev\u009bil\n$(touch x)\na;b\n-oProxyCommand=x\nbücher.example\n")
	}
}
