package proxy

import (
	"context"
	"errors"
	"sync"
)

// Why a further front end is refused. The words reach the user through the front end.
var (
	errOccupied = errors.New("another front end is attached to this session; this debug server serves one at a time")
	errTaken    = errors.New("another front end is attached to this subprocess")
)

// seats keeps who is who on a port whose server serves one front end, and further connections for subprocesses that it announced.
//
// How debugpy behaves (measured with 1.6.3): initialize on a further connection is answered by the adapter alone and disturbs nobody;
// attach without subProcessId fails or is never answered while another connection has the process; the main connection may leave while
// those of subprocesses stay, and a new one may come.
type seats struct {
	mu        sync.Mutex
	main      *seat         // holds the one front end's place
	guests    int           // undecided seats beside it
	announced map[int]*seat // process id -> who has it, nil: nobody
	taken     int           // seats at all
	leaving   int           // of them, those whose front end has gone
	changed   chan struct{}
}

// seat is the place of one connection.
type seat struct {
	all     *seats
	role    role
	pid     int  // of a child
	leaving bool // its front end has gone; the server is being told
}

type role string

const (
	roleMain      role = "main" // has, or keeps free for itself, the one front end's place
	roleUndecided role = "undecided"
	roleChild     role = "child"
)

func newSeats() *seats {
	return &seats{announced: map[int]*seat{}, changed: make(chan struct{})}
}

// take finds a place for a connection. The first gets the front end's; another may stay undecided while there are subprocesses that
// nobody has.
func (s *seats) take(ctx context.Context) (one *seat, err error) {
	return one, s.patiently(ctx, func() error {
		one, err = s.place()
		return err
	})
}

// patiently calls try, with mu held, until it does not fail, and waits in between for those who are leaving, and a moment for those
// who may be: a front end that comes back at once is often seen before its old connection's end.
func (s *seats) patiently(ctx context.Context, try func() error) error {
	hurry, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	patience, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	for {
		s.mu.Lock()
		err := try()
		wait := hurry
		if s.leaving > 0 {
			wait = patience
		}
		changed := s.changed
		s.mu.Unlock()
		if err == nil {
			return nil
		}
		select {
		case <-changed:
		case <-wait.Done():
			return err
		}
	}
}

// place must be called with mu held.
func (s *seats) place() (*seat, error) {
	one := &seat{all: s, role: roleMain}
	switch {
	case s.main == nil:
		s.main = one
	case s.free() > s.guests:
		one.role = roleUndecided
		s.guests++
	default:
		return nil, errOccupied
	}
	s.taken++
	return one, nil
}

// free counts the announced subprocesses that nobody has. mu is held.
func (s *seats) free() (n int) {
	for _, owner := range s.announced {
		if owner == nil {
			n++
		}
	}
	return n
}

// announce notes that a front end was told of a subprocess. It returns false if there are too many to keep.
func (s *seats) announce(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.announced[pid]; !ok {
		if len(s.announced) >= maxAnnounced {
			return false
		}
		s.announced[pid] = nil
		s.change()
	}
	return true
}

// attach decides what a connection is by what it attaches to; pid is 0 where it named no subprocess.
func (o *seat) attach(ctx context.Context, pid int) error {
	return o.all.patiently(ctx, func() error { return o.decide(pid) })
}

// decide must be called with mu held.
func (o *seat) decide(pid int) error {
	s := o.all
	if o.role == roleChild {
		return nil // the server refuses a second attach itself
	}
	if owner, ok := s.announced[pid]; ok {
		if owner != nil {
			return errTaken
		}
		s.vacate(o)
		o.role, o.pid = roleChild, pid
		s.announced[pid] = o
		s.change()
		return nil
	}
	if s.main != nil && s.main != o {
		return errOccupied
	}
	s.vacate(o)
	o.role, s.main = roleMain, o
	return nil
}

// vacate takes o from where it sat. mu is held.
func (s *seats) vacate(o *seat) {
	switch o.role {
	case roleMain:
		if s.main == o {
			s.main = nil
		}
	case roleUndecided:
		s.guests--
	case roleChild:
		s.announced[o.pid] = nil
	}
}

// leave says that the front end has gone; the place is kept until it is free.
func (o *seat) leave() {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	if !o.leaving {
		o.leaving = true
		o.all.leaving++
		o.all.change()
	}
}

// release gives the place to others.
func (o *seat) release() {
	s := o.all
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vacate(o)
	if o.leaving {
		s.leaving--
	}
	if s.taken--; s.taken == 0 { // whoever attaches next is told anew
		clear(s.announced)
	}
	s.change()
}

// change must be called with mu held.
func (s *seats) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}
