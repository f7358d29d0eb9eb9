package broker

import (
	"context"
	"time"

	"github.com/debugbroker/debugbroker/adapters"
	"github.com/debugbroker/debugbroker/broker/api"
	"github.com/debugbroker/debugbroker/tunnel"
)

// languageTimeout is for interpreters that are asked one after the other, each of which may be slow.
const languageTimeout = time.Minute

// language examines what one language needs on the host.
func (d *doctor) language(ctx context.Context, host tunnel.Host, f tunnel.Facts, a adapters.Adapter) {
	examiner, ok := a.(adapters.Examiner)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, languageTimeout)
	defer cancel()
	req := adapters.Request{
		Host:         adapters.Host{OS: f.OS, Home: f.Home, Path: f.Path, OtherUsers: f.OtherUsers},
		Interpreters: d.b.interpreters(a.Name()), Facts: make(map[string]string),
	}
	if d.req.Host == "" && d.req.Caller.Path != "" {
		req.Host.Path = d.req.Caller.Path // as open does it
	}
	for _, c := range examiner.Examine(req) {
		res, err := host.Run(ctx, c.Script)
		if err != nil {
			d.fail(a.Name(), err, "the host answers too slowly; try again")
			return
		}
		req.Facts[c.Key] = string(res.Stdout)
	}
	for _, f := range examiner.Findings(req) {
		d.found(api.Check{Check: f.Check, OK: f.OK, Detail: oneLine(f.Detail), Hint: oneLine(f.Hint)})
	}
}
