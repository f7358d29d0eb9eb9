package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

// muxPlace is one end of a forward as a ControlMaster has it: a host and a port, or a socket's path and muxStreamlocal.
type muxPlace struct {
	Host string
	Port uint32
}

// muxForward is a forward that a ControlMaster keeps for whoever asked for it, until that one, or another, has it closed: the end of the control
// connection does not (PROTOCOL.mux, 6 and 7). It is found again by all that it was asked for with, a port of 0 included.
type muxForward struct {
	Kind            uint32
	Listen, Connect muxPlace
}

// muxRefusal is the answer of a master that does not do what it was asked for.
type muxRefusal struct {
	denied bool // its user was asked, and said no (ControlMaster ask)
	reason string
}

func (e *muxRefusal) Error() string { return "the ControlMaster refuses: " + quoteRemote(e.reason) }

func muxRefused(kind uint32, body []byte) *muxRefusal {
	var answer struct {
		ID     uint32
		Reason string
	}
	_ = ssh.Unmarshal(body, &answer)
	return &muxRefusal{kind == muxDenied, answer.Reason}
}

// askForward has the master at path open or close (what) a forward. port is what the server chose where port 0 was asked for.
//
// The server's answer to a forward of its own takes its time, and a forward whose answer nobody heard stays: it is waited for until cancelWait after
// over is closed. All else is the master's own, and has masterTimeout.
func askForward(path string, what uint32, f muxForward, over <-chan struct{}) (port uint32, err error) {
	dialling, cancel := context.WithTimeout(context.Background(), masterTimeout)
	defer cancel()
	control, err := dialMaster(dialling, path)
	if err != nil {
		return 0, err
	}
	defer control.Close()
	_ = control.SetDeadline(time.Now().Add(masterTimeout))
	if err := muxGreet(control); err != nil {
		return 0, err
	}
	if what == muxOpenForward && f.Kind == muxRemote {
		_ = control.SetDeadline(time.Time{})
		answered, hushed := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(hushed)
			select {
			case <-over:
				_ = control.SetDeadline(time.Now().Add(cancelWait))
			case <-answered:
			}
		}()
		defer func() { close(answered); <-hushed }()
	}
	if err := muxSend(control, &struct {
		What, ID, Kind uint32
		ListenHost     string
		ListenPort     uint32
		ConnectHost    string
		ConnectPort    uint32
	}{what, 0, f.Kind, f.Listen.Host, f.Listen.Port, f.Connect.Host, f.Connect.Port}); err != nil {
		return 0, err
	}
	kind, body, err := muxReceive(control)
	switch {
	case err != nil:
		return 0, fmt.Errorf("the ControlMaster does not answer: %w", err)
	case kind == muxOK:
		return 0, nil
	case kind == muxRemotePort && len(body) == 8:
		return binary.BigEndian.Uint32(body[4:]), nil
	case kind == muxDenied || kind == muxFailure:
		return 0, muxRefused(kind, body)
	}
	return 0, fmt.Errorf("the ControlMaster answers with a message %#x", kind)
}

// closeForward has the master at path close a forward. It tells whether that is certain: where it does not answer, the forward may be there still.
func closeForward(path string, f muxForward) bool {
	_, err := askForward(path, muxCloseForward, f, nil)
	var refused *muxRefusal // it knows of none
	return err == nil || errors.Is(err, errNoMaster) || errors.As(err, &refused)
}

// lives tells whether the master still does its work: one that ends closes what it has open, and then itself.
func (m *masterConn) lives() bool {
	ctx, cancel := context.WithTimeout(context.Background(), masterTimeout)
	defer cancel()
	control, err := dialMaster(ctx, m.path)
	if err != nil {
		return false
	}
	defer control.Close()
	_ = control.SetDeadline(time.Now().Add(masterTimeout))
	if muxGreet(control) != nil || muxSend(control, &struct{ Kind, ID uint32 }{muxAliveCheck, 0}) != nil {
		return false
	}
	kind, _, err := muxReceive(control)
	return err == nil && kind == muxAlive
}

// SendRequest has the server listen, or listen no more, by way of a forward of the master. Nothing else is passed on.
func (m *masterConn) SendRequest(name string, _ bool, data []byte) (bool, []byte, error) {
	at, err := placeAsked(name, data)
	if err != nil {
		return false, nil, err
	}
	switch name {
	case "tcpip-forward", "streamlocal-forward@openssh.com":
		port, err := m.listen(at)
		var refused *muxRefusal
		switch {
		case err == nil:
			return true, ssh.Marshal(&struct{ Port uint32 }{port}), nil
		case !errors.As(err, &refused):
			return false, nil, err
		case refused.denied:
			return false, nil, hinted(fmt.Errorf("%w: %w", ErrForbidden, refused), "the ControlMaster asks its user about each forward (ControlMaster ask), who said no")
		}
		return false, nil, nil
	}
	return m.unlisten(at), nil, nil
}

// placeAsked reads a request to listen, or the end of one.
func placeAsked(name string, data []byte) (muxPlace, error) {
	var at muxPlace
	switch name {
	case "tcpip-forward", "cancel-tcpip-forward":
		err := ssh.Unmarshal(data, &at)
		if at.Host == "" {
			at.Host = "*" // channels.c, channel_rfwd_bind_host: with none, it would ask for loopback
		}
		return at, err
	case "streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com":
		var m struct{ Path string }
		err := ssh.Unmarshal(data, &m)
		return muxPlace{m.Path, muxStreamlocal}, err
	}
	return at, errors.New("a ControlMaster passes on no global request")
}

// answerless is an error of a master that did not answer, in which case nobody knows what it does.
func answerless(err error) bool {
	var refused *muxRefusal
	return err != nil && !errors.As(err, &refused) && !errors.Is(err, errNoMaster)
}
