package broker

import "crypto/rand"

// idAlphabet leaves out what people mistake for something else when they read an id aloud: 0 and o, 1 and l and i.
const idAlphabet = "abcdefghjkmnpqrstuvwxyz23456789"

// newID returns a session id of six letters and digits that taken does not know.
func newID(taken func(string) bool) string {
	for {
		var b [6]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		for i := range b {
			b[i] = idAlphabet[int(b[i])%len(idAlphabet)]
		}
		if id := string(b[:]); !taken(id) {
			return id
		}
	}
}
