package api

import (
	"encoding/xml"
	"time"

	"github.com/sanctum-storage/gateway/access"
	"github.com/sanctum-storage/gateway/engine"
	"github.com/sanctum-storage/gateway/meta"
	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// retention is a Retention document.
type retention struct {
	XMLName         xml.Name `xml:"Retention"`
	Mode            string   `xml:"Mode,omitempty"`
	RetainUntilDate string   `xml:"RetainUntilDate,omitempty"`
}

// getObjectRetention shows the retention of a version.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html
func getObjectRetention(s *Server, r *Request) (*Reply, error) {
	o, err := s.lockOf(r)
	if err != nil {
		return nil, err
	}
	lock := o.Marks.Lock
	if lock.Mode == meta.LockNone {
		return nil, s3err.New(s3err.NoSuchObjectLockConfiguration, "").With("Key", r.Target.Key)
	}
	return &Reply{XML: retention{Mode: lockModeName(lock.Mode), RetainUntilDate: lock.Until.UTC().Format(timeForm)}}, nil
}

// putObjectRetention sets or extends the retention of a version. An empty
// document removes one that has expired or that the sender may override.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html
func putObjectRetention(s *Server, r *Request) (*Reply, error) {
	ref, err := r.lockedVersion()
	if err != nil {
		return nil, err
	}
	mode, err := r.asked.lockMode.get()
	if err != nil {
		return nil, err
	}
	until, err := r.asked.lockUntil.get()
	if err != nil {
		return nil, err
	}
	o, err := s.engine.Retain(r.Context(), r.target(ref), mode, until, r.bypasses())
	if err != nil {
		return nil, err
	}
	return &Reply{Header: versionHeader(o.Version)}, nil
}

// retentionDocument reads a Retention document.
var retentionDocument = documentFacts{
	keys: openKeys("s3:object-lock-mode", "s3:object-lock-retain-until-date", "s3:object-lock-remaining-retention-days"),
	read: func(r *Request) {
		// The headers that lock a new object have no meaning for an existing
		// one.
		r.asked.lockMode, r.asked.lockUntil = said[meta.LockMode]{}, said[time.Time]{}
		var doc struct {
			retention
			eventHold
		}
		err := decodeXML(r.XML, "Retention", &doc)
		if err == nil {
			err = doc.eventHold.check()
		}
		if err != nil {
			r.asked.lockMode.err = err
			return
		}
		if doc.Mode == "" && doc.RetainUntilDate == "" {
			return
		}
		date := strict.InElement(doc.RetainUntilDate)
		if _, ok := strict.DateTime(date); !ok || lockModes[doc.Mode] == meta.LockNone {
			r.asked.lockMode.err = s3err.MalformedXML
			return
		}
		r.asked.lockMode, r.asked.lockUntil = saying(lockModes[doc.Mode], nil), saying(r.retainUntil(date))
	},
}

// eventHold is the part of a Retention document about a hold until an event.
type eventHold struct {
	Status   string             `xml:"EventHold"`
	Duration *eventHoldDuration `xml:"EventHoldDuration"`
}

type eventHoldDuration struct {
	Days  *int `xml:"Days"`
	Years *int `xml:"Years"`
}

// check refuses event holds. A client must not think that one is in effect.
func (h *eventHold) check() error {
	if h.Status != "" && h.Status != holdOn && h.Status != holdOff {
		return s3err.MalformedXML
	}
	if h.Status == holdOn || h.Duration != nil {
		return errNoEventHolds
	}
	return nil
}

// errNoEventHolds refuses a hold that S3 has and the gateway does not support.
var errNoEventHolds = s3err.New(s3err.NotImplemented, "Event holds are not implemented; use a legal hold or a retention.")

// lockOf returns the version whose lock is requested.
func (s *Server) lockOf(r *Request) (engine.Object, error) {
	ref, err := r.lockedVersion()
	if err != nil {
		return engine.Object{}, err
	}
	return s.engine.LockOf(r.Context(), r.target(ref))
}

// lockedVersion is version for operations on locks. For them S3 takes an empty
// versionId for none.
func (r *Request) lockedVersion() (meta.VersionRef, error) {
	if r.QueryValue("versionId") == "" {
		return meta.VersionRef{}, nil
	}
	return r.version()
}

// retentionNeeds are the right to set a retention and, if the request asks to
// override one, the right to do so.
func retentionNeeds(r *Request) ([]access.Need, error) {
	needs := []access.Need{r.need("s3:PutObjectRetention")}
	if r.bypasses() {
		needs = append(needs, r.need("s3:BypassGovernanceRetention"))
	}
	return needs, nil
}
