package meta

import "context"

type partyKey struct{}

// WithParty says whose work the store calls are that use the context or one derived
// from it. A store that has few connections gives them to parties in rotation, so
// that many calls of one party do not keep others waiting. The function is called
// at each store call, from any goroutine; it returns a comparable value. The party
// survives context.WithoutCancel.
func WithParty(ctx context.Context, party func() any) context.Context {
	return context.WithValue(ctx, partyKey{}, party)
}

// Party returns the party of a store call, or nil for one that nobody asked for:
// of background work and of commands.
func Party(ctx context.Context) any {
	if party, ok := ctx.Value(partyKey{}).(func() any); ok {
		return party()
	}
	return nil
}
