package ide

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// mergeXML replaces a run configuration's file, which is ours alone, if it is ours.
func (c Config) mergeXML(old []byte) ([]byte, error) {
	if len(bytes.TrimSpace(old)) == 0 || bytes.Equal(old, []byte(c.Text)) {
		return []byte(c.Text), nil
	}
	names := 0
	d := xml.NewDecoder(bytes.NewReader(old))
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			line, column := d.InputPos()
			return nil, broken(fmt.Sprintf(":%d:%d: %v", line, column, err))
		}
		start, ok := t.(xml.StartElement)
		if !ok || start.Name.Local != "configuration" {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == "name" && a.Value != c.Name {
				return nil, broken(fmt.Sprintf(": it has another configuration, %q", printable(a.Value)))
			}
		}
		names++
	}
	if names != 1 {
		return nil, broken(": it holds no run configuration of ours")
	}
	return []byte(c.Text), nil
}
