package adapters

// Recognise is as in Adapter.
func (jdwp) Recognise(r Running) (Found, bool) { return Found{}, false }
