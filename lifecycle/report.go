package lifecycle

// Report counts the acts of one step.
type Report struct {
	Skipped    bool  `json:"skipped"`     // another gateway has the lease
	Buckets    int   `json:"buckets"`     // with a turn that ended
	Rows       int   `json:"rows"`        // versions and uploads looked at
	Searched   int   `json:"searched"`    // cost of the settings read in search of a turn, in rows
	Expired    int   `json:"expired"`     // current objects that were deleted
	Removed    int   `json:"removed"`     // noncurrent versions that were removed for good
	Markers    int   `json:"markers"`     // delete markers that hid nothing
	Aborted    int   `json:"aborted"`     // uploads
	Moved      int   `json:"moved"`       // versions that have another storage class
	MovedBytes int64 `json:"moved_bytes"` // sealed
	Locked     int   `json:"locked"`      // versions that stay because of their lock
	Failed     int   `json:"failed"`      // versions with a failure; they are tried again
	More       bool  `json:"more"`        // there is work for another step now
}

// Changed is the number of versions and uploads that were changed.
func (r *Report) Changed() int { return r.Expired + r.Removed + r.Markers + r.Aborted + r.Moved }

// Add adds the counts of a later step, and takes its Skipped and More.
func (r *Report) Add(s Report) {
	r.Skipped, r.More = s.Skipped, s.More
	r.Buckets, r.Rows, r.Expired, r.Removed, r.Markers = r.Buckets+s.Buckets, r.Rows+s.Rows, r.Expired+s.Expired, r.Removed+s.Removed, r.Markers+s.Markers
	r.Searched += s.Searched
	r.Aborted, r.Moved, r.MovedBytes, r.Locked, r.Failed = r.Aborted+s.Aborted, r.Moved+s.Moved, r.MovedBytes+s.MovedBytes, r.Locked+s.Locked, r.Failed+s.Failed
}
