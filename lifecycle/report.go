package lifecycle

// Report is what one step did.
type Report struct {
	Skipped    bool  `json:"skipped"`     // another gateway does it
	Buckets    int   `json:"buckets"`     // whose turn has ended
	Rows       int   `json:"rows"`        // versions and uploads looked at
	Expired    int   `json:"expired"`     // current objects that were deleted
	Removed    int   `json:"removed"`     // noncurrent versions that were removed for good
	Markers    int   `json:"markers"`     // delete markers that hid nothing
	Aborted    int   `json:"aborted"`     // uploads
	Moved      int   `json:"moved"`       // versions that have another storage class
	MovedBytes int64 `json:"moved_bytes"` // sealed
	Locked     int   `json:"locked"`      // versions that stay because of their lock
	Failed     int   `json:"failed"`      // versions with which something failed; they are tried again
	More       bool  `json:"more"`        // another step has work at once
}

// Changed is how many versions and uploads are no longer what they were.
func (r *Report) Changed() int { return r.Expired + r.Removed + r.Markers + r.Aborted + r.Moved }

// Add sums up steps; Skipped and More are those of the last.
func (r *Report) Add(s Report) {
	r.Skipped, r.More = s.Skipped, s.More
	r.Buckets, r.Rows, r.Expired, r.Removed, r.Markers = r.Buckets+s.Buckets, r.Rows+s.Rows, r.Expired+s.Expired, r.Removed+s.Removed, r.Markers+s.Markers
	r.Aborted, r.Moved, r.MovedBytes, r.Locked, r.Failed = r.Aborted+s.Aborted, r.Moved+s.Moved, r.MovedBytes+s.MovedBytes, r.Locked+s.Locked, r.Failed+s.Failed
}
