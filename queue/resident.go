package queue

import "golang.org/x/sys/unix"

// letGoEvery is after how many commits the mapped pages are let go. A commit of a thousand messages touches some 160 KB, so a
// process holds about 10 MB of the file at most; doing it costs a commit less than a microsecond on average.
const letGoEvery = 64

// letGo gives the pages of the map back to the kernel, which would otherwise count them as this process's memory until it runs short:
// all 165 MB of a backlog of a million that was read once. They stay in the page cache, so what is needed again costs no read. What is
// mapped is never written through the map: nothing can be lost. The caller has the turn, or nobody else the queue: the map doesn't move.
func (s *store) letGo(fileSize int64) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, s.db.Info().Data, uintptr(fileSize), unix.MADV_DONTNEED) // nothing depends on it
}

// committed counts a commit.
func (s *store) committed(fileSize int64) {
	if s.commits++; s.commits%letGoEvery == 0 {
		s.letGo(fileSize)
	}
}
