package dap

import (
	"slices"
	"strconv"
)

// SetMembers returns m with members of the object at name: those of set have the JSON text given there, those of drop are gone, and all
// others stand as they stood. Where name is absent or no object, it becomes one. Where members have one name several times, in the body or in
// the object, no parser reads an old one. ok is false, and m is returned, where the body is no object that can be scanned.
//
// Members are set in the order of their names.
func SetMembers(m Message, name string, set map[string][]byte, drop []string) (out Message, ok bool) {
	body := m.Body()
	var fresh []byte
	names := make([]string, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	for i, n := range names {
		if i > 0 {
			fresh = append(fresh, ',')
		}
		fresh = append(strconv.AppendQuote(fresh, n), ':')
		fresh = append(fresh, set[n]...)
	}
	unwanted := func(mem member) bool {
		return slices.ContainsFunc(names, mem.is) || slices.ContainsFunc(drop, mem.is)
	}
	var places []span
	empty := true
	for mem, err := range members(body, span{0, len(body)}) {
		if err != nil {
			return m, false
		}
		empty = false
		if mem.is(name) {
			places = append(places, mem.value)
		}
	}
	patched := make([]byte, 0, len(body)+(1+len(places))*(len(fresh)+8))
	at := 0
	for _, p := range places {
		patched = append(patched, body[at:p.from]...)
		patched = appendObject(patched, body, p, fresh, unwanted)
		at = p.to
	}
	if len(places) == 0 { // right after the opening brace
		at = space(body, 0, len(body)) + 1
		patched = append(patched, body[:at]...)
		patched = append(strconv.AppendQuote(patched, name), ":{"...)
		patched = append(append(patched, fresh...), '}')
		if !empty {
			patched = append(patched, ',')
		}
	}
	patched = append(patched, body[at:]...)
	return reframe(m, patched)
}

// appendObject appends the object of body at p without unwanted members and with fresh ones.
func appendObject(dst, body []byte, p span, fresh []byte, unwanted func(member) bool) []byte {
	dst = append(append(dst, '{'), fresh...)
	some := len(fresh) > 0
	start := len(dst)
	for mem, err := range members(body, p) {
		if err != nil { // no object, or one that breaks off
			dst = dst[:start]
			break
		}
		if unwanted(mem) {
			continue
		}
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(append(dst, mem.name...), ':')
		dst = append(dst, mem.value.of(body)...)
	}
	return append(dst, '}')
}
