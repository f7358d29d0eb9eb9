package tunnel

import (
	"testing"

	"github.com/debugbroker/debugbroker/integration/sshd"
)

// A server that forwards to sockets and listens on none gets the right answer each time, however the end of the program that listens in its
// place and sshd's connecting to it fall together.
func TestDiagnoseSocketOneWay(t *testing.T) {
	s := runSSHD(t, sshd.Options{Lines: []string{"AllowStreamLocalForwarding local"}})
	var d Dialer
	conn, err := d.Dial(t.Context(), NewTarget([]Hop{s.hop(t, s.IdentityFile())}), Caller{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var found []Finding
	exam := &examination{report: func(f Finding) { found = append(found, f) }, hops: 1}
	h := newShellHost("box", connCarrier{conn}, nil, func() { _ = conn.Close() })
	defer h.Release()
	for range 40 {
		if err := (connLook{exam, conn, h}).socket(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f := found[len(found)-1]; !f.OK || f.Detail != "allowed" {
			t.Fatalf("%+v after %d right answers", f, len(found)-1)
		}
	}
}
