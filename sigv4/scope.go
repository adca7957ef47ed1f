package sigv4

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanctum-storage/gateway/s3err"
	"github.com/sanctum-storage/gateway/strict"
)

// checkScope compares the credential's scope with the request and the verifier.
func (v *Verifier) checkScope(c *claim) error {
	if _, ok := strict.Time(dayForm, c.scope.Date); !ok {
		return c.place.malformed(`incorrect date format %q. This date in the credential must be in the format "yyyyMMdd".`, c.scope.Date)
	}
	// Every claim of Version 4 has its stamp in stampForm, which begins with the
	// day.
	if day := c.stamp[:len(dayForm)]; day != c.scope.Date {
		const text = "Invalid credential date %q. This date is not the same as X-Amz-Date: %q."
		if c.place == inQuery {
			return s3err.New(s3err.AuthorizationQueryParametersError, text, c.scope.Date, day)
		}
		return c.place.malformed(text, c.scope.Date, day)
	}
	if !v.takesRegion(c.scope.Region) {
		return c.place.malformed("the region '%s' is wrong; expecting '%s'", c.scope.Region, v.Region).With("Region", v.Region)
	}
	if c.scope.Service != v.service() {
		return c.place.malformed("incorrect service %q. This endpoint belongs to %q.", c.scope.Service, v.service())
	}
	if c.terminal != terminator {
		return c.place.malformed("incorrect terminal %q. This endpoint uses %q.", c.terminal, terminator)
	}
	return nil
}

// maxRegionBytes bounds the name of a region that is not configured: the length
// of a host name.
const maxRegionBytes = 255

// takesRegion reports whether a scope may name the region. Names that clients
// invent are empty or host names.
func (v *Verifier) takesRegion(region string) bool {
	if region == v.Region && region != "" || slices.Contains(v.Regions, region) {
		return true
	}
	outside := func(c rune) bool { return c <= ' ' || c > '~' }
	return v.AnyRegion && len(region) <= maxRegionBytes && strings.IndexFunc(region, outside) < 0
}

// checkTime refuses requests that were signed too long ago or in the future,
// and presigned URLs outside their validity.
func (v *Verifier) checkTime(c *claim) error {
	const form = time.RFC3339
	if now := v.now(); c.place == inQuery {
		// The client's clock may be ahead. The end of a URL is exact, because
		// its maker chose it.
		if c.date.After(now.Add(v.maxSkew())) {
			return s3err.New(s3err.AccessDenied, "Request is not valid yet").
				With("ServerTime", now.Format(form))
		}
		if end := c.date.Add(c.expires); now.After(end) {
			return s3err.New(s3err.AccessDenied, "Request has expired").
				With("X-Amz-Expires", strconv.FormatInt(int64(c.expires/time.Second), 10)).
				With("Expires", end.Format(form)).
				With("ServerTime", now.Format(form))
		}
		return nil
	}
	return v.checkSkew(c)
}

// checkSkew refuses requests that were signed too long ago or in the future.
func (v *Verifier) checkSkew(c *claim) error {
	now, skew := v.now(), v.maxSkew()
	if c.date.Sub(now).Abs() > skew {
		return s3err.New(s3err.RequestTimeTooSkewed, "").
			With("RequestTime", c.date.Format(stampForm)).
			With("ServerTime", now.Format(time.RFC3339)).
			With("MaxAllowedSkewMilliseconds", strconv.FormatInt(skew.Milliseconds(), 10))
	}
	return nil
}
