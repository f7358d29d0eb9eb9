package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// hopLook is what an attempt hears and tells of one hop. The methods of a nil one do nothing.
type hopLook struct {
	exam   *examination
	conf   *Hop
	via    *Conn
	prefix string // of the names of checks

	mu  sync.Mutex // guards what x/crypto's goroutines tell
	key ssh.PublicKey
	how string // why key is trusted
	bad error  // what is wrong with key
}

func (l *hopLook) ok(check, format string, args ...any) {
	l.exam.found(Finding{Check: l.prefix + check, OK: true, Detail: fmt.Sprintf(format, args...)})
}

// resolve tells the addresses of the name. That there are none is left to reached, which has the dial's own words.
func (l *hopLook) resolve(ctx context.Context, timeout time.Duration) {
	if _, err := netip.ParseAddr(l.conf.HostName); err == nil && l.conf.ProxyCommand == "" {
		l.ok("name", "%s is an address", l.conf.HostName)
		return
	}
	if l.conf.ProxyCommand != "" {
		l.ok("name", "%s is left to the ProxyCommand", l.conf.HostName)
		return
	}
	if l.via != nil {
		l.ok("name", "%s is looked up by %s", l.conf.HostName, l.via.hop.name())
		return
	}
	addrs, err := lookUp(ctx, l.conf, l.conf.HostName, timeout)
	if err != nil || len(addrs) == 0 {
		return
	}
	var words []string
	for _, a := range addrs {
		words = append(words, a.Unmap().String())
	}
	l.ok("name", "%s is %s", l.conf.HostName, strings.Join(words, ", "))
}

// reached tells how the TCP connection came about, or why not.
func (l *hopLook) reached(ctx context.Context, took time.Duration, err error) {
	switch {
	case l == nil:
	case err == nil && l.conf.ProxyCommand != "":
		l.ok("port", "the ProxyCommand is the way there, and runs")
	case err == nil:
		from := ""
		if l.via != nil {
			from = " through " + l.via.hop.name()
		}
		l.ok("port", "%s reached%s in %s", l.conf.addr(), from, milliseconds(took))
	case ctx.Err() != nil:
	case errors.Is(err, ErrHostUnresolvable):
		l.exam.fail(l.prefix+"name", err)
	default:
		l.exam.fail(l.prefix+"port", err)
	}
}

// judged notes the first key that the server shows: it shows it again whenever the connection's keys are changed.
func (l *hopLook) judged(key ssh.PublicKey, how string, err error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key == nil {
		l.key, l.how, l.bad = key, how, err
	}
}

// shook tells how the handshake went.
func (l *hopLook) shook(ctx context.Context, w *wire, ring *keyring, err error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	key, how, bad := l.key, l.how, l.bad
	l.mu.Unlock()
	if ident := w.first.identification(); ident != "" {
		l.ok("ssh server", "%s", ident)
	}
	if key == nil {
		if ctx.Err() == nil {
			l.exam.fail(l.prefix+"ssh server", err)
		}
		return
	}
	if bad != nil {
		l.exam.fail(l.prefix+"host key", unprefixed{bad, ErrHostKey})
		return
	}
	l.ok("host key", "%s %s", fingerprint(key), how)
	if ctx.Err() != nil {
		return
	}
	for _, f := range ring.findings(err) {
		f.Check = l.prefix + f.Check
		l.exam.found(f)
	}
}

// unprefixed is an error whose text does not say again what the name of the check says.
type unprefixed struct{ err, class error }

func (e unprefixed) Error() string {
	return strings.TrimPrefix(e.err.Error(), e.class.Error()+": ")
}
func (e unprefixed) Unwrap() error { return e.err }

// milliseconds is a time as people compare round trips.
func milliseconds(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	switch {
	case ms < 1:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
