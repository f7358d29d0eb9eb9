package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/debugbroker/debugbroker/tunnel"
)

// patient bounds work by a limit that begins anew after each answer of a person; package tunnel bounds how long those may take. ask may be nil.
func patient(ctx context.Context, limit time.Duration, ask tunnel.Ask) (context.Context, tunnel.Ask, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(context.DeadlineExceeded) })
	end := func() { timer.Stop(); cancel(nil) }
	if ask == nil {
		return ctx, nil, end
	}
	return ctx, func(actx context.Context, p tunnel.Prompt) (string, error) {
		timer.Stop()
		defer func() {
			if ctx.Err() == nil {
				timer.Reset(limit)
			}
		}()
		return ask(actx, p)
	}, end
}

// late is err, and says so where it was patient's limit that ended the work.
func late(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) && errors.Is(err, context.Canceled) {
		return fmt.Errorf("connect: %w", context.DeadlineExceeded)
	}
	return err
}
