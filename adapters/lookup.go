package adapters

import "strings"

// Lookup finds an adapter of the list by its name or by an alias, in any case.
func Lookup(list []Adapter, name string) (Adapter, bool) {
	for _, a := range list {
		if strings.EqualFold(a.Name(), name) {
			return a, true
		}
		for _, alias := range a.Aliases() {
			if strings.EqualFold(alias, name) {
				return a, true
			}
		}
	}
	return nil, false
}
