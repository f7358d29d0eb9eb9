package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/debugbroker/debugbroker/integration/answering"
)

// TestStrangeServers: whatever answers on the port, it is a bounded failure with a name.
func TestStrangeServers(t *testing.T) {
	say := func(text string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, text) }
	}
	forever := func(text string, pause time.Duration) func(net.Conn) {
		return func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, text); err != nil {
					return
				}
				time.Sleep(pause)
			}
		}
	}
	hold := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	tests := []struct {
		name   string
		handle func(net.Conn)
		says   string
		hint   string
		busy   bool
	}{
		{"hangs up at once", func(net.Conn) {}, "handshake with", "MaxStartups", false},
		{"MaxStartups", say("Exceeded MaxStartups\r\n"), `it says "Exceeded MaxStartups"`, "MaxStartups", true},
		{"penalty", say("Not allowed at this time\r\n"), `it says "Not allowed at this time"`, "wait", true},
		{"a web server", say("HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"), "handshake with", "a web server", false},
		{"garbage", say(strings.Repeat("\x00\xff\x1b[2J", 100) + "\n"), "overflow", "not as an SSH server", false},
		{"a line without end", forever(strings.Repeat("x", 4096), 0), "overflow", "not as an SSH server", false},
		{"lines without end", forever(strings.Repeat("x\r\n", 1000), 0), "overflow", "not as an SSH server", false},
		{"a megabyte, then SSH", say(strings.Repeat(strings.Repeat("x", 100)+"\r\n", 10000) + "SSH-2.0-x\r\n"), "overflow", "not as an SSH server", false},
		{"lines, slowly", forever("x\r\n", 20*time.Millisecond), "no answer within 500ms", "no SSH server", false},
		{"silence", hold, "no answer within 500ms", "no SSH server", false},
		{"silence after its name", func(c net.Conn) { say("SSH-2.0-x\r\n")(c); hold(c) }, "no answer within 500ms", "no SSH server", false},
		{"hangs up after its name", say("SSH-2.0-x\r\n"), "", "not as an SSH server", false},
		{"a huge packet", func(c net.Conn) { say("SSH-2.0-x\r\n\xff\xff\xff\xff\x04" + strings.Repeat("x", 100))(c); hold(c) }, "packet", "not as an SSH server", false},
		{"a packet of zeros", func(c net.Conn) { say("SSH-2.0-x\r\n" + strings.Repeat("\x00", 100))(c); hold(c) }, "", "not as an SSH server", false},
		{"a disconnect message", func(c net.Conn) {
			text := strings.Repeat("go away\x1b[2J", 50)
			body := append([]byte{1, 0, 0, 0, 2, 0, 0, byte(len(text) >> 8), byte(len(text))}, text...)
			body = append(body, 0, 0, 0, 0)
			pad := 8 - (5+len(body))%8 + 8
			packet := append([]byte{0, 0, byte((len(body) + pad + 1) >> 8), byte(len(body) + pad + 1), byte(pad)}, body...)
			say("SSH-2.0-x\r\n" + string(packet) + strings.Repeat("\x00", pad))(c)
			hold(c)
		}, "go away", "not as an SSH server", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := Hop{Alias: "box", HostName: "127.0.0.1", Port: answering.Local(t, test.handle).Port(), ConnectTimeout: 500 * time.Millisecond, IdentityAgent: "none"}
			if !strings.Contains(test.says, "500ms") {
				hop.ConnectTimeout = 20 * time.Second
			}
			err := dialOnce(t.Context(), []Hop{hop}, Caller{})
			if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrBusy) != test.busy {
				t.Fatalf("Dial = %v", err)
			}
			checkWords(t, err, test.says, test.hint)
			if text := err.Error(); len(text) > 1500 || strings.ContainsAny(text, "\x1b\x00\r\n") || strings.Contains(text, "ssh: ") {
				t.Errorf("it reads %q", text)
			}
		})
	}
}

// TestCutHandshakes ends or stops a real handshake after so many bytes of the server's.
func TestCutHandshakes(t *testing.T) {
	server, hop := testBox(t)
	hop.HostKeyAlias = fmt.Sprintf("[127.0.0.1]:%d", hop.Port)
	relay := func(limit int64, stall bool) func(net.Conn) {
		return func(near net.Conn) {
			far, err := net.Dial("tcp", server.Addr())
			if err != nil {
				return
			}
			defer far.Close()
			go func() {
				_, _ = io.Copy(far, near)
				_ = far.Close()
			}()
			n, _ := io.CopyN(near, far, limit)
			if stall && n == limit {
				_, _ = io.Copy(io.Discard, far)
			}
		}
	}
	through := 0
	for limit := int64(0); limit < 6000 && through < 3; limit += max(10, limit/8) {
		hop := hop
		hop.Port = answering.Local(t, relay(limit, false)).Port()
		err := dialOnce(t.Context(), []Hop{hop}, Caller{})
		if err == nil {
			through++
			continue
		}
		through = 0
		if !errors.Is(err, ErrUnreachable) || hintOf(err) == "" || errors.Is(err, ErrAuth) || errors.Is(err, ErrHostKey) {
			t.Errorf("cut after %d bytes: Dial = %v", limit, err)
		}
	}
	if through == 0 {
		t.Error("no handshake got through")
	}
	for _, limit := range []int64{0, 5, 40, 60, 600} {
		hop := hop
		hop.Port, hop.ConnectTimeout = answering.Local(t, relay(limit, true)).Port(), 300*time.Millisecond
		if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); !errors.Is(err, ErrUnreachable) {
			t.Errorf("stopped after %d bytes: Dial = %v", limit, err)
		}
	}
}

// TestMaxStartups is what the real sshd says.
func TestMaxStartups(t *testing.T) {
	server, hop := testBox(t, "MaxStartups 1")
	c, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != nil { // it counts us
		t.Fatal(err)
	}
	if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); !errors.Is(err, ErrBusy) || !errors.Is(err, ErrUnreachable) {
		t.Fatalf("Dial = %v", err)
	}
}

// TestMegabyteBanner: a banner is not shown, and harms nobody.
func TestMegabyteBanner(t *testing.T) {
	key := newKey(t, "ed25519", filepath.Join(t.TempDir(), "host"), "")
	text := strings.Repeat("\x1b[2Jbanner", 20000) // a packet takes no more than 256 KiB
	var ids []string
	for n := range 6 {
		ids = append(ids, filepath.Join(t.TempDir(), fmt.Sprint(n)))
		newKey(t, "ed25519", ids[n], "")
	}
	last := readPublicKey(ids[5] + ".pub")
	config := &ssh.ServerConfig{
		BannerCallback: func(ssh.ConnMetadata) string { return text },
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if sameKey(key, last) {
				return nil, nil
			}
			return nil, &ssh.BannerError{Err: errors.New("no"), Message: text}
		},
	}
	config.AddHostKey(key)
	port := answering.Local(t, func(c net.Conn) {
		conn, channels, requests, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		go func() {
			for c := range channels {
				_ = c.Reject(ssh.Prohibited, "no")
			}
		}()
		_ = conn.Wait()
	}).Port()
	hop := Hop{Alias: "box", HostName: "127.0.0.1", Port: port, User: "u", IdentityFiles: ids, IdentityAgent: "none", UserKnownHostsFiles: []string{filepath.Join(t.TempDir(), "k")}}
	writeFile(t, hop.UserKnownHostsFiles[0], "* "+string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	if err := dialOnce(t.Context(), []Hop{hop}, Caller{}); err != nil {
		t.Fatal(err)
	}
}

// TestAlgorithms: the configuration's choice counts, and where there is none in common both lists are shown.
func TestAlgorithms(t *testing.T) {
	_, box := testBox(t, "Ciphers aes128-ctr", "MACs hmac-sha2-512", "KexAlgorithms ecdh-sha2-nistp384")
	tests := []struct {
		name string
		set  func(*Hop)
		says []string // nil where it works
	}{
		{"the same", func(h *Hop) {
			h.Ciphers, h.MACs, h.KexAlgorithms = []string{"aes128-ctr"}, []string{"hmac-sha2-512"}, []string{"ecdh-sha2-nistp384"}
		}, nil},
		{"with names that nobody knows", func(h *Hop) { h.Ciphers = []string{"quantum-ctr", "aes128-ctr"} }, nil},
		{"another cipher", func(h *Hop) { h.Ciphers = []string{"aes256-gcm@openssh.com", "aes256-ctr"} }, []string{"nothing in common", "cipher", "aes256-ctr", "aes128-ctr"}},
		{"another MAC", func(h *Hop) { h.MACs = []string{"hmac-sha2-256"} }, []string{"MAC", "hmac-sha2-256", "hmac-sha2-512"}},
		{"another key exchange", func(h *Hop) { h.KexAlgorithms = []string{"curve25519-sha256"} }, []string{"key exchange", "curve25519-sha256", "ecdh-sha2-nistp384"}},
		{"another host key", func(h *Hop) { h.HostKeyAlgorithms = []string{"rsa-sha2-512"} }, []string{"host key", "rsa-sha2-512", "ssh-ed25519"}},
		{"none that is known", func(h *Hop) { h.Ciphers = []string{"quantum-ctr"} }, []string{"nothing of its Ciphers is known here: quantum-ctr"}},
		{"new keys all the time", func(h *Hop) { h.RekeyLimit = 64 << 10 }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := box
			test.set(&hop)
			conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
			if err == nil {
				out, _ := runCommand(t, newTestLink(t, conn), "head -c 2000000 /dev/zero | wc -c")
				if strings.TrimSpace(out) != "2000000" {
					t.Errorf("a command says %q", out)
				}
				_ = conn.Close()
			}
			if (err == nil) != (test.says == nil) {
				t.Fatalf("Dial = %v", err)
			}
			for _, words := range test.says {
				if !errors.Is(err, ErrUnreachable) {
					t.Fatalf("Dial = %v", err)
				}
				checkWords(t, err, words, "in the ssh configuration")
			}
		})
	}
}

// TestBind: where a connection comes from.
func TestBind(t *testing.T) {
	_, box := testBox(t)
	tests := []struct {
		name string
		set  func(*Hop)
		want string // the address that the server sees, or "" where there is no way
		says string
	}{
		{"address", func(h *Hop) { h.BindAddress = "127.0.0.7" }, "127.0.0.7", ""},
		{"name", func(h *Hop) { h.BindAddress = "localhost" }, "127.0.0.1", ""},
		{"interface", func(h *Hop) { h.BindInterface = "lo" }, "127.0.0.1", ""},
		{"not ours", func(h *Hop) { h.BindAddress = "192.0.2.1" }, "", "192.0.2.1"},
		{"no such interface", func(h *Hop) { h.BindInterface = "nosuch0" }, "", "nosuch0"},
		{"family", func(h *Hop) { h.AddressFamily = "inet" }, "127.0.0.1", ""},
		{"the other family", func(h *Hop) { h.AddressFamily = "inet6" }, "", "127.0.0.1"},
		{"a name of several addresses", func(h *Hop) { h.HostName, h.HostKeyAlias = "localhost", fmt.Sprintf("[127.0.0.1]:%d", h.Port) }, "127.0.0.1", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hop := box
			test.set(&hop)
			conn, err := (&Dialer{}).Dial(t.Context(), NewTarget([]Hop{hop}), Caller{}, nil)
			if test.want == "" {
				if !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrHostUnresolvable) {
					t.Fatalf("Dial = %v", err)
				}
				checkWords(t, err, test.says, "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if out, _ := runCommand(t, newTestLink(t, conn), "echo $SSH_CONNECTION"); !strings.HasPrefix(out, test.want+" ") {
				t.Errorf("the server sees %q", out)
			}
		})
	}
}
