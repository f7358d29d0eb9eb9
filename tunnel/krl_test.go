package tunnel

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestKRLUnknown: what is not understood is an error, never a list without the key.
func TestKRLUnknown(t *testing.T) {
	key := newKey(t, "ed25519", filepath.Join(t.TempDir(), "key"), "").PublicKey()
	head := []byte(krlMagic + "\x00\x00\x00\x01" + string(make([]byte, 24)) + "\x00\x00\x00\x00\x00\x00\x00\x00")
	if found, err := krlRevokes(head, key); found || err != nil {
		t.Fatalf("an empty list: %v, %v", found, err)
	}
	section := func(kind byte, data string) string {
		return string(ssh.Marshal(&struct {
			Kind byte
			Data string
		}{kind, data}))
	}
	word := func(s string) string { return string(ssh.Marshal(&struct{ S string }{s})) }
	for name, rest := range map[string]string{
		"kind of section":                section(9, "x"),
		"signature":                      section(4, "key") + word("signature"),
		"critical extension":             section(krlExtension, word("x@y")+"\x01"+word("")),
		"kind of list":                   section(krlCertificates, word("")+word("")+section(0x30, "")),
		"critical certificate extension": section(krlCertificates, word("")+word("")+section(krlCertExtension, word("x@y")+"\x01"+word(""))),
		"range backwards":                section(krlCertificates, word("")+word("")+section(krlSerialRange, "\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01")),
		"section cut":                    "\x02\x00\x00\x00\x05abc",
		"huge length":                    "\x02\xff\xff\xff\xffabc",
	} {
		if found, err := krlRevokes(append(head[:len(head):len(head)], rest...), key); found || err == nil {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	optional := section(krlExtension, word("x@y")+"\x00"+word("")) + section(krlKey, word(string(key.Marshal())))
	if found, err := krlRevokes(append(head[:len(head):len(head)], optional...), key); !found || err != nil {
		t.Errorf("after an extension: %v, %v", found, err)
	}
	if found, err := krlRevokes([]byte(krlMagic+"\x00\x00\x00\x02"), key); found || err == nil {
		t.Errorf("version 2: %v, %v", found, err)
	}
}

// FuzzKRL holds that no list breaks the reader, and that a key in front of whatever follows is found or the list refused.
func FuzzKRL(f *testing.F) {
	dir := f.TempDir()
	key := newKey(f, "ed25519", filepath.Join(dir, "key"), "")
	cert := &ssh.Certificate{Key: key.PublicKey(), SignatureKey: key.PublicKey(), Serial: 7, KeyId: "id", Signature: &ssh.Signature{}}
	for _, spec := range []string{"serial: 7\n", "serial: 5-9\nid: x\n", fileText(f, filepath.Join(dir, "key.pub")), "sha256: " + fileText(f, filepath.Join(dir, "key.pub"))} {
		path := filepath.Join(dir, "krl")
		writeFile(f, path+".spec", spec)
		keygen(f, "-k", "-f", path, "-s", filepath.Join(dir, "key.pub"), path+".spec")
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-2])
	}
	listed := ssh.Marshal(&struct {
		Kind byte
		Data []byte
	}{krlKey, ssh.Marshal(&struct{ Blob []byte }{key.PublicKey().Marshal()})})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = krlRevokes(data, key.PublicKey())
		_, _ = krlRevokes(data, cert)
		const head = len(krlMagic) + 4 + 24 + 8
		if len(data) < head || string(data[:len(krlMagic)]) != krlMagic {
			return
		}
		list := append([]byte(krlMagic+"\x00\x00\x00\x01"), make([]byte, 24+8)...)
		list = append(append(list, listed...), data[head:]...)
		if found, err := krlRevokes(list, key.PublicKey()); !found && err == nil {
			t.Fatal("a key that is in the list is not found")
		}
	})
}
