package dap

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestSetMembers(t *testing.T) {
	set, drop := map[string][]byte{"pid": []byte("7"), "a": []byte(`{"b":[]}`)}, []string{"port", "host"}
	for _, tt := range []struct{ name, in, want string }{
		{"other members stay", `{"seq":1,"arguments":{"x":1e400, "pid" : "9","y":{"port":1},"port":2,"z":"\ud800"} ,"w":0}`,
			`{"seq":1,"arguments":{"a":{"b":[]},"pid":7,"x":1e400,"y":{"port":1},"z":"\ud800"} ,"w":0}`},
		{"empty", `{"arguments":{ }}`, `{"arguments":{"a":{"b":[]},"pid":7}}`},
		{"absent", ` {"seq":1}`, ` {"arguments":{"a":{"b":[]},"pid":7},"seq":1}`},
		{"empty body", `{}`, `{"arguments":{"a":{"b":[]},"pid":7}}`},
		{"null", `{"arguments":null}`, `{"arguments":{"a":{"b":[]},"pid":7}}`},
		{"a list", `{"arguments":[{"port":1}]}`, `{"arguments":{"a":{"b":[]},"pid":7}}`},
		{"a text", `{"arguments":"{}"}`, `{"arguments":{"a":{"b":[]},"pid":7}}`},
		{"twice", `{"arguments":{"pid":1},"arguments":{"p\u006frt":1,"pid":2,"pid":3,"k":4}}`, `{"arguments":{"a":{"b":[]},"pid":7},"arguments":{"a":{"b":[]},"pid":7,"k":4}}`},
		{"escaped", `{"\u0061rguments":{"x":1}}`, `{"\u0061rguments":{"a":{"b":[]},"pid":7,"x":1}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, ok := SetMembers(frame([]byte(tt.in)), "arguments", set, drop)
			if !ok || string(out.Body()) != tt.want {
				t.Fatalf("got %s, %t, want %s", out.Body(), ok, tt.want)
			}
		})
	}
	for _, bad := range []string{``, `[]`, `{"arguments":{}`, `{"a":1}{}`, `{"arguments":{"x"}}x`} {
		if out, ok := SetMembers(frame([]byte(bad)), "arguments", set, drop); ok || string(out.Body()) != bad {
			t.Errorf("%q: got %q, %t", bad, out.Body(), ok)
		}
	}
	if out, ok := SetMembers(frame([]byte(`{"arguments":{"port":1,"x":2}}`)), "arguments", nil, drop); !ok || string(out.Body()) != `{"arguments":{"x":2}}` {
		t.Errorf("only drop: %s, %t", out.Body(), ok)
	}
}

func FuzzSetMembers(f *testing.F) {
	f.Add([]byte(`{"arguments":{"pid":1,"port":[{}]},"arguments":null}`))
	f.Add([]byte(` {"x":"\\" , "arguments" : {} }`))
	f.Add([]byte(`{"arguments":{"x":1,}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m := frame(body)
		out, ok := SetMembers(m, "arguments", map[string][]byte{"pid": []byte("7")}, []string{"port"})
		if !ok {
			if !bytes.Equal(out.Raw, m.Raw) {
				t.Fatalf("changed without saying so: %q", out.Raw)
			}
			return
		}
		if back, err := NewReader(bytes.NewReader(out.Raw), MaxBody).Next(); err != nil || !bytes.Equal(back.Raw, out.Raw) {
			t.Fatalf("cannot be read back: %v %q", err, out.Raw)
		}
		var was, is map[string]any
		if json.Unmarshal(body, &was) != nil { // what we let pass and no parser reads
			return
		}
		if err := json.Unmarshal(out.Body(), &is); err != nil {
			t.Fatalf("broken: %v: %q", err, out.Body())
		}
		arguments, _ := is["arguments"].(map[string]any)
		if _, there := arguments["port"]; there || arguments["pid"] != 7.0 {
			t.Fatalf("a parser finds %v", arguments)
		}
		given, _ := was["arguments"].(map[string]any)
		for name, v := range given {
			if name == "pid" || name == "port" {
				continue
			}
			a, _ := json.Marshal(v)
			if b, _ := json.Marshal(arguments[name]); !bytes.Equal(a, b) {
				t.Fatalf("%q was %s and is %s", name, a, b)
			}
		}
	})
}
