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
