package broker

import (
	"slices"

	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// hold notes that a process is the session's own. Only the session's goroutine calls it.
func (s *session) hold(id tunnel.ProcessID) {
	var ids []tunnel.ProcessID
	if old := s.held.Load(); old != nil {
		ids = slices.Clone(*old)
	}
	ids = append(ids, id)
	s.held.Store(&ids)
}

// holder is the open session other than s whose debuggee or debug server p is. A host goes by many names, so a process is told by its
// boot id and start time where these are known of the other's.
func (b *Broker) holder(s *session, p *process) (api.Session, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.sessions {
		v := o.view.Load()
		if o == s || v.Phase.Ended() {
			continue
		}
		if v.Host == s.req.Host && v.PID != nil && *v.PID == p.PID {
			return *v, true
		}
		if ids := o.held.Load(); ids != nil && slices.Contains(*ids, p.info.ID) {
			return *v, true
		}
	}
	return api.Session{}, false
}
