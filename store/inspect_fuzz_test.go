package store

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"
)

// FuzzInspect holds that the look at the raw file ends, with a verdict, whatever is in it. Flips are (offset, XOR) pairs on a whole
// database with its checksums put right again where the metas were hit, since a fuzzer does not find FNV by itself.
func FuzzInspect(f *testing.F) {
	good, _ := sample(f)
	f.Add([]byte{}, 0)
	f.Add([]byte{0, 0, 0, 1}, 100)
	f.Add([]byte{0x40, 0x0c, 0, 0xff}, len(good))
	path := filepath.Join(f.TempDir(), "db")
	f.Fuzz(func(t *testing.T, flips []byte, cut int) {
		b := append([]byte(nil), good...)
		for ; len(flips) >= 4; flips = flips[4:] {
			at := (int(flips[0])<<16 | int(flips[1])<<8 | int(flips[2])) % len(b)
			b[at] ^= flips[3]
		}
		for _, page := range []int{0, os.Getpagesize()} {
			fixChecksum(b[page:])
		}
		if cut > 0 && cut < len(b) {
			b = b[:cut]
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var d damage
		if err := inspect(file); err != nil && !errors.As(err, &d) {
			t.Errorf("no verdict: %v", err)
		}
	})
}

func fixChecksum(page []byte) {
	body := page[pageHeader : pageHeader+metaSize]
	sum := fnv.New64a()
	sum.Write(body[:metaSize-8])
	binary.NativeEndian.PutUint64(body[metaSize-8:], sum.Sum64())
}
