package adapters

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/debugbroker/debugbroker/adapters/cdp"
)

// nodeTalk is what is said to node's inspector beside the front ends.
type nodeTalk struct {
	mu   sync.Mutex
	path string // of the websocket; guarded by mu
}

// nodeExchange bounds a conversation.
const nodeExchange = 10 * time.Second

func (n *nodeTalk) announced(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.path = path
}

func (n *nodeTalk) wsPath() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.path
}

// findPath asks a server that was there before us for its websocket.
func (n *nodeTalk) findPath(ctx context.Context, dial Dial) (Started, error) {
	ctx, cancel := context.WithTimeout(ctx, nodeExchange)
	defer cancel()
	conn, err := dial(ctx)
	if err != nil {
		return Started{}, fmt.Errorf("dial inspector: %w", err)
	}
	paths, err := cdp.List(ctx, conn)
	switch {
	case errors.Is(err, cdp.ErrHidden):
		return Started{}, &Error{
			Code: NotFound, Message: "the inspector hides its websocket's path",
			Hint: "start node without --inspect-publish-uid, or with stderr,http",
		}
	case err != nil:
		return Started{}, err
	case len(paths) == 0:
		return Started{}, &Error{Code: NotFound, Message: "the inspector has nothing to debug", Hint: "see /json/list on its port"}
	}
	n.announced(paths[0])
	return Started{WSPath: paths[0]}, nil
}

// afterLast lets a program go on that was started to wait and that no front end has let run. Everything else node does by itself:
// breakpoints and pauses go with the session that made them (node 20).
//
// Debugger.enable is left out: with it, the program would stop at its first line for this very session.
func (n *nodeTalk) afterLast(ctx context.Context, dial Dial) error {
	ctx, cancel := context.WithTimeout(ctx, nodeExchange)
	defer cancel()
	// A node that takes no connection any more has ended: it does as soon as the last front end of an ended program goes.
	conn, err := dial(ctx)
	if err != nil {
		return context.Cause(ctx)
	}
	c, err := cdp.New(ctx, conn, n.wsPath())
	if err != nil {
		return context.Cause(ctx)
	}
	defer c.Close()
	if err := c.Call(ctx, "Runtime.runIfWaitingForDebugger", nil, nil); err != nil {
		return fmt.Errorf("let the program run: %w", err)
	}
	return nil
}
