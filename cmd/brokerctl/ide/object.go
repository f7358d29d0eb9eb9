package ide

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	key   string
	value any // string, int, bool, object, list
}

// list is a JSON array of objects.
type list []object

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encode(m.key))
		b.WriteByte(':')
		b.Write(encode(m.value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// has tells whether o has a member of that key.
func (o object) has(key string) bool {
	for _, m := range o {
		if m.key == key {
			return true
		}
	}
	return false
}

// encode is v as one line of JSON without control characters. What objects hold can always be encoded.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return []byte(plainJSON(string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))))
}

// indented is one line of JSON over several lines; prefix stands before each but the first.
func indented(line []byte, prefix, unit string) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, line, prefix, unit); err != nil {
		panic(err)
	}
	return b.Bytes()
}
