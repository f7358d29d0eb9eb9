package store

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Flags of pages and leaf elements, and sizes of elements. Source: as for inspect.
const (
	branchPageFlag   = 0x01
	leafPageFlag     = 0x02
	freelistPageFlag = 0x10
	bucketLeafFlag   = 0x01
	elementSize      = 16 // of branch and leaf pages alike
	bucketHeader     = 16 // root page id, sequence
)

// walker visits each page of the tree and the freelist as plain bytes. bbolt's own check believes counts, lengths and page ids: one
// flipped bit in a page's overflow has it fill a map with 2^31 entries before it says a word.
type walker struct {
	f       io.ReaderAt
	meta    meta
	claimed []bool // by page id
}

// walk checks that every page below the high-water mark belongs to exactly one thing, and that no element reaches out of its page.
func walk(f io.ReaderAt, m meta) error {
	w := &walker{f: f, meta: m, claimed: make([]bool, m.highWater)}
	w.claimed[0], w.claimed[1] = true, true
	if err := w.tree(m.root); err != nil {
		return err
	}
	if err := w.freelist(m.freelist); err != nil {
		return err
	}
	for id, ok := range w.claimed {
		if !ok {
			return damagef("page %d belongs to nothing", id)
		}
	}
	return nil
}

func (w *walker) claim(id, n uint64) error {
	if id < 2 || id >= w.meta.highWater || n > w.meta.highWater-id {
		return damagef("page %d is outside the file", id)
	}
	for i := id; i < id+n; i++ {
		if w.claimed[i] {
			return damagef("page %d belongs to two things", i)
		}
		w.claimed[i] = true
	}
	return nil
}

// page claims and reads a page with those that it runs on into.
func (w *walker) page(id uint64) ([]byte, error) {
	if err := w.claim(id, 1); err != nil {
		return nil, err
	}
	var head [pageHeader]byte
	if _, err := w.f.ReadAt(head[:], int64(id)*w.meta.pageSize); err != nil {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	if binary.NativeEndian.Uint64(head[:]) != id {
		return nil, damagef("page %d does not bear its number", id)
	}
	overflow := uint64(binary.NativeEndian.Uint32(head[12:]))
	if overflow > 0 {
		if err := w.claim(id+1, overflow); err != nil {
			return nil, err
		}
	}
	b := make([]byte, int64(overflow+1)*w.meta.pageSize) // no larger than the file: claim saw to that
	if _, err := w.f.ReadAt(b, int64(id)*w.meta.pageSize); err != nil {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	return b, nil
}

// tree visits a page and all below it. It ends since no page is claimed twice.
func (w *walker) tree(id uint64) error {
	b, err := w.page(id)
	if err != nil {
		return err
	}
	return w.elements(id, b)
}

// elements visits the elements of a branch or leaf page, which may be one inside a value (an inline bucket) of page id.
func (w *walker) elements(id uint64, b []byte) error {
	order := binary.NativeEndian
	if len(b) < pageHeader {
		return damagef("a bucket in page %d is cut short", id)
	}
	flags, count := order.Uint16(b[8:]), int(order.Uint16(b[10:]))
	if flags != branchPageFlag && flags != leafPageFlag {
		return damagef("page %d is of no kind that belongs there (%#x)", id, flags)
	}
	if pageHeader+count*elementSize > len(b) {
		return damagef("page %d holds more elements than it has room for", id)
	}
	for i := range count {
		at := pageHeader + i*elementSize
		e := b[at : at+elementSize]
		if flags == branchPageFlag {
			if !fits(b, at, order.Uint32(e), order.Uint32(e[4:]), 0) {
				return damagef("an element of page %d reaches out of it", id)
			}
			if err := w.tree(order.Uint64(e[8:])); err != nil {
				return err
			}
			continue
		}
		pos, klen, vlen := order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
		if !fits(b, at, pos, klen, vlen) {
			return damagef("an element of page %d reaches out of it", id)
		}
		if order.Uint32(e)&bucketLeafFlag != 0 {
			start := at + int(pos) + int(klen)
			if err := w.bucket(id, b[start:start+int(vlen)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucket visits what a bucket's entry in a leaf page points to.
func (w *walker) bucket(id uint64, value []byte) error {
	if len(value) < bucketHeader {
		return damagef("a bucket in page %d is cut short", id)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.tree(root)
	}
	inline := value[bucketHeader:]
	if len(inline) >= pageHeader && binary.NativeEndian.Uint16(inline[8:]) != leafPageFlag {
		return damagef("a bucket in page %d is of no kind that belongs there", id)
	}
	return w.elements(id, inline)
}

// fits tells whether key and value of the element at offset at of b, pos bytes from there, are within b and behind the header.
func fits(b []byte, at int, pos, klen, vlen uint32) bool {
	return uint64(pos) >= elementSize && uint64(at)+uint64(pos)+uint64(klen)+uint64(vlen) <= uint64(len(b))
}

// freelist claims the freelist's pages and those that it names.
func (w *walker) freelist(id uint64) error {
	b, err := w.page(id)
	if err != nil {
		return err
	}
	order := binary.NativeEndian
	if order.Uint16(b[8:]) != freelistPageFlag {
		return damagef("page %d is not the list of free pages", id)
	}
	ids, count := b[pageHeader:], uint64(order.Uint16(b[10:]))
	if count == 0xFFFF { // too many for the header: the first element tells
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return damagef("the list of free pages is longer than its page")
	}
	for i := range count {
		if err := w.claim(order.Uint64(ids[i*8:]), 1); err != nil {
			return err
		}
	}
	return nil
}
