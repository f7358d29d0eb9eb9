package dap

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-dap"
)

func TestScan(t *testing.T) {
	tests := []struct {
		name, in string
		want     Envelope
		err      error
	}{
		{"request", `{"seq":3,"type":"request","command":"next","arguments":{"type":"x","seq":9}}`, Envelope{Seq: 3, Type: "request", Command: "next"}, nil},
		{"response", "\t{ \"success\" : true , \"request_seq\":7,\"type\":\"response\",\"command\":\"a\\\"b\"}\n", Envelope{Type: "response", RequestSeq: 7, Success: true, Command: `a"b`}, nil},
		{"escaped names", `{"\u0074ype":"event","event":"sto\u0070ped"}`, Envelope{Type: "event", Event: "stopped"}, nil},
		{"last counts", `{"type":"event","type":"request"}`, Envelope{Type: "request"}, nil},
		{"other types", `{"seq":"1","type":5,"command":null,"success":1}`, Envelope{}, nil},
		{"empty", `{}`, Envelope{}, nil},
		{"deep", `{"a":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + `,"seq":1}`, Envelope{Seq: 1}, nil},
		{"array", `[]`, Envelope{}, ErrNotObject},
		{"nothing", ``, Envelope{}, ErrNotObject},
		{"text", `hello`, Envelope{}, ErrNotObject},
		{"breaks off", `{"seq":1,"type":"req`, Envelope{}, ErrNotObject},
		{"breaks off after a comma", `{"seq":1,`, Envelope{}, ErrNotObject},
		{"backslash at the end", `{"seq\`, Envelope{}, ErrNotObject},
		{"two objects", `{"seq":1}{"seq":2}`, Envelope{}, ErrNotObject},
		{"no colon", `{"seq" 1}`, Envelope{}, ErrNotObject},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Scan([]byte(tt.in))
			if !errors.Is(err, tt.err) || got != tt.want {
				t.Fatalf("got %+v, %v, want %+v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestScanDoesNotCopyTheBody(t *testing.T) {
	body := []byte(`{"seq":1,"type":"response","body":"` + strings.Repeat("x", 8<<20) + `"}`)
	bytes := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Scan(body); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if bytes > 1024 {
		t.Fatalf("allocated %d bytes", bytes)
	}
}

func TestFind(t *testing.T) {
	body := []byte(`{"arguments":{"subProcessId":1},"x":{"arguments":{"subProcessId":2}},"arguments":{"subProcessId": 3 ,"s":"a"}}`)
	v, ok := Find(body, "arguments", "subProcessId")
	if n, isInt := Int(v); !ok || !isInt || n != 3 {
		t.Fatalf("got %q, %v, want the last one, 3", v, ok)
	}
	for _, path := range [][]string{{"none"}, {"arguments", "none"}, {"arguments", "s", "deeper"}} {
		if v, ok := Find(body, path...); ok {
			t.Errorf("%v: found %q", path, v)
		}
	}
}

func message(t testing.TB, raw string) Message {
	t.Helper()
	m, err := NewReader(strings.NewReader(raw), MaxBody).Next()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestReplace(t *testing.T) {
	raw := `{ "event":"debugpyAttach","u":[false,0,[]] ,"body":{"connect":{ "port" : 1 },"z":1}}`
	m := message(t, "Content-Type: x\r\ncontent-LENGTH: 084 \r\nX-B: 84\r\n\r\n"+raw)
	out, ok := Replace(m, []byte("54321"), "body", "connect", "port")
	want := "Content-Type: x\r\ncontent-LENGTH: 88 \r\nX-B: 84\r\n\r\n" + strings.Replace(raw, `: 1 }`, `: 54321 }`, 1)
	if !ok || string(out.Raw) != want {
		t.Fatalf("got %v\n%q, want\n%q", ok, out.Raw, want)
	}
	if same, ok := Replace(m, []byte("1"), "body", "port"); ok || !bytes.Equal(same.Raw, m.Raw) {
		t.Fatalf("no such member: got %v %q", ok, same.Raw)
	}
	twice := message(t, "Content-Length: 31\r\n\r\n"+`{"a":1,"\u0061":2,"a":[{"a":3}]}`[:31])
	if _, ok := Replace(twice, []byte("9"), "a"); ok {
		t.Fatal("a body that breaks off was patched")
	}
	all, ok := Replace(frame([]byte(`{"a":1,"\u0061":2,"a":[{"a":3}]}`)), []byte("9"), "a")
	if want := `{"a":9,"\u0061":9,"a":9}`; !ok || string(all.Body()) != want {
		t.Fatalf("got %q, want %q", all.Body(), want)
	}
}

func FuzzReplace(f *testing.F) {
	f.Add([]byte(`{"body":{"connect":{"port":1}}}`), 7)
	f.Add([]byte(`{"body":{"connect":{"port":1},"connect":{"port":2}},"body":0}`), 0)
	f.Add([]byte(`{"body":{"connect":{"p\u006frt":[{}]}} }`), 65535)
	f.Fuzz(func(t *testing.T, body []byte, port int) {
		value, _ := json.Marshal(port)
		path := []string{"body", "connect", "port"}
		m := frame(body)
		out, ok := Replace(m, value, path...)
		if !ok {
			if !bytes.Equal(out.Raw, m.Raw) {
				t.Fatalf("changed without saying so: %q", out.Raw)
			}
			return
		}
		back, err := NewReader(bytes.NewReader(out.Raw), MaxBody).Next()
		if err != nil || !bytes.Equal(back.Raw, out.Raw) {
			t.Fatalf("cannot be read back: %v %q", err, out.Raw)
		}
		// Outside of the value nothing may differ: cut the values out of both, and compare what is left.
		if a, b := without(m.Body(), path), without(out.Body(), path); !bytes.Equal(a, b) {
			t.Fatalf("changed something else:\n%q\n%q", a, b)
		}
		if v, ok := Find(out.Body(), path...); ok && !bytes.Equal(v, value) {
			t.Fatalf("a parser still finds %q", v)
		}
		if json.Valid(body) && !json.Valid(out.Body()) {
			t.Fatalf("broke valid JSON: %q", out.Body())
		}
	})
}

func without(body []byte, path []string) (rest []byte) {
	at := 0
	for _, p := range find(body, nil, span{0, len(body)}, path) {
		rest = append(rest, body[at:p.from]...)
		at = p.to
	}
	return append(rest, body[at:]...)
}

// What we say ourselves must be DAP to somebody else's parser.
func TestBuildersAgainstGoDAP(t *testing.T) {
	for _, reason := range []string{"another front end is attached", "has {braces}"} {
		m, err := dap.DecodeProtocolMessage(ErrorResponse(7, "initialize", reason).Body())
		if err != nil {
			t.Fatal(err)
		}
		r, ok := m.(*dap.ErrorResponse)
		if !ok || r.RequestSeq != 7 || r.Command != "initialize" || r.Success || r.Message != reason || !r.Body.Error.ShowUser || r.Body.Error.Id != ErrorID {
			t.Fatalf("got %#v", m)
		}
		shown := r.Body.Error.Format
		for k, v := range r.Body.Error.Variables {
			shown = strings.ReplaceAll(shown, "{"+k+"}", v)
		}
		if shown != reason {
			t.Fatalf("shown as %q, want %q", shown, reason)
		}
	}
	d := DisconnectRequest(12)
	if m, err := dap.DecodeProtocolMessage(d.Body()); err != nil {
		t.Fatal(err)
	} else if r, ok := m.(*dap.DisconnectRequest); !ok || r.Seq != 12 {
		t.Fatalf("got %#v", m)
	}
	if v, ok := Find(d.Body(), "arguments", "terminateDebuggee"); !ok || string(v) != "false" {
		t.Fatalf("terminateDebuggee is %q, want an explicit false", v)
	}
}
