package adapters

// Recognise is as in Adapter.
func (node) Recognise(r Running) (Found, bool) { return Found{}, false }
