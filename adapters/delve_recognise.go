package adapters

// Recognise is as in Adapter.
func (delve) Recognise(r Running) (Found, bool) { return Found{}, false }
