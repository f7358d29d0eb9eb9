package tunnel

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

func bufioReader(data []byte, size int) *bufio.Reader {
	return bufio.NewReaderSize(bytes.NewReader(data), size)
}

func TestParseListeners(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		order binary.ByteOrder
		want  []Listener
	}{
		"v4": {"proc 0100007F:1F90 1000 77\npid 77 42\npid 77 43\npid 99 44\n", binary.LittleEndian,
			[]Listener{{Addr: "127.0.0.1", Port: 8080, UID: 1000, PID: 42}}},
		"v4, big endian": {"proc 7F000001:1F90 0 77\n", binary.BigEndian, []Listener{{Addr: "127.0.0.1", Port: 8080}}},
		"v6":             {"proc 00000000000000000000000001000000:0016 0 1\n", binary.LittleEndian, []Listener{{Addr: "::1", Port: 22}}},
		"v6, any":        {"proc 00000000000000000000000000000000:0016 0 1\n", binary.LittleEndian, []Listener{{Addr: "::", Port: 22}}},
		"v6, order": {"proc B80D01200000000067452301EFCDAB89:0001 0 1\n", binary.LittleEndian,
			[]Listener{{Addr: "2001:db8::123:4567:89ab:cdef", Port: 1}}},
		"v4-mapped": {"proc 0000000000000000FFFF00000100007F:0001 0 1\n", binary.LittleEndian, []Listener{{Addr: "127.0.0.1", Port: 1}}},
		"lsof": {"lsof p12\nlsof u501\nlsof f3\nlsof tIPv4\nlsof n127.0.0.1:80\nlsof f4\nlsof tIPv6\nlsof n*:81\nlsof n[::1]:82\n", binary.LittleEndian,
			[]Listener{{"127.0.0.1", 80, 501, 12}, {"::", 81, 501, 12}, {"::1", 82, 501, 12}}},
		"netstat": {"netstat tcp4 127.0.0.1.80\nnetstat tcp6 *.81\nnetstat tcp46 ::1.82\nnetstat tcp 0.0.0.0:83\nnetstat tcp6 fe80::1%lo0.84\nnetstat tcp4 x.y\n",
			binary.LittleEndian, []Listener{{"127.0.0.1", 80, -1, 0}, {"::", 81, -1, 0}, {"::1", 82, -1, 0}, {"0.0.0.0", 83, -1, 0}, {"fe80::1", 84, -1, 0}}},
		"nothing": {"\n\n", binary.LittleEndian, nil},
	} {
		got, err := parseListeners(test.text, test.order)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, bad := range []string{"proc x 0 1\n", "proc 0100007F 0 1\n", "proc 0100007F:10000 0 1\n", "proc 01:1 0 1\n", "proc 0100007F:1 x 1\n", "proc 0100007F:1\n"} {
		if got, err := parseListeners(bad, binary.LittleEndian); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func FuzzParseListeners(f *testing.F) {
	f.Add("proc 0100007F:1F90 1000 77\npid 77 42\nlsof n*:81\nlsof t\nnetstat tcp6 *.81\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseListeners(text, binary.LittleEndian)
		if err != nil {
			return
		}
		for _, l := range list {
			if l.Port < 0 || l.Port > 65535 || l.Addr == "" || l.PID < 0 {
				t.Errorf("%+v", l)
			}
		}
	})
}

func TestParseFacts(t *testing.T) {
	const good = "os Linux\narch aarch64\nboot b-1\nuid 1000\nuser u\nhome /h o\nshell /bin/sh\npath /a:/b c\ntemp /tmp\nproc yes\nothers 3\n"
	f, err := parseFacts(good)
	want := Facts{OS: "linux", Arch: "arm64", BootID: "b-1", UID: 1000, User: "u", Home: "/h o", Shell: "/bin/sh", Path: "/a:/b c", TempDir: "/tmp", OtherUsers: 3, HasProc: true}
	if err != nil || f != want {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"", "os Linux\n", "os Linux\nboot b\nuid x\n", "os Linux\nboot b\nuid 1\n", "os Linux\nboot b;c\nuid 1\ntemp /tmp\n"} {
		if f, err := parseFacts(bad); err == nil {
			t.Errorf("%q: %+v", bad, f)
		}
	}
}
