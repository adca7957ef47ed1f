package awskms

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// loginPause is the time after an answer of a source of credentials during which callers
	// get that answer, and the source is not asked.
	loginPause = time.Second
	// loginRest is the age below which a refused credential is not replaced, so that its
	// source is not asked for every refused call.
	loginRest = 5 * time.Second
)

// logins has one credential for all calls. The SDK's cache, of which there is one above and
// one below the pace, asks a source once for all who wait, and again before a credential
// ends. It would also ask for every call while the source fails.
type logins struct {
	cache *aws.CredentialsCache // over pace
	pace  *pace
}

// newLogins returns the logins of a source, such as that of config.LoadDefaultConfig.
// observe is told of each request to it; nil: nobody is.
func newLogins(source aws.CredentialsProvider, observe func(error)) *logins {
	p := &pace{source: source, observe: observe}
	return &logins{aws.NewCredentialsCache(p), p}
}

// Retrieve implements aws.CredentialsProvider.
func (l *logins) Retrieve(ctx context.Context) (aws.Credentials, error) { return l.cache.Retrieve(ctx) }

// refused reports whether Retrieve returns another credential after KMS has refused one. It
// does not if that is younger than loginRest, or if its source gives it again.
func (l *logins) refused(ctx context.Context, c aws.Credentials) (bool, error) {
	l.forget(c.AccessKeyID)
	fresh, err := l.cache.Retrieve(ctx)
	return err == nil && fresh.AccessKeyID != c.AccessKeyID, err
}

// forget has the next Retrieve reach the source, if the credential is the last one and old
// enough.
func (l *logins) forget(access string) {
	p := l.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.AccessKeyID != access || time.Since(p.at) < loginRest {
		return
	}
	p.last, p.at = aws.Credentials{}, time.Time{}
	if below, ok := p.source.(*aws.CredentialsCache); ok {
		below.Invalidate()
	}
	l.cache.Invalidate()
}

// pace bounds how often a source is asked.
type pace struct {
	source  aws.CredentialsProvider
	observe func(error)

	mu     sync.Mutex
	last   aws.Credentials
	failed error     // of the last answer, instead
	at     time.Time // of the last answer
}

// Retrieve implements aws.CredentialsProvider. The cache calls it for one caller at a time.
func (p *pace) Retrieve(ctx context.Context) (aws.Credentials, error) {
	p.mu.Lock()
	last, failed, at := p.last, p.failed, p.at
	p.mu.Unlock()
	if time.Since(at) < loginPause {
		return last, failed
	}
	c, err := p.source.Retrieve(ctx)
	p.mu.Lock()
	p.last, p.failed, p.at = c, err, time.Now()
	p.mu.Unlock()
	if p.observe != nil {
		p.observe(err)
	}
	return c, err
}
