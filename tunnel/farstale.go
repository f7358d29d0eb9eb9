package tunnel

import "context"

// removeStaleFar removes a unix socket of the login user's that nobody listens on. sshd leaves the one behind that it made, unless its
// StreamLocalBindUnlink is set, and does then not listen there again. A socket that a dial reaches, or that the kernel lists, is a live one; where
// neither can tell, it stays. Nothing of it is an error: the request to listen tells what is wrong.
func (l *Link) removeStaleFar(ctx context.Context, path string) {
	if live, err := l.dial(ctx, "unix", path); err == nil {
		_ = live.Close()
		return
	}
	var s script
	text, err := s.set("dbk_p", path).include("stale").done()
	if err != nil {
		return
	}
	_, _ = newShellHost("", l, nil, func() {}).Run(ctx, text)
}
