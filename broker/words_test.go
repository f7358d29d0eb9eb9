package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/debugbroker/debugbroker/broker/api"
)

func TestExposureTellsWhatIsTrue(t *testing.T) {
	for _, test := range []struct {
		accounts int
		secret   bool
		want     string
	}{
		{1, false, "1 other account of web1 can connect to the debug server at 127.0.0.1:5 there and run code as you: it asks for no password"},
		{7, false, "7 other accounts of web1 can connect"},
		{2, true, "keeps them from debugging"},
	} {
		got := exposure(test.accounts, "web1", "127.0.0.1:5", test.secret)
		if !strings.Contains(got, test.want) || test.secret == strings.Contains(got, "run code as you") {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

func TestBusyPortInPlainWords(t *testing.T) {
	bind := func(errno syscall.Errno) error {
		return &net.OpError{Op: "listen", Net: "tcp4", Err: os.NewSyscallError("bind", errno)}
	}
	for want, err := range map[string]error{
		"local port 80: something listens on it already": bind(syscall.EADDRINUSE),
		"local port 80: only root may listen on it":      bind(syscall.EACCES),
		"local port 80: odd":                             errors.New("odd"),
	} {
		if e := asAPI(fmt.Errorf("open: %w", portBusy(80, err))); e.Code != api.CodePortBusy || e.Message != want || e.Hint == "" {
			t.Errorf("%+v, want %q", e, want)
		}
	}
}

// A hint that points at output which is not there sends people looking for it.
func TestHintOfSilentServer(t *testing.T) {
	for printed, want := range map[string]string{"": hintSilent, "boom": hintPrinted} {
		s := &session{}
		if printed != "" {
			s.out.add("stderr", printed, s.cur.Created)
		}
		if e := s.explain(apiErrorf(api.CodeProgramEnded, hintPrinted, "it ended")); e.Hint != want || (e.Output == "") != (printed == "") {
			t.Errorf("printed %q: %+v", printed, e)
		}
	}
}

// People want the program's words: what a debug server announces is noise to them.
func TestOutputOfAnError(t *testing.T) {
	s := &session{id: "k3f9x2"}
	add := func(stream, text string) { s.out.add(stream, text, s.cur.Created) }
	failed := func() *api.Error {
		return s.explain(apiErrorf(api.CodeProgramEnded, "`brokerctl logs` has the rest", "it ended"))
	}
	add("server", "listening")
	if e := failed(); e.Output != "listening\n" {
		t.Errorf("with the server's words alone: %+v", e)
	}
	add("stderr", "boom")
	add("server", "ending")
	if e := failed(); e.Output != "boom\n" || e.Hint != "`brokerctl logs k3f9x2` has the rest" {
		t.Errorf("with the program's: %+v", e)
	}
	if e := s.explain(apiErrorf(api.CodeUsage, "", "no such flag")); e.Hint != hintPrinted || e.Output != "boom\n" {
		t.Errorf("without a hint: %+v", e)
	}
}
