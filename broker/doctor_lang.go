package broker

import (
	"context"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/tunnel"
)

// language examines what one language needs on the host.
func (d *doctor) language(ctx context.Context, host tunnel.Host, f tunnel.Facts, a adapters.Adapter) {
}
