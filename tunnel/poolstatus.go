package tunnel

import "time"

// States of a link, as LinkStatus shows them.
const (
	LinkConnecting = "connecting"
	LinkUp         = "up"
	LinkWaiting    = "waiting" // a Keeper pauses before it dials again
	// LinkNeedsAuth is down, and stays so until a dial succeeds: a person must answer, or mend what the last one met (keys, an agent, known
	// hosts). A Keeper dials no more before a person has come, and nothing else should by itself: servers lock out who keeps failing.
	LinkNeedsAuth = "needs-auth"
	LinkDown      = "down" // none is needed now, or it was lost
)

// LinkStatus is what is known of the link to a target.
type LinkStatus struct {
	State      string        // one of the Link constants
	RTT        time.Duration // round trip, as last measured; 0 where none is
	Reconnects int           // how often the link came up again after it was lost
	Conns      int           // connections that the link has now
	Err        error         // why there is none: where State is LinkWaiting or LinkNeedsAuth, and where it is LinkConnecting for a Keeper that had one
	User       string        // as whom we are there; "" where the link is not up
	// Auth is by what the far side was convinced of that: "password", "the key /home/me/.ssh/id_ed25519 and keyboard-interactive"; "" where the
	// link is not up, or the far side asked for nothing.
	Auth string
}

// Status tells what is known of the link to the target of that key; false where none was ever asked for.
func (p *Pool) Status(key string) (LinkStatus, bool) {
	p.mu.Lock()
	h := p.history[key]
	e := p.entries[key]
	status := LinkStatus{State: LinkDown}
	var needs error
	if h != nil {
		status.Reconnects = h.reconnects
		needs = h.needs
	}
	var link *Link
	if e != nil && !e.over() {
		status.State = LinkConnecting
		if isClosed(e.ready) {
			status.State, link = LinkUp, e.link
			status.User, status.Auth = e.target.Last().User, e.how
		}
	}
	var keeper *Keeper // any: those with one target fare alike
	for k, of := range p.keepers {
		if of == key {
			keeper = k
			break
		}
	}
	p.mu.Unlock()
	if link != nil {
		status.RTT, status.Conns = link.RTT(), link.Conns()
	}
	if keeper != nil && status.State != LinkUp {
		is := keeper.Status()
		if is.State == LinkUp { // it has not heard yet of the link's end
			is.State = LinkConnecting
		}
		if status.Err = is.Err; status.State == LinkDown {
			status.State = is.State
		}
	}
	if needs != nil && status.State == LinkDown {
		status.State, status.Err = LinkNeedsAuth, needs
	}
	return status, h != nil || e != nil || keeper != nil
}

// enroll notes that a Keeper wants the target of that key.
func (p *Pool) enroll(k *Keeper, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepers[k] = key
}

// dismiss forgets a Keeper.
func (p *Pool) dismiss(k *Keeper) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keepers, k)
}

// welcome tells the Keepers that want a target that its link is up, whoever dialled it. The pool's mu is held.
func (p *Pool) welcome(key string) {
	for k, of := range p.keepers {
		if of == key {
			tap(k.joined)
		}
	}
}
