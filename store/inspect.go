package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// The layout of a bbolt file, version 2: each page begins with a header (id 8 bytes, flags 2, count 2, overflow 4); pages 0 and 1
// are metas. Numbers are in the machine's byte order. Source: go.etcd.io/bbolt/internal/common, page.go and meta.go.
const (
	pageHeader   = 16
	metaSize     = 64
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	metaPageFlag = 0x04
	minPageSize  = 1 << 10
	maxPageSize  = 16 << 20
)

// meta is what inspect wants to know of a meta page.
type meta struct {
	pageSize   int64
	root       uint64
	freelist   uint64
	highWater  uint64 // the first page id that is not in use
	generation uint64 // transaction id
}

// openFile opens an existing database without waiting and without following a link, and looks at what kind of file it is.
func openFile(path string) (*os.File, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, damagef("it is not a file but a %s", kind(before.Mode()))
	}
	// O_NONBLOCK: should a fifo have taken the file's place by now, opening it must not hang.
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = damagef("it is not a file but a %s", kind(info.Mode()))
	default:
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
			err = damagef("it belongs to another user (uid %d)", st.Uid)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	default:
		return "device"
	}
}

// inspect looks at a file's size, meta pages and page structure. It reads and does not map, so nothing in the file can hurt.
func inspect(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size == 0 {
		return damagef("it is empty")
	}
	first, err := readMeta(f, 0, 0)
	if err != nil {
		return err
	}
	second, err := readMeta(f, first.pageSize, 1)
	if err != nil {
		return err
	}
	if second.pageSize != first.pageSize {
		return damagef("its meta pages contradict each other")
	}
	// A commit writes the meta page that the other one is not, with the next transaction's id.
	if first.generation != second.generation+1 && second.generation != first.generation+1 {
		return damagef("its meta pages are not of consecutive transactions")
	}
	for _, m := range []meta{first, second} {
		if m.root < 2 || m.root >= m.highWater || m.freelist < 2 || m.freelist >= m.highWater {
			return damagef("a meta page points outside the file")
		}
		if m.highWater > uint64(size/m.pageSize) {
			return damagef("it is cut short: %d bytes where %d pages of %d are in use", size, m.highWater, m.pageSize)
		}
	}
	if second.generation > first.generation {
		return walk(f, second)
	}
	return walk(f, first)
}

// readMeta reads and checks the meta page id at an offset.
func readMeta(f io.ReaderAt, offset int64, id uint64) (meta, error) {
	var page [pageHeader + metaSize]byte
	if n, err := f.ReadAt(page[:], offset); errors.Is(err, io.EOF) {
		if id == 0 && n > 0 && !hasMagic(page[:n]) {
			return meta{}, foreign(page[:n])
		}
		return meta{}, damagef("it is cut short within its meta pages")
	} else if err != nil {
		return meta{}, fmt.Errorf("read meta page %d: %w", id, err)
	}
	if id == 0 && !hasMagic(page[:]) {
		return meta{}, foreign(page[:])
	}
	order, body := binary.NativeEndian, page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(body[:metaSize-8])
	m := meta{
		pageSize:   int64(order.Uint32(body[8:])),
		root:       order.Uint64(body[16:]),
		freelist:   order.Uint64(body[32:]),
		highWater:  order.Uint64(body[40:]),
		generation: order.Uint64(body[48:]),
	}
	switch {
	case !hasMagic(page[:]) || sum.Sum64() != order.Uint64(body[metaSize-8:]):
		return meta{}, damagef("meta page %d does not hold its checksum", id)
	case order.Uint32(body[4:]) != metaVersion:
		return meta{}, damagef("it is of bbolt format %d, not %d", order.Uint32(body[4:]), metaVersion)
	case order.Uint64(page[:]) != id || order.Uint16(page[8:]) != metaPageFlag || m.generation%2 != id:
		return meta{}, damagef("meta page %d does not say that it is one", id)
	case m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0:
		return meta{}, damagef("its page size, %d, is none", m.pageSize)
	}
	return m, nil
}

func hasMagic(page []byte) bool {
	return len(page) >= pageHeader+4 && binary.NativeEndian.Uint32(page[pageHeader:]) == metaMagic
}

func foreign(start []byte) error {
	return damagef("it is not a database of brokerd: it begins with %.40q", start[:min(len(start), 16)])
}
