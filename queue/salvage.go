package queue

// salvage is replaced below.
func (q *Queue) salvage(damage error) (*store, error) { return nil, damage }
