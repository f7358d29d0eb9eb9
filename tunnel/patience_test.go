package tunnel

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPatience(t *testing.T) {
	const step = 10 * time.Second
	tests := []struct {
		name  string
		do    func(p *patience)
		at    time.Duration // when it runs out; 0: never
		asked bool
	}{
		{"nothing happens", func(*patience) {}, step, false},
		{"a further stretch", func(p *patience) { time.Sleep(step - 1); p.next(30 * time.Second) }, step - 1 + 30*time.Second, false},
		{"a question", func(p *patience) { p.ask() }, maxAsking, true},
		{"an answer", func(p *patience) { answered := p.ask(); time.Sleep(time.Minute); answered() }, time.Minute + step, false},
		{"an answer, twice", func(p *patience) { answered := p.ask(); answered(); answered(); p.ask() }, maxAsking, true},
		{"a question in a question", func(p *patience) { p.ask(); p.ask()(); p.next(step) }, maxAsking, true},
		{"many questions are one time", func(p *patience) {
			for range 11 {
				answered := p.ask()
				time.Sleep(9 * time.Second)
				answered()
			}
			p.ask()
		}, maxAsking, true},
		{"over", func(p *patience) { p.stop() }, 0, false},
		{"keys are exchanged again when it is over", func(p *patience) { p.stop(); p.next(step); p.ask()() }, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				out := make(chan time.Duration, 1)
				p := newPatience(step, func() { out <- time.Since(began) })
				test.do(p)
				select {
				case at := <-out:
					if lost, asked := p.ranOut(); at != test.at || !lost || asked != test.asked || p.stop() {
						t.Errorf("ran out after %s (%v, %v), want %s, asked %v", at, lost, asked, test.at, test.asked)
					}
				case <-time.After(time.Hour):
					if lost, _ := p.ranOut(); test.at != 0 || lost {
						t.Errorf("never ran out, want %s", test.at)
					}
				}
			})
		})
	}
}
