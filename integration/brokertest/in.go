package brokertest

import "testing"

// In is the same Broker for a subtest, which is then the one that fails.
func (b *Broker) In(t testing.TB) *Broker {
	c := *b
	c.t = t
	return &c
}

// Dir is the broker's own directory, where its brokerctl runs; tests may put files into it.
func (b *Broker) Dir() string { return b.dir }

// Mark is what everything that the Broker starts bears in its environment, see package sandbox.
func (b *Broker) Mark() string { return b.mark }

// Decode decodes the one JSON document of an output.
func Decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	decode(t, text, &v)
	return v
}
