package proxy

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	refusalsPerSpell = 20 // refusals that are told one by one in each spell, so that a hostile local user cannot flood the record
	spell            = time.Minute
)

// events tells the owner what happens, one call at a time and in order. Its lock is for that order only; nothing else is under it, not
// even the log, which may wait for a disk.
type events struct {
	onEvent   func(kind, text string)
	onClients func(n int)
	log       hclog.Logger

	mu       sync.Mutex
	clients  int
	begun    time.Time // of the spell
	refusals int       // in this spell
}

func (e *events) refused(reason string) {
	e.log.Debug("front end refused", "reason", reason)
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := time.Now(); now.Sub(e.begun) > spell {
		if hidden := e.refusals - refusalsPerSpell; hidden > 0 {
			e.tell(EventRefused, fmt.Sprintf("%d further connections", hidden))
		}
		e.begun, e.refusals = now, 0
	}
	if e.refusals++; e.refusals <= refusalsPerSpell {
		e.tell(EventRefused, reason)
	}
}

func (e *events) arrive() {
	e.log.Debug("front end attached")
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clients++
	e.tell(EventAttached, "a front end attached")
	e.count()
}

func (e *events) leave(reason string) {
	e.log.Debug("front end detached", "reason", reason)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clients--
	e.tell(EventDetached, reason)
	e.count()
}

func (e *events) tell(kind, text string) {
	if e.onEvent != nil {
		e.onEvent(kind, text)
	}
}

func (e *events) count() {
	if e.onClients != nil {
		e.onClients(e.clients)
	}
}
