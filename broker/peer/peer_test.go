package peer

import (
	"errors"
	"net"
	"testing"
)

func TestAllow(t *testing.T) {
	tests := []struct {
		uid  uint32
		euid int
		ok   bool
	}{
		{0, 0, true}, {0, 1000, true}, {1000, 1000, true},
		{1000, 0, false}, {1001, 1000, false}, {4294967295, -1, false}, {65534, 1000, false},
	}
	for _, tt := range tests {
		if err := allow(tt.uid, tt.euid); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrOtherUser) {
			t.Errorf("allow(%d, %d): %v, want allowed %v", tt.uid, tt.euid, err, tt.ok)
		}
	}
}

func TestSameUserRefusesWhatIsNotTCP(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := SameUser(a); !errors.Is(err, ErrUnknown) {
		t.Fatalf("got %v, want ErrUnknown", err)
	}
}
