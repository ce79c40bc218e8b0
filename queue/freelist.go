package queue

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// A clean stop leaves bbolt's list of free pages, which bbolt takes for true when it opens the file: with a wrong number in it the next
// commit would write over a page that is in use. So its checksum is kept in the lock file, and CheckFile compares it with the tree.
//
// The list is a page of its own kind: the numbers of the free pages, rising, as many as the header counts; with a count of 0xFFFF the
// first of them is the count.
const (
	flagFree  = 0x10
	countNext = 0xFFFF
	noList    = 1<<64 - 1 // in the meta page: none was written
)

// listSum returns the checksum of the list of free pages that lies in the file, as it is written to the lock file; "" if there is none or
// it can't be read.
func listSum(path string) string {
	p, err := openPages(path)
	if p != nil {
		defer p.close()
	}
	if err != nil {
		return ""
	}
	return p.listSum()
}

func (p *pageFile) listSum() string {
	if p.list == noList {
		return ""
	}
	b, err := p.bytes(p.list)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli))
}

// mark notes the pages of n bytes from the page id on.
func (p *pageFile) mark(pages map[uint64]bool, id uint64, n int) {
	for i := range uint64(n) / uint64(p.pageSize) {
		pages[id+i] = true
	}
}

// checkList compares the list of free pages, if there is one, with the pages that are in use.
func (p *pageFile) checkList(live map[uint64]bool) error {
	if p.list == noList {
		return nil
	}
	b, err := p.bytes(p.list)
	if err != nil {
		return fmt.Errorf("the list of free pages: %w", err)
	}
	if order.Uint16(b[8:]) != flagFree {
		return errors.New("the list of free pages is none")
	}
	p.mark(live, p.list, len(b))
	count, b := uint64(order.Uint16(b[10:])), b[pageHeader:]
	if count == countNext {
		count, b = order.Uint64(b), b[8:]
	}
	if count > uint64(len(b))/8 {
		return fmt.Errorf("the list of free pages claims %d", count)
	}
	last := uint64(1) // 0 and 1 are the meta pages
	for i := range count {
		id := order.Uint64(b[8*i:])
		if id <= last || id >= p.end || live[id] {
			return fmt.Errorf("the list of free pages has page %d, which is not free", id)
		}
		last = id
	}
	return nil
}
