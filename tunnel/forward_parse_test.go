package tunnel

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestParseForward(t *testing.T) {
	type spec = ForwardSpec
	host := func(h string, p int) Endpoint { return Endpoint{Host: h, Port: p} }
	path := func(p string) Endpoint { return Endpoint{Path: p} }
	for text, want := range map[string]spec{
		"-L 8080:db:80":                  {ForwardLocal, host("", 8080), host("db", 80)},
		"-L 127.0.0.1:8080:db:80":        {ForwardLocal, host("127.0.0.1", 8080), host("db", 80)},
		"-L *:8080:db:80":                {ForwardLocal, host("*", 8080), host("db", 80)},
		"-L :8080:db:80":                 {ForwardLocal, host("*", 8080), host("db", 80)},
		"-L [::1]:8080:[fe80::1%eth0]:1": {ForwardLocal, host("::1", 8080), host("fe80::1%eth0", 1)},
		"-L [localhost]:8080:[db]:80":    {ForwardLocal, host("localhost", 8080), host("db", 80)},
		"-L 0:db:https":                  {ForwardLocal, host("", 0), host("db", 443)},
		"-L 8080:/run/x.sock":            {ForwardLocal, host("", 8080), path("/run/x.sock")},
		"-L localhost:8080:/run/x.sock":  {ForwardLocal, host("localhost", 8080), path("/run/x.sock")},
		"-L /tmp/s:db:80":                {ForwardLocal, path("/tmp/s"), host("db", 80)},
		"-L /tmp/a:/tmp/b":               {ForwardLocal, path("/tmp/a"), path("/tmp/b")},
		`-L /tmp/a\:b:/tmp/c\\d`:         {ForwardLocal, path("/tmp/a:b"), path(`/tmp/c\d`)},
		"-R 8080:db:80":                  {ForwardRemote, host("", 8080), host("db", 80)},
		"-R 0:db:80":                     {ForwardRemote, host("", 0), host("db", 80)},
		"-R 1080":                        {ForwardRemote, host("", 1080), Endpoint{}},
		"-R *:1080":                      {ForwardRemote, host("*", 1080), Endpoint{}},
		"-R [::]:1080":                   {ForwardRemote, host("::", 1080), Endpoint{}},
		"-R /tmp/r":                      {ForwardRemote, path("/tmp/r"), Endpoint{}},
		"-R /tmp/r:/tmp/s":               {ForwardRemote, path("/tmp/r"), path("/tmp/s")},
		"-D 1080":                        {ForwardSocks, host("", 1080), Endpoint{}},
		"-D 0":                           {ForwardSocks, host("", 0), Endpoint{}},
		"-D box.example:1080":            {ForwardSocks, host("box.example", 1080), Endpoint{}},
		"-D [::1]:1080":                  {ForwardSocks, host("::1", 1080), Endpoint{}},
	} {
		got, err := ParseForward(kindOf(t, text), text[3:])
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
			continue
		}
		if again, err := ParseForward(got.Kind, got.String()); err != nil || again != got {
			t.Errorf("%s: written as %s, which is %+v, %v", text, got, again, err)
		}
	}
}

func kindOf(t testing.TB, text string) ForwardKind {
	t.Helper()
	for _, kind := range []ForwardKind{ForwardLocal, ForwardRemote, ForwardSocks} {
		if strings.HasPrefix(text, kind.letter()+" ") {
			return kind
		}
	}
	t.Fatalf("no kind in %q", text)
	return ""
}

// An error stands under what is wrong.
func TestParseForwardErrors(t *testing.T) {
	for _, test := range []struct{ text, mark, want string }{
		{"-L ", "^", "expected a port"},
		{"-L 8080", "    ^", "the target"},
		{"-L 80x:db:80", "^", "expected a port"},
		{"-L 8080:db", "       ^", "expected :port"},
		{"-L 8080:db:", "        ^", "expected a port"},
		{"-L 8080::80", "     ^", "expected a host"},
		{"-L 8080:db:65536", "        ^", "a port is 1 to 65535"},
		{"-L 8080:db:0", "        ^", "a port is 1 to 65535"},
		{"-L 99999999999999999999:db:1", "^", "a port is 0 to 65535"},
		{"-L 8080:*:80", "     ^", "no host to connect to"},
		{"-L a:8080:db:80:90", "             ^", "expected the end"},
		{"-L [::1:8080:db:80", "^", "not closed"},
		{"-L [::1]8080:db:80", "     ^", "expected a colon"},
		{"-L ::1:8080:db:80", "         ^", "[brackets]"},
		{"-L 8080:tmp/s", "     ^", "begins with /"},
		{"-L /tmp/s:/tmp/t:80", "              ^", "expected the end"},
		{"-L /tmp/s:db", "         ^", "expected :port"},
		{`-L 8080:/tmp/s\`, "            ^", "after the backslash"},
		{"-L größe:8080:d b:80", "           ^", "no place"},
		{"-L 8080:db:no-such-service", "        ^", "name of a service"},
		{"-L 8080:a\x1b[2J:80", "      ^", "control"},
		{"-R 8080:db", "     ^", "expected a port"},
		{"-D 1080:db:80", "     ^", "expected a port"},
		{"-D a:1080:db", "       ^", "expected the end"},
		{"-D /tmp/s:db:80", "       ^", "expected the end"},
	} {
		_, err := ParseForward(kindOf(t, test.text), test.text[3:])
		var bad *SpecError
		if !errors.As(err, &bad) || !errors.Is(err, ErrForwardSpec) {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if got := bad.Caret(); got != test.text[3:]+"\n"+test.mark && test.mark != "" || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s:\n%s\n%v", test.text, got, err)
		}
	}
	if _, err := ParseForward(ForwardLocal, strings.Repeat("a", 5000)); !errors.Is(err, ErrForwardSpec) || len(err.Error()) > 200 {
		t.Errorf("a long one: %v", err)
	}
}

// What ssh makes of the same words, as `ssh -G` prints it.
func TestParseForwardAsSSHDoes(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no ssh here")
	}
	texts := []string{
		"8080:db:80", "[::1]:8080:[fe80::1]:80", "*:8080:db:80", ":8080:db:80", "8080:/tmp/s", "localhost:8080:/x", "/tmp/a:/tmp/b", "/tmp/a:db:80",
		`/a\:b:db:80`, "80:a:http", "0:db:80", "8080", "h:8080", "[::1]:8080", "0", ":0", "/tmp/x", "8080:db", "a/8080/b/80", "80x:db:80", "8080:db:65536",
		"8080:db:0", "a:8080:db:80:90", "[::1:8080:db:80", "[::1]8080:db:80", "::1:8080:db:80", "/tmp/s:/tmp/t:80", "h:8080:db", "99999:db:1", "",
	}
	// What ssh takes and makes something else of than was meant, or nothing at all.
	stricter := map[string]bool{
		"-L /tmp/s:/tmp/t:80": true, "-R /tmp/s:/tmp/t:80": true, "-R a/8080/b/80": true, "-D a/8080/b/80": true, "-D 8080:/tmp/s": true,
		"-D localhost:8080:/x": true, "-D /tmp/a:/tmp/b": true,
	}
	for _, kind := range []ForwardKind{ForwardLocal, ForwardRemote, ForwardSocks} {
		for _, text := range texts {
			if stricter[kind.letter()+" "+text] {
				if spec, err := ParseForward(kind, text); err == nil {
					t.Errorf("%s %q is %+v", kind.letter(), text, spec)
				}
				continue
			}
			spec, err := ParseForward(kind, text)
			ssh := sshForward(kind, text)
			if err == nil && spec.Kind != ForwardRemote && spec.Listen.Port == 0 && spec.Listen.Path == "" {
				continue // ours alone: ssh has port 0 for -R only
			}
			own := ""
			if err == nil {
				own = asSSHPrints(spec)
			}
			if own != ssh {
				t.Errorf("%s %q: %q (%v), ssh: %q", kind.letter(), text, own, err, ssh)
			}
		}
	}
}

// sshForward is the line of `ssh -G`, "" where ssh takes it for no forward.
func sshForward(kind ForwardKind, text string) string {
	out, err := exec.Command("ssh", "-F", "/dev/null", "-G", kind.letter(), text, "box").Output()
	if err != nil {
		return ""
	}
	word := map[ForwardKind]string{ForwardLocal: "localforward ", ForwardRemote: "remoteforward ", ForwardSocks: "dynamicforward "}[kind]
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), word); ok {
			return strings.Replace(rest, "[]:", "[*]:", 1) // an empty bind address is all, as * is
		}
	}
	return ""
}

func asSSHPrints(s ForwardSpec) string {
	end := func(e Endpoint) string {
		switch {
		case e.Path != "":
			return e.Path
		case e.Host == "":
			return e.String()
		}
		return "[" + e.Host + "]" + strings.TrimPrefix(Endpoint{Host: "x", Port: e.Port}.String(), "x")
	}
	text := end(s.Listen)
	switch {
	case !s.socks():
		text += " " + end(s.Target)
	case s.Kind == ForwardRemote:
		text += " [socks]:0"
	}
	return text
}

func FuzzParseForward(f *testing.F) {
	for _, text := range []string{"8080:db:80", "[::1]:8080:[fe80::1%1]:80", "*:1:/x", `/a\:b:/c`, "1080", "h:0", "::", "[]:1", `\`, "ä:1:ö:2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []ForwardKind{ForwardLocal, ForwardRemote, ForwardSocks} {
			spec, err := ParseForward(kind, text)
			if err != nil {
				var bad *SpecError
				if !errors.Is(err, ErrForwardSpec) || errors.As(err, &bad) && bad.Caret() == "" {
					t.Fatalf("%q: %v", text, err)
				}
				continue
			}
			if again, err := ParseForward(kind, spec.String()); err != nil || again != spec {
				t.Fatalf("%q is %+v, which is written %q, which is %+v, %v", text, spec, spec, again, err)
			}
			if _, err := NewForward(spec, nil, ForwardOptions{}); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}
