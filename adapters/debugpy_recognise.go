package adapters

// Recognise is as in Adapter.
func (debugpy) Recognise(r Running) (Found, bool) { return Found{}, false }
